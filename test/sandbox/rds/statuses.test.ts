import {
  CreateDBInstanceCommand,
  CreateDBSnapshotCommand,
  DeleteDBInstanceCommand,
  ModifyDBInstanceCommand,
  RestoreDBInstanceFromDBSnapshotCommand,
  RestoreDBInstanceToPointInTimeCommand,
} from '@aws-sdk/client-rds';
import { MASTER_PASSWORD, RdsSandbox } from './rds-sandbox';

/** The statuses, their order and how long they last, with durations as on AWS and a clock that jumps over them. */

let rds: RdsSandbox;
beforeAll(async () => {
  rds = await RdsSandbox.start('aws');
});
afterAll(() => rds.stop());

it('creating → backing-up → available → modifying → resetting → available → deleting → gone', async () => {
  await rds.client.send(
    new CreateDBInstanceCommand({
      DBInstanceIdentifier: 'live',
      Engine: 'postgres',
      DBInstanceClass: 'db.t4g.micro',
      AllocatedStorage: 20,
      MasterUsername: 'master',
      MasterUserPassword: MASTER_PASSWORD,
      DBName: 'app',
      BackupRetentionPeriod: 1,
    }),
  );
  expect((await rds.instance('live')).Endpoint).toBeUndefined();
  const created = await rds.statuses('live', 'available');
  expect([...created.keys()]).toEqual(['creating', 'backing-up', 'available']);

  // When: it is snapshot, it is held meanwhile.
  await rds.client.send(
    new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'live', DBSnapshotIdentifier: 'snap' }),
  );
  const held = rds.client.send(
    new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'live', DBSnapshotIdentifier: 'second' }),
  );
  expect(await rds.refusal(held)).toEqual({
    name: 'InvalidDBInstanceStateFault',
    message:
      'Cannot create a snapshot because the database instance live is not currently in the available state.',
  });
  const snapshotting = await rds.statuses('live', 'available');
  expect([...snapshotting.keys()]).toEqual(['backing-up', 'available']);
  expect(snapshotting.get('backing-up')).toBeGreaterThan(1);

  // Then: a modification is not seen at once, and each part of it has its own status.
  const { DBInstance: answered } = await rds.client.send(
    new ModifyDBInstanceCommand({
      DBInstanceIdentifier: 'live',
      AllocatedStorage: 40,
      MasterUserPassword: 'second-Password2',
      ApplyImmediately: true,
    }),
  );
  expect(answered).toMatchObject({
    DBInstanceStatus: 'available',
    AllocatedStorage: 20,
    PendingModifiedValues: { AllocatedStorage: 40, MasterUserPassword: '****' },
  });
  const modified = await rds.statuses('live', 'available');
  expect([...modified.keys()].filter((status) => status !== 'available')).toEqual([
    'modifying',
    'resetting-master-credentials',
    'storage-optimization',
  ]);
  expect(await rds.instance('live')).toMatchObject({ AllocatedStorage: 40, PendingModifiedValues: {} });

  // And: some settings have a status of their own.
  await rds.client.send(
    new ModifyDBInstanceCommand({
      DBInstanceIdentifier: 'live',
      MonitoringInterval: 60,
      MonitoringRoleArn: 'arn:aws:iam::123456789012:role/monitoring',
    }),
  );
  const monitored = await rds.statuses('live', 'available');
  expect([...monitored.keys()]).toContain('configuring-enhanced-monitoring');
  expect((await rds.instance('live')).MonitoringInterval).toBe(60);

  await rds.client.send(
    new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'live', SkipFinalSnapshot: true }),
  );
  expect((await rds.instance('live')).DBInstanceStatus).toBe('deleting');
  await rds.gone('live');
});

it('a restored instance answers while it is backing-up, and its blocks are still being loaded', async () => {
  await rds.client.send(
    new RestoreDBInstanceFromDBSnapshotCommand({
      DBInstanceIdentifier: 'restored',
      DBSnapshotIdentifier: 'snap',
    }),
  );
  const restored = await rds.statuses('restored', 'available');
  expect([...restored.keys()]).toEqual(['creating', 'backing-up', 'available']);
  expect(restored.get('creating')).toBeGreaterThan(9);
  expect(restored.get('backing-up')).toBeGreaterThan(14);
  expect(await rds.query('restored', 'select 1 as one')).toEqual([{ one: 1 }]);

  const now = rds.clock.now().getTime();
  const { LatestRestorableTime } = await rds.instance('restored');
  const behind = now - (LatestRestorableTime?.getTime() ?? 0);
  expect(behind).toBeLessThanOrEqual(5 * 60_000);
});

it('a restore to a time just written waits until LatestRestorableTime has passed it', async () => {
  await rds.query('restored', `create table written as select 1 as id`);
  const time = rds.clock.now();
  const restore = (): Promise<unknown> =>
    rds.client.send(
      new RestoreDBInstanceToPointInTimeCommand({
        SourceDBInstanceIdentifier: 'restored',
        TargetDBInstanceIdentifier: 'copy',
        RestoreTime: time,
        BackupRetentionPeriod: 0,
      }),
    );
  expect(await rds.refusal(restore())).toMatchObject({ name: 'InvalidParameterValue' });
  await rds.clock.sleep(5 * 60_000);
  await restore();
  await rds.statuses('copy', 'available');
  expect(await rds.query('copy', 'select id from written')).toEqual([{ id: 1 }]);
});
