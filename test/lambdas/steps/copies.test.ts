import {
  AddTagsToResourceCommand,
  CreateDBSnapshotCommand,
  DeleteDBSnapshotCommand,
  DescribeDBSnapshotsCommand,
  type DBSnapshot,
  type RDSClient,
} from '@aws-sdk/client-rds';
import type { BringBackCopyResult, CopySnapshotsResult } from '../../../lambdas/contract/copies';
import type { CopyRules } from '../../../lambdas/contract/rules';
import { copyTags } from '../../../lambdas/copies';
import { bringBackCopy } from '../../../lambdas/steps/bring-back-copy';
import { copySnapshots } from '../../../lambdas/steps/copy-snapshots';
import { reapSnapshots } from '../../../lambdas/steps/reap-snapshots';
import { restorePoints } from '../../../lambdas/steps/restore-points';
import { scheduledSnapshot } from '../../../lambdas/steps/scheduled-snapshot';
import { readMarks } from '../../../lambdas/tags';
import { AnswerLost, ApiError } from '../../../sandbox/core/api';
import { VirtualClock } from '../../../sandbox/core/clock';
import { Lab } from './lab';
import { until } from '../../until';

const DAY = 86_400_000;
const THERE = 'eu-west-1';
const rules: CopyRules = {
  region: THERE,
  kmsKeyId: 'alias/aws/rds',
  preMigrationDays: 5,
  dailyDays: 2,
  weeklyDays: 16,
  keepNewest: 1,
  newestAtMostHours: 36,
};
/** At home everything goes sooner. */
const homeRules = { dailyDays: 1, weeklyDays: 1, keepNewest: 1, newestAtMostHours: 36 };

// GIVEN a database whose snapshots are copied to another Region, and a clock that days pass on
let lab: Lab;
let elsewhere: RDSClient;
const clock = new VirtualClock();
beforeAll(async () => {
  lab = await Lab.start(clock, { automatedBackupDays: 0 });
  elsewhere = lab.sandbox.clients(undefined, THERE).rds;
});
afterAll(async () => {
  elsewhere.destroy();
  await lab.stop();
});

const deps = () => {
  const { rds, secrets, stepFunctions, environment, databaseUrlSecretId, masterSecretId, now } = lab;
  const checkMigrations = () => lab.checkMigrations({ migrations: null, schema: null });
  const ids = { databaseUrlSecretId, masterSecretId };
  return { rds, secrets, stepFunctions, environment, now, checkMigrations, elsewhere, rules, ...ids };
};
const copy = (failOnWarning = false): Promise<CopySnapshotsResult> =>
  copySnapshots({ failOnWarning }, deps());
const copied = (): Promise<CopySnapshotsResult> =>
  until(copy, ({ begun, underWay, waiting }) => begun.length + underWay.length + waiting === 0);
const bringBack = (snapshotId?: string): Promise<BringBackCopyResult> =>
  bringBackCopy(snapshotId === undefined ? {} : { snapshotId }, { ...deps(), copies: { elsewhere, rules } });
const reap = () =>
  reapSnapshots(
    { dryRun: false, failOnWarning: false },
    { ...deps(), rules: homeRules, copies: { elsewhere, rules } },
  );
const snapshotsIn = async (rds: RDSClient): Promise<DBSnapshot[]> =>
  (await rds.send(new DescribeDBSnapshotsCommand({ SnapshotType: 'manual' }))).DBSnapshots ?? [];
const idsIn = async (rds: RDSClient): Promise<string[]> =>
  (await snapshotsIn(rds)).map(({ DBSnapshotIdentifier = '' }) => DBSnapshotIdentifier);
const snapshot = async (deploymentId: string, ...migrations: string[]): Promise<string> => {
  const made = await lab.snapshot(deploymentId, ...migrations);
  if (made.status !== 'available' || !('snapshotId' in made)) throw new Error(JSON.stringify(made));
  return made.snapshotId;
};
const scheduled = () =>
  until(
    () =>
      scheduledSnapshot(
        { scheduledTime: clock.now().toISOString(), timeZone: 'UTC' },
        { ...deps(), rules: homeRules },
      ),
    ({ status }) => status === 'available',
  );
const remove = async (rds: RDSClient, id: string): Promise<void> => {
  await rds.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: id }));
  await until(
    () => idsIn(rds),
    (ids) => !ids.includes(id),
  );
};
/** The next call of an operation ends like this. */
const next = (operation: string, how: () => Promise<never>): void => {
  const end = lab.sandbox.context.api.intercept(async ({ context }, go) => {
    if (context.operation !== operation) return go();
    end();
    if (how === lost) await go();
    return how();
  });
};
const lost = () => Promise.reject(new AnswerLost());

