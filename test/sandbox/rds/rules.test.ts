import {
  AddTagsToResourceCommand,
  CopyDBSnapshotCommand,
  CreateDBInstanceCommand,
  CreateDBParameterGroupCommand,
  CreateDBSnapshotCommand,
  CreateDBSubnetGroupCommand,
  DeleteDBInstanceCommand,
  DeleteDBSnapshotCommand,
  DescribeAccountAttributesCommand,
  DescribeDBInstancesCommand,
  DescribeDBSnapshotsCommand,
  DescribeEventsCommand,
  ListTagsForResourceCommand,
  ModifyDBInstanceCommand,
  ModifyDBParameterGroupCommand,
  RebootDBInstanceCommand,
  RemoveTagsFromResourceCommand,
  RestoreDBInstanceFromDBSnapshotCommand,
  RestoreDBInstanceToPointInTimeCommand,
  StartDBInstanceCommand,
  StopDBInstanceCommand,
  paginateDescribeDBParameters,
  paginateDescribeDBSnapshots,
  type ApplyMethod,
  type DBSnapshot,
  type Parameter,
} from '@aws-sdk/client-rds';
import { RdsSandbox } from './rds-sandbox';
import { until } from '../../until';

/** What RDS does with settings, and what it refuses, one instance and one snapshot for all. */

let rds: RdsSandbox;
beforeAll(async () => {
  rds = await RdsSandbox.start('quick');
  const { client } = rds;
  await client.send(
    new CreateDBParameterGroupCommand({
      DBParameterGroupName: 'App-17',
      DBParameterGroupFamily: 'postgres17',
      Description: 'of the app',
    }),
  );
  await client.send(
    new ModifyDBParameterGroupCommand({
      DBParameterGroupName: 'app-17',
      Parameters: [
        { ParameterName: 'rds.logical_replication', ParameterValue: '1', ApplyMethod: 'pending-reboot' },
        { ParameterName: 'max_slot_wal_keep_size', ParameterValue: '4096', ApplyMethod: 'immediate' },
      ],
    }),
  );
  await client.send(
    new CreateDBSubnetGroupCommand({
      DBSubnetGroupName: 'isolated',
      DBSubnetGroupDescription: 'isolated subnets',
      SubnetIds: ['subnet-1', 'subnet-2'],
    }),
  );
  await rds.create('Live', {
    BackupRetentionPeriod: 7,
    DeletionProtection: true,
    MultiAZ: true,
    DBParameterGroupName: 'app-17',
    DBSubnetGroupName: 'isolated',
    VpcSecurityGroupIds: ['sg-app'],
    CopyTagsToSnapshot: true,
    MonitoringInterval: 60,
    MonitoringRoleArn: 'arn:aws:iam::123456789012:role/monitoring',
    EnableCloudwatchLogsExports: ['postgresql'],
    EnableIAMDatabaseAuthentication: true,
    EnablePerformanceInsights: true,
    MaxAllocatedStorage: 100,
    StorageEncrypted: true,
    KmsKeyId: 'arn:aws:kms:eu-central-1:123456789012:key/mine',
    Port: 5433,
    Tags: [{ Key: 'app', Value: 'tracker' }],
  });
  await client.send(
    new CreateDBSnapshotCommand({
      DBInstanceIdentifier: 'live',
      DBSnapshotIdentifier: 'Base',
      Tags: [{ Key: 'role', Value: 'pre-migration' }],
    }),
  );
  await rds.snapshotAvailable('base');
});
afterAll(() => rds.stop());

