import { CreateFunctionCommand } from '@aws-sdk/client-lambda';
import { DescribeDBInstancesCommand } from '@aws-sdk/client-rds';
import {
  CreateSecretCommand,
  GetSecretValueCommand,
  PutResourcePolicyCommand,
} from '@aws-sdk/client-secrets-manager';
import { CreateStateMachineCommand } from '@aws-sdk/client-sfn';
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { runSimulation } from '@cloud-copilot/iam-simulate';
import type { Permission } from '../../../lib/permissions/permission';
import { RealClock } from '../../../sandbox/core/clock';
import { deployedTo } from '../../../sandbox/deploy/deploy';
import type { RoleRecord } from '../../../sandbox/deploy/iam-registry';
import { checkUsage, mergeUsage } from '../../../sandbox/iam/usage';
import { durations } from '../../../sandbox/rds/durations';
import { Sandbox } from '../../../sandbox/sandbox';
import { zipFile } from '../lambda/zip-file';
import { document, roleWith } from './roles';

// Evaluates as ever, and counts.
jest.mock('@cloud-copilot/iam-simulate', () => {
  const actual = jest.requireActual<{ runSimulation: typeof runSimulation }>('@cloud-copilot/iam-simulate');
  return { ...actual, runSimulation: jest.fn(actual.runSimulation) };
});

let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await Sandbox.start({ clock: new RealClock(), durations: durations('quick') });
});

afterAll(async () => {
  await sandbox.stop();
});

function deployed(role: RoleRecord): RoleRecord {
  deployedTo(sandbox.context).iam.add(role);
  return role;
}

const describing = (resource: string): Permission => ({
  sid: 'Describe',
  actions: ['rds:DescribeDBInstances'],
  resources: [`arn:aws:rds:eu-central-1:123456789012:db:${resource}`],
});
const account = { accountId: '123456789012' };
const machine = { definition: '{"StartAt":"S","States":{"S":{"Type":"Succeed"}}}' };

test('leave to describe some instances is no leave to describe all', async () => {
  const { arn } = deployed(roleWith('some', [describing('orders-*')]));

  const all = sandbox.clients({ arn }).rds.send(new DescribeDBInstancesCommand({}));
  const other = sandbox
    .clients({ arn })
    .rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: 'x' }));
  const own = sandbox
    .clients({ arn })
    .rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: 'orders-1' }));

  await expect(all).rejects.toMatchObject({
    name: 'AccessDenied',
    $metadata: { httpStatusCode: 403 },
    message:
      'User: arn:aws:sts::123456789012:assumed-role/some/sandbox is not authorized to perform: rds:DescribeDBInstances on ' +
      'resource: arn:aws:rds:eu-central-1:123456789012:db:* because no identity-based policy allows the rds:DescribeDBInstances action',
  });
  await expect(other).rejects.toMatchObject({ name: 'AccessDenied' });
  await expect(own).rejects.toMatchObject({ name: 'DBInstanceNotFoundFault' });
});

test('a deny counts more than any leave, and is named', async () => {
  const role = roleWith('denied', [describing('*')]);
  role.policies.push({
    name: 'Deny',
    document: document([{ Effect: 'Deny', Action: 'rds:*', Resource: '*' }]),
  });
  const { arn } = deployed(role);

  await expect(sandbox.clients({ arn }).rds.send(new DescribeDBInstancesCommand({}))).rejects.toThrow(
    /is not authorized to perform: rds:DescribeDBInstances on resource: \S+ with an explicit deny in an identity-based policy$/,
  );
});

test('a permissions boundary holds back what the policies allow', async () => {
  const { iam } = deployedTo(sandbox.context);
  const boundary = 'arn:aws:iam::123456789012:policy/boundary';
  iam.addManagedPolicy(boundary, {
    name: 'boundary',
    document: document([{ Effect: 'Allow', Action: 'sns:*', Resource: '*' }]),
  });
  const { arn } = deployed({ ...roleWith('bounded', [describing('*')]), permissionsBoundary: boundary });

  await expect(sandbox.clients({ arn }).rds.send(new DescribeDBInstancesCommand({}))).rejects.toThrow(
    /because no permissions boundary allows the rds:DescribeDBInstances action$/,
  );
});

