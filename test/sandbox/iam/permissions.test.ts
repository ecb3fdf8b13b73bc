import { CopyDBSnapshotCommand, CreateDBInstanceCommand, CreateDBSnapshotCommand } from '@aws-sdk/client-rds';
import { CreateSecretCommand } from '@aws-sdk/client-secrets-manager';
import type {
  CopyFunctionName,
  FunctionName as StepName,
  RestorePointFunctionName,
} from '../../../lambdas/contract/functions';
import { ApiError, type ServiceName } from '../../../sandbox/core/api';
import { RealClock } from '../../../sandbox/core/clock';
import { deployedTo } from '../../../sandbox/deploy/deploy';
import { durations } from '../../../sandbox/rds/durations';
import { Sandbox } from '../../../sandbox/sandbox';
import { productionPermissions, roleWith } from './roles';
import { until } from '../../until';

type FunctionName = StepName | RestorePointFunctionName | CopyFunctionName;

// GIVEN a sandbox with a live, a recovery and a retired instance, and the permissions of the functions as they are synthesised
let sandbox: Sandbox;
let permissions: ReturnType<typeof productionPermissions>;
let secretArns: { databaseUrl: string; master: string };

const arn = (resource: string, region = 'eu-central-1'): string =>
  `arn:aws:rds:${region}:123456789012:${resource}`;
/** The Region of the copies. */
const THERE = 'eu-west-1';
const marks = (role: string): { Key: string; Value: string }[] => [
  { Key: 'migration-rollback:role', Value: role },
  { Key: 'migration-rollback:environment', Value: 'production' },
];

beforeAll(async () => {
  sandbox = await Sandbox.start({ clock: new RealClock(), durations: durations('quick') });
  const { rds, secrets } = sandbox.clients();
  const instances = {
    live: [],
    'live-rec-1': marks('recovery-instance'),
    'live-rec-0': marks('live'),
    taken: marks('taken-back'),
    old: marks('retired'),
  };
  for (const [id, tags] of Object.entries(instances))
    await rds.send(
      new CreateDBInstanceCommand({
        DBInstanceIdentifier: id,
        Engine: 'postgres',
        DBInstanceClass: 'db.t4g.micro',
        AllocatedStorage: 20,
        MasterUsername: 'master',
        MasterUserPassword: 'first-Password1',
        CopyTagsToSnapshot: true,
        Tags: [{ Key: 'team', Value: 'orders' }, ...tags],
      }),
    );
  const expiry = { Key: 'migration-rollback:expires-at', Value: '2026-11-21T10:00:00.000Z' };
  const hold = { Key: 'migration-rollback:hold', Value: 'for the auditors' };
  const snapshots = {
    expired: [...marks('scheduled'), expiry],
    'without-expiry': marks('scheduled'),
    'on-hold': [...marks('scheduled'), expiry, hold],
    'by-hand': [{ Key: 'team', Value: 'orders' }],
  };
  for (const [id, Tags] of Object.entries(snapshots))
    await untilMade(() =>
      rds.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'live', DBSnapshotIdentifier: id, Tags })),
    );
  const elsewhere = sandbox.clients(undefined, THERE).rds;
  await untilMade(() =>
    elsewhere.send(
      new CopyDBSnapshotCommand({
        SourceDBSnapshotIdentifier: arn('snapshot:expired'),
        TargetDBSnapshotIdentifier: 'expired-copy',
        CopyTags: true,
      }),
    ),
  );
  const [url, master] = await Promise.all(
    ['production/database-url', 'master'].map((Name) =>
      secrets.send(new CreateSecretCommand({ Name, SecretString: '{}' })),
    ),
  );
  secretArns = { databaseUrl: url?.ARN ?? '', master: master?.ARN ?? '' };
  permissions = productionPermissions(secretArns);
});

afterAll(async () => {
  await sandbox.stop();
});

/** Asks until RDS takes the snapshot: only of an instance that is available. */
async function untilMade(ask: () => Promise<unknown>): Promise<void> {
  await until(
    () => ask().then(() => true, String),
    (answer) => answer === true,
  );
}

/** Whether a function with its permissions, less one, may make a call: nothing happens when it may. */
async function attempt(call: Call, without?: string): Promise<void> {
  const role = roleWith(
    `${call.function}${without ?? ''}`,
    permissions.get(call.function) ?? [],
    without ? { without } : {},
  );
  deployedTo(sandbox.context).iam.add(role);
  await sandbox.iam.interceptor(
    {
      context: {
        service: call.service,
        operation: call.operation,
        ...(call.region !== undefined && { region: call.region }),
        caller: { arn: role.arn, functionName: `production-${call.function}` },
        accountId: sandbox.context.account.accountId,
        requestId: 'test',
      },
      input: { ...call.input() },
    },
    async () => ({}),
  );
}

interface Call {
  readonly function: FunctionName;
  readonly service: ServiceName;
  readonly operation: string;
  /** @default that of the account */
  readonly region?: string;
  /** Asked for when it is needed: secrets get their ARNs only then. */
  readonly input: () => object;
}

