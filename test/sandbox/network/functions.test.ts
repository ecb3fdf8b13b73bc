import { join } from 'node:path';
import { InvokeCommand, UpdateFunctionConfigurationCommand } from '@aws-sdk/client-lambda';
import {
  CreateDBInstanceCommand,
  CreateDBSnapshotCommand,
  CreateDBSubnetGroupCommand,
  DescribeDBInstancesCommand,
  DescribeDBSnapshotsCommand,
  ModifyDBInstanceCommand,
  ModifyDBSubnetGroupCommand,
  RestoreDBInstanceFromDBSnapshotCommand,
  type DBInstance,
} from '@aws-sdk/client-rds';
import { App, Duration, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { z } from 'zod';
import { RealClock } from '../../../sandbox/core/clock';
import { deployedTo, resourcesOfType } from '../../../sandbox/deploy/deploy';
import { durations } from '../../../sandbox/rds/durations';
import { Sandbox } from '../../../sandbox/sandbox';
import { until } from '../../until';
import { tcp } from './vpc';

/** Connects to what the event names, and answers how that went. */
const HANDLER = `
const net = require('node:net');
const connect = ({ host, port, patience }) => new Promise((resolve, reject) => {
  const socket = net.connect({ host, port }, () => { socket.destroy(); resolve('connected'); });
  socket.on('error', reject);
  if (patience) socket.setTimeout(patience, () => socket.destroy(new Error('out of patience')));
});
const kinds = {
  connect,
  secrets: async () => {
    const { SecretsManagerClient, ListSecretsCommand } = require('@aws-sdk/client-secrets-manager');
    globalThis.client ??= new SecretsManagerClient({ maxAttempts: 1 });
    await client.send(new ListSecretsCommand({}));
    return 'answered';
  },
  instances: async () => {
    const { RDSClient, DescribeDBInstancesCommand } = require('@aws-sdk/client-rds');
    await new RDSClient({ maxAttempts: 1 }).send(new DescribeDBInstancesCommand({}));
    return 'answered';
  },
  unsigned: async () => (await fetch(process.env.AWS_ENDPOINT_URL)).statusText,
  itself: () => new Promise((resolve, reject) => {
    const server = net.createServer((socket) => socket.destroy()).listen(0, '127.0.0.1', () => {
      connect({ host: 'localhost', port: server.address().port }).then(resolve, reject).finally(() => server.close());
    });
  }),
};
exports.handler = async ({ kind, ...event }) => {
  try {
    return { result: await kinds[kind](event) };
  } catch (error) {
    const { code, message } = error.cause ?? error;
    return { error: error.name, code, message };
  }
};`;

type FunctionName = 'outside' | 'isolated' | 'private' | 'public';
const log: string[] = [];
let sandbox: Sandbox;
/** Ids of what the stack made, by their names in it. */
let ids: Record<'function' | 'database' | 'default', string>;
let database: DBInstance;

/** One VPC with isolated, private and public subnets, and the same function in each of them and outside. */
function build(app: App): void {
  const stack = new Stack(app, 'Network');
  const vpc = new ec2.Vpc(stack, 'Vpc', {
    availabilityZones: ['eu-central-1a', 'eu-central-1b'],
    natGateways: 1,
    restrictDefaultSecurityGroup: false,
    subnetConfiguration: [
      { name: 'isolated', subnetType: ec2.SubnetType.PRIVATE_ISOLATED, cidrMask: 24 },
      { name: 'private', subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS, cidrMask: 24 },
      { name: 'public', subnetType: ec2.SubnetType.PUBLIC, cidrMask: 24 },
    ],
    // ec2.Vpc implements it, but aws-cdk-lib is not written for exactOptionalPropertyTypes.
  }) as ec2.IVpc;
  const group = (id: string): ec2.SecurityGroup => new ec2.SecurityGroup(stack, id, { vpc });
  const functionGroup = group('FunctionGroup');
  group('DatabaseGroup');
  const role = new iam.Role(stack, 'Role', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') });
  role.addToPolicy(
    new iam.PolicyStatement({
      actions: ['secretsmanager:ListSecrets', 'rds:DescribeDBInstances', 'logs:*', 'ec2:*'],
      resources: ['*'],
    }),
  );
  const place = (name: FunctionName, subnets?: ec2.SubnetSelection): void => {
    const code = new lambda.Function(stack, name, {
      functionName: name,
      runtime: lambda.Runtime.NODEJS_24_X,
      handler: 'index.handler',
      code: lambda.Code.fromInline(HANDLER),
      timeout: Duration.minutes(2),
      memorySize: 256,
      role: role.withoutPolicyUpdates(),
      ...(subnets && { vpc, vpcSubnets: subnets, securityGroups: [functionGroup], allowPublicSubnet: true }),
    });
    code.node.addDependency(role);
  };
  place('outside');
  place('isolated', { subnetGroupName: 'isolated' });
  place('private', { subnetGroupName: 'private' });
  place('public', { subnetGroupName: 'public' });
}

beforeAll(async () => {
  process.env['CDK_VALIDATION'] = 'false';
  sandbox = await Sandbox.start({
    clock: new RealClock(),
    durations: durations('quick'),
    log: (line) => log.push(line),
  });
  const app = new App({ outdir: join(sandbox.context.directory, 'assembly'), analyticsReporting: false });
  build(app);
  const deployment = await sandbox.deploy(app.synth().directory, ['Network']);
  const made = (name: string): string => {
    const record = deployment.network
      .list('AWS::EC2::SecurityGroup')
      .find(({ logicalId }) => logicalId?.startsWith(name));
    if (!record) throw new Error(`no ${name}`);
    return record.id;
  };
  const [vpc] = resourcesOfType(deployment.stack('Network'), 'AWS::EC2::VPC');
  ids = {
    function: made('FunctionGroup'),
    database: made('DatabaseGroup'),
    default: z.string().parse(vpc?.attributes['DefaultSecurityGroup']),
  };
  await rds().send(
    new CreateDBSubnetGroupCommand({
      DBSubnetGroupName: 'isolated',
      DBSubnetGroupDescription: 'isolated',
      SubnetIds: subnets('isolated'),
    }),
  );
  await rds().send(
    new CreateDBInstanceCommand({
      DBInstanceIdentifier: 'orders',
      Engine: 'postgres',
      DBInstanceClass: 'db.t4g.micro',
      AllocatedStorage: 20,
      MasterUsername: 'master',
      MasterUserPassword: 'first-Password1',
      BackupRetentionPeriod: 0,
      DBSubnetGroupName: 'isolated',
      VpcSecurityGroupIds: [ids.database],
    }),
  );
  database = await available('orders');
});

afterAll(async () => {
  await sandbox.stop();
});

const rds = () => sandbox.clients().rds;
const registry = () => deployedTo(sandbox.context).network;

function subnets(name: string): string[] {
  return registry()
    .list('AWS::EC2::Subnet')
    .filter(({ logicalId }) => logicalId?.startsWith(`Vpc${name}`))
    .map(({ id }) => id);
}

async function instance(id: string): Promise<DBInstance> {
  const { DBInstances } = await rds().send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: id }));
  const [found] = DBInstances ?? [];
  if (!found) throw new Error(`no ${id}`);
  return found;
}

