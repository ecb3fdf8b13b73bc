import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { CloudFormationService } from '../../../sandbox/cloudformation/service';
import { Callers, SANDBOX_ACCOUNT } from '../../../sandbox/core/account';
import { Api, type Caller } from '../../../sandbox/core/api';
import { held, VirtualClock } from '../../../sandbox/core/clock';
import type { SandboxContext } from '../../../sandbox/core/context';
import { bootstrapOf } from '../../../sandbox/deploy/bootstrap';
import { deployedTo } from '../../../sandbox/deploy/deploy';
import { LambdaService } from '../../../sandbox/lambda/service';
import { openAuthority } from '../../../sandbox/postgres/authority';
import { S3Service } from '../../../sandbox/s3/service';
import { SecretsManagerService } from '../../../sandbox/secrets-manager/service';
import { until } from '../../until';

const directory = mkdtempSync(join(tmpdir(), 'cloudformation-test-'));
const clock = new VirtualClock();
const api = new Api();
const callers = new Callers(SANDBOX_ACCOUNT);
const context: SandboxContext = {
  account: SANDBOX_ACCOUNT,
  clock,
  callers,
  api,
  directory,
  endpoint: 'http://127.0.0.1:1',
  keep: () => undefined,
  log: () => undefined,
};

beforeAll(async () => {
  api.intercept((_call, next) => held(clock, next));
  const authority = await openAuthority({
    caFile: join(directory, 'ca.pem'),
    keyFile: join(directory, 'ca.key'),
  });
  const lambda = new LambdaService(context, { caFile: authority.caFile });
  const target = { context, inAccount: () => ({ context, lambda }), authority };
  for (const service of [
    lambda,
    new SecretsManagerService(context),
    new S3Service(context),
    new CloudFormationService(context, target),
  ])
    api.register(service);
});

afterAll(async () => {
  clock.stop();
  await api.stop();
  rmSync(directory, { recursive: true, force: true });
});

const call = (operation: string, input: object, caller: Caller = callers.administrator()) =>
  api.call('cloudformation', operation, input, caller);

const secret = (name: string, more: object = {}) => ({
  Type: 'AWS::SecretsManager::Secret',
  Properties: { Name: name, ...more },
});
const group = (name: string) => ({ Type: 'AWS::Logs::LogGroup', Properties: { LogGroupName: name } });
const template = (Resources: object, Outputs: object = {}): string => JSON.stringify({ Resources, Outputs });

const Created = z.object({ Id: z.string(), StackId: z.string() });
const DescribedChangeSet = z.object({
  Status: z.string(),
  ExecutionStatus: z.string(),
  StatusReason: z.string().optional(),
  Changes: z.array(
    z.object({ ResourceChange: z.looseObject({ Action: z.string(), LogicalResourceId: z.string() }) }),
  ),
});
const DescribedStacks = z.object({
  Stacks: z.array(z.looseObject({ StackStatus: z.string(), StackStatusReason: z.string().optional() })),
});
const Events = z.object({
  StackEvents: z.array(
    z.object({
      LogicalResourceId: z.string(),
      ResourceStatus: z.string(),
      ResourceStatusReason: z.string().optional(),
    }),
  ),
  NextToken: z.string().optional(),
});

async function changeSet(
  StackName: string,
  ChangeSetType: 'CREATE' | 'UPDATE',
  TemplateBody: string,
  more = {},
) {
  const { Id, StackId } = Created.parse(
    await call('CreateChangeSet', {
      StackName,
      ChangeSetName: 'changes',
      ChangeSetType,
      TemplateBody,
      ...more,
    }),
  );
  const described = DescribedChangeSet.parse(
    await call('DescribeChangeSet', { ChangeSetName: Id, IncludePropertyValues: true }),
  );
  return { id: Id, stackId: StackId, ...described };
}

async function stack(StackName: string) {
  const { Stacks } = DescribedStacks.parse(await call('DescribeStacks', { StackName }));
  if (!Stacks[0]) throw new Error(`${StackName} is not there.`);
  return Stacks[0];
}

/** Waits for the end of what is under way. */
function settled(name: string) {
  return until(
    () => stack(name),
    ({ StackStatus }) => !StackStatus.endsWith('_IN_PROGRESS'),
  );
}

async function deploy(name: string, type: 'CREATE' | 'UPDATE', body: string) {
  const { id } = await changeSet(name, type, body);
  await call('ExecuteChangeSet', { ChangeSetName: id });
  return settled(name);
}

