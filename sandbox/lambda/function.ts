import type {
  ApplicationLogLevel,
  CreateFunctionRequest,
  FunctionConfiguration,
  FunctionEventInvokeConfig,
  UpdateFunctionConfigurationRequest,
} from '@aws-sdk/client-lambda';
import { ApiError, NotInSandbox } from '../core/api';
import { checkDeadLetterTarget } from './destinations';

/** A statement of a function's resource policy, as AddPermission asked for it. */
export interface Permission {
  readonly statementId: string;
  readonly action: string;
  readonly principal: string;
  readonly sourceArn?: string;
  readonly sourceAccount?: string;
}

/** The permission as the function's resource policy states it. */
export function statementOf(lambda: Pick<LambdaFunction, 'arn'>, permission: Permission): object {
  const { statementId, action, principal, sourceArn, sourceAccount } = permission;
  const condition = {
    ...(sourceArn !== undefined && { ArnLike: { 'AWS:SourceArn': sourceArn } }),
    ...(sourceAccount !== undefined && { StringEquals: { 'AWS:SourceAccount': sourceAccount } }),
  };
  return {
    Sid: statementId,
    Effect: 'Allow',
    Principal: principal.endsWith('.amazonaws.com') ? { Service: principal } : { AWS: principal },
    Action: action,
    Resource: lambda.arn,
    ...(Object.keys(condition).length > 0 && { Condition: condition }),
  };
}

/** A function of the sandbox. */
export interface LambdaFunction {
  readonly name: string;
  readonly arn: string;
  codeDirectory: string;
  codeSha256: string;
  codeSize: number;
  settings: FunctionSettings;
  lastModified: Date;
  revisionId: string;
  readonly tags: Map<string, string>;
  readonly permissions: Map<string, Permission>;
  /** When it has come into being, and when its last update is through; until then it can't be changed. */
  readonly activeAt?: Date;
  updatedAt?: Date;
  eventInvoke?: FunctionEventInvokeConfig;
  reservedConcurrency?: number;
}

/** What CreateFunction and UpdateFunctionConfiguration set. */
export interface FunctionSettings {
  readonly role: string;
  readonly runtime: string;
  readonly handler: string;
  readonly description: string;
  readonly timeoutSeconds: number;
  readonly memoryMegabytes: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly architecture: string;
  readonly ephemeralStorageMegabytes: number;
  readonly tracing: string;
  readonly logGroup: string;
  readonly logFormat: string;
  /** The least level of the function's own lines that is kept, in JSON format only. */
  readonly logLevel: string;
  readonly deadLetterTarget: string | undefined;
  readonly kmsKey: string | undefined;
  /** Where the function's network interfaces are; none outside a VPC. */
  readonly network:
    { readonly subnetIds: readonly string[]; readonly securityGroupIds: readonly string[] } | undefined;
}

type SettingsRequest = Pick<
  UpdateFunctionConfigurationRequest & Pick<CreateFunctionRequest, 'Architectures'>,
  | 'Role'
  | 'Runtime'
  | 'Handler'
  | 'Description'
  | 'Timeout'
  | 'MemorySize'
  | 'Environment'
  | 'Architectures'
  | 'EphemeralStorage'
  | 'TracingConfig'
  | 'LoggingConfig'
  | 'DeadLetterConfig'
  | 'KMSKeyArn'
  | 'VpcConfig'
>;

const SETTINGS_MEMBERS: readonly (keyof SettingsRequest)[] = [
  'Role',
  'Runtime',
  'Handler',
  'Description',
  'Timeout',
  'MemorySize',
  'Environment',
  'Architectures',
  'EphemeralStorage',
  'TracingConfig',
  'LoggingConfig',
  'DeadLetterConfig',
  'KMSKeyArn',
  'VpcConfig',
];

/** Refuses, by name, the members that the sandbox does not implement. */
export function refuseOtherMembers(operation: string, request: object, also: readonly string[]): void {
  for (const [member, value] of Object.entries(request)) {
    if (value === undefined || also.includes(member)) continue;
    if (!SETTINGS_MEMBERS.some((name) => name === member))
      throw new NotInSandbox(`member ${member} of lambda:${operation}`);
  }
}

