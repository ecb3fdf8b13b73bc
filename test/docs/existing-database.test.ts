import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { InvokeCommand } from '@aws-sdk/client-lambda';
import {
  CreateDBInstanceCommand,
  CreateDBParameterGroupCommand,
  CreateDBSubnetGroupCommand,
  DescribeDBInstancesCommand,
  DescribeDBSnapshotsCommand,
  ModifyDBParameterGroupCommand,
  type DBInstance,
} from '@aws-sdk/client-rds';
import { CreateSecretCommand, GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { DescribeExecutionCommand, StartExecutionCommand } from '@aws-sdk/client-sfn';
import { App, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { z } from 'zod';
import { VirtualClock } from '../../sandbox/core/clock';
import { deployedTo } from '../../sandbox/deploy/deploy';
import { answerQuestions, yes } from '../../sandbox/drill/answers';
import { runCdk } from '../../sandbox/drill/commands';
import { durations } from '../../sandbox/rds/durations';
import { Sandbox } from '../../sandbox/sandbox';
import { synthesise } from '../../sandbox/synthesise';
import { migrationTable } from '../lambdas/steps/lab';
import { until } from '../until';
import { AwsCommand } from './aws-cli';
import { ROOT, sectionsOf } from './markdown';

/**
 * docs/existing-database.md as a team follows it whose instance, network, groups and secrets somebody else made: its table with their
 * ids, its commands as they are written, and what it says to try afterwards.
 */
const DOCUMENT = 'docs/existing-database.md';
const sections = sectionsOf(DOCUMENT);
const Drilled = z.looseObject({
  verification: z.object({ checks: z.array(z.object({ name: z.string(), ok: z.boolean() })) }),
});

function blockOf(heading: string, language: string): string {
  const blocks = sections.find((section) => section.heading === heading)?.blocks ?? [];
  const [block, ...others] = blocks.filter((candidate) => candidate.language === language);
  if (!block || others.length > 0) throw new Error(`Not one block of ${language} under "${heading}".`);
  return block.text;
}

const MASTER = { username: 'shop_admin', password: 'master-Password1' };
const APPLICATION = { username: 'shop_app', password: 'application-Password1' };

let sandbox: Sandbox;

/** Without what changes by itself. */
const instances = async (): Promise<DBInstance[]> => {
  const { DBInstances = [] } = await sandbox.clients().rds.send(new DescribeDBInstancesCommand({}));
  return DBInstances.map(({ LatestRestorableTime: _, ...others }) => others);
};

const admin = (statement: string): Promise<unknown> => {
  const server = sandbox.rds.server('shop-prod');
  if (!server) throw new Error('shop-prod has no server.');
  return server.admin(statement, [], 'shop');
};

/** The network of the team, by a stack of theirs: the ids that the documentation has, and what they are here. */
async function network(): Promise<Record<string, string>> {
  process.env['CDK_VALIDATION'] = 'false';
  const app = new App({ outdir: join(sandbox.context.directory, 'shop'), analyticsReporting: false });
  const stack = new Stack(app, 'Shop');
  const vpc = new ec2.Vpc(stack, 'Vpc', {
    availabilityZones: ['eu-central-1a', 'eu-central-1b'],
    natGateways: 1,
    restrictDefaultSecurityGroup: false,
    subnetConfiguration: [
      { name: 'private', subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
      { name: 'public', subnetType: ec2.SubnetType.PUBLIC },
    ],
    // ec2.Vpc implements it, but aws-cdk-lib is not written for exactOptionalPropertyTypes.
  }) as ec2.IVpc;
  new ec2.SecurityGroup(stack, 'Database', { vpc });
  await sandbox.deploy(app.synth().directory, ['Shop']);
  const made = (type: string, name: string): string[] =>
    deployedTo(sandbox.context)
      .network.list(type)
      .filter(({ logicalId }) => logicalId?.startsWith(name))
      .map(({ id }) => id);
  const [vpcId = ''] = made('AWS::EC2::VPC', 'Vpc');
  const [group = ''] = made('AWS::EC2::SecurityGroup', 'Database');
  const [first = '', second = ''] = made('AWS::EC2::Subnet', 'Vpcprivate');
  return {
    'vpc-0123456789abcdef0': vpcId,
    'sg-0123456789abcdef0': group,
    'subnet-0123456789abcdef0': first,
    'subnet-0123456789abcdef1': second,
  };
}

/** The team's instance with groups of its own, as Terraform would make it. */
async function database(ids: Record<string, string>): Promise<DBInstance> {
  const { rds } = sandbox.clients();
  await rds.send(
    new CreateDBSubnetGroupCommand({
      DBSubnetGroupName: 'shop',
      DBSubnetGroupDescription: 'shop',
      SubnetIds: [ids['subnet-0123456789abcdef0'] ?? '', ids['subnet-0123456789abcdef1'] ?? ''],
    }),
  );
  const DBParameterGroupName = 'shop-postgres17';
  await rds.send(
    new CreateDBParameterGroupCommand({
      DBParameterGroupName,
      DBParameterGroupFamily: 'postgres17',
      Description: 'shop',
    }),
  );
  await rds.send(
    new ModifyDBParameterGroupCommand({
      DBParameterGroupName,
      Parameters: [{ ParameterName: 'work_mem', ParameterValue: '8192', ApplyMethod: 'immediate' }],
    }),
  );
  await rds.send(
    new CreateDBInstanceCommand({
      DBInstanceIdentifier: 'shop-prod',
      DBName: 'shop',
      Engine: 'postgres',
      DBInstanceClass: 'db.t4g.micro',
      AllocatedStorage: 20,
      MasterUsername: MASTER.username,
      MasterUserPassword: MASTER.password,
      BackupRetentionPeriod: 7,
      DBSubnetGroupName: 'shop',
      DBParameterGroupName,
      VpcSecurityGroupIds: [ids['sg-0123456789abcdef0'] ?? ''],
      Tags: [{ Key: 'made-by', Value: 'terraform' }],
    }),
  );
  const made = await until(
    async () => (await instances())[0],
    (found) => found?.DBInstanceStatus === 'available',
  );
  if (!made) throw new Error('unreachable');
  // As their master user, to whom the database belongs.
  await admin(`set role ${MASTER.username}; create role ${APPLICATION.username} login password '${APPLICATION.password}';
    grant create on schema public to ${APPLICATION.username}`);
  await admin(`set role ${APPLICATION.username}; ${migrationTable}; create table "Order" (id int primary key);
    insert into "Order" select generate_series(1, 200)`);
  return made;
}

/** The team's secrets; DATABASE_URL has a member that is nobody else's business. */
async function secrets({ Endpoint }: DBInstance): Promise<Record<string, string>> {
  const { secrets: client } = sandbox.clients();
  const secret = async (Name: string, value: object): Promise<string> =>
    (await client.send(new CreateSecretCommand({ Name, SecretString: JSON.stringify(value) }))).ARN ?? '';
  const arn = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop/';
  return {
    [`${arn}master-AbCdEf`]: await secret('shop/master', MASTER),
    [`${arn}database-url-GhIjKl`]: await secret('shop/database-url', {
      ...APPLICATION,
      host: Endpoint?.Address,
      port: Endpoint?.Port,
      dbname: 'shop',
      team: 'shop',
    }),
  };
}

/** `lib/environments.ts` with the block of the documentation, synthesised. */
async function assemblyWith(ids: Record<string, string>): Promise<string> {
  let table = blockOf('The table', 'ts');
  for (const [written, real] of Object.entries(ids)) {
    if (!table.includes(written)) throw new Error(`The documentation has no ${written}.`);
    table = table.replaceAll(written, real);
  }
  // There are no services of theirs here.
  table = table.replace(/consumers: \[.*\]/, 'consumers: []');
  const file = join(sandbox.context.directory, 'app.ts');
  writeFileSync(
    file,
    `import { App } from '${ROOT}/node_modules/aws-cdk-lib';
import { addEnvironment } from '${ROOT}/lib/environment-stacks';
import { ENVIRONMENTS, selectEnvironments } from '${ROOT}/lib/environments';

const app = new App();
const production = { ...ENVIRONMENTS.production,
${table}
};
for (const settings of selectEnvironments(app.node.tryGetContext('environments'), { ...ENVIRONMENTS, production }))
  addEnvironment(app, settings);
`,
  );
  const assembly = join(sandbox.context.directory, 'assembly');
  await synthesise(assembly, ['production'], file);
  return assembly;
}

/** Starts the machine and waits for the end. */
async function machine(
  input: string,
): Promise<{ status: string | undefined; error: string; output: unknown }> {
  const { stepFunctions } = sandbox.clients();
  const { executionArn } = await stepFunctions.send(
    new StartExecutionCommand({
      stateMachineArn: 'arn:aws:states:eu-central-1:123456789012:stateMachine:production-recovery',
      input,
    }),
  );
  const { status, error, cause, output } = await until(
    () => stepFunctions.send(new DescribeExecutionCommand({ executionArn })),
    (execution) => execution.status !== 'RUNNING',
  );
  return { status, error: `${error ?? ''} ${cause ?? ''}`.trim(), output: JSON.parse(output ?? 'null') };
}

let before: DBInstance;
let assembly: string;
let urlSecret: string;

beforeAll(async () => {
  sandbox = await Sandbox.start({ clock: new VirtualClock(), durations: durations('quick') });
  const ids = await network();
  before = await database(ids);
  const arns = await secrets(before);
  urlSecret = Object.values(arns)[1] ?? '';
  assembly = await assemblyWith({ ...ids, ...arns });
});
afterAll(() => sandbox.stop());

const valueOfUrlSecret = async (): Promise<string | undefined> =>
  (await sandbox.clients().secrets.send(new GetSecretValueCommand({ SecretId: urlSecret }))).SecretString;

test('the command that takes the password over is one that an AWS CLI understands', async () => {
  const bin = join(sandbox.context.directory, 'bin');
  mkdirSync(bin);
  const aws = await AwsCommand.install(bin, sandbox);
  try {
    const shell = spawn('sh', ['-eu', '-c', blockOf('The secrets', 'shell')], {
      env: { PATH: [bin, process.env.PATH].join(delimiter), NEW_PASSWORD: MASTER.password },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const said = await text(shell.stderr);
    expect(aws.misunderstood).toEqual([]);
    // The sandbox has no passwords that RDS manages.
    expect(said).toMatch(/does not implement.*ManageMasterUserPassword/);
  } finally {
    await aws.stop();
  }
});

test('diff and deploy, as they are written, make the stack, and nothing of the database', async () => {
  const value = await valueOfUrlSecret();
  // Nobody is there to say yes.
  const ran = await runCdk(
    sandbox,
    `set -e; export CDK_REQUIRE_APPROVAL=never; ${blockOf('Deploy and try', 'shell')}`,
    assembly,
  );
  expect(ran).toMatchObject({ exitCode: 0 });
  expect(ran.printed).toContain('Stack Production-Rollback');
  expect(ran.printed).not.toMatch(/\[[+~-]\] AWS::(RDS|SecretsManager)::/);
  expect(ran.printed).toContain('✅  Production-Rollback');
  expect(await instances()).toEqual([before]);
  expect(await valueOfUrlSecret()).toBe(value);
});

test('a plan finds it, and knows that there is no restore point yet', async () => {
  const { status, error } = await machine('{}');
  expect(status).toBe('FAILED');
  expect(error).toMatch(/^RestorePointNotFound /);
});

test('the gate takes its snapshot, and a plan goes back to it', async () => {
  const { lambda, rds } = sandbox.clients();
  const Answer = z.object({ status: z.string(), snapshotId: z.string().optional() });
  const answer = await until(
    async () => {
      const { Payload } = await lambda.send(
        new InvokeCommand({
          FunctionName: 'production-pre-migration-snapshot',
          Payload: JSON.stringify({ deploymentId: 'build-1', migrations: [{ name: '1_drop' }] }),
        }),
      );
      return Answer.parse(JSON.parse(Buffer.from(Payload ?? []).toString()));
    },
    ({ status }) => status !== 'creating',
  );
  expect(answer.status).toBe('available');
  const { DBSnapshots = [] } = await rds.send(
    new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: answer.snapshotId }),
  );
  expect(DBSnapshots).toMatchObject([{ DBInstanceIdentifier: 'shop-prod', Status: 'available' }]);

  const { status, error, output } = await machine('{}');
  expect({ status, error }).toEqual({ status: 'SUCCEEDED', error: '' });
  expect(output).toMatchObject({
    recovery: { live: { instanceId: 'shop-prod' } },
    plan: { inputToRecover: { restore: { snapshotId: answer.snapshotId } } },
  });
});

test('the drill that it says to start restores it with its own groups, lets the application in, and leaves nothing', async () => {
  const [, input = ''] = /`(\{ "mode": "drill".*\})`/.exec(readFileSync(join(ROOT, DOCUMENT), 'utf8')) ?? [];
  let restored: DBInstance | undefined;
  const unhook = sandbox.context.api.intercept(async ({ context }, next) => {
    if (context.operation === 'DeleteDBInstance')
      restored ??= (await instances()).find(
        ({ DBInstanceIdentifier }) => DBInstanceIdentifier !== 'shop-prod',
      );
    return next();
  });
  const { status, error, output } = await machine(input);
  unhook();
  expect({ status, error }).toEqual({ status: 'SUCCEEDED', error: '' });
  const { verification } = Drilled.parse(output);
  expect(verification.checks.filter(({ ok }) => !ok)).toEqual([]);
  expect(restored).toMatchObject({
    DBSubnetGroup: { DBSubnetGroupName: 'shop' },
    DBParameterGroups: [{ DBParameterGroupName: 'shop-postgres17' }],
    VpcSecurityGroups: before.VpcSecurityGroups,
    TagList: expect.arrayContaining([{ Key: 'made-by', Value: 'terraform' }]) as unknown,
  });
  expect(await instances()).toEqual([before]);
});

test('a recovery moves their secret, of which the rest stays, to an instance with their groups', async () => {
  const leave = answerQuestions(sandbox, 'production', yes);
  const { status, error } = await machine(
    JSON.stringify({
      mode: 'recover',
      restore: { to: 'latest-pre-migration-snapshot' },
      reason: 'the shop is empty',
      requestedBy: 'ada',
      soakMinutes: 0,
    }),
  );
  leave();
  expect({ status, error }).toEqual({ status: 'SUCCEEDED', error: '' });
  const [live, ...others] = await instances();
  expect(others).toEqual([]);
  expect(live).toMatchObject({
    DBInstanceIdentifier: expect.stringMatching(/^shop-prod-rec-/) as unknown,
    DBSubnetGroup: { DBSubnetGroupName: 'shop' },
    DBParameterGroups: [{ DBParameterGroupName: 'shop-postgres17' }],
    BackupRetentionPeriod: 7,
    MasterUsername: MASTER.username,
  });
  expect(JSON.parse((await valueOfUrlSecret()) ?? '')).toEqual({
    ...APPLICATION,
    host: live?.Endpoint?.Address,
    port: live?.Endpoint?.Port,
    dbname: 'shop',
    team: 'shop',
  });
});
