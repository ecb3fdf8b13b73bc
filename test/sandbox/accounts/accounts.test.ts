import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CloudWatchClient, GetMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { GetFunctionCommand, InvokeCommand } from '@aws-sdk/client-lambda';
import {
  CopyDBSnapshotCommand,
  CreateDBInstanceCommand,
  CreateDBSnapshotCommand,
  DeleteDBSnapshotCommand,
  DescribeDBInstancesCommand,
  DescribeDBSnapshotAttributesCommand,
  DescribeDBSnapshotsCommand,
  ListTagsForResourceCommand,
  ModifyDBSnapshotAttributeCommand,
  RestoreDBInstanceFromDBSnapshotCommand,
  type RDSClient,
} from '@aws-sdk/client-rds';
import { CreateSecretCommand, GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { App, Duration, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { CfnSchedule } from 'aws-cdk-lib/aws-scheduler';
import * as sns from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { z } from 'zod';
import { VirtualClock } from '../../../sandbox/core/clock';
import { resourcesOfType } from '../../../sandbox/deploy/deploy';
import { durations } from '../../../sandbox/rds/durations';
import { Sandbox } from '../../../sandbox/sandbox';
import { neverUsed } from '../../../sandbox/iam/usage';
import { writeProfiles } from '../../../sandbox/profiles';
import { until } from '../../until';

const HOME = '123456789012';
const OTHER = '222222222222';
const REGION = 'eu-central-1';
const stateDirectory = mkdtempSync(join(tmpdir(), 'accounts-'));
const role = (account: string, name: string): { arn: string } => ({
  arn: `arn:aws:iam::${account}:role/${name}`,
});
const USE = [
  'kms:Encrypt',
  'kms:Decrypt',
  'kms:ReEncrypt*',
  'kms:GenerateDataKey*',
  'kms:DescribeKey',
  'kms:CreateGrant',
];

const HANDLER = `
const { STSClient, GetCallerIdentityCommand } = require('@aws-sdk/client-sts');
exports.handler = async () => (await new STSClient({}).send(new GetCallerIdentityCommand({}))).Arn;`;

function addFunction(stack: Stack): lambda.Function {
  return new lambda.Function(stack, 'Who', {
    functionName: 'who',
    runtime: lambda.Runtime.NODEJS_24_X,
    handler: 'index.handler',
    code: lambda.Code.fromInline(HANDLER),
    timeout: Duration.minutes(2),
    memorySize: 256,
  });
}

function addRole(
  stack: Stack,
  name: string,
  trusts: iam.IPrincipal,
  actions: string[],
  resources = ['*'],
): void {
  new iam.Role(stack, name, { roleName: name, assumedBy: trusts }).addToPolicy(
    new iam.PolicyStatement({ actions, resources }),
  );
}

/** Two stacks in two accounts, with roles, keys and a function of the same name in each. */
function build(app: App): void {
  const home = new Stack(app, 'Home', { env: { account: HOME, region: REGION } });
  const other = new Stack(app, 'Other', { env: { account: OTHER, region: REGION } });
  addFunction(home);
  const who = addFunction(other);
  const scheduled = new iam.Role(other, 'Scheduled', {
    assumedBy: new iam.ServicePrincipal('scheduler.amazonaws.com'),
  });
  who.grantInvoke(scheduled);
  new CfnSchedule(other, 'Schedule', {
    scheduleExpression: 'rate(1 hour)',
    flexibleTimeWindow: { mode: 'OFF' },
    target: { arn: who.functionArn, roleArn: scheduled.roleArn },
  }).node.addDependency(scheduled);
  const [homeNews, otherNews] = [home, other].map(
    (stack) => new sns.Topic(stack, 'News', { topicName: 'news' }),
  );
  homeNews?.addSubscription(new EmailSubscription('home@example.com'));
  otherNews?.addSubscription(new EmailSubscription('other@example.com'));
  const open = new kms.Key(home, 'Open');
  open.addToResourcePolicy(
    new iam.PolicyStatement({
      principals: [new iam.AccountPrincipal(OTHER)],
      actions: USE,
      resources: ['*'],
    }),
  );
  open.addAlias('open');
  new kms.Key(home, 'Closed');
  new kms.Key(other, 'Own').addAlias('own');
  const known = new iam.PrincipalWithConditions(new iam.ArnPrincipal(`arn:aws:iam::${OTHER}:root`), {
    StringEquals: { 'sts:ExternalId': 'agreed', 'aws:PrincipalAccount': OTHER },
  });
  addRole(home, 'reader', known, ['rds:DescribeDBSnapshots']);
  const itself = new iam.ServicePrincipal('lambda.amazonaws.com');
  const copying = ['rds:CopyDBSnapshot', 'rds:DescribeDBSnapshots', 'rds:AddTagsToResource'];
  addRole(other, 'copier', itself, [...copying, ...USE]);
  addRole(other, 'keyless', itself, copying);
  addRole(
    other,
    'half',
    itself,
    [...copying, ...USE],
    [`arn:aws:kms:${REGION}:${HOME}:key/*`, 'arn:aws:rds:*'],
  );
  addRole(other, 'visitor', itself, ['sts:AssumeRole']);
  addRole(other, 'guest', itself, ['rds:DescribeDBInstances']);
}

let sandbox: Sandbox;
let home: RDSClient;
let other: RDSClient;
/** ARNs of keys by the names that they have in the stacks. */
let keys: Record<'Open' | 'Closed' | 'Own', string>;

const start = async (): Promise<void> => {
  sandbox = await Sandbox.start({ clock: new VirtualClock(), durations: durations('quick'), stateDirectory });
  home = sandbox.clients().rds;
  other = sandbox.clients(sandbox.administrator(OTHER)).rds;
};

beforeAll(async () => {
  process.env['CDK_VALIDATION'] = 'false';
  await start();
  const app = new App({ outdir: join(sandbox.context.directory, 'assembly'), analyticsReporting: false });
  build(app);
  const { stacks } = await sandbox.deploy(app.synth().directory, ['Home', 'Other']);
  const key = (name: string): string => {
    const found = [...stacks.values()]
      .flatMap((stack) => resourcesOfType(stack, 'AWS::KMS::Key'))
      .find(({ logicalId }) => logicalId.startsWith(name));
    return z.string().parse(found?.attributes['Arn']);
  };
  keys = { Open: key('Open'), Closed: key('Closed'), Own: key('Own') };
  await home.send(
    new CreateDBInstanceCommand({
      DBInstanceIdentifier: 'orders',
      Engine: 'postgres',
      DBInstanceClass: 'db.t4g.micro',
      AllocatedStorage: 20,
      MasterUsername: 'master',
      MasterUserPassword: 'first-Password1',
      BackupRetentionPeriod: 0,
    }),
  );
  await until(
    async () => (await home.send(new DescribeDBInstancesCommand({}))).DBInstances?.[0]?.DBInstanceStatus,
    (status) => status === 'available',
  );
  await home.send(
    new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'orders', DBSnapshotIdentifier: 'plain' }),
  );
  await available(home, 'plain');
  await copyBy(home, 'plain', 'default-key', 'alias/aws/rds');
  for (const name of ['Open', 'Closed'] as const) {
    await home.send(
      new CopyDBSnapshotCommand({
        SourceDBSnapshotIdentifier: 'plain',
        TargetDBSnapshotIdentifier: name,
        KmsKeyId: keys[name],
        Tags: [{ Key: 'team', Value: 'orders' }],
      }),
    );
    await available(home, name.toLowerCase());
  }
});