describe('a new instance', () => {
  it('has what was asked for, and its server the parameters of its group', async () => {
    expect(await rds.instance('live')).toMatchObject({
      DBInstanceIdentifier: 'live',
      DBInstanceStatus: 'available',
      MultiAZ: true,
      DeletionProtection: true,
      Endpoint: { Port: 5433 },
      VpcSecurityGroups: [{ VpcSecurityGroupId: 'sg-app', Status: 'active' }],
      DBParameterGroups: [{ DBParameterGroupName: 'app-17', ParameterApplyStatus: 'in-sync' }],
      DBSubnetGroup: { DBSubnetGroupName: 'isolated' },
      EnabledCloudwatchLogsExports: ['postgresql'],
      MonitoringInterval: 60,
      TagList: [{ Key: 'app', Value: 'tracker' }],
    });
    expect(await rds.query('live', 'show wal_level')).toEqual([{ wal_level: 'logical' }]);
    expect(await rds.query('live', 'show max_slot_wal_keep_size')).toEqual([
      { max_slot_wal_keep_size: '4GB' },
    ]);
  });

  it('has a snapshot that carries tags of both, encryption and times', async () => {
    const snapshot = await rds.snapshot('base');
    expect(snapshot).toMatchObject({
      DBSnapshotIdentifier: 'base',
      DBInstanceIdentifier: 'live',
      SnapshotType: 'manual',
      PercentProgress: 100,
      Encrypted: true,
      KmsKeyId: 'arn:aws:kms:eu-central-1:123456789012:key/mine',
      TagList: [
        { Key: 'app', Value: 'tracker' },
        { Key: 'role', Value: 'pre-migration' },
      ],
    });
    expect(snapshot.SnapshotDatabaseTime).toEqual(snapshot.SnapshotCreateTime);
  });
});

describe('a restore that asks for nothing', () => {
  it('gets the defaults of RDS, and of the source only what a backup carries', async () => {
    await rds.client.send(
      new RestoreDBInstanceFromDBSnapshotCommand({
        DBInstanceIdentifier: 'bare',
        DBSnapshotIdentifier: 'base',
      }),
    );
    const bare = await rds.available('bare');
    expect(bare).toMatchObject({
      MultiAZ: false,
      DeletionProtection: false,
      CopyTagsToSnapshot: false,
      IAMDatabaseAuthenticationEnabled: false,
      MonitoringInterval: 0,
      PerformanceInsightsEnabled: false,
      DBParameterGroups: [{ DBParameterGroupName: 'default.postgres17' }],
      DBSubnetGroup: { DBSubnetGroupName: 'default' },
      VpcSecurityGroups: [{ VpcSecurityGroupId: 'sg-00000000' }],
      BackupRetentionPeriod: 7,
      StorageEncrypted: true,
      KmsKeyId: 'arn:aws:kms:eu-central-1:123456789012:key/mine',
      Endpoint: { Port: 5433 },
      TagList: [
        { Key: 'app', Value: 'tracker' },
        { Key: 'role', Value: 'pre-migration' },
      ],
    });
    expect(bare.MaxAllocatedStorage).toBeUndefined();
    expect(bare.EnabledCloudwatchLogsExports).toBeUndefined();
    expect(await rds.query('bare', 'show wal_level')).toEqual([{ wal_level: 'replica' }]);
    await remove('bare');
  });

  it('gets only the tags that were given, if any were', async () => {
    await rds.client.send(
      new RestoreDBInstanceFromDBSnapshotCommand({
        DBInstanceIdentifier: 'tagged',
        DBSnapshotIdentifier: 'base',
        BackupRetentionPeriod: 0,
        Tags: [{ Key: 'role', Value: 'recovery' }],
      }),
    );
    expect((await rds.available('tagged')).TagList).toEqual([{ Key: 'role', Value: 'recovery' }]);
    await remove('tagged');
  });
});