test('each snapshot is copied once, under its name, with its tags and an expiry of its own', async () => {
  const id = await snapshot('one', '1_start');
  const [source] = await snapshotsIn(lab.rds);
  await lab.rds.send(
    new AddTagsToResourceCommand({
      ResourceName: source?.DBSnapshotArn,
      Tags: [{ Key: 'migration-rollback:hold', Value: 'for the auditors' }],
    }),
  );
  // Not of this system: stays where it is.
  await until(
    () =>
      lab.rds
        .send(
          new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'orders', DBSnapshotIdentifier: 'by-hand' }),
        )
        .then(
          () => true,
          () => false,
        ),
    (made) => made,
  );
  // The answer of the first call is lost; two come at once.
  next('CopyDBSnapshot', lost);
  await Promise.all([copy(), copy()]);
  expect(await copied()).toMatchObject({ available: 1, notCopied: [], region: THERE });
  const copies = await snapshotsIn(elsewhere);
  expect(copies.map(({ DBSnapshotIdentifier, Status }) => [DBSnapshotIdentifier, Status])).toEqual([
    [id, 'available'],
  ]);
  const marks = readMarks(copies[0]?.TagList);
  expect(marks).toEqual({
    ...readMarks(source?.TagList),
    'expires-at': new Date(Number(source?.OriginalSnapshotCreateTime) + 5 * DAY).toISOString(),
  });
  expect(copies[0]?.SourceDBSnapshotIdentifier).toBe(source?.DBSnapshotArn);
  await remove(lab.rds, 'by-hand');
});

test('a copy that failed is made again; what is in the way is said, and rings with failOnWarning', async () => {
  const id = await snapshot('two', '2_more');
  lab.sandbox.rds.failNext({ kind: 'snapshot', identifier: id, status: 'failed' });
  await copy();
  await until(
    () => snapshotsIn(elsewhere),
    (copies) => copies.some(({ Status }) => Status === 'failed'),
  );
  expect((await copy()).notCopied).toEqual([
    { snapshotId: id, why: expect.stringMatching(/made again/) as string },
  ]);
  await until(
    () => idsIn(elsewhere),
    (ids) => !ids.includes(id),
  );
  next('CopyDBSnapshot', () =>
    Promise.reject(
      new ApiError('SnapshotQuotaExceededFault', 'Cannot copy more than 20 snapshots across regions'),
    ),
  );
  await expect(copy(true)).rejects.toMatchObject({
    name: 'SnapshotsNotCopied',
    message: expect.stringContaining('Cannot copy more than 20 snapshots across regions') as string,
  });
  expect(await copied()).toMatchObject({ available: 2, notCopied: [] });
});

test('the catalogue has each with its copies, and what is only a copy', async () => {
  const [one = '', two = ''] = (await snapshotsIn(lab.rds))
    .sort((a, b) => Number(a.SnapshotCreateTime) - Number(b.SnapshotCreateTime))
    .map(({ DBSnapshotIdentifier }) => DBSnapshotIdentifier);
  await remove(lab.rds, two);
  const { points } = await restorePoints(
    { limit: 1000 },
    { ...deps(), rules: homeRules, copies: { elsewhere, rules } },
  );
  expect(points.map(({ id, status, copies }) => [id, status, copies.map(({ region }) => region)])).toEqual([
    [two, `only in ${THERE}: bring it back first`, [THERE]],
    [one, 'available', [THERE]],
  ]);
  await expect(lab.plan({ restore: { to: 'snapshot', snapshotId: two } })).rejects.toMatchObject({
    name: 'RestorePointNotFound',
  });

  // WHEN it is brought back, the newest, without a name, and the first answer is lost
  next('CopyDBSnapshot', lost);
  const back = await until(
    () => bringBack(),
    ({ status }) => status === 'available',
  );
  expect(back).toEqual({
    status: 'available',
    snapshotId: two,
    restore: { to: 'snapshot', snapshotId: two },
  });
  // THEN a recovery takes it for the snapshot that it was
  const { recovery } = await lab.plan({ restore: { to: 'latest-pre-migration-snapshot' } });
  expect(recovery.restorePoint).toMatchObject({ snapshotId: two, pendingMigrations: ['2_more'] });
});

test('what was brought back stays for a week, however old it is', async () => {
  await scheduled();
  await copied();
  const id = (await idsIn(lab.rds)).find((name) => name.includes('-scheduled-')) ?? '';
  await clock.advance(1.5 * DAY);
  await remove(lab.rds, id);
  await clock.advance(10 * DAY);
  await until(
    () => bringBack(id),
    ({ status }) => status === 'available',
  );
  await reap();
  expect(await idsIn(lab.rds)).toContain(id);
});

