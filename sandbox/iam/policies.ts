import { z } from 'zod';
import { NotInSandbox } from '../core/api';
import type { IamRegistry, NamedPolicy, RoleRecord } from '../deploy/iam-registry';

const Conditions = z.record(z.string(), z.record(z.string(), z.unknown()));
const oneOrMore = z.union([z.array(z.string()), z.string().transform((value) => [value])]);

/** A statement as a policy's document has it, as far as reports need it. */
export const Statement = z.object({
  Sid: z.string().optional(),
  Effect: z.enum(['Allow', 'Deny']),
  Action: oneOrMore.default([]),
  Resource: oneOrMore.default([]),
  Condition: Conditions.default({}),
});
export type Statement = z.infer<typeof Statement>;

const Document = z.object({
  Statement: z.union([z.array(Statement), Statement.transform((statement) => [statement])]),
});

/** The statements of a policy, in order. */
export function statementsOf(policy: NamedPolicy): readonly Statement[] {
  const parsed = Document.safeParse(policy.document);
  if (!parsed.success)
    throw new Error(`The policy ${policy.name} is not one: ${z.prettifyError(parsed.error)}`);
  return parsed.data.Statement;
}

/** Condition keys that the sandbox gives a value, in lower case as IAM compares them; a `/` ends the fixed part. */
const KNOWN_KEYS =
  /^(aws:(principalarn|principalaccount|principaltype|securetransport|requestedregion|resourceaccount|tagkeys|sourcearn|sourceaccount|(resource|request)tag\/.+)|rds:([a-z-]+-tag)\/.+|secretsmanager:(secretid|versionid|versionstage|resourcetag\/.+)|iam:passedtoservice|lambda:sourcefunctionarn|events:(source|detail-type)|cloudwatch:namespace|sts:(externalid|rolesessionname)|kms:(viaservice|calleraccount|grantisforawsresource))$/;

/** @throws NotInSandbox for a condition key that would silently never match */
export function checkConditionKeys(policy: NamedPolicy): void {
  for (const { Condition } of statementsOf(policy))
    for (const key of Object.values(Condition).flatMap((keys) => Object.keys(keys)))
      if (!KNOWN_KEYS.test(key.toLowerCase()))
        throw new NotInSandbox(`the condition key ${key} (in the policy ${policy.name})`);
}

const allow = (name: string, ...actions: string[]): NamedPolicy => ({
  name,
  document: { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: actions, Resource: '*' }] },
});
const LOGS = ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents'];

/** The managed policies of AWS's own that the sandbox knows, by the end of their ARN. */
const AWS_MANAGED: Readonly<Record<string, NamedPolicy>> = {
  AdministratorAccess: allow('AdministratorAccess', '*'),
  'service-role/AWSLambdaBasicExecutionRole': allow('AWSLambdaBasicExecutionRole', ...LOGS),
  'service-role/AWSLambdaVPCAccessExecutionRole': allow(
    'AWSLambdaVPCAccessExecutionRole',
    ...LOGS,
    'ec2:CreateNetworkInterface',
    'ec2:DescribeNetworkInterfaces',
    'ec2:DescribeSubnets',
    'ec2:DeleteNetworkInterface',
    'ec2:AssignPrivateIpAddresses',
    'ec2:UnassignPrivateIpAddresses',
  ),
};

/** @throws NotInSandbox for a policy that is neither deployed nor known */
function managedPolicy(registry: IamRegistry, arn: string): NamedPolicy {
  const policy = registry.managedPolicy(arn) ?? AWS_MANAGED[arn.split(':policy/')[1] ?? ''];
  if (!policy) throw new NotInSandbox(`the managed policy ${arn}`);
  return policy;
}

/** What decides for a role: its identity policies and, if it has one, its permissions boundary. */
export interface RolePolicies {
  readonly identity: readonly NamedPolicy[];
  readonly boundary: NamedPolicy | undefined;
}

/** @throws NotInSandbox for what the sandbox could not decide */
export function policiesOf(registry: IamRegistry, role: RoleRecord): RolePolicies {
  const identity = [...role.policies, ...role.managedPolicyArns.map((arn) => managedPolicy(registry, arn))];
  const boundary =
    role.permissionsBoundary === undefined ? undefined : managedPolicy(registry, role.permissionsBoundary);
  for (const policy of [...identity, ...(boundary ? [boundary] : [])]) checkConditionKeys(policy);
  return { identity, boundary };
}
