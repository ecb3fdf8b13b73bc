import type { AssumeRoleRequest } from '@aws-sdk/client-sts';
import { z } from 'zod';
import { arn, type Account } from '../core/account';
import type { ApiCall } from '../core/api';
import { stackIdOf } from '../deploy/stack-template';
import type { Lookup } from './lookup';
import { passRole } from './pass-role';
import type { ConditionContext, PermissionRequest } from './permission-request';
import { rdsRequests } from './rds-requests';

const text = z.string().optional();

/** What an API call needs to be allowed: every one of the answer. @throws NotInSandbox when the sandbox does not know */
export async function requestsOf(
  { context: { service, operation }, input }: ApiCall,
  account: Account,
  lookup: Lookup,
): Promise<PermissionRequest[]> {
  switch (service) {
    case 'rds':
      return rdsRequests(operation, input, account, lookup);
    case 'secretsmanager':
      return secretRequests(operation, input, account, lookup);
    case 'lambda':
      return lambdaRequests(operation, input, account, lookup);
    case 'states':
      return statesRequests(operation, input, account);
    case 'sns':
      return snsRequests(operation, input, account, lookup);
    case 'sts':
      return stsRequests(operation, input);
    case 'events':
      return eventsRequests(operation, input, account);
    case 'scheduler':
      return schedulerRequests(operation, input, account);
    case 'monitoring':
      return monitoringRequests(operation, input, account);
    case 'sqs':
      return sqsRequests(operation, input, account, lookup);
    case 's3':
      return s3Requests(operation, input, account, lookup);
    case 'ecs':
      return ecsRequests(operation, input, account);
    case 'cloudformation':
      return cloudFormationRequests(operation, input, account);
    case 'ssm':
      return ssmRequests(operation, input, account);
  }
}

const listed = z.array(z.object({ Key: z.string(), Value: z.string().default('') })).default([]);
const tagMap = (tags: z.infer<typeof listed>): Record<string, string> =>
  Object.fromEntries(tags.map(({ Key, Value }) => [Key, Value]));

const SecretInput = z.object({
  SecretId: text,
  Name: text,
  VersionId: text,
  VersionStage: text,
  Tags: listed,
});

async function secretRequests(
  operation: string,
  given: unknown,
  account: Account,
  lookup: Lookup,
): Promise<PermissionRequest[]> {
  const input = SecretInput.parse(given);
  const action = `secretsmanager:${operation}`;
  if (operation === 'ListSecrets' || operation === 'GetRandomPassword') return [{ action, resource: '*' }];
  const id = input.SecretId ?? input.Name ?? '';
  const secret = operation === 'CreateSecret' ? undefined : await lookup.secret(id);
  const resource =
    secret?.arn ?? (id.startsWith('arn:') ? id : arn(account, 'secretsmanager', `secret:${id}`));
  const request: PermissionRequest = {
    action,
    resource,
    ...(secret && { resourceTags: secret.tags }),
    ...(secret?.policy !== undefined && { resourcePolicy: secret.policy }),
    requestTags: tagMap(input.Tags),
    context: {
      'secretsmanager:SecretId': resource,
      ...(input.VersionId !== undefined && { 'secretsmanager:VersionId': input.VersionId }),
      ...(input.VersionStage !== undefined && { 'secretsmanager:VersionStage': input.VersionStage }),
    },
  };
  return operation === 'CreateSecret' && input.Tags.length > 0
    ? [request, { ...request, action: 'secretsmanager:TagResource' }]
    : [request];
}

const LambdaInput = z.object({ FunctionName: text, Resource: text, Qualifier: text, Role: text });

async function lambdaRequests(
  operation: string,
  given: unknown,
  account: Account,
  lookup: Lookup,
): Promise<PermissionRequest[]> {
  const input = LambdaInput.parse(given);
  const action = operation === 'Invoke' ? 'lambda:InvokeFunction' : `lambda:${operation}`;
  if (operation === 'ListFunctions') return [{ action, resource: '*' }];
  const reference = input.FunctionName ?? input.Resource ?? '';
  const [, name = reference, inArn] = /(?:^|function:)([a-zA-Z0-9-_]+)(?::([^:]+))?$/.exec(reference) ?? [];
  const qualifier = inArn ?? input.Qualifier;
  const resource = arn(
    account,
    'lambda',
    `function:${name}${qualifier === undefined ? '' : `:${qualifier}`}`,
  );
  const resourcePolicy = operation === 'Invoke' ? await lookup.functionPolicy(name) : undefined;
  return [
    { action, resource, ...(resourcePolicy !== undefined && { resourcePolicy }) },
    ...passRole(input.Role, 'lambda.amazonaws.com'),
  ];
}

const StatesInput = z.object({
  stateMachineArn: text,
  executionArn: text,
  resourceArn: text,
  name: text,
  roleArn: text,
});