afterAll(async () => {
  await sandbox.stop();
  rmSync(stateDirectory, { recursive: true, force: true, maxRetries: 5 });
});

async function available(rds: RDSClient, id: string): Promise<void> {
  await until(
    async () =>
      (await rds.send(new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: id }))).DBSnapshots?.[0]?.Status,
    (status) => status === 'available',
  );
}

const arnOf = (id: string, account = HOME): string => `arn:aws:rds:${REGION}:${account}:snapshot:${id}`;
const share = (id: string, account = OTHER): Promise<unknown> =>
  home.send(
    new ModifyDBSnapshotAttributeCommand({
      DBSnapshotIdentifier: id,
      AttributeName: 'restore',
      ValuesToAdd: [account],
    }),
  );
const copyBy = (rds: RDSClient, source: string, target: string, kmsKeyId?: string): Promise<unknown> =>
  rds.send(
    new CopyDBSnapshotCommand({
      SourceDBSnapshotIdentifier: source,
      TargetDBSnapshotIdentifier: target,
      ...(kmsKeyId !== undefined && { KmsKeyId: kmsKeyId }),
      CopyTags: true,
    }),
  );
const sts = (caller?: { arn: string }): STSClient =>
  new STSClient({
    endpoint: sandbox.context.endpoint,
    region: REGION,
    credentials: sandbox.credentials(caller),
    maxAttempts: 1,
  });