describe('refused', () => {
  const live = { DBInstanceIdentifier: 'live' };
  const pointInTime = { SourceDBInstanceIdentifier: 'live', TargetDBInstanceIdentifier: 'other' };
  const fromBase = { DBSnapshotIdentifier: 'base', DBInstanceIdentifier: 'other' };
  const valid = {
    Engine: 'postgres',
    DBInstanceClass: 'db.t4g.micro',
    AllocatedStorage: 20,
    MasterUsername: 'master',
    MasterUserPassword: 'first-Password1',
  };
  it.each([
    [
      'delete without a word on the final snapshot',
      () => rds.client.send(new DeleteDBInstanceCommand(live)),
      'InvalidParameterCombination',
      /FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified/,
    ],
    [
      'delete with both words on the final snapshot',
      () =>
        rds.client.send(
          new DeleteDBInstanceCommand({ ...live, SkipFinalSnapshot: true, FinalDBSnapshotIdentifier: 'x' }),
        ),
      'InvalidParameterCombination',
      /FinalDBSnapshotIdentifier/,
    ],
    [
      'delete of a protected instance',
      () => rds.client.send(new DeleteDBInstanceCommand({ ...live, SkipFinalSnapshot: true })),
      'InvalidParameterCombination',
      /Cannot delete protected DB Instance/,
    ],
    [
      'a fraction where a whole number is asked for',
      () => rds.client.send(new ModifyDBInstanceCommand({ ...live, BackupRetentionPeriod: 1.5 })),
      'MalformedInput',
      /BackupRetentionPeriod must be a whole number/,
    ],
    [
      'an instance that is not there',
      () => rds.client.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: 'nobody' })),
      'DBInstanceNotFoundFault',
      /DBInstance nobody not found/,
    ],
    [
      'a snapshot that is not there',
      () => rds.client.send(new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: 'nothing' })),
      'DBSnapshotNotFoundFault',
      /nothing/,
    ],
    [
      'a second instance of the name',
      () => rds.client.send(new CreateDBInstanceCommand({ ...valid, DBInstanceIdentifier: 'LIVE' })),
      'DBInstanceAlreadyExistsFault',
      /already exists/,
    ],
    [
      'a second snapshot of the name',
      () => rds.client.send(new CreateDBSnapshotCommand({ ...live, DBSnapshotIdentifier: 'BASE' })),
      'DBSnapshotAlreadyExistsFault',
      /snapshot with the identifier base already exists/,
    ],
    [
      'a snapshot name with two hyphens',
      () => rds.client.send(new CreateDBSnapshotCommand({ ...live, DBSnapshotIdentifier: 'a--b' })),
      'InvalidParameterValue',
      /The parameter DBSnapshotIdentifier is not a valid identifier/,
    ],
    [
      'a name that begins with a digit',
      () => rds.client.send(new CreateDBInstanceCommand({ ...valid, DBInstanceIdentifier: '1st' })),
      'InvalidParameterValue',
      /must begin with a letter/,
    ],
    [
      'a name of 64 letters',
      () => rds.client.send(new CreateDBInstanceCommand({ ...valid, DBInstanceIdentifier: 'a'.repeat(64) })),
      'InvalidParameterValue',
      /longer than 63 characters/,
    ],
    [
      'a password with a slash',
      () =>
        rds.client.send(new ModifyDBInstanceCommand({ ...live, MasterUserPassword: 'with/slash-and-more' })),
      'InvalidParameterValue',
      /Only printable ASCII characters besides/,
    ],
    [
      'a time and the latest time',
      () =>
        rds.client.send(
          new RestoreDBInstanceToPointInTimeCommand({
            ...pointInTime,
            RestoreTime: rds.clock.now(),
            UseLatestRestorableTime: true,
          }),
        ),
      'InvalidParameterCombination',
      /UseLatestRestorableTime/,
    ],
    [
      'no time',
      () => rds.client.send(new RestoreDBInstanceToPointInTimeCommand(pointInTime)),
      'InvalidParameterCombination',
      /RestoreTime/,
    ],
    [
      'a time to come',
      () =>
        rds.client.send(
          new RestoreDBInstanceToPointInTimeCommand({
            ...pointInTime,
            RestoreTime: new Date(rds.clock.now().getTime() + 60_000),
          }),
        ),
      'InvalidParameterValue',
      /cannot be restored to a time later than/,
    ],
    [
      'a time before the first backup',
      () =>
        rds.client.send(
          new RestoreDBInstanceToPointInTimeCommand({
            ...pointInTime,
            RestoreTime: new Date(rds.clock.now().getTime() - 3_600_000),
          }),
        ),
      'InvalidParameterValue',
      /cannot be restored to a time earlier than/,
    ],
    [
      'a parameter group that is not there',
      () =>
        rds.client.send(
          new RestoreDBInstanceFromDBSnapshotCommand({ ...fromBase, DBParameterGroupName: 'none' }),
        ),
      'DBParameterGroupNotFoundFault',
      /none/,
    ],
    [
      'less storage than the backup has',
      () => rds.client.send(new ModifyDBInstanceCommand({ ...live, AllocatedStorage: 19 })),
      'InvalidParameterValue',
      /Invalid storage size/,
    ],
    [
      'a tag of AWS',
      () =>
        rds.client.send(
          new AddTagsToResourceCommand({
            ResourceName: 'arn:aws:rds:eu-central-1:123456789012:db:live',
            Tags: [{ Key: 'aws:mine', Value: 'x' }],
          }),
        ),
      'InvalidParameterValue',
      /reserved/,
    ],
    [
      'a static parameter at once',
      () =>
        rds.client.send(
          new ModifyDBParameterGroupCommand({
            DBParameterGroupName: 'app-17',
            Parameters: [
              { ParameterName: 'max_connections', ParameterValue: '50', ApplyMethod: 'immediate' },
            ],
          }),
        ),
      'InvalidParameterCombination',
      /static parameter/,
    ],
    [
      'a member that the sandbox does not have',
      () =>
        rds.client.send(
          new RestoreDBInstanceFromDBSnapshotCommand({ ...fromBase, CustomIamInstanceProfile: 'x' }),
        ),
      'NotImplementedInSandbox',
      /RDS RestoreDBInstanceFromDBSnapshot member CustomIamInstanceProfile/,
    ],
  ])('%s', async (_what, call, name, message) => {
    expect(await rds.refusal(call())).toEqual({ name, message: expect.stringMatching(message) as unknown });
    expect(await names()).toEqual(['live']);
  });
});