function statesRequests(operation: string, given: unknown, account: Account): PermissionRequest[] {
  const input = StatesInput.parse(given);
  const action = `states:${operation}`;
  if (/^(ListStateMachines|SendTask|ValidateStateMachineDefinition)/.test(operation))
    return [{ action, resource: '*' }];
  const resource =
    input.executionArn ??
    input.stateMachineArn ??
    input.resourceArn ??
    arn(account, 'states', `stateMachine:${input.name ?? ''}`);
  return [{ action, resource }, ...passRole(input.roleArn, 'states.amazonaws.com')];
}

const SnsInput = z.object({
  TopicArn: text,
  TargetArn: text,
  ResourceArn: text,
  SubscriptionArn: text,
  Name: text,
  Tags: listed,
});

async function snsRequests(
  operation: string,
  given: unknown,
  account: Account,
  lookup: Lookup,
): Promise<PermissionRequest[]> {
  const input = SnsInput.parse(given);
  const action = `sns:${operation}`;
  if (operation === 'ListTopics' || operation === 'ListSubscriptions') return [{ action, resource: '*' }];
  const topicOfSubscription = input.SubscriptionArn?.split(':').slice(0, 6).join(':');
  const resource =
    input.TopicArn ??
    input.TargetArn ??
    input.ResourceArn ??
    topicOfSubscription ??
    arn(account, 'sns', input.Name ?? '');
  const resourcePolicy = await lookup.topicPolicy(resource);
  return [
    {
      action,
      resource,
      requestTags: tagMap(input.Tags),
      ...(resourcePolicy !== undefined && { resourcePolicy }),
    },
  ];
}

const SqsInput = z.object({ QueueUrl: text, QueueName: text });

async function sqsRequests(
  operation: string,
  given: unknown,
  account: Account,
  lookup: Lookup,
): Promise<PermissionRequest[]> {
  const { QueueUrl, QueueName } = SqsInput.parse(given);
  // Inside the sandbox a queue is also named by its ARN.
  const name = QueueName ?? QueueUrl?.split(/[/:]/).at(-1);
  // The batch operations are allowed by the actions for one message.
  const action = `sqs:${operation.replace(/Batch$/, '')}`;
  if (operation === 'ListQueues' || name === undefined) return [{ action, resource: '*' }];
  const resourcePolicy = await lookup.queuePolicy(name);
  return [
    { action, resource: arn(account, 'sqs', name), ...(resourcePolicy !== undefined && { resourcePolicy }) },
  ];
}

const S3Input = z.object({ Bucket: z.string(), Key: text, VersionId: text });
/** Some operations are allowed by the action of another one. */
const S3_ACTIONS: Readonly<Record<string, string>> = {
  HeadObject: 'GetObject',
  GetBucketEncryption: 'GetEncryptionConfiguration',
  ListObjectsV2: 'ListBucket',
  ListObjectVersions: 'ListBucketVersions',
};

async function s3Requests(
  operation: string,
  given: unknown,
  { partition }: Account,
  lookup: Lookup,
): Promise<PermissionRequest[]> {
  const { Bucket: bucket, Key: key, VersionId } = S3Input.parse(given);
  const action = `s3:${S3_ACTIONS[operation] ?? operation}${VersionId === undefined ? '' : 'Version'}`;
  const resource = `arn:${partition}:s3:::${bucket}${key === undefined ? '' : `/${key}`}`;
  const resourcePolicy = await lookup.bucketPolicy(bucket);
  return [{ action, resource, ...(resourcePolicy !== undefined && { resourcePolicy }) }];
}

const EcsInput = z.object({
  cluster: text,
  service: text,
  serviceName: text,
  services: z.array(z.string()).optional(),
  task: text,
  tasks: z.array(z.string()).optional(),
  clusterName: text,
  executionRoleArn: text,
});

/** A call names its resources by ARN or by name. */
function ecsRequests(operation: string, given: unknown, account: Account): PermissionRequest[] {
  const input = EcsInput.parse(given);
  const action = `ecs:${operation}`;
  const last = (reference = 'default'): string => reference.split('/').at(-1) ?? reference;
  const cluster = last(input.cluster ?? input.clusterName);
  const within = (kind: string, names: readonly string[]): PermissionRequest[] =>
    names.map((name) => ({ action, resource: arn(account, 'ecs', `${kind}/${cluster}/${last(name)}`) }));
  switch (operation) {
    case 'CreateService':
    case 'UpdateService':
    case 'DeleteService':
      return within('service', [input.service ?? input.serviceName ?? '']);
    case 'DescribeServices':
      return within('service', input.services ?? []);
    case 'DescribeTasks':
    case 'StopTask':
      return within('task', input.tasks ?? [input.task ?? '']);
    case 'RegisterTaskDefinition':
      return [{ action, resource: '*' }, ...passRole(input.executionRoleArn, 'ecs-tasks.amazonaws.com')];
    default:
      return [{ action, resource: '*' }];
  }
}