describe('an account', () => {
  it('has its own functions, under the same names', async () => {
    for (const account of [HOME, OTHER]) {
      const { lambda: client } = sandbox.clients(sandbox.administrator(account));
      const { Configuration } = await client.send(new GetFunctionCommand({ FunctionName: 'who' }));
      expect(Configuration?.FunctionArn).toBe(`arn:aws:lambda:${REGION}:${account}:function:who`);
      const { Payload } = await client.send(new InvokeCommand({ FunctionName: 'who' }));
      expect(Buffer.from(Payload ?? []).toString()).toMatch(`"arn:aws:sts::${account}:assumed-role/`);
    }
  });

  it('has functions that a fault plan kills', async () => {
    sandbox.faults.follow({
      faults: [{ fault: 'kill', at: { operation: 'sts:GetCallerIdentity', by: 'who' } }],
    });
    const invoke = (account: string): Promise<string | undefined> =>
      sandbox
        .clients(sandbox.administrator(account))
        .lambda.send(new InvokeCommand({ FunctionName: 'who' }))
        .then(({ Payload }) => Buffer.from(Payload ?? []).toString());
    expect(await invoke(OTHER)).toContain('Runtime.ExitError');
    expect(await invoke(OTHER)).toContain(OTHER);
  });

  it('runs its own schedules, and counts its own invocations', async () => {
    const { clock } = sandbox.context;
    const started = clock.now();
    const invocations = async (account: string): Promise<number> => {
      const { MetricDataResults = [] } = await new CloudWatchClient({
        endpoint: sandbox.context.endpoint,
        region: REGION,
        credentials: sandbox.credentials(sandbox.administrator(account)),
      }).send(
        new GetMetricDataCommand({
          StartTime: started,
          EndTime: new Date(clock.now().getTime() + 60_000),
          MetricDataQueries: [
            {
              Id: 'runs',
              MetricStat: {
                Metric: {
                  Namespace: 'AWS/Lambda',
                  MetricName: 'Invocations',
                  Dimensions: [{ Name: 'FunctionName', Value: 'who' }],
                },
                Period: 60,
                Stat: 'Sum',
              },
            },
          ],
        }),
      );
      return (MetricDataResults[0]?.Values ?? []).reduce((sum, value) => sum + value, 0);
    };
    const before = { home: await invocations(HOME), other: await invocations(OTHER) };
    await clock.sleep(3_600_000);
    await until(
      () => invocations(OTHER),
      (count) => count === before.other + 1,
    );
    expect(await invocations(HOME)).toBe(before.home);
  });

  it('tells its own people', async () => {
    const topic = `arn:aws:sns:${REGION}:${OTHER}:news`;
    const publish = (account: string): Promise<unknown> =>
      new SNSClient({
        endpoint: sandbox.context.endpoint,
        region: REGION,
        credentials: sandbox.credentials(sandbox.administrator(account)),
      }).send(new PublishCommand({ TopicArn: topic, Message: 'hello' }));
    await publish(OTHER);
    const told = (account: string): string[] => sandbox.account(account).sns.inbox.map(({ to }) => to);
    expect(told(HOME)).toEqual(['home@example.com']);
    expect(told(OTHER)).toEqual(['other@example.com']);
    await expect(publish(HOME)).rejects.toThrow(/does not implement sns:Publish of 123456789012/);
  });

  it('has its own secrets', async () => {
    await sandbox.clients().secrets.send(new CreateSecretCommand({ Name: 'of-home', SecretString: 'x' }));
    await expect(
      sandbox
        .clients(sandbox.administrator(OTHER))
        .secrets.send(new GetSecretValueCommand({ SecretId: 'of-home' })),
    ).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  });

  it('reaches no resource of another account, and says so', async () => {
    const { lambda: client } = sandbox.clients(sandbox.administrator(OTHER));
    await expect(
      client.send(new InvokeCommand({ FunctionName: `arn:aws:lambda:${REGION}:${HOME}:function:who` })),
    ).rejects.toThrow(
      /does not implement lambda:Invoke of 222222222222 on a resource of the account 123456789012/,
    );
  });

  it('that nothing has been deployed into is refused by name', async () => {
    await expect(
      sandbox.clients(role('333333333333', 'x')).rds.send(new DescribeDBInstancesCommand({})),
    ).rejects.toThrow(/the account 333333333333: no stack has been deployed into it/);
  });

  it('has a profile for its administrator', async () => {
    const { profiles } = await writeProfiles(sandbox);
    expect(profiles.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['default', `administrator-${OTHER}`, 'copier']),
    );
  });
});