describe('modifying', () => {
  it('keeps what is deferred as pending until it is applied at once', async () => {
    const modify = (ApplyImmediately: boolean): Promise<unknown> =>
      rds.client.send(
        new ModifyDBInstanceCommand({
          DBInstanceIdentifier: 'live',
          DBInstanceClass: 'db.t4g.large',
          ApplyImmediately,
        }),
      );
    await modify(false);
    expect(await rds.instance('live')).toMatchObject({
      DBInstanceClass: 'db.t4g.micro',
      PendingModifiedValues: { DBInstanceClass: 'db.t4g.large' },
    });
    await modify(true);
    expect(await rds.available('live')).toMatchObject({ DBInstanceClass: 'db.t4g.large' });
  });

  it('shows a new password as pending and hidden', async () => {
    const { DBInstance } = await rds.client.send(
      new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'live', MasterUserPassword: 'second-Password2' }),
    );
    expect(DBInstance?.PendingModifiedValues).toEqual({ MasterUserPassword: '****' });
    await rds.available('live');
    expect(await rds.query('live', 'select 1 as one', 'second-Password2')).toEqual([{ one: 1 }]);
    await rds.client.send(
      new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'live', MasterUserPassword: 'first-Password1' }),
    );
    await rds.available('live');
  });

  it('applies a dynamic parameter of the group at once and a static one at the reboot', async () => {
    const set = (ParameterName: string, ParameterValue: string, isStatic: boolean): Promise<unknown> =>
      rds.client.send(
        new ModifyDBParameterGroupCommand({
          DBParameterGroupName: 'app-17',
          Parameters: [
            { ParameterName, ParameterValue, ApplyMethod: isStatic ? 'pending-reboot' : 'immediate' },
          ],
        }),
      );
    await set('statement_timeout', '60000', false);
    await rds.available('live');
    expect(await rds.query('live', 'show statement_timeout')).toEqual([{ statement_timeout: '1min' }]);

    await set('max_locks_per_transaction', '128', true);
    const waiting = await rds.available('live');
    expect(waiting.DBParameterGroups).toMatchObject([{ ParameterApplyStatus: 'pending-reboot' }]);
    await rds.client.send(new RebootDBInstanceCommand({ DBInstanceIdentifier: 'live' }));
    const rebooted = await rds.available('live');
    expect(rebooted.DBParameterGroups).toMatchObject([{ ParameterApplyStatus: 'in-sync' }]);
    expect(await rds.query('live', 'show max_locks_per_transaction')).toEqual([
      { max_locks_per_transaction: '128' },
    ]);
    // Archiving went on through both.
    expect(await rds.query('live', 'show archive_mode')).toEqual([{ archive_mode: 'on' }]);
  });

  it('renames: the old name and the old address are gone, rows and automated backups go along', async () => {
    await rds.query('live', 'create table kept as select 1 as id');
    const before = await rds.instance('live');
    await rename('live', 'renamed');
    const after = await rds.available('renamed');
    expect(after.DbiResourceId).toBe(before.DbiResourceId);
    expect(after.Endpoint?.Address).not.toBe(before.Endpoint?.Address);
    expect(after.LatestRestorableTime).toBeDefined();
    expect(await rds.query('renamed', 'select id from kept')).toEqual([{ id: 1 }]);
    await rds.gone('live');
    await rename('renamed', 'live');
    await rds.available('live');
  });

  it('stops and starts with its rows', async () => {
    await rds.create('small', { BackupRetentionPeriod: 0 });
    await rds.query('small', 'create table kept as select 1 as id');
    await rds.client.send(new StopDBInstanceCommand({ DBInstanceIdentifier: 'small' }));
    await until(
      () => rds.instance('small'),
      ({ DBInstanceStatus }) => DBInstanceStatus === 'stopped',
    );
    expect(rds.service.server('small')).toBeUndefined();
    await rds.client.send(new StartDBInstanceCommand({ DBInstanceIdentifier: 'small' }));
    await rds.available('small');
    expect(await rds.query('small', 'select id from kept')).toEqual([{ id: 1 }]);

    expect(
      await rds.refusal(
        rds.client.send(
          new RestoreDBInstanceToPointInTimeCommand({
            SourceDBInstanceIdentifier: 'small',
            TargetDBInstanceIdentifier: 'other',
            UseLatestRestorableTime: true,
          }),
        ),
      ),
    ).toMatchObject({ name: 'PointInTimeRestoreNotEnabledFault' });

    // Retention 0 → N: from now on there is a window.
    await rds.client.send(
      new ModifyDBInstanceCommand({
        DBInstanceIdentifier: 'small',
        BackupRetentionPeriod: 1,
        ApplyImmediately: true,
      }),
    );
    await rds.available('small');
    await rds.query('small', 'insert into kept values (2)');
    await rds.client.send(
      new RestoreDBInstanceToPointInTimeCommand({
        SourceDBInstanceIdentifier: 'small',
        TargetDBInstanceIdentifier: 'other',
        UseLatestRestorableTime: true,
        BackupRetentionPeriod: 0,
      }),
    );
    await rds.available('other');
    expect(await rds.query('other', 'select id from kept order by id')).toEqual([{ id: 1 }, { id: 2 }]);
    await remove('small');
    await remove('other');
  });
});