/** The settings that a request asks for: those it does not mention stay as in `before`, or get Lambda's defaults. */
export function settingsFrom(
  name: string,
  request: SettingsRequest,
  before?: FunctionSettings,
): FunctionSettings {
  const vpc = request.VpcConfig;
  const settings: FunctionSettings = {
    role: request.Role ?? before?.role ?? required('role'),
    runtime: request.Runtime ?? before?.runtime ?? required('runtime'),
    handler: request.Handler ?? before?.handler ?? required('handler'),
    description: request.Description ?? before?.description ?? '',
    timeoutSeconds: request.Timeout ?? before?.timeoutSeconds ?? 3,
    memoryMegabytes: request.MemorySize ?? before?.memoryMegabytes ?? 128,
    environment: request.Environment?.Variables ?? before?.environment ?? {},
    architecture: request.Architectures?.[0] ?? before?.architecture ?? 'x86_64',
    ephemeralStorageMegabytes: request.EphemeralStorage?.Size ?? before?.ephemeralStorageMegabytes ?? 512,
    tracing: request.TracingConfig?.Mode ?? before?.tracing ?? 'PassThrough',
    logGroup: request.LoggingConfig?.LogGroup ?? before?.logGroup ?? `/aws/lambda/${name}`,
    logFormat: request.LoggingConfig?.LogFormat ?? before?.logFormat ?? 'Text',
    logLevel: request.LoggingConfig?.ApplicationLogLevel ?? before?.logLevel ?? 'INFO',
    deadLetterTarget: request.DeadLetterConfig
      ? request.DeadLetterConfig.TargetArn || undefined
      : before?.deadLetterTarget,
    kmsKey: request.KMSKeyArn ?? before?.kmsKey,
    network: vpc
      ? vpc.SubnetIds?.length
        ? { subnetIds: vpc.SubnetIds, securityGroupIds: vpc.SecurityGroupIds ?? [] }
        : undefined
      : before?.network,
  };
  validate(settings);
  return settings;
}

function required(member: string): never {
  throw new ApiError(
    'ValidationException',
    `1 validation error detected: Value null at '${member}' failed to satisfy constraint: Member must not be null`,
  );
}

/** Names that Lambda sets itself. */
const RESERVED_VARIABLES = [
  '_HANDLER',
  '_X_AMZN_TRACE_ID',
  'AWS_DEFAULT_REGION',
  'AWS_REGION',
  'AWS_EXECUTION_ENV',
  'AWS_LAMBDA_FUNCTION_NAME',
  'AWS_LAMBDA_FUNCTION_MEMORY_SIZE',
  'AWS_LAMBDA_FUNCTION_VERSION',
  'AWS_LAMBDA_INITIALIZATION_TYPE',
  'AWS_LAMBDA_LOG_GROUP_NAME',
  'AWS_LAMBDA_LOG_STREAM_NAME',
  'AWS_ACCESS_KEY',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_LAMBDA_RUNTIME_API',
  'LAMBDA_TASK_ROOT',
  'LAMBDA_RUNTIME_DIR',
];
const LOG_LEVELS: readonly string[] = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];
const ENVIRONMENT_LIMIT_BYTES = 4096;