describe('a role of another account', () => {
  const assume = (caller: { arn: string }, externalId?: string) =>
    sts(caller).send(
      new AssumeRoleCommand({
        RoleArn: role(HOME, 'reader').arn,
        RoleSessionName: 'visit',
        DurationSeconds: 900,
        ...(externalId !== undefined && { ExternalId: externalId }),
      }),
    );

  it('is taken where both policies agree, for a time', async () => {
    const { Credentials } = await assume(role(OTHER, 'visitor'), 'agreed');
    const credentials = {
      accessKeyId: Credentials?.AccessKeyId ?? '',
      secretAccessKey: Credentials?.SecretAccessKey ?? '',
      sessionToken: Credentials?.SessionToken ?? '',
    };
    const visiting = new STSClient({ endpoint: sandbox.context.endpoint, region: REGION, credentials });
    await expect(visiting.send(new GetCallerIdentityCommand({}))).resolves.toMatchObject({
      Account: HOME,
      Arn: `arn:aws:sts::${HOME}:assumed-role/reader/visit`,
    });
    await sandbox.context.clock.sleep(901_000);
    const expired = { name: 'ExpiredToken' };
    await expect(visiting.send(new GetCallerIdentityCommand({}))).rejects.toMatchObject(expired);
    // Keys that nobody knows are those of an administrator: these must stay known.
    await sandbox.stop();
    await start();
    const again = new STSClient({ endpoint: sandbox.context.endpoint, region: REGION, credentials });
    await expect(again.send(new GetCallerIdentityCommand({}))).rejects.toMatchObject(expired);
  });

  it.each([
    ['the caller’s own policy does not let it', 'guest', 'agreed'],
    ['the external id is another one', 'visitor', 'guessed'],
    ['there is no external id', 'visitor', undefined],
  ])('is not taken where %s', async (_why, name, externalId) => {
    await expect(assume(role(OTHER, name), externalId)).rejects.toMatchObject({
      name: 'AccessDenied',
      message: expect.stringContaining(`sts:AssumeRole on resource: ${role(HOME, 'reader').arn}`) as string,
    });
  });
});