describe('parameters', () => {
  const modify = (
    ParameterName: string,
    ParameterValue: string,
    ApplyMethod: ApplyMethod,
  ): Promise<unknown> =>
    rds.client.send(
      new ModifyDBParameterGroupCommand({
        DBParameterGroupName: 'app-17',
        Parameters: [{ ParameterName, ParameterValue, ApplyMethod }],
      }),
    );

  it('are those of PostgreSQL and of RDS, in pages, with what each of them takes', async () => {
    const seen = new Map<string, Parameter>();
    for await (const page of paginateDescribeDBParameters(
      { client: rds.client, pageSize: 100 },
      { DBParameterGroupName: 'app-17' },
    )) {
      expect(page.Parameters?.length).toBeLessThanOrEqual(100);
      for (const parameter of page.Parameters ?? []) seen.set(parameter.ParameterName ?? '', parameter);
    }
    const settable = await rds.query(
      'live',
      `select name from pg_settings
       where context <> 'internal' and source <> 'override' and not 'NOT_IN_SAMPLE' = any(pg_settings_get_flags(name))
         and name not like '%.%'`,
    );
    expect(settable.length).toBeGreaterThan(250);
    expect(settable.map(({ name }) => name).filter((name) => !seen.has(String(name)))).toEqual([]);
    expect(seen.get('max_slot_wal_keep_size')).toMatchObject({ ParameterValue: '4096', Source: 'user' });
    expect(seen.get('autovacuum')).toMatchObject({
      Source: 'engine-default',
      ApplyType: 'dynamic',
      DataType: 'boolean',
      AllowedValues: '0,1',
      IsModifiable: true,
    });
    expect(seen.get('max_connections')).toMatchObject({
      ApplyType: 'static',
      AllowedValues: '1-262143',
      Source: 'system',
    });
    expect(seen.get('data_directory')?.IsModifiable).toBe(false);
    expect(seen.get('rds.force_ssl')).toMatchObject({ ParameterValue: '1', Source: 'system' });
  });

  it('can be formulas of the instance class', async () => {
    await modify('max_connections', 'LEAST({DBInstanceClassMemory/134217728},5000)', 'pending-reboot');
    await rds.client.send(new RebootDBInstanceCommand({ DBInstanceIdentifier: 'live' }));
    await rds.available('live');
    expect(await rds.query('live', 'show max_connections')).toEqual([{ max_connections: '64' }]);
  });

  it.each([
    ['autovacuum', 'on', 'InvalidParameterValue', /allowed values are: 0,1/],
    ['max_connections', '0', 'InvalidParameterValue', /Invalid parameter value: 0 for: max_connections/],
    ['work_mem', '8MB', 'InvalidParameterValue', /work_mem/],
    ['no_such', '1', 'InvalidParameterValue', /Could not find parameter with name: no_such/],
    ['fsync', '0', 'InvalidParameterValue', /fsync cannot be modified/],
    ['log_destination', 'csvlog', 'NotImplementedInSandbox', /log_destination/],
    ['rds.adaptive_autovacuum', '0', 'NotImplementedInSandbox', /rds\.adaptive_autovacuum/],
    ['shared_preload_libraries', 'pg_stat_statements,pgaudit', 'NotImplementedInSandbox', /pgaudit/],
  ])('are refused when %s is to be %s', async (name, value, error, message) => {
    expect(await rds.refusal(modify(name, value, 'pending-reboot'))).toEqual({
      name: error,
      message: expect.stringMatching(message) as unknown,
    });
  });
});

