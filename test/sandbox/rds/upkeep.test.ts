import { DescribeDBSnapshotsCommand, ModifyDBInstanceCommand } from '@aws-sdk/client-rds';
import { VirtualClock } from '../../../sandbox/core/clock';
import { RdsSandbox } from './rds-sandbox';
import { until } from '../../until';

/** What RDS does by itself: pending changes on Sunday from 03:00 on, a backup every day from 22:00 on. */

let rds: RdsSandbox;
beforeAll(async () => {
  rds = await RdsSandbox.start('aws', new VirtualClock(new Date('2040-06-17T01:27Z')));
  await rds.create('live', { BackupRetentionPeriod: 7 });
});
afterAll(() => rds.stop());

const passes = async (time: string): Promise<void> =>
  rds.clock.advance(Date.parse(`2040-06-${time}Z`) - rds.clock.now().getTime());

/** When the automated backups were begun, as the names of their snapshots say. */
async function backups(): Promise<(string | undefined)[]> {
  const { DBSnapshots = [] } = await rds.client.send(
    new DescribeDBSnapshotsCommand({ DBInstanceIdentifier: 'live', SnapshotType: 'automated' }),
  );
  return DBSnapshots.map(({ DBSnapshotIdentifier }) => DBSnapshotIdentifier);
}

it('applies what was left for it within the maintenance window', async () => {
  await rds.client.send(
    new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'live', DBInstanceClass: 'db.t4g.small' }),
  );
  await passes('17T02:59');
  expect(await rds.instance('live')).toMatchObject({
    DBInstanceStatus: 'available',
    PendingModifiedValues: { DBInstanceClass: 'db.t4g.small' },
  });
  await passes('17T03:15');
  const { PendingModifiedValues, ...changed } = await rds.available('live');
  expect({ ...changed, PendingModifiedValues }).toMatchObject({
    DBInstanceClass: 'db.t4g.small',
    PendingModifiedValues: {},
  });
  expect(rds.clock.now().getTime()).toBeLessThan(Date.parse('2040-06-17T03:30Z'));
});

it('backs up once a day, within the backup window; the instance is backing-up meanwhile', async () => {
  const [first] = await backups();
  await passes('17T21:59');
  expect(await backups()).toEqual([first]);
  const seen = await rds.statuses('live', 'backing-up');
  expect([...seen.keys()]).toEqual(['available', 'backing-up']);
  await passes('18T21:59');
  const [, second] = await backups();
  expect(second).toMatch(/^rds:live-2040-06-17-22-0\d$/);
  expect(await backups()).toEqual([first, second]);
  await passes('18T22:30');
  const all = await until(backups, (ids) => ids.length > 2);
  expect(all).toEqual([first, second, expect.stringMatching(/^rds:live-2040-06-18-22-0\d$/)]);
});