/** A call, and for each statement that it rests on the action and resource that are refused without it. */
interface Case extends Call {
  readonly needs: Readonly<
    Record<string, { readonly action: string; readonly resource: string | (() => string) }>
  >;
}

const describeInstances = (name: FunctionName): Case => ({
  function: name,
  service: 'rds',
  operation: 'DescribeDBInstances',
  input: () => ({}),
  needs: { DescribeInstances: { action: 'rds:DescribeDBInstances', resource: arn('db:*') } },
});
const describeSnapshot = (name: FunctionName): Case => ({
  function: name,
  service: 'rds',
  operation: 'DescribeDBSnapshots',
  input: () => ({ DBSnapshotIdentifier: 'some' }),
  needs: { DescribeSnapshots: { action: 'rds:DescribeDBSnapshots', resource: arn('snapshot:some') } },
});
const readSecret = (name: FunctionName, sid: string, secret: 'databaseUrl' | 'master'): Case => ({
  function: name,
  service: 'secretsmanager',
  operation: 'GetSecretValue',
  input: () => ({ SecretId: secretArns[secret], VersionStage: 'AWSCURRENT' }),
  needs: { [sid]: { action: 'secretsmanager:GetSecretValue', resource: () => secretArns[secret] } },
});
const secretCall = (name: FunctionName, sid: string, operation: string, input: object): Case => ({
  function: name,
  service: 'secretsmanager',
  operation,
  input: () => ({ SecretId: secretArns.databaseUrl, ...input }),
  needs: { [sid]: { action: `secretsmanager:${operation}`, resource: () => secretArns.databaseUrl } },
});
const rdsCall = (name: FunctionName, operation: string, input: object, needs: Case['needs']): Case => ({
  function: name,
  service: 'rds',
  operation,
  input: () => input,
  needs,
});
const groups = {
  DBParameterGroupName: 'own',
  OptionGroupName: 'default:postgres-17',
  DBSubnetGroupName: 'own',
};

const MACHINE = 'arn:aws:states:eu-central-1:123456789012:stateMachine:production-recovery';
const EXECUTION = 'arn:aws:states:eu-central-1:123456789012:execution:production-recovery:night';