function validate(settings: FunctionSettings): void {
  checkDeadLetterTarget(settings.deadLetterTarget);
  const { runtime, timeoutSeconds, memoryMegabytes, environment, role } = settings;
  if (!/^nodejs\d+\.x$/.test(runtime)) throw new NotInSandbox(`functions of the runtime ${runtime}`);
  if (!LOG_LEVELS.includes(settings.logLevel))
    constraint(
      settings.logLevel,
      'applicationLogLevel',
      `Member must satisfy enum value set: [${LOG_LEVELS.join(', ')}]`,
    );
  if (settings.tracing !== 'PassThrough') throw new NotInSandbox('X-Ray tracing of functions');
  if (!/^arn:[^:]+:iam::\d{12}:role\//.test(role))
    constraint(role, 'role', 'Member must satisfy regular expression pattern: arn:…:iam::\\d{12}:role/…');
  if (timeoutSeconds < 1)
    constraint(timeoutSeconds, 'timeout', 'Member must have value greater than or equal to 1');
  if (timeoutSeconds > 900)
    constraint(timeoutSeconds, 'timeout', 'Member must have value less than or equal to 900');
  if (memoryMegabytes < 128)
    constraint(memoryMegabytes, 'memorySize', 'Member must have value greater than or equal to 128');
  if (memoryMegabytes > 10240)
    constraint(memoryMegabytes, 'memorySize', 'Member must have value less than or equal to 10240');
  const reserved = Object.keys(environment).filter((name) => RESERVED_VARIABLES.includes(name));
  if (reserved.length > 0)
    throw new ApiError(
      'InvalidParameterValueException',
      'Lambda was unable to configure your environment variables because the environment variables you have provided ' +
        `contains reserved keys that are currently not supported for modification. Reserved keys used in this request: ${reserved.join(', ')}`,
    );
  if (Buffer.byteLength(JSON.stringify(environment)) > ENVIRONMENT_LIMIT_BYTES)
    throw new ApiError(
      'InvalidParameterValueException',
      'Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit.',
    );
}

function constraint(value: string | number, member: string, text: string): never {
  throw new ApiError(
    'ValidationException',
    `1 validation error detected: Value '${value}' at '${member}' failed to satisfy constraint: ${text}`,
  );
}

/** The function as GetFunctionConfiguration answers it at a moment. */
export function configurationOf(lambda: LambdaFunction, now: Date): FunctionConfiguration {
  const { settings, activeAt, updatedAt } = lambda;
  const pending = activeAt !== undefined && now < activeAt;
  const updating = updatedAt !== undefined && now < updatedAt;
  return {
    FunctionName: lambda.name,
    FunctionArn: lambda.arn,
    Runtime: settings.runtime as FunctionConfiguration['Runtime'],
    Role: settings.role,
    Handler: settings.handler,
    CodeSize: lambda.codeSize,
    Description: settings.description,
    Timeout: settings.timeoutSeconds,
    MemorySize: settings.memoryMegabytes,
    LastModified: lambda.lastModified.toISOString().replace('Z', '+0000'),
    CodeSha256: lambda.codeSha256,
    Version: '$LATEST',
    ...(settings.network && {
      VpcConfig: {
        SubnetIds: [...settings.network.subnetIds],
        SecurityGroupIds: [...settings.network.securityGroupIds],
        Ipv6AllowedForDualStack: false,
      },
    }),
    ...(settings.deadLetterTarget !== undefined && {
      DeadLetterConfig: { TargetArn: settings.deadLetterTarget },
    }),
    ...(Object.keys(settings.environment).length > 0 && {
      Environment: { Variables: { ...settings.environment } },
    }),
    ...(settings.kmsKey !== undefined && { KMSKeyArn: settings.kmsKey }),
    TracingConfig: { Mode: 'PassThrough' },
    RevisionId: lambda.revisionId,
    ...(pending
      ? { State: 'Pending', StateReason: 'The function is being created.', StateReasonCode: 'Creating' }
      : { State: 'Active', LastUpdateStatus: updating ? 'InProgress' : 'Successful' }),
    PackageType: 'Zip',
    Architectures: [settings.architecture === 'arm64' ? 'arm64' : 'x86_64'],
    EphemeralStorage: { Size: settings.ephemeralStorageMegabytes },
    SnapStart: { ApplyOn: 'None', OptimizationStatus: 'Off' },
    LoggingConfig: {
      LogFormat: settings.logFormat === 'JSON' ? 'JSON' : 'Text',
      LogGroup: settings.logGroup,
      ...(settings.logFormat === 'JSON' && {
        ApplicationLogLevel: settings.logLevel as ApplicationLogLevel,
        SystemLogLevel: 'INFO',
      }),
    },
  };
}