test('what is there and not ours, or cannot be had, is refused', async () => {
  await expect(bringBack('none-such')).rejects.toMatchObject({ name: 'RestorePointNotFound' });
  const id = await snapshot('three', '3_last');
  await copied();
  await remove(lab.rds, id);
  next('CopyDBSnapshot', () =>
    Promise.reject(
      new ApiError('SnapshotQuotaExceededFault', 'Cannot create more than 100 manual snapshots'),
    ),
  );
  await expect(bringBack(id)).rejects.toMatchObject({ name: 'SnapshotQuotaExceeded' });
  next('CopyDBSnapshot', () =>
    Promise.reject(new ApiError('KMSKeyNotAccessibleFault', 'The key is disabled')),
  );
  await expect(bringBack(id)).rejects.toMatchObject({ name: 'SnapshotUnusable' });
  // Somebody took the name.
  await until(
    () =>
      lab.rds
        .send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'orders', DBSnapshotIdentifier: id }))
        .then(
          () => true,
          () => false,
        ),
    (made) => made,
  );
  await expect(bringBack(id)).rejects.toMatchObject({ name: 'SnapshotUnusable' });
  await until(
    () => snapshotsIn(lab.rds),
    (found) => found.every(({ Status }) => Status === 'available'),
  );
  await remove(lab.rds, id);
});

test('day by day, copies stay as their own table says, none is made twice, and none without need', async () => {
  const made: string[] = [];
  const end = lab.sandbox.context.api.intercept(({ context, input }, go) => {
    if (context.operation === 'CopyDBSnapshot') made.push(String(input['TargetDBSnapshotIdentifier']));
    return go();
  });
  const taken: { id: string; role: string; at: number }[] = [];
  try {
    for (let day = 0; day < 20; day++) {
      await clock.advance(DAY);
      if (day % 7 === 2) {
        const id = await snapshot(`day-${day}`, `${day}_migration`);
        taken.push({ id, role: 'pre-migration', at: clock.now().getTime() });
      }
      const { snapshotId } = await scheduled();
      taken.push({ id: snapshotId, role: 'scheduled', at: clock.now().getTime() });
      await copied();
      const { warnings } = await reap();
      expect(warnings).toEqual([]);
      const there = await idsIn(elsewhere);
      for (const { id, role, at } of taken) {
        const age = (clock.now().getTime() - at) / DAY;
        const stays = role === 'pre-migration' ? age < 5 : age < 2;
        if (stays) expect({ day, id, there: there.includes(id) }).toEqual({ day, id, there: true });
        if (age > 16 || (role === 'pre-migration' && age > 5))
          expect({ day, id, there: there.includes(id) }).toEqual({ day, id, there: false });
      }
    }
  } finally {
    end();
  }
  const ours = taken.map(({ id }) => id);
  expect(made.filter((id) => ours.includes(id)).sort()).toEqual([...ours].sort());
  // At home most are gone long since.
  const scheduledIn = async (rds: RDSClient) =>
    (await idsIn(rds)).filter((id) => ours.includes(id) && id.includes('-scheduled-')).length;
  expect(await scheduledIn(lab.rds)).toBeLessThan(await scheduledIn(elsewhere));
});

test('only five are under way at a time', async () => {
  const held = lab.sandbox.context.clock.hold();
  const now = lab.now();
  const list = Array.from({ length: 12 }, (_, index) => ({
    DBSnapshotIdentifier: `orders-pre-migration-${index}`,
    DBSnapshotArn: `arn:aws:rds:eu-central-1:123456789012:snapshot:orders-pre-migration-${index}`,
    Status: 'available',
    SnapshotCreateTime: new Date(now.getTime() - index * 60_000),
    TagList: [
      { Key: 'migration-rollback:role', Value: 'pre-migration' },
      { Key: 'migration-rollback:environment', Value: 'production' },
    ],
  }));
  const asked: unknown[] = [];
  const end = lab.sandbox.context.api.intercept(async ({ context, input }, go) => {
    if (context.operation === 'CopyDBSnapshot') {
      asked.push(input['TargetDBSnapshotIdentifier']);
      return {};
    }
    if (context.operation !== 'DescribeDBSnapshots') return go();
    if (context.region === THERE) return { DBSnapshots: [{ ...list[0], Status: 'copying' }] };
    const wanted = input['DBSnapshotIdentifier'];
    return {
      DBSnapshots: list.filter(({ DBSnapshotIdentifier: id }) => wanted === undefined || id === wanted),
    };
  });
  try {
    expect(await copy()).toMatchObject({ underWay: ['orders-pre-migration-0'], waiting: 7 });
    expect(asked).toEqual([1, 2, 3, 4].map((index) => `orders-pre-migration-${index}`));
  } finally {
    end();
    held();
  }
});

test('tags that AWS made are not given to a copy, and of too many the customer’s last', () => {
  const customer = Array.from({ length: 49 }, (_, index) => ({ Key: `k${index}`, Value: 'v' }));
  const tags = copyTags(
    [
      { Key: 'aws:cloudformation:stack-name', Value: 'x' },
      { Key: 'migration-rollback:role', Value: 'scheduled' },
      ...customer,
    ],
    new Date(0),
  );
  expect(tags).toHaveLength(50);
  expect(tags.slice(0, 3).map(({ Key }) => Key)).toEqual([
    'migration-rollback:role',
    'migration-rollback:expires-at',
    'k0',
  ]);
});