describe('sharing a snapshot', () => {
  it('is refused for what no account is', async () => {
    await expect(share('open', 'somebody')).rejects.toMatchObject({ name: 'InvalidParameterValue' });
  });

  it('is refused for one under the default key', async () => {
    await expect(share('default-key')).rejects.toMatchObject({
      name: 'InvalidDBSnapshotStateFault',
      message: expect.stringContaining('default key') as string,
    });
  });

  it('makes it visible to that account, by its ARN, without its tags', async () => {
    await expect(
      other.send(new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: arnOf('open') })),
    ).rejects.toMatchObject({ name: 'DBSnapshotNotFoundFault' });
    await share('open');
    await share('closed');

    const { DBSnapshots } = await other.send(new DescribeDBSnapshotsCommand({ SnapshotType: 'shared' }));
    expect(DBSnapshots).toEqual([
      expect.objectContaining({ DBSnapshotIdentifier: arnOf('closed') }),
      expect.objectContaining({
        DBSnapshotIdentifier: arnOf('open'),
        DBSnapshotArn: arnOf('open'),
        SnapshotType: 'shared',
        TagList: [],
        KmsKeyId: keys.Open,
      }),
    ]);
    expect((await other.send(new DescribeDBSnapshotsCommand({}))).DBSnapshots).toEqual([]);
    expect(
      (await other.send(new DescribeDBSnapshotsCommand({ IncludeShared: true }))).DBSnapshots,
    ).toHaveLength(2);
    await expect(
      other.send(new ListTagsForResourceCommand({ ResourceName: arnOf('open') })),
    ).rejects.toThrow();
    const { DBSnapshotAttributesResult } = await home.send(
      new DescribeDBSnapshotAttributesCommand({ DBSnapshotIdentifier: 'open' }),
    );
    expect(DBSnapshotAttributesResult?.DBSnapshotAttributes).toEqual([
      { AttributeName: 'restore', AttributeValues: [OTHER] },
    ]);
  });

  it('lets that account neither delete it nor share it further', async () => {
    const notFound = { name: 'DBSnapshotNotFoundFault' };
    await expect(
      other.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: arnOf('open') })),
    ).rejects.toMatchObject(notFound);
    await expect(
      other.send(
        new ModifyDBSnapshotAttributeCommand({
          DBSnapshotIdentifier: arnOf('open'),
          AttributeName: 'restore',
          ValuesToAdd: ['333333333333'],
        }),
      ),
    ).rejects.toMatchObject(notFound);
  });

  it('ends at 20 accounts', async () => {
    const many = Array.from({ length: 20 }, (_, index) => String(300_000_000_000 + index));
    await expect(
      home.send(
        new ModifyDBSnapshotAttributeCommand({
          DBSnapshotIdentifier: 'open',
          AttributeName: 'restore',
          ValuesToAdd: many,
        }),
      ),
    ).rejects.toMatchObject({ name: 'SharedSnapshotQuotaExceededFault' });
  });
});