const CloudFormationInput = z.object({ StackName: text, ChangeSetName: text, RoleARN: text });

/** Change sets are a matter of their stack. */
function cloudFormationRequests(operation: string, given: unknown, account: Account): PermissionRequest[] {
  const { StackName: name, RoleARN } = CloudFormationInput.parse(given);
  const resource = name === undefined ? '*' : name.startsWith('arn:') ? name : stackIdOf(account, name);
  return [
    { action: `cloudformation:${operation}`, resource },
    ...passRole(RoleARN, 'cloudformation.amazonaws.com'),
  ];
}

function ssmRequests(operation: string, given: unknown, account: Account): PermissionRequest[] {
  const { Name: name } = z.object({ Name: z.string() }).parse(given);
  return [
    { action: `ssm:${operation}`, resource: arn(account, 'ssm', `parameter/${name.replace(/^\//, '')}`) },
  ];
}

const StsInput = z.object({ RoleArn: text, RoleSessionName: text, ExternalId: text });

function stsRequests(operation: string, given: unknown): PermissionRequest[] {
  // Anybody may ask who they are, whatever their policies say.
  if (operation === 'GetCallerIdentity') return [];
  const { RoleArn, RoleSessionName, ExternalId } = StsInput.parse(given);
  return [
    {
      action: `sts:${operation}`,
      resource: RoleArn ?? '*',
      context: assumeRoleContext({ RoleSessionName, ExternalId }),
    },
  ];
}

/** What both policies, that of the caller and that of the role, see of a call of AssumeRole. */
export function assumeRoleContext({
  RoleSessionName,
  ExternalId,
}: Partial<AssumeRoleRequest>): ConditionContext {
  return {
    ...(RoleSessionName !== undefined && { 'sts:RoleSessionName': RoleSessionName }),
    ...(ExternalId !== undefined && { 'sts:ExternalId': ExternalId }),
  };
}

const EventsInput = z.object({
  Name: text,
  Rule: text,
  EventBusName: text,
  RoleArn: text,
  Entries: z.array(z.object({ EventBusName: text, Source: text, DetailType: text })).default([]),
  Targets: z.array(z.object({ RoleArn: text })).default([]),
});

function eventsRequests(operation: string, given: unknown, account: Account): PermissionRequest[] {
  const input = EventsInput.safeParse(given).data ?? EventsInput.parse({ ...asRecord(given), Targets: [] });
  const action = `events:${operation}`;
  const bus = (name = 'default'): string =>
    name.startsWith('arn:') ? name : arn(account, 'events', `event-bus/${name}`);
  if (operation === 'PutEvents')
    return input.Entries.map(({ EventBusName, Source, DetailType }) => ({
      action,
      resource: bus(EventBusName),
      context: {
        ...(Source !== undefined && { 'events:source': Source }),
        ...(DetailType !== undefined && { 'events:detail-type': DetailType }),
      },
    }));
  const rule = input.Rule ?? input.Name;
  const onBus =
    input.EventBusName === undefined || input.EventBusName === 'default' ? '' : `${input.EventBusName}/`;
  return [
    { action, resource: arn(account, 'events', `rule/${onBus}${rule ?? '*'}`) },
    ...[input.RoleArn, ...input.Targets.map(({ RoleArn }) => RoleArn)].flatMap((roleArn) =>
      passRole(roleArn, 'events.amazonaws.com'),
    ),
  ];
}

/** RemoveTargets names its targets where PutTargets describes them. */
function asRecord(given: unknown): Record<string, unknown> {
  return z.record(z.string(), z.unknown()).parse(given);
}

const SchedulerInput = z.object({
  Name: text,
  GroupName: text,
  Target: z.object({ RoleArn: text }).optional(),
});

function schedulerRequests(operation: string, given: unknown, account: Account): PermissionRequest[] {
  const input = SchedulerInput.parse(given);
  const action = `scheduler:${operation}`;
  const resource = arn(account, 'scheduler', `schedule/${input.GroupName ?? 'default'}/${input.Name ?? '*'}`);
  return [
    { action, resource: operation === 'ListSchedules' ? '*' : resource },
    ...passRole(input.Target?.RoleArn, 'scheduler.amazonaws.com'),
  ];
}

const MonitoringInput = z.object({ Namespace: text, DashboardName: text });

function monitoringRequests(operation: string, given: unknown, account: Account): PermissionRequest[] {
  const { Namespace: namespace, DashboardName: dashboard } = MonitoringInput.parse(given);
  return [
    {
      action: `cloudwatch:${operation}`,
      resource:
        dashboard === undefined
          ? '*'
          : arn(account, 'cloudwatch', `dashboard/${dashboard}`, { regional: false }),
      ...(namespace !== undefined && { context: { 'cloudwatch:namespace': namespace } }),
    },
  ];
}