const CASES: readonly Case[] = [
  ...(
    [
      'pre-migration-snapshot',
      'scheduled-snapshot',
      'reap-snapshots',
      'restore-points',
      'lift-quarantine',
      'plan',
      'start-restore',
      'take-safety-snapshot',
      'check-restored-instance',
      'hydrate',
      'match-settings',
      'finish-settings',
      'retire',
      'discard',
      'end-drill',
      'clean-up',
      'rename',
      'finish-rename',
    ] as const
  ).map(describeInstances),
  ...(
    [
      'pre-migration-snapshot',
      'scheduled-snapshot',
      'reap-snapshots',
      'restore-points',
      'copy-snapshots',
      'bring-back-copy',
      'plan',
      'start-restore',
      'take-safety-snapshot',
      'match-settings',
      'finish-settings',
      'retire',
      'finish-rename',
    ] as const
  ).map(describeSnapshot),
  ...(['copy-snapshots', 'bring-back-copy', 'reap-snapshots', 'restore-points'] as const).map(
    (name): Case => ({
      ...rdsCall(
        name,
        'DescribeDBSnapshots',
        {},
        { DescribeCopies: { action: 'rds:DescribeDBSnapshots', resource: arn('snapshot:*', THERE) } },
      ),
      region: THERE,
    }),
  ),
  ...(['copy-snapshots', 'reap-snapshots'] as const).map((name): Case => ({
    ...rdsCall(
      name,
      'DeleteDBSnapshot',
      { DBSnapshotIdentifier: 'expired-copy' },
      { DeleteCopies: { action: 'rds:DeleteDBSnapshot', resource: arn('snapshot:expired-copy', THERE) } },
    ),
    region: THERE,
  })),
  {
    ...rdsCall(
      'copy-snapshots',
      'CopyDBSnapshot',
      {
        SourceDBSnapshotIdentifier: arn('snapshot:expired'),
        TargetDBSnapshotIdentifier: 'expired',
        Tags: marks('scheduled'),
      },
      {
        ReadSnapshot: { action: 'rds:CopyDBSnapshot', resource: arn('snapshot:expired') },
        MakeCopy: { action: 'rds:CopyDBSnapshot', resource: arn('snapshot:expired', THERE) },
      },
    ),
    region: THERE,
  },
  rdsCall(
    'bring-back-copy',
    'CopyDBSnapshot',
    {
      SourceDBSnapshotIdentifier: arn('snapshot:gone', THERE),
      TargetDBSnapshotIdentifier: 'gone',
      Tags: marks('pre-migration'),
    },
    {
      ReadCopy: { action: 'rds:CopyDBSnapshot', resource: arn('snapshot:gone', THERE) },
      MakeSnapshot: { action: 'rds:CopyDBSnapshot', resource: arn('snapshot:gone') },
    },
  ),
  ...(
    [
      'pre-migration-snapshot',
      'check-migrations',
      'scheduled-snapshot',
      'reap-snapshots',
      'restore-points',
      'lift-quarantine',
      'plan',
      'record-position',
      'match-credentials',
      'verify',
      'warm',
      'prove',
      'prove-consumers',
      'soak',
      'fence',
      'lift-fence',
      'retire',
      'discard',
      'end-drill',
      'clean-up',
      'rename',
      'finish-rename',
      'finish-settings',
      'restart-consumers',
      'drain',
    ] as const
  ).map((name) => readSecret(name, 'ReadDatabaseUrl', 'databaseUrl')),
  ...(
    [
      'record-position',
      'match-settings',
      'match-credentials',
      'fence',
      'lift-fence',
      'drain',
      'soak',
    ] as const
  ).map((name) => readSecret(name, 'ReadMasterUser', 'master')),
  rdsCall(
    'pre-migration-snapshot',
    'CreateDBSnapshot',
    {
      DBInstanceIdentifier: 'live',
      DBSnapshotIdentifier: 'live-pre-migration-1',
      Tags: [...marks('pre-migration'), { Key: 'migration-rollback:commit', Value: 'abc' }],
    },
    {
      CreateSnapshot: { action: 'rds:CreateDBSnapshot', resource: arn('db:live') },
      TagSnapshot: { action: 'rds:AddTagsToResource', resource: arn('snapshot:live-pre-migration-1') },
    },
  ),
  ...(
    [
      'pre-migration-snapshot',
      'scheduled-snapshot',
      'reap-snapshots',
      'take-safety-snapshot',
      'finish-rename',
    ] as const
  ).flatMap((name): Case[] => [
    secretCall(name, 'SeeSecretVersions', 'DescribeSecret', {}),
    secretCall(name, 'PinSecretVersions', 'UpdateSecretVersionStage', {
      VersionStage: 'migration-rollback-kept-0123456789ab',
      MoveToVersionId: '1',
    }),
  ]),
  {
    function: 'plan',
    service: 'states',
    operation: 'ListExecutions',
    input: () => ({ stateMachineArn: MACHINE }),
    needs: { ListRecoveries: { action: 'states:ListExecutions', resource: MACHINE } },
  },
  ...['DescribeAlarms', 'ListDashboards'].map((operation): Case => ({
    function: 'plan',
    service: 'monitoring',
    operation,
    input: () => ({}),
    needs: { SeeAlarms: { action: `cloudwatch:${operation}`, resource: '*' } },
  })),
  {
    function: 'plan',
    service: 'monitoring',
    operation: 'GetDashboard',
    input: () => ({ DashboardName: 'orders' }),
    needs: {
      ReadDashboards: {
        action: 'cloudwatch:GetDashboard',
        resource: 'arn:aws:cloudwatch::123456789012:dashboard/orders',
      },
    },
  },
  {
    function: 'clean-up',
    service: 'states',
    operation: 'ListExecutions',
    input: () => ({ stateMachineArn: MACHINE }),
    needs: { ListRecoveries: { action: 'states:ListExecutions', resource: MACHINE } },
  },
  ...(['plan', 'start-restore', 'take-back', 'swap-back', 'clean-up', 'rename'] as const).map(
    (name): Case => ({
      function: name,
      service: 'states',
      operation: 'GetExecutionHistory',
      input: () => ({ executionArn: EXECUTION }),
      needs: { SeeHistories: { action: 'states:GetExecutionHistory', resource: EXECUTION } },
    }),
  ),
  {
    function: 'clean-up',
    service: 'lambda',
    operation: 'Invoke',
    input: () => ({ FunctionName: 'production-lift-fence' }),
    needs: {
      LiftFence: {
        action: 'lambda:InvokeFunction',
        resource: 'arn:aws:lambda:eu-central-1:123456789012:function:production-lift-fence',
      },
    },
  },
  ...(['pre-migration-snapshot', 'scheduled-snapshot', 'plan', 'rename'] as const).map((name): Case => ({
    function: name,
    service: 'lambda',
    operation: 'Invoke',
    input: () => ({ FunctionName: 'production-check-migrations' }),
    needs: {
      AskDatabase: {
        action: 'lambda:InvokeFunction',
        resource: 'arn:aws:lambda:eu-central-1:123456789012:function:production-check-migrations',
      },
    },
  })),
  ...(
    [
      'pre-migration-snapshot',
      'scheduled-snapshot',
      'reap-snapshots',
      'take-safety-snapshot',
      'finish-rename',
    ] as const
  ).flatMap((name): Case[] => [
    rdsCall(
      name,
      'DescribeAccountAttributes',
      {},
      {
        ReadQuota: { action: 'rds:DescribeAccountAttributes', resource: '*' },
      },
    ),
  ]),
  ...(
    [
      'pre-migration-snapshot',
      'reap-snapshots',
      'lift-quarantine',
      'plan',
      'start-restore',
      'swap-back',
      'clean-up',
      'rename',
    ] as const
  ).map((name): Case => ({
    function: name,
    service: 'states',
    operation: 'DescribeExecution',
    input: () => ({ executionArn: EXECUTION }),
    needs: { SeeRecoveries: { action: 'states:DescribeExecution', resource: EXECUTION } },
  })),
  rdsCall(
    'lift-quarantine',
    'AddTagsToResource',
    { ResourceName: arn('db:live'), Tags: [{ Key: 'migration-rollback:lifted-0123456789', Value: 'x' }] },
    { LiftQuarantine: { action: 'rds:AddTagsToResource', resource: arn('db:live') } },
  ),
  ...(
    [
      ['ListExecutions', 'SeeWhoAsks', { stateMachineArn: MACHINE }, MACHINE],
      ['DescribeExecution', 'SeeWhatIsAsked', { executionArn: EXECUTION }, EXECUTION],
      ['GetExecutionHistory', 'SeeWhatIsAsked', { executionArn: EXECUTION }, EXECUTION],
      ['SendTaskSuccess', 'AnswerQuestion', { taskToken: 't', output: '{}' }, '*'],
      ['SendTaskFailure', 'AnswerQuestion', { taskToken: 't' }, '*'],
    ] as const
  ).map(([operation, sid, input, resource]): Case => ({
    function: 'decide',
    service: 'states',
    operation,
    input: () => input,
    needs: { [sid]: { action: `states:${operation}`, resource } },
  })),
  ...(
    [
      ['DescribeServices', { cluster: 'shop', services: ['web'] }],
      ['UpdateService', { cluster: 'shop', service: 'web', forceNewDeployment: true }],
    ] as const
  ).map(([operation, input]): Case => ({
    function: 'restart-consumers',
    service: 'ecs',
    operation,
    input: () => input,
    needs: {
      RestartConsumers: {
        action: `ecs:${operation}`,
        resource: 'arn:aws:ecs:eu-central-1:123456789012:service/shop/web',
      },
    },
  })),
  {
    function: 'restart-consumers',
    service: 'events',
    operation: 'PutEvents',
    input: () => ({
      Entries: [{ Source: 'migration-rollback', DetailType: 'Database cutover', Detail: '{}' }],
    }),
    needs: {
      TellOfCutover: {
        action: 'events:PutEvents',
        resource: 'arn:aws:events:eu-central-1:123456789012:event-bus/default',
      },
    },
  },
  ...(['pre-migration-snapshot', 'restore-points'] as const).map((name) =>
    rdsCall(
      name,
      'DescribeDBInstanceAutomatedBackups',
      { DbiResourceId: 'db-1' },
      {
        ReadBackupWindow: {
          action: 'rds:DescribeDBInstanceAutomatedBackups',
          resource: arn('auto-backup:*'),
        },
      },
    ),
  ),
  rdsCall(
    'pre-migration-snapshot',
    'AddTagsToResource',
    { ResourceName: arn('db:live'), Tags: [{ Key: 'migration-rollback:point-0123456789', Value: 'x' }] },
    { MarkPointInTime: { action: 'rds:AddTagsToResource', resource: arn('db:live') } },
  ),
  rdsCall(
    'scheduled-snapshot',
    'CreateDBSnapshot',
    {
      DBInstanceIdentifier: 'live',
      DBSnapshotIdentifier: 'live-scheduled-2026-11-21-1',
      Tags: marks('scheduled'),
    },
    {
      CreateSnapshot: { action: 'rds:CreateDBSnapshot', resource: arn('db:live') },
      TagSnapshot: {
        action: 'rds:AddTagsToResource',
        resource: arn('snapshot:live-scheduled-2026-11-21-1'),
      },
    },
  ),
  ...(['scheduled-snapshot', 'reap-snapshots', 'copy-snapshots'] as const).map((name): Case => ({
    function: name,
    service: 'sqs',
    operation: 'SendMessage',
    input: () => ({ QueueUrl: 'http://sqs/123456789012/production-snapshot-dead-letters' }),
    needs: {
      // SQS itself writes the action in small letters where it refuses.
      SendFailures: {
        action: 'sqs:sendmessage',
        resource: 'arn:aws:sqs:eu-central-1:123456789012:production-snapshot-dead-letters',
      },
    },
  })),
  rdsCall(
    'reap-snapshots',
    'DeleteDBSnapshot',
    { DBSnapshotIdentifier: 'expired' },
    { DeleteExpired: { action: 'rds:DeleteDBSnapshot', resource: arn('snapshot:expired') } },
  ),
  rdsCall(
    'plan',
    'DescribeAccountAttributes',
    {},
    {
      ReadQuota: { action: 'rds:DescribeAccountAttributes', resource: '*' },
    },
  ),
  rdsCall(
    'plan',
    'DescribeDBInstanceAutomatedBackups',
    { DbiResourceId: 'db-ABC' },
    {
      ReadBackupWindow: { action: 'rds:DescribeDBInstanceAutomatedBackups', resource: arn('auto-backup:*') },
    },
  ),
  rdsCall(
    'start-restore',
    'RestoreDBInstanceFromDBSnapshot',
    {
      DBInstanceIdentifier: 'live-rec-2',
      DBSnapshotIdentifier: 'live-pre-migration-1',
      Tags: marks('recovery-instance'),
      ...groups,
    },
    {
      RestoreSnapshot: {
        action: 'rds:RestoreDBInstanceFromDBSnapshot',
        resource: arn('snapshot:live-pre-migration-1'),
      },
      TagRecoveryInstance: { action: 'rds:AddTagsToResource', resource: arn('db:live-rec-2') },
    },
  ),
  rdsCall(
    'start-restore',
    'RestoreDBInstanceToPointInTime',
    {
      SourceDBInstanceIdentifier: 'live',
      TargetDBInstanceIdentifier: 'live-rec-2',
      RestoreTime: new Date(),
      Tags: marks('recovery-instance'),
      ...groups,
    },
    {
      RestoreToTime: { action: 'rds:RestoreDBInstanceToPointInTime', resource: arn('db:live') },
      TagRecoveryInstance: { action: 'rds:AddTagsToResource', resource: arn('db:live-rec-2') },
    },
  ),
  ...(['take-safety-snapshot', 'finish-rename'] as const).map((name) =>
    rdsCall(
      name,
      'CreateDBSnapshot',
      {
        DBInstanceIdentifier: 'live',
        DBSnapshotIdentifier: 'live-safety-1',
        Tags: marks('safety'),
      },
      {
        CreateSnapshot: { action: 'rds:CreateDBSnapshot', resource: arn('db:live') },
        TagSnapshot: { action: 'rds:AddTagsToResource', resource: arn('snapshot:live-safety-1') },
      },
    ),
  ),
  rdsCall(
    'rename',
    'ModifyDBInstance',
    { DBInstanceIdentifier: 'live-rec-0', NewDBInstanceIdentifier: 'before', ApplyImmediately: true },
    { RenameLive: { action: 'rds:ModifyDBInstance', resource: arn('db:live-rec-0') } },
  ),
  rdsCall(
    'rename',
    'AddTagsToResource',
    {
      ResourceName: arn('db:live-rec-0'),
      Tags: ['renamed-from', 'renamed-from-host', 'rename-asked-at', 'rename-of'].map((name) => ({
        Key: `migration-rollback:${name}`,
        Value: 'x',
      })),
    },
    { MarkRename: { action: 'rds:AddTagsToResource', resource: arn('db:live-rec-0') } },
  ),
  rdsCall(
    'finish-rename',
    'RemoveTagsFromResource',
    { ResourceName: arn('db:live-rec-0'), TagKeys: ['migration-rollback:renamed-from'] },
    { UnmarkRename: { action: 'rds:RemoveTagsFromResource', resource: arn('db:live-rec-0') } },
  ),
  secretCall('rename', 'WriteClaim', 'PutSecretValue', { SecretString: '{}', VersionStages: ['claim'] }),
  secretCall('rename', 'MoveClaim', 'UpdateSecretVersionStage', {
    VersionStage: 'migration-rollback-recovery',
  }),
  rdsCall(
    'match-settings',
    'ModifyDBInstance',
    {
      DBInstanceIdentifier: 'live-rec-1',
      DBParameterGroupName: 'own',
      OptionGroupName: 'default:postgres-17',
    },
    {
      MatchInstance: { action: 'rds:ModifyDBInstance', resource: arn('db:live-rec-1') },
      UseGroups: { action: 'rds:ModifyDBInstance', resource: arn('pg:own') },
    },
  ),
  rdsCall(
    'finish-settings',
    'ModifyDBInstance',
    {
      DBInstanceIdentifier: 'live-rec-1',
      DeletionProtection: true,
      MonitoringRoleArn: 'arn:aws:iam::123456789012:role/monitoring',
    },
    {
      FinishInstance: { action: 'rds:ModifyDBInstance', resource: arn('db:live-rec-1') },
      UseMonitoringRole: { action: 'iam:PassRole', resource: 'arn:aws:iam::123456789012:role/monitoring' },
    },
  ),
  rdsCall(
    'finish-settings',
    'AddTagsToResource',
    {
      ResourceName: arn('db:live-rec-1'),
      Tags: [
        { Key: 'migration-rollback:rest-asked-at', Value: '2026-01-01T00:00:00Z' },
        { Key: 'migration-rollback:cutover-proven', Value: '0123456789' },
        { Key: 'migration-rollback:quarantine', Value: '2_bad::0123456789' },
        { Key: 'migration-rollback:quarantine-2', Value: '3_bad::0123456789' },
      ],
    },
    { MarkProgress: { action: 'rds:AddTagsToResource', resource: arn('db:live-rec-1') } },
  ),
  rdsCall(
    'finish-settings',
    'RemoveTagsFromResource',
    {
      ResourceName: arn('db:live-rec-1'),
      TagKeys: ['migration-rollback:quarantine', 'migration-rollback:quarantine-2'],
    },
    { CorrectQuarantine: { action: 'rds:RemoveTagsFromResource', resource: arn('db:live-rec-1') } },
  ),
  rdsCall(
    'match-settings',
    'RebootDBInstance',
    { DBInstanceIdentifier: 'live-rec-1' },
    {
      MatchInstance: { action: 'rds:RebootDBInstance', resource: arn('db:live-rec-1') },
    },
  ),
  rdsCall(
    'match-settings',
    'AddTagsToResource',
    {
      ResourceName: arn('db:live-rec-1'),
      Tags: [{ Key: 'migration-rollback:master-password-version', Value: 'v1' }],
    },
    { MarkProgress: { action: 'rds:AddTagsToResource', resource: arn('db:live-rec-1') } },
  ),
  rdsCall(
    'take-back',
    'AddTagsToResource',
    { ResourceName: arn('db:old'), Tags: marks('taken-back') },
    { MarkTakenBack: { action: 'rds:AddTagsToResource', resource: arn('db:old') } },
  ),
  ...(['give-back', 'clean-up'] as const).map((name) =>
    rdsCall(
      name,
      'AddTagsToResource',
      { ResourceName: arn('db:taken'), Tags: marks('retired') },
      { MarkRetiredAgain: { action: 'rds:AddTagsToResource', resource: arn('db:taken') } },
    ),
  ),
  secretCall('clean-up', 'WriteClaim', 'PutSecretValue', { SecretString: '{}', VersionStages: ['claim'] }),
  secretCall('clean-up', 'MoveClaim', 'UpdateSecretVersionStage', {
    VersionStage: 'migration-rollback-recovery',
  }),
  rdsCall(
    'retire',
    'AddTagsToResource',
    { ResourceName: arn('db:taken'), Tags: marks('live') },
    { MarkTakenBackLive: { action: 'rds:AddTagsToResource', resource: arn('db:taken') } },
  ),
  rdsCall(
    'retire',
    'RemoveTagsFromResource',
    { ResourceName: arn('db:taken'), TagKeys: ['migration-rollback:keep-until'] },
    { ForgetKeepUntil: { action: 'rds:RemoveTagsFromResource', resource: arn('db:taken') } },
  ),
  rdsCall(
    'match-settings',
    'ModifyDBInstance',
    { DBInstanceIdentifier: 'taken', MasterUserPassword: 'x' },
    { MatchTakenBack: { action: 'rds:ModifyDBInstance', resource: arn('db:taken') } },
  ),
  rdsCall(
    'finish-settings',
    'ModifyDBInstance',
    { DBInstanceIdentifier: 'taken', DeletionProtection: true },
    { FinishTakenBack: { action: 'rds:ModifyDBInstance', resource: arn('db:taken') } },
  ),
  ...(
    [
      ['match-settings', 'settings-asked-at'],
      ['finish-settings', 'rest-asked-at'],
    ] as const
  ).map(([name, mark]) =>
    rdsCall(
      name,
      'AddTagsToResource',
      { ResourceName: arn('db:taken'), Tags: [{ Key: `migration-rollback:${mark}`, Value: 'x' }] },
      { MarkTakenBackProgress: { action: 'rds:AddTagsToResource', resource: arn('db:taken') } },
    ),
  ),
  readSecret('swap', 'ReadMasterUser', 'master'),
  secretCall('take-back', 'ReadDatabaseUrl', 'GetSecretValue', {}),
  secretCall('take-back', 'WriteClaim', 'PutSecretValue', { SecretString: '{}', VersionStages: ['claim'] }),
  secretCall('take-back', 'MoveClaim', 'UpdateSecretVersionStage', {
    VersionStage: 'migration-rollback-recovery',
  }),
  secretCall('give-back', 'ReadDatabaseUrl', 'GetSecretValue', {}),
  describeInstances('take-back'),
  describeInstances('give-back'),
  {
    function: 'take-back',
    service: 'states',
    operation: 'DescribeExecution',
    input: () => ({ executionArn: EXECUTION }),
    needs: { SeeRecoveries: { action: 'states:DescribeExecution', resource: EXECUTION } },
  },
  secretCall('start-restore', 'ReadDatabaseUrl', 'GetSecretValue', {}),
  secretCall('start-restore', 'WriteClaim', 'PutSecretValue', {
    SecretString: '{}',
    VersionStages: ['claim'],
  }),
  secretCall('start-restore', 'MoveClaim', 'UpdateSecretVersionStage', {
    VersionStage: 'migration-rollback-recovery',
  }),
  secretCall('swap', 'MoveDatabaseUrl', 'GetSecretValue', {}),
  secretCall('swap', 'MoveDatabaseUrl', 'PutSecretValue', { SecretString: 'x', VersionStages: ['staged'] }),
  secretCall('swap', 'MoveDatabaseUrl', 'UpdateSecretVersionStage', { VersionStage: 'AWSCURRENT' }),
  secretCall('swap-back', 'MoveDatabaseUrlBack', 'GetSecretValue', {}),
  secretCall('swap-back', 'MoveDatabaseUrlBack', 'UpdateSecretVersionStage', { VersionStage: 'AWSCURRENT' }),
  rdsCall(
    'retire',
    'AddTagsToResource',
    { ResourceName: arn('db:live-rec-1'), Tags: marks('live') },
    { MarkLive: { action: 'rds:AddTagsToResource', resource: arn('db:live-rec-1') } },
  ),
  rdsCall(
    'retire',
    'AddTagsToResource',
    { ResourceName: arn('db:live'), Tags: marks('retired') },
    {
      MarkRetired: { action: 'rds:AddTagsToResource', resource: arn('db:live') },
    },
  ),
  rdsCall(
    'retire',
    'ModifyDBInstance',
    { DBInstanceIdentifier: 'old', DeletionProtection: false },
    {
      DeleteRetired: { action: 'rds:ModifyDBInstance', resource: arn('db:old') },
    },
  ),
  rdsCall(
    'retire',
    'DeleteDBInstance',
    { DBInstanceIdentifier: 'old', SkipFinalSnapshot: false, FinalDBSnapshotIdentifier: 'old-final-1' },
    {
      DeleteRetired: { action: 'rds:DeleteDBInstance', resource: arn('db:old') },
      TakeFinalSnapshot: { action: 'rds:CreateDBSnapshot', resource: arn('db:old') },
      NameFinalSnapshot: { action: 'rds:CreateDBSnapshot', resource: arn('snapshot:old-final-1') },
      MarkFinalSnapshot: { action: 'rds:AddTagsToResource', resource: arn('snapshot:old-final-1') },
    },
  ),
  ...(['discard', 'end-drill', 'clean-up'] as const).flatMap((name): Case[] => [
    rdsCall(
      name,
      'ModifyDBInstance',
      { DBInstanceIdentifier: 'live-rec-1', DeletionProtection: false },
      {
        DeleteRecoveryInstance: { action: 'rds:ModifyDBInstance', resource: arn('db:live-rec-1') },
      },
    ),
    rdsCall(
      name,
      'DeleteDBInstance',
      { DBInstanceIdentifier: 'live-rec-1', SkipFinalSnapshot: true },
      {
        DeleteRecoveryInstance: { action: 'rds:DeleteDBInstance', resource: arn('db:live-rec-1') },
      },
    ),
  ]),
  {
    function: 'reap-snapshots',
    service: 'states',
    operation: 'ListExecutions',
    input: () => ({ stateMachineArn: MACHINE }),
    needs: { ListRecoveries: { action: 'states:ListExecutions', resource: MACHINE } },
  },
  {
    function: 'reap-snapshots',
    service: 'states',
    operation: 'DescribeStateMachine',
    input: () => ({ stateMachineArn: MACHINE }),
    needs: { SeeMachine: { action: 'states:DescribeStateMachine', resource: MACHINE } },
  },
];