const available = (id: string): Promise<DBInstance> =>
  until(
    () => instance(id),
    ({ DBInstanceStatus, VpcSecurityGroups }) =>
      DBInstanceStatus === 'available' && VpcSecurityGroups?.[0]?.Status === 'active',
  );

const Answer = z.union([
  z.object({ result: z.string() }),
  z.object({ error: z.string(), code: z.string().optional(), message: z.string() }),
]);

async function ask(name: FunctionName, kind: string, more: object = {}): Promise<z.infer<typeof Answer>> {
  const { Payload } = await sandbox
    .clients()
    .lambda.send(new InvokeCommand({ FunctionName: name, Payload: JSON.stringify({ kind, ...more }) }));
  return Answer.parse(JSON.parse(Buffer.from(Payload ?? []).toString()));
}

/** Asks, and returns what the sandbox's log says of it besides. */
async function askAndLook(...question: Parameters<typeof ask>) {
  const before = log.length;
  const answer = await ask(...question);
  return { answer, said: log.slice(before).filter((line) => line.startsWith('network: ')) };
}

const addressOf = ({ Endpoint }: DBInstance) => ({ host: Endpoint?.Address, port: Endpoint?.Port });
const TIMED_OUT = { code: 'ETIMEDOUT', message: expect.stringMatching(/^connect ETIMEDOUT 127\./) as string };

