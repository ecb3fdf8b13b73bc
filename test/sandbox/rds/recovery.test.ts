import {
  CreateDBSnapshotCommand,
  DeleteDBInstanceCommand,
  DescribeDBInstanceAutomatedBackupsCommand,
  ModifyDBInstanceCommand,
  RestoreDBInstanceFromDBSnapshotCommand,
  RestoreDBInstanceToPointInTimeCommand,
} from '@aws-sdk/client-rds';
import { MASTER_PASSWORD, RdsSandbox } from './rds-sandbox';

/** Whole lives of a database: what is written, lost and brought back. */

let rds: RdsSandbox;
beforeAll(async () => {
  rds = await RdsSandbox.start('quick');
});
afterAll(() => rds.stop());

let count = 0;
let live = '';
let restored = '';
beforeEach(async () => {
  count++;
  live = `live-${count}`;
  restored = `restored-${count}`;
  await rds.create(live, { BackupRetentionPeriod: 7 });
  await rds.query(live, 'create table task (id int primary key, title text)');
  await rds.query(live, `insert into task values (1, 'kept')`);
});

const rows = (id: string, password?: string): Promise<Record<string, unknown>[]> =>
  rds.query(id, 'select id, title from task order by id', password);

describe('from a snapshot', () => {
  it('brings back the rows and the password of the moment of the snapshot', async () => {
    await rds.client.send(
      new CreateDBSnapshotCommand({ DBInstanceIdentifier: live, DBSnapshotIdentifier: 'before-bad' }),
    );
    await rds.snapshotAvailable('before-bad');
    await rds.query(live, 'drop table task');
    await rds.client.send(
      new ModifyDBInstanceCommand({ DBInstanceIdentifier: live, MasterUserPassword: 'second-Password2' }),
    );
    await rds.available(live);

    await rds.client.send(
      new RestoreDBInstanceFromDBSnapshotCommand({
        DBInstanceIdentifier: restored,
        DBSnapshotIdentifier: 'before-bad',
      }),
    );
    await rds.available(restored);

    expect(await rows(restored)).toEqual([{ id: 1, title: 'kept' }]);
    expect((await rds.refusal(rds.query(live, 'select 1', MASTER_PASSWORD))).message).toMatch(/password/);
    expect(await rds.query(live, 'select 1 as one', 'second-Password2')).toEqual([{ one: 1 }]);
  });
});

describe('to a point in time', () => {
  it('ends between two commits', async () => {
    await rds.query(live, `insert into task values (2, 'before')`);
    const between = await nextMoment();
    await rds.query(live, `insert into task values (3, 'after')`);

    await rds.client.send(
      new RestoreDBInstanceToPointInTimeCommand({
        SourceDBInstanceIdentifier: live,
        TargetDBInstanceIdentifier: restored,
        RestoreTime: between,
      }),
    );
    await rds.available(restored);

    expect(await rows(restored)).toEqual([
      { id: 1, title: 'kept' },
      { id: 2, title: 'before' },
    ]);
    expect(await rows(live)).toHaveLength(3);
  });

  it('still works when the instance is gone and its automated backups were kept', async () => {
    const { DbiResourceId } = await rds.instance(live);
    await rds.query(live, `insert into task values (2, 'last')`);
    await rds.client.send(
      new DeleteDBInstanceCommand({
        DBInstanceIdentifier: live,
        SkipFinalSnapshot: true,
        DeleteAutomatedBackups: false,
      }),
    );
    await rds.gone(live);
    const { DBInstanceAutomatedBackups } = await rds.client.send(
      new DescribeDBInstanceAutomatedBackupsCommand({ DbiResourceId }),
    );
    expect(DBInstanceAutomatedBackups).toMatchObject([{ Status: 'retained', DBInstanceIdentifier: live }]);

    await rds.client.send(
      new RestoreDBInstanceToPointInTimeCommand({
        SourceDbiResourceId: DbiResourceId,
        TargetDBInstanceIdentifier: restored,
        UseLatestRestorableTime: true,
      }),
    );
    await rds.available(restored);

    expect(await rows(restored)).toEqual([
      { id: 1, title: 'kept' },
      { id: 2, title: 'last' },
    ]);
  });
});

describe('from a final snapshot', () => {
  it('brings back what the deleted instance held, and its automated backups are gone', async () => {
    const { DbiResourceId } = await rds.instance(live);
    await rds.client.send(
      new DeleteDBInstanceCommand({ DBInstanceIdentifier: live, FinalDBSnapshotIdentifier: 'last-words' }),
    );
    await rds.gone(live);
    expect(
      await rds.refusal(rds.client.send(new DescribeDBInstanceAutomatedBackupsCommand({ DbiResourceId }))),
    ).toMatchObject({ name: 'DBInstanceAutomatedBackupNotFoundFault' });

    await rds.client.send(
      new RestoreDBInstanceFromDBSnapshotCommand({
        DBInstanceIdentifier: live,
        DBSnapshotIdentifier: 'last-words',
      }),
    );
    await rds.available(live);

    expect(await rows(live)).toEqual([{ id: 1, title: 'kept' }]);
  });
});

async function nextMoment(): Promise<Date> {
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));
  await pause();
  const moment = rds.clock.now();
  await pause();
  return moment;
}