test('every statement of every function is taken away from some call below', () => {
  const taken = CASES.flatMap(({ function: name, needs }) =>
    Object.keys(needs).map((sid) => `${name} ${sid}`),
  );
  const granted = [...permissions].flatMap(([name, list]) => list.map(({ sid }) => `${name} ${sid}`));
  expect([...new Set(taken)].sort()).toEqual(granted.sort());
});

test.each(CASES)('$function may call $operation, and not without each statement it needs', async (call) => {
  await attempt(call);
  for (const [sid, { action, resource }] of Object.entries(call.needs)) {
    const on = typeof resource === 'function' ? resource() : resource;
    const refused = await attempt(call, sid).catch((error: unknown) => error);
    if (!(refused instanceof ApiError)) throw new Error(`${call.operation} is not refused without ${sid}.`);
    expect(refused.message).toBe(
      `User: arn:aws:sts::123456789012:assumed-role/${call.function}${sid}/production-${call.function} is not authorized ` +
        `to perform: ${action} on resource: ${on} because no identity-based policy allows the ${action} action`,
    );
    expect(refused.code).toBe(
      ['rds', 'sqs', 'monitoring'].includes(call.service) ? 'AccessDenied' : 'AccessDeniedException',
    );
  }
});

/** What must never be allowed, however a function is led astray. */
const NEVER: readonly (readonly [FunctionName, string, object])[] = [
  ['discard', 'DeleteDBInstance', { DBInstanceIdentifier: 'live', SkipFinalSnapshot: true }],
  ['discard', 'DeleteDBInstance', { DBInstanceIdentifier: 'old', SkipFinalSnapshot: true }],
  ['discard', 'DeleteDBInstance', { DBInstanceIdentifier: 'taken', SkipFinalSnapshot: true }],
  ['retire', 'DeleteDBInstance', { DBInstanceIdentifier: 'taken', FinalDBSnapshotIdentifier: 'x-final-1' }],
  ['take-back', 'AddTagsToResource', { ResourceName: arn('db:old'), Tags: marks('live') }],
  ['give-back', 'AddTagsToResource', { ResourceName: arn('db:live'), Tags: marks('retired') }],
  ['clean-up', 'DeleteDBInstance', { DBInstanceIdentifier: 'live', SkipFinalSnapshot: true }],
  ['clean-up', 'DeleteDBInstance', { DBInstanceIdentifier: 'old', SkipFinalSnapshot: true }],
  ['clean-up', 'DeleteDBInstance', { DBInstanceIdentifier: 'taken', SkipFinalSnapshot: true }],
  ['clean-up', 'AddTagsToResource', { ResourceName: arn('db:live'), Tags: marks('retired') }],
  ['rename', 'ModifyDBInstance', { DBInstanceIdentifier: 'live', NewDBInstanceIdentifier: 'x' }],
  ['rename', 'ModifyDBInstance', { DBInstanceIdentifier: 'old', NewDBInstanceIdentifier: 'x' }],
  ['rename', 'ModifyDBInstance', { DBInstanceIdentifier: 'live-rec-1', NewDBInstanceIdentifier: 'x' }],
  ['rename', 'AddTagsToResource', { ResourceName: arn('db:live-rec-0'), Tags: marks('retired') }],
  [
    'finish-rename',
    'RemoveTagsFromResource',
    { ResourceName: arn('db:live-rec-0'), TagKeys: ['migration-rollback:role'] },
  ],
  ['end-drill', 'DeleteDBInstance', { DBInstanceIdentifier: 'live', SkipFinalSnapshot: true }],
  ['retire', 'DeleteDBInstance', { DBInstanceIdentifier: 'live', FinalDBSnapshotIdentifier: 'live-final-1' }],
  ['retire', 'ModifyDBInstance', { DBInstanceIdentifier: 'live', DeletionProtection: false }],
  [
    'retire',
    'RemoveTagsFromResource',
    { ResourceName: arn('db:live-rec-0'), TagKeys: ['migration-rollback:recovery-id'] },
  ],
  ['retire', 'AddTagsToResource', { ResourceName: arn('db:live'), Tags: marks('recovery-instance') }],
  ['retire', 'AddTagsToResource', { ResourceName: arn('db:old'), Tags: marks('live') }],
  ['match-settings', 'ModifyDBInstance', { DBInstanceIdentifier: 'live', MasterUserPassword: 'x' }],
  ['finish-settings', 'ModifyDBInstance', { DBInstanceIdentifier: 'live', DeletionProtection: false }],
  ['match-settings', 'AddTagsToResource', { ResourceName: arn('db:live-rec-1'), Tags: marks('retired') }],
  [
    'start-restore',
    'RestoreDBInstanceToPointInTime',
    { SourceDBInstanceIdentifier: 'live', TargetDBInstanceIdentifier: 'live-rec-2', ...groups },
  ],
  [
    'start-restore',
    'RestoreDBInstanceFromDBSnapshot',
    { DBInstanceIdentifier: 'other', DBSnapshotIdentifier: 's', Tags: marks('recovery-instance'), ...groups },
  ],
  [
    'pre-migration-snapshot',
    'AddTagsToResource',
    { ResourceName: arn('db:live'), Tags: marks('pre-migration') },
  ],
  [
    'pre-migration-snapshot',
    'AddTagsToResource',
    { ResourceName: arn('db:live'), Tags: [{ Key: 'migration-rollback:lifted-0123456789', Value: 'x' }] },
  ],
  ['lift-quarantine', 'AddTagsToResource', { ResourceName: arn('db:live'), Tags: marks('live') }],
  [
    'pre-migration-snapshot',
    'CreateDBSnapshot',
    { DBInstanceIdentifier: 'live', DBSnapshotIdentifier: 'live-pre-migration-1' },
  ],
  [
    'bring-back-copy',
    'CopyDBSnapshot',
    {
      SourceDBSnapshotIdentifier: arn('snapshot:gone', THERE),
      TargetDBSnapshotIdentifier: 'gone',
      Tags: marks('safety'),
    },
  ],
  ['bring-back-copy', 'DeleteDBSnapshot', { DBSnapshotIdentifier: 'expired' }],
  ['copy-snapshots', 'DeleteDBSnapshot', { DBSnapshotIdentifier: 'expired' }],
  ...['without-expiry', 'on-hold', 'by-hand'].map(
    (id) => ['reap-snapshots', 'DeleteDBSnapshot', { DBSnapshotIdentifier: id }] as const,
  ),
];

test.each(NEVER)('%s may not call %s with %j', async (name, operation, input) => {
  await expect(
    attempt({ function: name, service: 'rds', operation, input: () => input }),
  ).rejects.toMatchObject({
    code: 'AccessDenied',
  });
});

test('start-restore, which moves the claim, may not move what is current', async () => {
  await expect(
    attempt({
      function: 'start-restore',
      service: 'secretsmanager',
      operation: 'UpdateSecretVersionStage',
      input: () => ({ SecretId: secretArns.databaseUrl, VersionStage: 'AWSCURRENT' }),
    }),
  ).rejects.toMatchObject({ code: 'AccessDeniedException' });
});