/** Adds a record to the registry, as a template with it would, until the returned function is called. */
function deployed(kind: string, properties: Parameters<typeof tcp>[1]): () => void {
  const id = `added-${kind}`;
  registry().add({ type: `AWS::EC2::${kind}`, id, properties });
  return () => void registry().remove(id);
}

const letIn = () =>
  deployed('SecurityGroupIngress', {
    GroupId: ids.database,
    ...tcp(5432, { SourceSecurityGroupId: ids.function }),
  });

test('a database is reached once a rule lets the function in, and no longer when the rule is gone', async () => {
  const { answer, said } = await askAndLook('isolated', 'connect', addressOf(database));
  expect(answer).toMatchObject(TIMED_OUT);
  const { host, port } = addressOf(database);
  expect(said).toEqual([
    `network: the function isolated can't reach the DB instance orders (${host}:${port}): no ingress rule of ` +
      `${ids.database} (DatabaseGroup${named(ids.database)}) lets TCP 5432 in from ${ids.function} ` +
      `(FunctionGroup${named(ids.function)}) or 10.0.0.0/24 or 10.0.1.0/24`,
  ]);

  const takeAway = letIn();
  expect(await ask('isolated', 'connect', addressOf(database))).toEqual({ result: 'connected' });
  expect(await ask('outside', 'connect', addressOf(database))).toMatchObject(TIMED_OUT);

  takeAway();
  expect(await ask('isolated', 'connect', addressOf(database))).toMatchObject(TIMED_OUT);
});

const named = (id: string): string =>
  (registry().find(id)?.logicalId ?? '').replace(/^(?:Function|Database)Group/, '');

test('a client that gives up earlier sees its own time-out', async () => {
  const answer = await ask('isolated', 'connect', { ...addressOf(database), patience: 20 });

  expect(answer).toMatchObject({ message: 'out of patience' });
});

test('an API is reached once it has an endpoint that lets the function in', async () => {
  const { answer, said } = await askAndLook('isolated', 'secrets');
  expect(answer).toMatchObject({ error: 'TimeoutError', ...TIMED_OUT });
  expect(said).toEqual([
    expect.stringMatching(
      /^network: the function isolated can't reach secretsmanager: \S+ \(Vpc\w+\) has no endpoint for secretsmanager, and \S+ \(Vpcisolated\w+\) has no route to the internet through a NAT gateway$/,
    ),
  ]);

  const takeAway = deployed('VPCEndpoint', {
    PrivateDnsEnabled: true,
    SecurityGroupIds: [ids.database],
    ServiceName: 'com.amazonaws.eu-central-1.secretsmanager',
    SubnetIds: subnets('isolated').slice(0, 1),
    VpcEndpointType: 'Interface',
    VpcId: registry().find(subnets('isolated')[0] ?? '')?.properties['VpcId'] ?? '',
  });
  expect(await ask('isolated', 'secrets')).toMatchObject(TIMED_OUT);
  const closeAgain = deployed('SecurityGroupIngress', {
    GroupId: ids.database,
    ...tcp(443, { SourceSecurityGroupId: ids.function }),
  });
  expect(await ask('isolated', 'secrets')).toEqual({ result: 'answered' });
  expect(await ask('isolated', 'instances')).toMatchObject(TIMED_OUT);
  // The client has a connection left from before, which on AWS would not be there.
  closeAgain();
  takeAway();
  expect(await ask('isolated', 'secrets')).toMatchObject(TIMED_OUT);
});

test('outside of a VPC and behind a NAT gateway every API is reached, in a public subnet none', async () => {
  for (const name of ['outside', 'private'] as const)
    expect([await ask(name, 'secrets'), await ask(name, 'instances')]).toEqual([
      { result: 'answered' },
      { result: 'answered' },
    ]);
  expect(await ask('public', 'instances')).toMatchObject(TIMED_OUT);
});

test('a call that does not say for which service it is needs the internet', async () => {
  expect(await ask('private', 'unsigned')).toEqual({ result: 'OK' });
  const { answer, said } = await askAndLook('isolated', 'unsigned');
  expect(answer).toMatchObject(TIMED_OUT);
  expect(said).toEqual([expect.stringContaining('no signature tells for which service this is')]);
});

