import {
  CreateDBSnapshotCommand,
  DeleteDBInstanceCommand,
  DescribeEventsCommand,
  ModifyDBInstanceCommand,
  RebootDBInstanceCommand,
  RestoreDBInstanceFromDBSnapshotCommand,
} from '@aws-sdk/client-rds';
import { RdsSandbox } from './rds-sandbox';
import { until } from '../../until';

/** Operations that end in a failed status, and servers that die. */

let rds: RdsSandbox;
beforeAll(async () => {
  rds = await RdsSandbox.start('quick');
  await rds.create('live', { BackupRetentionPeriod: 0 });
  await rds.query('live', 'create table kept as select 1 as id');
  await rds.client.send(
    new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'live', DBSnapshotIdentifier: 'base' }),
  );
  await rds.snapshotAvailable('base');
});
afterAll(() => rds.stop());

const status = async (id: string): Promise<string | undefined> => (await rds.instance(id)).DBInstanceStatus;
const reaches = (id: string, wanted: string): Promise<unknown> =>
  until(
    () => status(id),
    (seen) => seen === wanted,
  );
const restore = (id: string): Promise<unknown> =>
  rds.client.send(
    new RestoreDBInstanceFromDBSnapshotCommand({
      DBInstanceIdentifier: id,
      DBSnapshotIdentifier: 'base',
      BackupRetentionPeriod: 0,
    }),
  );
const remove = async (id: string): Promise<void> => {
  await rds.client.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: id, SkipFinalSnapshot: true }));
  await rds.gone(id);
};

it.each(['incompatible-restore', 'incompatible-network', 'storage-full', 'failed'] as const)(
  'a restore ends as %s, has no final snapshot and can only be deleted; the next one succeeds',
  async (wanted) => {
    rds.service.failNext({ kind: 'restoreSnapshot', identifier: 'doomed', status: wanted });
    await restore('doomed');
    await reaches('doomed', wanted);
    expect((await rds.instance('doomed')).Endpoint).toBeUndefined();
    const final = new DeleteDBInstanceCommand({
      DBInstanceIdentifier: 'doomed',
      FinalDBSnapshotIdentifier: 'words',
    });
    expect(await rds.refusal(rds.client.send(final))).toMatchObject({ name: 'InvalidDBInstanceStateFault' });
    await remove('doomed');
    await restore('doomed');
    await reaches('doomed', 'available');
    expect(await rds.query('doomed', 'select id from kept')).toEqual([{ id: 1 }]);
    await remove('doomed');
  },
);

it('only the operation that is meant fails', async () => {
  rds.service.failNext({ kind: 'restoreSnapshot', identifier: 'other', status: 'failed' });
  await restore('spared');
  await reaches('spared', 'available');
  await restore('other');
  await reaches('other', 'failed');
  await remove('other');
  await remove('spared');
});

it('a snapshot fails, and the instance goes on', async () => {
  rds.service.failNext({ kind: 'snapshot', status: 'failed' });
  await rds.client.send(
    new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'live', DBSnapshotIdentifier: 'spoilt' }),
  );
  await until(
    () => rds.snapshot('spoilt'),
    ({ Status }) => Status === 'failed',
  );
  expect(await status('live')).toBe('available');
  const ofSpoilt = new RestoreDBInstanceFromDBSnapshotCommand({
    DBInstanceIdentifier: 'other',
    DBSnapshotIdentifier: 'spoilt',
  });
  expect(await rds.refusal(rds.client.send(ofSpoilt))).toMatchObject({ name: 'InvalidDBSnapshotStateFault' });
});

it('a change fails without effect, and a reboot leads out of incompatible parameters', async () => {
  rds.service.failNext({ kind: 'modify', identifier: 'live', status: 'incompatible-parameters' });
  const grow = new ModifyDBInstanceCommand({
    DBInstanceIdentifier: 'live',
    AllocatedStorage: 30,
    ApplyImmediately: true,
  });
  await rds.client.send(grow);
  await reaches('live', 'incompatible-parameters');
  expect((await rds.instance('live')).AllocatedStorage).toBe(20);
  expect(await rds.refusal(rds.client.send(grow))).toMatchObject({ name: 'InvalidDBInstanceStateFault' });
  await rds.client.send(new RebootDBInstanceCommand({ DBInstanceIdentifier: 'live' }));
  await reaches('live', 'available');
  expect(await rds.query('live', 'select id from kept')).toEqual([{ id: 1 }]);
});

it('a server that dies is started again at its address, and the events tell', async () => {
  const { Endpoint } = await rds.instance('live');
  const server = rds.service.server('live');
  const [row] = (await server?.admin(`select pg_read_file('postmaster.pid') as text`)) ?? [];
  const pid = Number(String(row?.text).split('\n')[0]);
  process.kill(pid, 'SIGKILL');
  await server?.ended;
  expect(await status('live')).toBe('available');
  const rows = await until(
    () => rds.query('live', 'select id from kept').catch(() => []),
    (found) => found.length > 0,
  );
  expect(rows).toEqual([{ id: 1 }]);
  expect((await rds.instance('live')).Endpoint).toEqual(Endpoint);
  const { Events } = await rds.client.send(
    new DescribeEventsCommand({ SourceIdentifier: 'live', SourceType: 'db-instance' }),
  );
  expect(Events?.slice(-4).map(({ Message, EventCategories }) => [EventCategories?.[0], Message])).toEqual([
    ['availability', 'DB instance shutdown'],
    [
      'recovery',
      'Recovery of the DB instance has started. Recovery time will vary with the amount of data to be recovered.',
    ],
    ['availability', 'DB instance restarted'],
    ['recovery', 'Recovery of the DB instance is complete.'],
  ]);
});