async function events(StackName: string): Promise<string[]> {
  const { StackEvents } = Events.parse(await call('DescribeStackEvents', { StackName }));
  return StackEvents.map(({ LogicalResourceId: id, ResourceStatus: status }) => `${id} ${status}`).reverse();
}

test('a stack is made by a change set, which says before what will be made', async () => {
  const body = template({ Secret: secret('made') }, { Name: { Value: { Ref: 'Secret' } } });
  const planned = await changeSet('Made', 'CREATE', body);
  expect(planned).toMatchObject({
    Status: 'CREATE_COMPLETE',
    ExecutionStatus: 'AVAILABLE',
    Changes: [{ ResourceChange: { Action: 'Add', LogicalResourceId: 'Secret' } }],
  });
  expect((await stack('Made')).StackStatus).toBe('REVIEW_IN_PROGRESS');
  expect(deployedTo(context).stacks.has('Made')).toBe(false);

  await call('ExecuteChangeSet', { ChangeSetName: planned.id, ClientRequestToken: 'token' });
  expect(await settled('Made')).toMatchObject({
    StackId: planned.stackId,
    StackStatus: 'CREATE_COMPLETE',
    Outputs: [{ OutputKey: 'Name', OutputValue: expect.stringContaining(':secret:made-') as string }],
  });
  expect(await events('Made')).toEqual([
    'Made REVIEW_IN_PROGRESS',
    'Made CREATE_IN_PROGRESS',
    'Secret CREATE_IN_PROGRESS',
    'Secret CREATE_COMPLETE',
    'Made CREATE_COMPLETE',
  ]);
  expect(await call('GetTemplate', { StackName: 'Made' })).toMatchObject({ TemplateBody: body });
  expect(await call('ListStackResources', { StackName: planned.stackId })).toMatchObject({
    StackResourceSummaries: [{ LogicalResourceId: 'Secret', ResourceType: 'AWS::SecretsManager::Secret' }],
  });
  await expect(call('ExecuteChangeSet', { ChangeSetName: planned.id })).rejects.toThrow(/does not exist/);

  const again = await changeSet('Made', 'UPDATE', body);
  expect(again).toMatchObject({ Status: 'FAILED', ExecutionStatus: 'UNAVAILABLE', Changes: [] });
  expect(again.StatusReason).toMatch(/^The submitted information didn't contain changes\./);
});

test('what the sandbox can not do a change set says before anything is done', async () => {
  await deploy('Updated', 'CREATE', template({ Secret: secret('updated') }));
  const refused = await changeSet(
    'Updated',
    'UPDATE',
    template({ Secret: secret('updated', { Description: 'new' }) }),
  );
  expect(refused.Status).toBe('FAILED');
  expect(refused.StatusReason).toMatch(/does not implement update of Updated\/Secret/);
  await call('DeleteChangeSet', { StackName: 'Updated', ChangeSetName: 'changes' });
  const removal = await changeSet('Updated', 'UPDATE', template({ Other: secret('other') }));
  expect(removal.StatusReason).toMatch(/does not implement removal of Updated\/Secret/);
  expect((await stack('Updated')).StackStatus).toBe('CREATE_COMPLETE');
  await call('DeleteChangeSet', { StackName: 'Updated', ChangeSetName: 'changes' });
  await expect(call('DescribeChangeSet', { StackName: 'Updated', ChangeSetName: 'changes' })).rejects.toThrow(
    /does not exist/,
  );
});

test('a stack goes on with what is added to it', async () => {
  await deploy('Grows', 'CREATE', template({ One: secret('grows-1') }));
  const body = template({ One: secret('grows-1'), Two: secret('grows-2') });
  expect(await deploy('Grows', 'UPDATE', body)).toMatchObject({
    StackStatus: 'UPDATE_COMPLETE',
    LastUpdatedTime: expect.any(Date) as Date,
  });
  expect((await events('Grows')).slice(-4)).toEqual([
    'Grows UPDATE_IN_PROGRESS',
    'Two CREATE_IN_PROGRESS',
    'Two CREATE_COMPLETE',
    'Grows UPDATE_COMPLETE',
  ]);
});

test('a failure that left nothing is undone, and the stack can be deployed again', async () => {
  await deploy('Undone', 'CREATE', template({ Log: group('undone') }));
  const failed = await deploy(
    'Undone',
    'UPDATE',
    template({ Log: group('undone'), New: group('new'), Secret: { ...secret('made'), DependsOn: 'New' } }),
  );
  expect(failed).toMatchObject({ StackStatus: 'UPDATE_ROLLBACK_COMPLETE' });
  expect((await events('Undone')).slice(-3)).toEqual([
    'Secret CREATE_FAILED',
    'Undone UPDATE_ROLLBACK_IN_PROGRESS',
    'Undone UPDATE_ROLLBACK_COMPLETE',
  ]);
  const { StackEvents } = Events.parse(await call('DescribeStackEvents', { StackName: 'Undone' }));
  expect(StackEvents[2]?.ResourceStatusReason).toMatch(/made.* already exists/);
  await call('DeleteChangeSet', { StackName: 'Undone', ChangeSetName: 'changes' });
  expect(
    await deploy('Undone', 'UPDATE', template({ Log: group('undone'), New: group('new') })),
  ).toMatchObject({
    StackStatus: 'UPDATE_COMPLETE',
  });
});

test('a failure that left something says what, and that nothing undoes it', async () => {
  const failed = await deploy(
    'Left',
    'CREATE',
    template({ First: secret('left'), Second: { ...secret('made'), DependsOn: 'First' } }),
  );
  expect(failed.StackStatus).toBe('ROLLBACK_FAILED');
  expect(failed.StackStatusReason).toMatch(
    /^The following resource\(s\) failed to create: \[Second\]\. The sandbox undoes nothing: First may have been made or changed, /,
  );
  await expect(call('DeleteStack', { StackName: 'Left' })).rejects.toThrow(
    /does not implement cloudformation:DeleteStack/,
  );
  await expect(changeSet('Left', 'CREATE', template({}))).rejects.toThrow(/already exists/);
});

test('a stack that was only looked at goes, unless it is protected', async () => {
  const { stackId } = await changeSet('Looked', 'CREATE', template({ Log: group('looked') }));
  await call('UpdateTerminationProtection', { StackName: 'Looked', EnableTerminationProtection: true });
  await expect(call('DeleteStack', { StackName: stackId })).rejects.toThrow(
    'Stack [Looked] cannot be deleted while TerminationProtection is enabled',
  );
  await call('UpdateTerminationProtection', { StackName: 'Looked', EnableTerminationProtection: false });
  await call('DeleteStack', { StackName: stackId });
  await expect(stack('Looked')).rejects.toThrow('Stack with id Looked does not exist');
});

test('the protection of a stack that was looked at is that of the stack that is made', async () => {
  const { id } = await changeSet('Protected', 'CREATE', template({ Log: group('protected') }));
  await call('UpdateTerminationProtection', { StackName: 'Protected', EnableTerminationProtection: true });
  await call('ExecuteChangeSet', { ChangeSetName: id });
  expect(await settled('Protected')).toMatchObject({
    StackStatus: 'CREATE_COMPLETE',
    EnableTerminationProtection: true,
  });
});

test('the template is read from the bucket of the CDK, and events come page by page', async () => {
  const { bucket } = bootstrapOf(SANDBOX_ACCOUNT);
  const many = Object.fromEntries(
    Array.from({ length: 60 }, (_, index) => [`Log${index}`, group(`paged-${index}`)]),
  );
  await api.call(
    's3',
    'PutObject',
    { Bucket: bucket, Key: 'paged.json', Body: Buffer.from(template(many)) },
    callers.administrator(),
  );
  const { Id } = Created.parse(
    await call('CreateChangeSet', {
      StackName: 'Paged',
      ChangeSetName: 'changes',
      ChangeSetType: 'CREATE',
      TemplateURL: `https://s3.eu-central-1.amazonaws.com/${bucket}/paged.json`,
    }),
  );
  await call('ExecuteChangeSet', { ChangeSetName: Id });
  await settled('Paged');
  const first = Events.parse(await call('DescribeStackEvents', { StackName: 'Paged' }));
  const { NextToken } = first;
  const second = Events.parse(await call('DescribeStackEvents', { StackName: 'Paged', NextToken }));
  expect([first.StackEvents.length, second.StackEvents.length, second.NextToken]).toEqual([
    100,
    23,
    undefined,
  ]);
});

test('drift tells how an instance differs from what its stack gave it, and that it has gone', async () => {
  const instance = {
    DBInstanceStatus: 'available',
    DBInstanceArn: 'arn:aws:rds:eu-central-1:123456789012:db:drifts',
    DbiResourceId: 'db-1',
    DBInstanceClass: 'db.t4g.medium',
    DBInstanceIdentifier: 'drifts',
    AllocatedStorage: 100,
    Engine: 'postgres',
    DeletionProtection: true,
    EnabledCloudwatchLogsExports: ['upgrade', 'postgresql'],
    Endpoint: { Address: '127.0.0.1', Port: 5432 },
    VpcSecurityGroups: [{ VpcSecurityGroupId: 'sg-1' }],
  };
  let live: object[] = [instance];
  api.register({
    name: 'rds',
    operations: {
      CreateDBInstance: async () => ({}),
      DescribeDBInstances: async () => ({ DBInstances: live }),
    },
  });
  const body = template({
    Database: {
      Type: 'AWS::RDS::DBInstance',
      Properties: {
        DBInstanceIdentifier: 'Drifts',
        DBInstanceClass: 'db.t4g.medium',
        AllocatedStorage: '100',
        Engine: 'postgres',
        DeletionProtection: true,
        EnableCloudwatchLogsExports: ['postgresql', 'upgrade'],
        MasterUserPassword: 'not shown',
        VPCSecurityGroups: ['sg-1'],
      },
    },
    Log: group('drifts'),
  });
  expect(await deploy('Drifts', 'CREATE', body)).toMatchObject({ StackStatus: 'CREATE_COMPLETE' });
  const drift = async () => {
    const detection = await call('DetectStackDrift', { StackName: 'Drifts' });
    const { StackDriftStatus } = await call('DescribeStackDriftDetectionStatus', detection);
    const { StackResourceDrifts } = await call('DescribeStackResourceDrifts', { StackName: 'Drifts' });
    return [StackDriftStatus, StackResourceDrifts];
  };
  expect(await drift()).toMatchObject([
    'IN_SYNC',
    [{ LogicalResourceId: 'Database', StackResourceDriftStatus: 'IN_SYNC', PropertyDifferences: [] }],
  ]);
  live = [{ ...instance, DeletionProtection: false }];
  expect(await drift()).toMatchObject([
    'DRIFTED',
    [
      {
        StackResourceDriftStatus: 'MODIFIED',
        PropertyDifferences: [
          { PropertyPath: '/DeletionProtection', ExpectedValue: 'true', ActualValue: 'false' },
        ],
      },
    ],
  ]);
  live = [];
  expect(await drift()).toMatchObject(['DRIFTED', [{ StackResourceDriftStatus: 'DELETED' }]]);
});

test.each([
  [
    'parameters',
    { Parameters: [{ ParameterKey: 'a', ParameterValue: 'b' }] },
    /CreateChangeSet with values for Parameters/,
  ],
  ['tags', { Tags: [{ Key: 'a', Value: 'b' }] }, /CreateChangeSet with Tags/],
  ['an import by name', { ChangeSetType: 'IMPORT' }, /CreateChangeSet of the type IMPORT/],
  ['a role of one’s own', { RoleARN: 'arn:aws:iam::123456789012:role/own' }, /another RoleARN/],
  ['the express mode', { DeploymentConfig: { Mode: 'EXPRESS' } }, /in the mode EXPRESS/],
  ['YAML', { TemplateBody: 'Resources: {}' }, /templates in JSON only/],
  ['no stack to update', { ChangeSetType: 'UPDATE' }, 'Stack [Refused] does not exist'],
  [
    'roles without leave',
    { TemplateBody: template({ Role: { Type: 'AWS::IAM::Role', Properties: { RoleName: 'r' } } }) },
    'Requires capabilities : [CAPABILITY_NAMED_IAM]',
  ],
])('%s: refused by name', async (_what, more, message) => {
  await expect(changeSet('Refused', 'CREATE', template({}), more)).rejects.toThrow(message);
});

test('who is not the administrator deploys by the role that the CDK made for that', async () => {
  const caller = { arn: 'arn:aws:iam::123456789012:role/someone' };
  const input = {
    StackName: 'Role',
    ChangeSetName: 'c',
    ChangeSetType: 'CREATE',
    TemplateBody: template({}),
  };
  await expect(call('CreateChangeSet', input, caller)).rejects.toThrow(/by a role and without RoleARN/);
  const { executionRoleArn } = bootstrapOf(SANDBOX_ACCOUNT);
  await call('CreateChangeSet', { ...input, RoleARN: executionRoleArn }, caller);
});