test('a function reaches itself', async () => {
  expect(await ask('isolated', 'itself')).toEqual({ result: 'connected' });
});

test('a restored instance is behind the default group of its VPC until it is told otherwise', async () => {
  const takeAway = letIn();
  await rds().send(
    new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'orders', DBSnapshotIdentifier: 'before' }),
  );
  await until(
    () => rds().send(new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: 'before' })),
    ({ DBSnapshots }) => DBSnapshots?.[0]?.Status === 'available',
  );
  await rds().send(
    new RestoreDBInstanceFromDBSnapshotCommand({
      DBInstanceIdentifier: 'restored',
      DBSnapshotIdentifier: 'before',
      DBSubnetGroupName: 'isolated',
    }),
  );
  const restored = await available('restored');
  expect(restored).toMatchObject({
    VpcSecurityGroups: [{ VpcSecurityGroupId: ids.default }],
    PubliclyAccessible: false,
    DBSubnetGroup: { VpcId: database.DBSubnetGroup?.VpcId },
  });
  expect(await ask('isolated', 'connect', addressOf(restored))).toMatchObject(TIMED_OUT);

  await rds().send(
    new ModifyDBInstanceCommand({
      DBInstanceIdentifier: 'restored',
      VpcSecurityGroupIds: [ids.database],
      ApplyImmediately: true,
    }),
  );
  expect(await ask('isolated', 'connect', addressOf(await available('restored')))).toEqual({
    result: 'connected',
  });
  takeAway();
});

test('a restore that names no subnet group goes to the default VPC', async () => {
  await rds().send(
    new RestoreDBInstanceFromDBSnapshotCommand({
      DBInstanceIdentifier: 'astray',
      DBSnapshotIdentifier: 'before',
    }),
  );
  const astray = await available('astray');

  expect(astray).toMatchObject({
    DBSubnetGroup: {
      DBSubnetGroupName: 'default',
      VpcId: 'vpc-00000000',
      Subnets: [
        { SubnetIdentifier: 'subnet-0000000a', SubnetAvailabilityZone: { Name: 'eu-central-1a' } },
        { SubnetIdentifier: 'subnet-0000000b', SubnetAvailabilityZone: { Name: 'eu-central-1b' } },
        { SubnetIdentifier: 'subnet-0000000c', SubnetAvailabilityZone: { Name: 'eu-central-1c' } },
      ],
    },
    VpcSecurityGroups: [{ VpcSecurityGroupId: 'sg-00000000' }],
    PubliclyAccessible: true,
  });
  expect(await ask('isolated', 'connect', addressOf(astray))).toMatchObject(TIMED_OUT);
  // A public address is there for the whole world, if the group lets it in.
  expect(await ask('outside', 'connect', addressOf(astray))).toMatchObject(TIMED_OUT);
  const takeAway = deployed('SecurityGroupIngress', {
    GroupId: 'sg-00000000',
    ...tcp(5432, { CidrIp: '0.0.0.0/0' }),
  });
  expect(await ask('outside', 'connect', addressOf(astray))).toEqual({ result: 'connected' });
  takeAway();
});

async function refusal(call: Promise<unknown>): Promise<object> {
  try {
    await call;
  } catch (error) {
    if (error instanceof Error) return { name: error.name, message: error.message };
  }
  return { message: 'not refused' };
}

test.each([
  [['subnet-1'], ['function'], /InvalidSubnetID\.NotFound.* The subnet ID 'subnet-1' does not exist$/],
  [['isolated'], ['sg-1'], /InvalidGroup\.NotFound.* The security group 'sg-1' does not exist$/],
  [['isolated'], [], /^SubnetIds and SecurityIds must coexist or be both empty list\.$/],
  [['isolated'], ['sg-00000000'], /must belong to the same VPC\.$/],
])('Lambda refuses to put a function into %j with %j', async (places, groups, message) => {
  const VpcConfig = {
    SubnetIds: places.flatMap((place) => (place === 'isolated' ? subnets(place) : [place])),
    SecurityGroupIds: groups.map((group) => (group === 'function' ? ids.function : group)),
  };

  const { lambda: client } = sandbox.clients();
  const call = client.send(new UpdateFunctionConfigurationCommand({ FunctionName: 'isolated', VpcConfig }));

  expect(await refusal(call)).toEqual({
    name: 'InvalidParameterValueException',
    message: expect.stringMatching(message) as string,
  });
});

