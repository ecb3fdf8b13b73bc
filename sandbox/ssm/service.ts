import type { StaticOperationSchema, StaticErrorSchema } from '@smithy/types';
import { arn } from '../core/account';
import { ApiError, type Operation, type Service } from '../core/api';
import type { SandboxContext } from '../core/context';
import { bootstrapOf } from '../deploy/bootstrap';

const NAMESPACE = 'com.amazonaws.ssm';
const TEXT = 0;
const NUMBER = 1;
const TRUTH = 2;

/** What the sandbox has of Systems Manager on the wire, written as the SDK's clients carry their models. */
export const SSM_MODEL = {
  GetParameter$: [
    9,
    NAMESPACE,
    'GetParameter',
    0,
    [3, NAMESPACE, 'GetParameterRequest', 0, ['Name', 'WithDecryption'], [TEXT, TRUTH], 1],
    [
      3,
      NAMESPACE,
      'GetParameterResult',
      0,
      ['Parameter'],
      [
        [
          3,
          NAMESPACE,
          'Parameter',
          0,
          ['Name', 'Type', 'Value', 'Version', 'ARN'],
          [TEXT, TEXT, TEXT, NUMBER, TEXT],
        ],
      ],
    ],
  ] satisfies StaticOperationSchema,
  ParameterNotFound$: [
    -3,
    NAMESPACE,
    'ParameterNotFound',
    { error: 'client', httpError: 400 },
    ['message'],
    [TEXT],
  ] satisfies StaticErrorSchema,
} as const;

/** Systems Manager: the one parameter by which the CDK sees that an account is bootstrapped. */
export class SsmService implements Service {
  readonly name = 'ssm';
  readonly operations: Readonly<Record<string, Operation>>;

  constructor({ account }: SandboxContext) {
    const { parameterName, version } = bootstrapOf(account);
    this.operations = {
      GetParameter: async ({ Name: name }: { Name: string }) => {
        if (name !== parameterName) throw new ApiError('ParameterNotFound', `Parameter ${name} not found.`);
        return {
          Parameter: {
            Name: name,
            Type: 'String',
            Value: version,
            Version: 1,
            ARN: arn(account, 'ssm', `parameter${name}`),
          },
        };
      },
    };
  }
}