test("a secret's own policy can let a role in, and shut it out", async () => {
  const { secrets } = sandbox.clients();
  const { ARN = '' } = await secrets.send(new CreateSecretCommand({ Name: 'shared', SecretString: 'value' }));
  const { arn } = deployed(roleWith('reader', []));
  const read = (): Promise<object> =>
    sandbox.clients({ arn }).secrets.send(new GetSecretValueCommand({ SecretId: 'shared' }));
  const policy = (effect: string): PutResourcePolicyCommand =>
    new PutResourcePolicyCommand({
      SecretId: ARN,
      ResourcePolicy: JSON.stringify(
        document([
          { Effect: effect, Principal: { AWS: arn }, Action: 'secretsmanager:GetSecretValue', Resource: '*' },
        ]),
      ),
    });

  await expect(read()).rejects.toThrow(`secretsmanager:GetSecretValue on resource: ${ARN} because`);
  await secrets.send(policy('Allow'));
  await expect(read()).resolves.toMatchObject({ SecretString: 'value' });
  await secrets.send(policy('Deny'));
  await expect(read()).rejects.toThrow('with an explicit deny in a resource-based policy');
});

test('Step Functions and Lambda refuse roles that do not trust them', async () => {
  const role = deployed(roleWith('scheduling', [], { trusted: 'scheduler.amazonaws.com' })).arn;
  const { stepFunctions, lambda } = sandbox.clients();

  await expect(
    stepFunctions.send(new CreateStateMachineCommand({ name: 'm', roleArn: role, ...machine })),
  ).rejects.toMatchObject({
    name: 'AccessDeniedException',
    message:
      'Neither the global service principal states.amazonaws.com, nor the regional one states.eu-central-1.amazonaws.com is ' +
      'authorized to assume the provided role.',
  });
  const create = (Role: string, SubnetIds: string[] = []): CreateFunctionCommand =>
    new CreateFunctionCommand({
      FunctionName: `f-${SubnetIds.length}`,
      Role,
      Runtime: 'nodejs24.x',
      Handler: 'index.handler',
      Code: { ZipFile: zipFile({ 'index.js': 'exports.handler = async () => 1;' }) },
      VpcConfig: { SubnetIds, SecurityGroupIds: SubnetIds.length > 0 ? ['sg-1'] : [] },
    });
  await expect(lambda.send(create(role))).rejects.toMatchObject({
    name: 'InvalidParameterValueException',
    message: 'The role defined for the function cannot be assumed by Lambda.',
  });
  const trusting = deployed(roleWith('without-network', [])).arn;
  await expect(lambda.send(create(trusting, ['subnet-1']))).rejects.toThrow(
    'The provided execution role does not have permissions to call CreateNetworkInterface on EC2',
  );
  await expect(lambda.send(create(trusting))).resolves.toMatchObject({ FunctionName: 'f-0' });
});

test('a machine with a log needs a role that may deliver it', async () => {
  const roleArn = deployed(roleWith('without-log', [], { trusted: 'states.amazonaws.com' })).arn;
  const logGroupArn = 'arn:aws:logs:eu-central-1:123456789012:log-group:m:*';

  await expect(
    sandbox.clients().stepFunctions.send(
      new CreateStateMachineCommand({
        name: 'm',
        roleArn,
        ...machine,
        loggingConfiguration: {
          level: 'ALL',
          includeExecutionData: false,
          destinations: [{ cloudWatchLogsLogGroup: { logGroupArn } }],
        },
      }),
    ),
  ).rejects.toThrow('The state machine IAM Role is not authorized to access the Log Destination');
});

test('whoever hands a role to a service needs leave to pass it', async () => {
  const passed = deployed(roleWith('passed', [], { trusted: 'states.amazonaws.com' })).arn;
  const { arn } = deployed(
    roleWith('deployer', [{ sid: 'Create', actions: ['states:CreateStateMachine'], resources: ['*'] }]),
  );

  await expect(
    sandbox
      .clients({ arn })
      .stepFunctions.send(new CreateStateMachineCommand({ name: 'm', roleArn: passed, ...machine })),
  ).rejects.toThrow(`is not authorized to perform: iam:PassRole on resource: ${passed} because`);
});

