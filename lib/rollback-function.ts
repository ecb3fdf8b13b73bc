import { ArnFormat, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type {
  CopyFunctionName,
  FunctionName,
  RECORD_FUNCTION,
  RestorePointFunctionName,
  VAULT_FUNCTION,
} from '../lambdas/contract/functions';
import type { EnvironmentName, FunctionSettings } from '../lambdas/contract/settings';
import { functionCode } from './function-code';
import { allow, type Permission } from './permissions/permission';

/** The runtime of every function (docs/decisions/0002-runtime.md). */
const RUNTIME = lambda.Runtime.NODEJS_24_X;

/**
 * Amazon's certificate authorities, those of RDS among them, inside Lambda's own runtime. From Node.js 20 on they are not
 * trusted unless this variable names them.
 */
const AMAZON_CERTIFICATES = '/var/runtime/ca-cert.pem';

/** Functions that take longer than the others; Lambda allows a quarter of an hour. */
const LONG_CALLS: Partial<Record<RollbackFunctionProps['functionName'], Duration>> = {
  // Everything it asks has a limit of its own (lambdas/steps/verify.ts), and all of them fit into this.
  verify: Duration.minutes(15),
};

/** Network of a function that talks to PostgreSQL. */
export interface DatabaseAccess {
  readonly vpc: ec2.IVpc;
  readonly subnets: readonly ec2.ISubnet[];
  readonly securityGroup: ec2.ISecurityGroup;
}

/** Those that some functions get only. */
type SpecialSetting =
  | 'RETENTION_RULES'
  | 'COPY_RULES'
  | 'VAULT_RULES'
  | 'VAULT_ROLE_ARN'
  | 'INSTANCE_PRICE'
  | 'DRILL_RULES'
  | 'RECOVERY_RULES'
  | 'RECOVERY_MACHINE_ARN'
  | 'RECORDS_BUCKET';

export interface RollbackFunctionProps {
  readonly environment: EnvironmentName;
  /** The file in `lambdas`, and the physical name after the environment. */
  readonly functionName:
    | FunctionName
    | RestorePointFunctionName
    | CopyFunctionName
    | typeof RECORD_FUNCTION
    | typeof VAULT_FUNCTION
    | 'application-database';
  /** Becomes the function's environment variables; those left undefined are left out. */
  readonly settings: {
    readonly [Key in Exclude<keyof FunctionSettings, SpecialSetting>]: string | undefined;
  } & { readonly [Key in SpecialSetting]?: string };
  /** What the function may do beyond writing its log. */
  readonly permissions: readonly Permission[];
  /**
   * Where the role of the function has to be known elsewhere by its name.
   * @default - CloudFormation names it
   */
  readonly roleName?: string;
  /** Days that its log is kept. */
  readonly logDays: logs.RetentionDays;
  /**
   * Gives the function a place in the VPC, for PostgreSQL.
   * @default - the function runs outside of any VPC and reaches AWS APIs only
   */
  readonly database?: DatabaseAccess;
}

/** A function with the defaults that all functions of this system share. */
export class RollbackFunction extends lambda.Function {
  /** How long one call may take. */
  readonly callTimeout: Duration;

  constructor(scope: Construct, id: string, props: RollbackFunctionProps) {
    const name = `${props.environment}-${props.functionName}`;
    const { database } = props;
    // A construct cannot make its parts before itself, so role and log group stand beside it.
    const parts = new Construct(scope, `${id}Parts`);
    const logGroup = new logs.LogGroup(parts, 'Log', {
      logGroupName: `/aws/lambda/${name}`,
      retention: props.logDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = functionRole(parts, name, logGroup, props);
    const callTimeout = LONG_CALLS[props.functionName] ?? Duration.minutes(database ? 5 : 2);

    super(scope, id, {
      functionName: name,
      runtime: RUNTIME,
      architecture: lambda.Architecture.ARM_64,
      handler: 'index.handler',
      code: functionCode(scope, props.functionName),
      memorySize: 512,
      timeout: callTimeout,
      role,
      logGroup,
      environment: environmentVariables(props),
      ...(database && {
        vpc: database.vpc,
        vpcSubnets: { subnets: [...database.subnets] },
        securityGroups: [database.securityGroup],
      }),
    });
    this.callTimeout = callTimeout;
  }
}

function environmentVariables(props: RollbackFunctionProps): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [key, value] of Object.entries(props.settings)) if (value !== undefined) variables[key] = value;
  if (props.database) variables['NODE_EXTRA_CA_CERTS'] = AMAZON_CERTIFICATES;
  return variables;
}

/** A role of its own for each function: the AWS managed policies would allow every log group of the account. */
function functionRole(
  scope: Construct,
  name: string,
  logGroup: logs.ILogGroup,
  props: RollbackFunctionProps,
): iam.Role {
  const role = new iam.Role(scope, 'Role', {
    assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
    description: `What ${name} may do`,
    ...(props.roleName !== undefined && { roleName: props.roleName }),
  });
  allow(role, [
    {
      sid: 'WriteOwnLog',
      actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
      resources: [logGroup.logGroupArn],
    },
    ...props.permissions,
  ]);
  if (props.database) allowNetworkInterfaces(scope, name, role);
  return role;
}

/**
 * Lambda makes the network interfaces of a function with the function's own role. The code inside the function has no
 * business doing so, and is denied it, as AWS recommends.
 */
function allowNetworkInterfaces(scope: Construct, name: string, role: iam.Role): void {
  const actions = [
    'ec2:CreateNetworkInterface',
    'ec2:DeleteNetworkInterface',
    'ec2:DescribeNetworkInterfaces',
    'ec2:DescribeSubnets',
    'ec2:AssignPrivateIpAddresses',
    'ec2:UnassignPrivateIpAddresses',
  ];
  const functionArn = Stack.of(scope).formatArn({
    service: 'lambda',
    resource: 'function',
    resourceName: name,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
  allow(role, [
    {
      sid: 'LambdaMakesInterfaces',
      actions,
      resources: ['*'],
      wildcardReason:
        'Lambda itself makes and removes network interfaces with this role; their ids are not known before.',
    },
  ]);
  role.addToPolicy(
    new iam.PolicyStatement({
      sid: 'CodeMakesNone',
      effect: iam.Effect.DENY,
      actions,
      resources: ['*'],
      conditions: { ArnEquals: { 'lambda:SourceFunctionArn': functionArn } },
    }),
  );
}