test.each([
  ['a VPC without host names', { enableDnsHostnames: false }, 1, /Enabling private DNS requires both/],
  ['a VPC where the name is taken', { enableDnsHostnames: true }, 2, /conflicting DNS domain/],
])('EC2 refuses a private DNS name in %s', async (_, settings, count, message) => {
  const outdir = join(sandbox.context.directory, `refused-${count}`);
  const app = new App({ outdir, analyticsReporting: false });
  const stack = new Stack(app, `Refused${count}`);
  const vpc = new ec2.CfnVPC(stack, 'Vpc', { cidrBlock: '10.1.0.0/16', ...settings });
  for (let made = 0; made < count; made++)
    new ec2.CfnVPCEndpoint(stack, `Endpoint${made}`, {
      vpcId: vpc.ref,
      vpcEndpointType: 'Interface',
      serviceName: 'com.amazonaws.eu-central-1.rds',
      privateDnsEnabled: true,
    });

  await expect(sandbox.deploy(app.synth().directory, [stack.artifactId])).rejects.toThrow(message);
});

describe('RDS refuses', () => {
  const group = (...SubnetIds: string[]) =>
    refusal(
      rds().send(
        new CreateDBSubnetGroupCommand({
          DBSubnetGroupName: 'new',
          DBSubnetGroupDescription: 'new',
          SubnetIds,
        }),
      ),
    );

  test('subnets that make no group', async () => {
    const [first = '', second = ''] = subnets('isolated');
    const [other = ''] = subnets('private');
    expect(await group(first, 'subnet-1', 'subnet-2')).toEqual({
      name: 'InvalidParameterValue',
      message: 'Some input subnets in :[subnet-1, subnet-2] are invalid.',
    });
    expect(await group(first, other)).toEqual({
      name: 'DBSubnetGroupDoesNotCoverEnoughAZs',
      message:
        "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Current AZ coverage: eu-central-1a. Add subnets to cover at least 2 AZs.",
    });
    expect(await group(second, 'subnet-0000000a')).toMatchObject({ name: 'InvalidSubnet' });
  });

  test('changes of a group that take it elsewhere, or a subnet from an instance', async () => {
    const change = (...SubnetIds: string[]) =>
      rds().send(new ModifyDBSubnetGroupCommand({ DBSubnetGroupName: 'isolated', SubnetIds }));
    const [first = '', second = ''] = subnets('isolated');
    const [other = ''] = subnets('private');
    expect(await refusal(change('subnet-0000000a', 'subnet-0000000b'))).toEqual({
      name: 'InvalidParameterValue',
      message: 'The new Subnets are not in the same Vpc as the existing subnet group',
    });
    const { DBSubnetGroup } = await change(other, second);
    expect(DBSubnetGroup?.Subnets?.map(({ SubnetIdentifier }) => SubnetIdentifier)).toEqual([other, second]);
    await change(first, second);
  });

  test('security groups of another VPC, or of none', async () => {
    const change = (...VpcSecurityGroupIds: string[]) =>
      refusal(
        rds().send(new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'orders', VpcSecurityGroupIds })),
      );
    expect(await change('sg-1')).toEqual({
      name: 'InvalidParameterValue',
      message: 'Invalid security group , groupId= sg-1, groupName=.',
    });
    const vpc = database.DBSubnetGroup?.VpcId ?? '';
    expect(await change('sg-00000000')).toEqual({
      name: 'InvalidParameterCombination',
      message: `The DB instance and EC2 security group are in different VPCs. The DB instance is in ${vpc} and the EC2 security group is in vpc-00000000`,
    });
  });

  test('a move within the VPC', async () => {
    await rds().send(
      new CreateDBSubnetGroupCommand({
        DBSubnetGroupName: 'private',
        DBSubnetGroupDescription: 'private',
        SubnetIds: subnets('private'),
      }),
    );
    expect(
      await refusal(
        rds().send(
          new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'orders', DBSubnetGroupName: 'private' }),
        ),
      ),
    ).toMatchObject({
      name: 'InvalidVPCNetworkStateFault',
      message: expect.stringContaining('in the same VPC') as string,
    });
  });
});