test('a role is assumed by those whom it trusts', async () => {
  const { endpoint } = sandbox.context;
  const sts = new STSClient({ endpoint, region: 'eu-central-1', credentials: sandbox.credentials() });
  const closed = deployed(roleWith('closed', [])).arn;
  const open = deployed({
    ...roleWith('open', []),
    trust: document([
      {
        Effect: 'Allow',
        Principal: { AWS: `arn:aws:iam::${account.accountId}:root` },
        Action: 'sts:AssumeRole',
      },
    ]),
  }).arn;

  const assume = (RoleArn: string): Promise<object> =>
    sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'session' }));
  await expect(assume(closed)).rejects.toMatchObject({
    name: 'AccessDenied',
    message: `User: arn:aws:iam::123456789012:user/administrator is not authorized to perform: sts:AssumeRole on resource: ${closed}`,
  });
  await expect(assume(open)).resolves.toMatchObject({
    AssumedRoleUser: { Arn: 'arn:aws:sts::123456789012:assumed-role/open/session' },
  });
  // Nobody needs leave to ask who they are.
  const own = new STSClient({
    endpoint,
    region: 'eu-central-1',
    credentials: sandbox.credentials({ arn: closed }),
  });
  await expect(own.send(new GetCallerIdentityCommand({}))).resolves.toMatchObject({
    Account: '123456789012',
  });
  sts.destroy();
  own.destroy();
});

test('what the sandbox could not decide by is refused by name', async () => {
  const conditional = deployed(
    roleWith('conditional', [{ ...describing('*'), conditions: { Bool: { 'aws:ViaAWSService': 'true' } } }]),
  );
  const managed = deployed({
    ...roleWith('managed', []),
    managedPolicyArns: ['arn:aws:iam::aws:policy/AmazonRDSFullAccess'],
  });
  const describe = ({ arn }: RoleRecord): Promise<object> =>
    sandbox.clients({ arn }).rds.send(new DescribeDBInstancesCommand({}));

  await expect(describe(conditional)).rejects.toThrow(
    'does not implement the condition key aws:ViaAWSService (in the policy DefaultPolicy)',
  );
  await expect(describe(managed)).rejects.toThrow(
    'does not implement the managed policy arn:aws:iam::aws:policy/AmazonRDSFullAccess',
  );
});

test('permissions that nobody used or explained are reported, and explanations of what is used', async () => {
  const role = deployed(
    roleWith('usage', [
      describing('*'),
      { sid: 'Delete', actions: ['rds:DeleteDBInstance', 'rds:DescribeDBInstances'], resources: ['*'] },
    ]),
  );
  const before = await sandbox.iam.usage();
  await sandbox.clients(role).rds.send(new DescribeDBInstancesCommand({}));
  const merged = mergeUsage([before, await sandbox.iam.usage()]);
  const ofRole = { ...merged, granted: merged.granted.filter(({ role: name }) => name === 'usage') };

  expect(checkUsage(ofRole, [{ sid: 'Describe', reason: 'none' }])).toEqual({
    unexplained: ['usage: Delete allows rds:DeleteDBInstance on *'],
    stale: [{ sid: 'Describe', reason: 'none' }],
  });
  expect(checkUsage(ofRole, [{ sid: 'Delete', reason: 'kept' }])).toEqual({ unexplained: [], stale: [] });
});

test('a decision that was made before is not made again', async () => {
  const caller = { arn: deployed(roleWith('often', [describing('*')])).arn };
  const call = {
    context: {
      service: 'rds',
      operation: 'DescribeDBInstances',
      caller,
      accountId: account.accountId,
      requestId: 'test',
    },
    input: {},
  } as const;
  const authorise = (): Promise<unknown> => sandbox.iam.interceptor(call, async () => ({}));
  const simulations = jest.mocked(runSimulation).mock;
  const before = simulations.calls.length;
  await authorise();
  const made = simulations.calls.length;
  expect(made).toBeGreaterThan(before);

  for (let count = 0; count < 5; count++) await authorise();
  expect(simulations.calls.length).toBe(made);
});
