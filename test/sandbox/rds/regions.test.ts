import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CopyDBSnapshotCommand,
  CreateDBInstanceCommand,
  CreateDBSnapshotCommand,
  DeleteDBSnapshotCommand,
  DescribeDBInstancesCommand,
  DescribeDBSnapshotsCommand,
  RestoreDBInstanceFromDBSnapshotCommand,
  type DBInstance,
  type DBSnapshot,
  type RDSClient,
} from '@aws-sdk/client-rds';
import { VirtualClock } from '../../../sandbox/core/clock';
import { durations } from '../../../sandbox/rds/durations';
import { Sandbox } from '../../../sandbox/sandbox';
import { until } from '../../until';

/** Other Regions: snapshots can be copied there and back, and are each Region's own. */
const THERE = 'eu-west-1';
const stateDirectory = mkdtempSync(join(tmpdir(), 'regions-'));
const start = (): Promise<Sandbox> =>
  Sandbox.start({ clock: new VirtualClock(), durations: durations('quick'), stateDirectory });

let sandbox: Sandbox;
let here: RDSClient;
let there: RDSClient;
const connect = async (): Promise<void> => {
  sandbox = await start();
  here = sandbox.clients().rds;
  there = sandbox.clients(undefined, THERE).rds;
};
beforeAll(async () => {
  await connect();
  await here.send(
    new CreateDBInstanceCommand({
      DBInstanceIdentifier: 'orders',
      Engine: 'postgres',
      DBInstanceClass: 'db.t4g.micro',
      AllocatedStorage: 20,
      MasterUsername: 'master',
      MasterUserPassword: 'first-Password1',
      DBName: 'orders',
      StorageEncrypted: true,
      BackupRetentionPeriod: 0,
    }),
  );
  await available('orders');
  await sandbox.rds.server('orders')?.admin('create table t as select 42 as number', [], 'orders');
  await here.send(
    new CreateDBSnapshotCommand({
      DBInstanceIdentifier: 'orders',
      DBSnapshotIdentifier: 'source',
      Tags: [{ Key: 'team', Value: 'orders' }],
    }),
  );
  await copied(here, 'source');
});
afterAll(async () => {
  await sandbox.stop();
  rmSync(stateDirectory, { recursive: true, force: true, maxRetries: 5 });
});

const available = (id: string): Promise<DBInstance | undefined> =>
  until(
    async () =>
      (await here.send(new DescribeDBInstancesCommand({}))).DBInstances?.find(
        ({ DBInstanceIdentifier }) => DBInstanceIdentifier === id,
      ),
    (instance) => instance?.DBInstanceStatus === 'available',
  );
const snapshotsIn = async (rds: RDSClient): Promise<DBSnapshot[]> =>
  (await rds.send(new DescribeDBSnapshotsCommand({}))).DBSnapshots ?? [];
const copied = (rds: RDSClient, id: string): Promise<DBSnapshot[]> =>
  until(
    () => snapshotsIn(rds),
    (list) =>
      list.some(({ DBSnapshotIdentifier, Status }) => DBSnapshotIdentifier === id && Status === 'available'),
  );
const arn = (region: string, id: string): string => `arn:aws:rds:${region}:123456789012:snapshot:${id}`;

const KEY = { KmsKeyId: 'alias/aws/rds' };
const copyThere = (more: object) =>
  there.send(
    new CopyDBSnapshotCommand({
      SourceDBSnapshotIdentifier: arn('eu-central-1', 'source'),
      TargetDBSnapshotIdentifier: 'copy',
      ...more,
    }),
  );

test('RDS wants a key of that Region for what is encrypted, and the ARN of the source', async () => {
  await expect(copyThere({})).rejects.toThrow(
    'Must specify new KMS key for cross region encrypted snapshot copy.',
  );
  await expect(
    copyThere({ KmsKeyId: 'arn:aws:kms:eu-central-1:123456789012:key/aws-rds' }),
  ).rejects.toMatchObject({ name: 'KMSKeyNotAccessibleFault' });
  await expect(copyThere({ ...KEY, SourceDBSnapshotIdentifier: 'source' })).rejects.toMatchObject({
    name: 'DBSnapshotNotFoundFault',
  });
  expect(await snapshotsIn(there)).toEqual([]);
});

test('a copy is there, and only there; it outlives its source and the process, and its rows come back', async () => {
  await copyThere({ ...KEY, CopyTags: true });
  expect(await copied(there, 'copy')).toMatchObject([
    {
      DBSnapshotArn: arn(THERE, 'copy'),
      SourceDBSnapshotIdentifier: arn('eu-central-1', 'source'),
      SourceRegion: 'eu-central-1',
      KmsKeyId: `arn:aws:kms:${THERE}:123456789012:key/aws-rds`,
      TagList: [{ Key: 'team', Value: 'orders' }],
    },
  ]);
  expect((await snapshotsIn(here)).map(({ DBSnapshotIdentifier }) => DBSnapshotIdentifier)).toEqual([
    'source',
  ]);
  await here.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: 'source' }));
  await until(
    () => snapshotsIn(here),
    (list) => list.length === 0,
  );

  await sandbox.stop();
  await connect();
  await here.send(
    new CopyDBSnapshotCommand({
      SourceDBSnapshotIdentifier: arn(THERE, 'copy'),
      TargetDBSnapshotIdentifier: 'back',
      ...KEY,
    }),
  );
  await copied(here, 'back');
  await here.send(
    new RestoreDBInstanceFromDBSnapshotCommand({
      DBInstanceIdentifier: 'restored',
      DBSnapshotIdentifier: 'back',
    }),
  );
  await available('restored');
  expect(await sandbox.rds.server('restored')?.admin('select number from t', [], 'orders')).toEqual([
    { number: 42 },
  ]);
});

test('what else there is in other Regions is refused by name', async () => {
  expect((await there.send(new DescribeDBInstancesCommand({}))).DBInstances).toEqual([]);
  await expect(
    there.send(
      new RestoreDBInstanceFromDBSnapshotCommand({
        DBInstanceIdentifier: 'elsewhere',
        DBSnapshotIdentifier: 'copy',
      }),
    ),
  ).rejects.toThrow('RDS RestoreDBInstanceFromDBSnapshot in another Region than eu-central-1');
});
