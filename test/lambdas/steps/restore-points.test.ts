import { restorePoints } from '../../../lambdas/steps/restore-points';
import { preMigrationSnapshot } from '../../../lambdas/steps/pre-migration-snapshot';
import { Lab } from './lab';
import { until } from '../../until';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
});
afterAll(() => lab.stop());

const rules = { dailyDays: 7, weeklyDays: 90, keepNewest: 1, newestAtMostHours: 36 };
const list = (event: object = {}) => {
  const { rds, secrets, environment, databaseUrlSecretId, now } = lab;
  return restorePoints(
    { limit: 1000, ...event },
    { rds, secrets, environment, databaseUrlSecretId, now, rules },
  );
};

test('snapshots, markers and the window, with who, why and the way back; filters narrow', async () => {
  await lab.snapshot('one', '1_start');
  await lab.snapshot('two', '2_more', '3_last');
  await until(
    () => lab.instance('orders'),
    (instance) => instance?.LatestRestorableTime !== undefined,
  );
  // A marker is a whole second: the next one, so that it is later than the snapshot.
  const snapshotted = lab.now().getTime();
  await until(
    async () => lab.now().getTime(),
    (now) => now - snapshotted > 1000,
  );
  const marked = await preMigrationSnapshot(
    { deploymentId: 'three', migrations: [{ name: '4_now' }], restorePoint: 'point-in-time', actor: 'ada' },
    lab,
  );
  expect(marked.status).toBe('available');

  const all = await list();
  expect(all).toMatchObject({ environment: 'production', liveInstanceId: 'orders' });
  expect(all.window?.from).toMatch(/Z$/);
  expect(all.points.map(({ kind, migrations }) => ({ kind, migrations }))).toEqual([
    { kind: 'point-in-time', migrations: ['4_now'] },
    { kind: 'pre-migration', migrations: ['2_more', '3_last'] },
    { kind: 'pre-migration', migrations: ['1_start'] },
  ]);
  const [, newest, older] = all.points;
  expect(newest).toMatchObject({
    status: 'available',
    why: 'one of the newest 1 good ones',
    restore: { to: 'snapshot', snapshotId: newest?.id },
  });
  expect(older?.why).toBe(`until ${older?.expiresAt ?? ''}`);

  expect((await list({ kind: 'point-in-time' })).points).toHaveLength(1);
  expect((await list({ migration: '2_more' })).points.map(({ id }) => id)).toEqual([newest?.id]);
  expect((await list({ since: newest?.time })).points).toHaveLength(2);
  expect((await list({ limit: 1 })).points).toHaveLength(1);
});