describe('copying a shared snapshot', () => {
  const as = (name: string): RDSClient => sandbox.clients(role(OTHER, name)).rds;

  it('needs a key of the copier', async () => {
    await expect(copyBy(as('copier'), arnOf('open'), 'copy')).rejects.toMatchObject({
      name: 'KMSKeyNotAccessibleFault',
      message: expect.stringContaining('target KMS key [None]') as string,
    });
  });

  it('needs leave of the copier for the key of the source', async () => {
    await expect(copyBy(as('keyless'), arnOf('open'), 'copy', keys.Own)).rejects.toMatchObject({
      name: 'KMSKeyNotAccessibleFault',
      message: `The source snapshot KMS key [${keys.Open}] does not exist, is not enabled or you do not have permissions to access it.`,
    });
  });

  it('needs leave of the key of the source, even for an administrator', async () => {
    for (const rds of [as('copier'), other])
      await expect(copyBy(rds, arnOf('closed'), 'copy', keys.Own)).rejects.toMatchObject({
        name: 'KMSKeyNotAccessibleFault',
        message: expect.stringContaining(keys.Closed) as string,
      });
  });

  it('needs a key that there is, where it is another account’s', async () => {
    const unknown = `arn:aws:kms:${REGION}:333333333333:alias/unknown`;
    await expect(copyBy(as('copier'), arnOf('open'), 'copy', unknown)).rejects.toMatchObject({
      name: 'KMSKeyNotAccessibleFault',
      message: expect.stringContaining(`target KMS key [${unknown}]`) as string,
    });
  });

  it('is made under another account’s key only where that lets it', async () => {
    await expect(copyBy(home, 'plain', 'copy', keys.Own)).rejects.toMatchObject({
      name: 'KMSKeyNotAccessibleFault',
      message: expect.stringContaining(`target KMS key [${keys.Own}]`) as string,
    });
    await copyBy(other, arnOf('open'), 'under-theirs', `arn:aws:kms:${REGION}:${HOME}:alias/open`);
    await available(other, 'under-theirs');
    await other.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: 'under-theirs' }));
  });

  it('needs leave of the copier for the key of the copy', async () => {
    await expect(copyBy(as('half'), arnOf('open'), 'copy', 'alias/own')).rejects.toMatchObject({
      name: 'KMSKeyNotAccessibleFault',
      message: `The target KMS key [${keys.Own}] does not exist, is not enabled or you do not have permissions to access it.`,
    });
  });

  it('goes wrong where a fault plan says so, and is counted as use of what the role may do', async () => {
    sandbox.faults.follow({
      faults: [
        {
          fault: 'failed status',
          status: 'failed',
          at: { operation: 'rds:CopyDBSnapshot', by: 'copier', with: { TargetDBSnapshotIdentifier: 'bad' } },
        },
      ],
    });
    await copyBy(as('copier'), arnOf('open'), 'bad', keys.Own);
    await until(
      async () =>
        (await other.send(new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: 'bad' }))).DBSnapshots?.[0]
          ?.Status,
      (status) => status === 'failed',
    );
    await other.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: 'bad' }));
    const { granted, used } = await sandbox.iam.usage();
    const unused = neverUsed({ granted: granted.filter(({ role: of }) => of === `${OTHER}/copier`), used });
    expect(unused.map(({ action }) => action).sort()).toEqual([
      'kms:Encrypt',
      'rds:AddTagsToResource',
      'rds:DescribeDBSnapshots',
    ]);
  });

  it('makes one of the copier’s own', async () => {
    await copyBy(as('copier'), arnOf('open'), 'copy', 'alias/own');
    await available(other, 'copy');
    const { DBSnapshots = [] } = await other.send(new DescribeDBSnapshotsCommand({}));
    expect(DBSnapshots.filter(({ DBSnapshotIdentifier }) => DBSnapshotIdentifier === 'copy')).toEqual([
      expect.objectContaining({
        DBSnapshotIdentifier: 'copy',
        DBSnapshotArn: arnOf('copy', OTHER),
        SnapshotType: 'manual',
        KmsKeyId: keys.Own,
        SourceDBSnapshotIdentifier: arnOf('open'),
        TagList: [],
      }),
    ]);
    expect(
      (await home.send(new DescribeDBSnapshotsCommand({}))).DBSnapshots?.map(
        ({ DBSnapshotIdentifier }) => DBSnapshotIdentifier,
      ),
    ).not.toContain('copy');
  });

  it('is not restored from before it is copied', async () => {
    await other.send(
      new ModifyDBSnapshotAttributeCommand({
        DBSnapshotIdentifier: 'copy',
        AttributeName: 'restore',
        ValuesToAdd: [HOME],
      }),
    );
    await expect(
      home.send(
        new RestoreDBInstanceFromDBSnapshotCommand({
          DBInstanceIdentifier: 'back',
          DBSnapshotIdentifier: arnOf('copy', OTHER),
        }),
      ),
    ).rejects.toMatchObject({ name: 'KMSKeyNotAccessibleFault' });
  });

  it('that is not encrypted is copied without a key, into another Region, too, and restored from', async () => {
    await share('plain');
    const elsewhere = sandbox.clients(sandbox.administrator(OTHER), 'eu-west-1').rds;
    await copyBy(elsewhere, arnOf('plain'), 'plain-copy');
    await available(elsewhere, 'plain-copy');
    await copyBy(other, arnOf('plain'), 'plain-copy');
    await available(other, 'plain-copy');
    await other.send(
      new ModifyDBSnapshotAttributeCommand({
        DBSnapshotIdentifier: 'plain-copy',
        AttributeName: 'restore',
        ValuesToAdd: [HOME],
      }),
    );
    await home.send(
      new RestoreDBInstanceFromDBSnapshotCommand({
        DBInstanceIdentifier: 'back',
        DBSnapshotIdentifier: arnOf('plain-copy', OTHER),
      }),
    );
    await until(
      async () =>
        (await home.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: 'back' }))).DBInstances?.[0]
          ?.DBInstanceStatus,
      (status) => status === 'available',
    );
  });

  it('survives the source, and a restart of the sandbox', async () => {
    await home.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: 'open' }));
    await sandbox.stop();
    await start();
    await available(other, 'copy');
    const { DBSnapshotAttributesResult } = await other.send(
      new DescribeDBSnapshotAttributesCommand({ DBSnapshotIdentifier: 'copy' }),
    );
    expect(DBSnapshotAttributesResult?.DBSnapshotAttributes?.[0]?.AttributeValues).toEqual([HOME]);
    const { lambda: client } = sandbox.clients(sandbox.administrator(OTHER));
    const { Payload } = await client.send(new InvokeCommand({ FunctionName: 'who' }));
    expect(Buffer.from(Payload ?? []).toString()).toMatch(`arn:aws:sts::${OTHER}:`);
  });
});
