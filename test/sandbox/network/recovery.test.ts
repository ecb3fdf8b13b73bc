import { join } from 'node:path';
import { InvokeCommand } from '@aws-sdk/client-lambda';
import {
  DescribeDBInstancesCommand,
  ModifyDBInstanceCommand,
  RestoreDBInstanceFromDBSnapshotCommand,
  type DBInstance,
} from '@aws-sdk/client-rds';
import {
  DescribeExecutionCommand,
  paginateGetExecutionHistory,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn';
import { z } from 'zod';
import { VirtualClock } from '../../../sandbox/core/clock';
import { deployedTo } from '../../../sandbox/deploy/deploy';
import type { NetworkRecord } from '../../../sandbox/deploy/network-registry';
import { durations } from '../../../sandbox/rds/durations';
import { Sandbox } from '../../../sandbox/sandbox';
import { synthesise } from '../../../sandbox/synthesise';
import { until } from '../../until';

// GIVEN the production stacks in a sandbox, and a snapshot as CI takes it before a migration
const log: string[] = [];
let sandbox: Sandbox;
let snapshotId: string;
/** What Plan makes of a recovery: the event of the functions after it. */
let recovery: unknown;

beforeAll(async () => {
  sandbox = await Sandbox.start({
    clock: new VirtualClock(),
    durations: durations('aws', 1),
    log: (line) => log.push(line),
  });
  const assembly = join(sandbox.context.directory, 'assembly');
  await synthesise(assembly, ['production']);
  await sandbox.deploy(assembly, ['Production-Database', 'Production-Rollback']);
  const { snapshotId: taken } = await until(
    async () => {
      const answer = await invoke('pre-migration-snapshot', { deploymentId: 'test' });
      await sandbox.context.clock.sleep(60_000);
      return z.object({ status: z.string(), snapshotId: z.string() }).parse(answer);
    },
    ({ status }) => status === 'available',
  );
  snapshotId = taken;
  const execution = { arn: `${MACHINE}:plan`, name: 'plan', startTime: new Date().toISOString() };
  const planned = await invoke('plan', { execution, input: { ...INPUT, mode: 'plan' } });
  recovery = z.object({ recovery: z.unknown() }).parse(planned).recovery;
});

afterAll(async () => {
  await sandbox.stop();
});

const MACHINE = 'arn:aws:states:eu-central-1:123456789012:stateMachine:production-recovery';
const INPUT = {
  mode: 'recover',
  restore: { to: 'latest-pre-migration-snapshot' },
  reason: 'a test',
  requestedBy: 'jest',
};

async function invoke(name: string, event: object): Promise<unknown> {
  const { Payload } = await sandbox
    .clients()
    .lambda.send(new InvokeCommand({ FunctionName: `production-${name}`, Payload: JSON.stringify(event) }));
  return JSON.parse(Buffer.from(Payload ?? []).toString());
}

async function instance(id: string): Promise<DBInstance> {
  const { DBInstances } = await sandbox
    .clients()
    .rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: id }));
  const [found] = DBInstances ?? [];
  if (!found) throw new Error(`no ${id}`);
  return found;
}

const address = ({ DBInstanceIdentifier, DbiResourceId, Endpoint }: DBInstance) => ({
  instanceId: DBInstanceIdentifier,
  resourceId: DbiResourceId,
  host: Endpoint?.Address,
  port: Endpoint?.Port,
});

/** Asks a function inside the VPC for what it does with a database. */
async function callFunction(name: string, id = 'production-database'): Promise<unknown> {
  const { host, port } = address(await instance(id));
  return name === 'application-database'
    ? invoke(name, {
        RequestType: 'Create',
        ResourceProperties: { host, port: String(port), databaseName: 'app', applicationRole: 'app' },
      })
    : invoke(name, { recovery, instance: address(await instance(id)) });
}

/** Takes a rule or endpoint out of the deployed templates until the returned function is called. */
function takeAway(type: string, logicalId: RegExp): () => void {
  const { network } = deployedTo(sandbox.context);
  const found = network.list(`AWS::EC2::${type}`).filter((record) => logicalId.test(record.logicalId ?? ''));
  const [record] = found;
  if (!record || found.length > 1)
    throw new Error(`${found.length} of ${type} are like ${String(logicalId)}`);
  network.remove(record.id);
  return () => {
    network.add(record);
  };
}

/** Every rule and endpoint of the production stacks, who is lost without it, and how that looks. */
const PARTS: readonly {
  readonly type: string;
  readonly logicalId: RegExp;
  readonly function: string;
  readonly error: 'AwsUnavailable' | 'DatabaseUnreachable';
}[] = [
  { type: 'VPCEndpoint', logicalId: /^SecretsManagerEndpoint/, function: 'verify', error: 'AwsUnavailable' },
  {
    type: 'SecurityGroupEgress',
    logicalId: /^MigrationRollback.*to.*SecretsManagerEndpoint/,
    function: 'verify',
    error: 'AwsUnavailable',
  },
  {
    type: 'SecurityGroupIngress',
    logicalId: /^MigrationRollback.*SecretsManagerEndpoint/,
    function: 'verify',
    error: 'AwsUnavailable',
  },
  {
    type: 'SecurityGroupEgress',
    logicalId: /^MigrationRollback.*DatabaseSecurityGroup/,
    function: 'verify',
    error: 'DatabaseUnreachable',
  },
  {
    type: 'SecurityGroupIngress',
    logicalId: /^MigrationRollback.*DatabaseSecurityGroup/,
    function: 'verify',
    error: 'DatabaseUnreachable',
  },
  {
    type: 'SecurityGroupEgress',
    logicalId: /^ApplicationDatabaseSecurityGroup.*SecretsManagerEndpoint/,
    function: 'application-database',
    error: 'AwsUnavailable',
  },
  {
    type: 'SecurityGroupIngress',
    logicalId: /^SecretsManagerEndpoint.*ApplicationDatabaseSecurityGroup/,
    function: 'application-database',
    error: 'AwsUnavailable',
  },
  {
    type: 'SecurityGroupEgress',
    logicalId: /^ApplicationDatabaseSecurityGroup.*toProductionDatabaseDatabaseSecurityGroup/,
    function: 'application-database',
    error: 'DatabaseUnreachable',
  },
  {
    type: 'SecurityGroupIngress',
    logicalId: /^DatabaseSecurityGroup.*ApplicationDatabaseSecurityGroup/,
    function: 'application-database',
    error: 'DatabaseUnreachable',
  },
];