describe('tags', () => {
  it('are added, replaced and removed', async () => {
    const { DBSnapshotArn: ResourceName } = await rds.snapshot('base');
    await rds.client.send(
      new AddTagsToResourceCommand({
        ResourceName,
        Tags: [
          { Key: 'role', Value: 'safety' },
          { Key: 'expiry', Value: '2027-01-01' },
        ],
      }),
    );
    await rds.client.send(new RemoveTagsFromResourceCommand({ ResourceName, TagKeys: ['app'] }));
    const { TagList } = await rds.client.send(new ListTagsForResourceCommand({ ResourceName }));
    expect(TagList).toEqual([
      { Key: 'role', Value: 'safety' },
      { Key: 'expiry', Value: '2027-01-01' },
    ]);
  });
});

describe('with as many manual snapshots as the quota allows', () => {
  beforeAll(async () => {
    for (let copy = 2; copy <= 100; copy++) {
      await rds.client.send(
        new CopyDBSnapshotCommand({
          SourceDBSnapshotIdentifier: 'base',
          TargetDBSnapshotIdentifier: `copy-${copy}`,
        }),
      );
    }
    await rds.snapshotAvailable('copy-100');
  });

  it('refuses one more, also a final one, and says so among the quotas', async () => {
    const name = 'SnapshotQuotaExceededFault';
    const one = { DBInstanceIdentifier: 'live', DBSnapshotIdentifier: 'more' };
    expect(await rds.refusal(rds.client.send(new CreateDBSnapshotCommand(one)))).toMatchObject({ name });
    await unprotect();
    const final = { DBInstanceIdentifier: 'live', FinalDBSnapshotIdentifier: 'more' };
    expect(await rds.refusal(rds.client.send(new DeleteDBInstanceCommand(final)))).toMatchObject({ name });
    expect((await rds.instance('live')).DBInstanceStatus).toBe('available');
    const { AccountQuotas } = await rds.client.send(new DescribeAccountAttributesCommand({}));
    expect(AccountQuotas).toContainEqual({ AccountQuotaName: 'ManualSnapshots', Used: 100, Max: 100 });
  });

  it('answers in pages', async () => {
    const seen: DBSnapshot[] = [];
    let pages = 0;
    const paging = { client: rds.client, pageSize: 30 };
    for await (const page of paginateDescribeDBSnapshots(paging, { SnapshotType: 'manual' })) {
      pages++;
      seen.push(...(page.DBSnapshots ?? []));
    }
    expect(pages).toBe(4);
    expect(new Set(seen.map((snapshot) => snapshot.DBSnapshotIdentifier)).size).toBe(100);
  });

  it('restores a copy after its original is gone', async () => {
    await rds.client.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: 'base' }));
    await until(
      () => rds.refusal(rds.snapshot('base')).catch(() => ({ name: '' })),
      ({ name }) => name === 'DBSnapshotNotFoundFault',
    );
    await rds.client.send(
      new RestoreDBInstanceFromDBSnapshotCommand({
        DBInstanceIdentifier: 'of-copy',
        DBSnapshotIdentifier: 'copy-100',
        BackupRetentionPeriod: 0,
      }),
    );
    await rds.available('of-copy');
    expect(await rds.query('of-copy', 'select current_database() as name')).toEqual([{ name: 'app' }]);
    await remove('of-copy');
  });
});

it('tells of what happened as events', async () => {
  const { Events } = await rds.client.send(
    new DescribeEventsCommand({ SourceIdentifier: 'base', SourceType: 'db-snapshot' }),
  );
  expect(Events?.map(({ Message }) => Message)).toEqual([
    'Creating manual snapshot',
    'Manual snapshot created',
    'Deleted manual snapshot',
  ]);
});

async function names(): Promise<(string | undefined)[]> {
  const { DBInstances } = await rds.client.send(new DescribeDBInstancesCommand({}));
  return (DBInstances ?? []).map(({ DBInstanceIdentifier }) => DBInstanceIdentifier);
}

async function rename(from: string, to: string): Promise<void> {
  await rds.client.send(
    new ModifyDBInstanceCommand({
      DBInstanceIdentifier: from,
      NewDBInstanceIdentifier: to,
      ApplyImmediately: true,
    }),
  );
  await rds.gone(from);
}

async function unprotect(): Promise<void> {
  await rds.client.send(
    new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'live', DeletionProtection: false }),
  );
  await rds.available('live');
}

async function remove(id: string): Promise<void> {
  await rds.client.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: id, SkipFinalSnapshot: true }));
  await rds.gone(id);
}