test.each(PARTS)('without $type $logicalId $function ends with $error', async (part) => {
  const giveBack = takeAway(part.type, part.logicalId);
  const before = log.length;

  const lost = await callFunction(part.function);

  giveBack();
  expect(lost).toMatchObject({
    errorType: part.error,
    errorMessage: expect.stringContaining('connect ETIMEDOUT 127.') as string,
  });
  const to = part.error === 'AwsUnavailable' ? 'secretsmanager' : 'the DB instance production-database';
  expect(log.slice(before)).toContainEqual(
    expect.stringContaining(`network: the function production-${part.function} can't reach ${to}`),
  );
});

test('these are all of them, but for the way of the application itself', () => {
  const { network } = deployedTo(sandbox.context);
  const parts = ['SecurityGroupIngress', 'SecurityGroupEgress', 'VPCEndpoint'].flatMap((type) =>
    network.list(`AWS::EC2::${type}`),
  );
  const isListed = ({ type, logicalId = '' }: NetworkRecord): boolean =>
    PARTS.some((part) => type === `AWS::EC2::${part.type}` && part.logicalId.test(logicalId));

  expect(parts.filter((record) => !isListed(record)).map(({ logicalId }) => logicalId)).toEqual([
    expect.stringMatching(/^DatabaseSecurityGroupfromProductionDatabaseApplicationSecurityGroup/),
  ]);
});

test('with all of them the functions reach what they need', async () => {
  const before = log.length;

  await callFunction('application-database');
  expect(await callFunction('verify')).not.toMatchObject({
    errorType: expect.stringMatching(/Un/) as string,
  });

  expect(log.slice(before).filter((line) => line.startsWith('network: '))).toEqual([]);
});

test('an instance that was restored without its security group is not reached', async () => {
  const { rds } = sandbox.clients();
  const live = await instance('production-database');
  await rds.send(
    new RestoreDBInstanceFromDBSnapshotCommand({
      DBInstanceIdentifier: 'careless',
      DBSnapshotIdentifier: snapshotId,
      DBSubnetGroupName: live.DBSubnetGroup?.DBSubnetGroupName,
    }),
  );
  const available = () =>
    until(
      async () => {
        await sandbox.context.clock.sleep(30_000);
        return instance('careless');
      },
      ({ DBInstanceStatus, VpcSecurityGroups }) =>
        DBInstanceStatus === 'available' && VpcSecurityGroups?.[0]?.Status === 'active',
    );
  await available();
  expect(await callFunction('verify', 'careless')).toMatchObject({ errorType: 'DatabaseUnreachable' });

  await rds.send(
    new ModifyDBInstanceCommand({
      DBInstanceIdentifier: 'careless',
      VpcSecurityGroupIds: live.VpcSecurityGroups?.flatMap(
        ({ VpcSecurityGroupId }) => VpcSecurityGroupId ?? [],
      ),
      ApplyImmediately: true,
    }),
  );
  await available();
  // It has the application's role from the live instance's snapshot, and no table of Prisma's.
  expect(await callFunction('verify', 'careless')).not.toMatchObject({ errorType: 'DatabaseUnreachable' });
});

test('an instance cannot have a public address where no internet gateway is', async () => {
  const change = new ModifyDBInstanceCommand({
    DBInstanceIdentifier: 'production-database',
    PubliclyAccessible: true,
  });

  await expect(sandbox.clients().rds.send(change)).rejects.toMatchObject({
    name: 'InvalidVPCNetworkStateFault',
    message: expect.stringContaining('The specified VPC has no internet gateway attached') as string,
  });
});

async function recover(name: string) {
  const { stepFunctions } = sandbox.clients();
  const { executionArn } = await stepFunctions.send(
    new StartExecutionCommand({ stateMachineArn: MACHINE, name, input: JSON.stringify(INPUT) }),
  );
  const { status, cause } = await until(
    () => stepFunctions.send(new DescribeExecutionCommand({ executionArn })),
    (execution) => execution.status !== 'RUNNING',
  );
  const entered: string[] = [];
  for await (const { events } of paginateGetExecutionHistory({ client: stepFunctions }, { executionArn }))
    for (const { stateEnteredEventDetails: state } of events ?? []) if (state?.name) entered.push(state.name);
  return { status, cause, entered };
}

test('without the way to the database a recovery fails at the first step that needs it, and discards the instance', async () => {
  const giveBack = takeAway('SecurityGroupIngress', /^MigrationRollback.*DatabaseSecurityGroup/);

  const { status, cause, entered } = await recover('without-way');

  giveBack();
  expect(status).toBe('FAILED');
  expect(cause).toMatch(/MatchCredentials failed with DatabaseUnreachable.*connect ETIMEDOUT/);
  expect(entered).not.toContain('Swap');
  expect(entered).toContain('Discard');
});
