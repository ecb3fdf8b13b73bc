import {
  AddTagsToResourceCommand,
  DescribeDBSnapshotsCommand,
  RemoveTagsFromResourceCommand,
  type DBSnapshot,
} from '@aws-sdk/client-rds';
import { DescribeSecretCommand } from '@aws-sdk/client-secrets-manager';
import type { ReapSnapshotsResult } from '../../../lambdas/contract/restore-points';
import type { RetentionRules } from '../../../lambdas/contract/rules';
import { addToQuarantine, writeQuarantine } from '../../../lambdas/quarantine';
import { reapSnapshots } from '../../../lambdas/steps/reap-snapshots';
import { scheduledSnapshot } from '../../../lambdas/steps/scheduled-snapshot';
import { readMarks } from '../../../lambdas/tags';
import { VirtualClock } from '../../../sandbox/core/clock';
import { Lab } from './lab';
import { until } from '../../until';

const DAY = 86_400_000;
/** Production in lib/environments.ts. */
const rules: RetentionRules = { dailyDays: 7, weeklyDays: 90, keepNewest: 3, newestAtMostHours: 36 };

let lab: Lab;
const clock = new VirtualClock();
beforeAll(async () => {
  lab = await Lab.start(clock, { automatedBackupDays: 0 });
});
afterAll(() => lab.stop());

const deps = () => {
  const { rds, secrets, stepFunctions, environment, databaseUrlSecretId, masterSecretId, now } = lab;
  const checkMigrations = () => lab.checkMigrations({ migrations: null, schema: null });
  const ids = { databaseUrlSecretId, masterSecretId };
  return { rds, secrets, stepFunctions, environment, now, rules, checkMigrations, ...ids };
};
const reap = (event: { dryRun?: boolean; failOnWarning?: boolean } = {}): Promise<ReapSnapshotsResult> =>
  reapSnapshots({ dryRun: false, failOnWarning: false, ...event }, deps());
const takeScheduled = () =>
  until(
    () => scheduledSnapshot({ scheduledTime: clock.now().toISOString(), timeZone: 'Europe/Berlin' }, deps()),
    ({ status }) => status === 'available',
  );
const snapshots = async (): Promise<DBSnapshot[]> => {
  const { DBSnapshots = [] } = await lab.rds.send(new DescribeDBSnapshotsCommand({ SnapshotType: 'manual' }));
  return DBSnapshots;
};

/** What the design's table promises, said in another way than the code does. */
function check(
  found: readonly DBSnapshot[],
  taken: readonly { id: string; role: string; at: number }[],
): void {
  const now = clock.now().getTime();
  const there = new Set(found.map(({ DBSnapshotIdentifier }) => DBSnapshotIdentifier));
  const age = (at: number) => (now - at) / DAY;
  for (const { id, role, at } of taken) {
    if (role === 'pre-migration') expect({ id, there: there.has(id) }).toEqual({ id, there: age(at) < 90 });
    else if (age(at) < 7) expect({ id, there: there.has(id) }).toEqual({ id, there: true });
    else if (age(at) > 90) expect({ id, there: there.has(id) }).toEqual({ id, there: false });
  }
  // Scheduled ones beyond the daily ones: one a week, a week apart.
  const weekly = taken
    .filter(({ id, role, at }) => role === 'scheduled' && there.has(id) && age(at) >= 7)
    .map(({ at }) => at)
    .sort((a, b) => a - b);
  for (const [index, at] of weekly.entries()) {
    const before = weekly[index - 1];
    // The first of all came in the middle of a week.
    if (before !== undefined && before !== taken[0]?.at) expect(Math.round((at - before) / DAY)).toBe(7);
  }
  expect(weekly.length).toBeLessThanOrEqual(13);
  if (age(taken[0]?.at ?? now) > 100) expect(weekly.length).toBeGreaterThanOrEqual(11);
}

test('the table of the design, day by day, for 120 days', async () => {
  const taken: { id: string; role: string; at: number }[] = [];
  for (let day = 0; day < 120; day++) {
    await clock.advance(DAY);
    if (day % 8 === 3) {
      const made = await lab.snapshot(`deployment-${day}`, `${day}_migration`);
      if (made.status !== 'available' || !('snapshotId' in made)) throw new Error(JSON.stringify(made));
      taken.push({ id: made.snapshotId, role: 'pre-migration', at: clock.now().getTime() });
    }
    const { snapshotId } = await takeScheduled();
    taken.push({ id: snapshotId, role: 'scheduled', at: clock.now().getTime() });
    const { warnings } = await reap();
    expect(warnings).toEqual([]);
    check(await snapshots(), taken);
  }
  expect(taken.filter(({ role }) => role === 'scheduled')).toHaveLength(120);
  expect(new Set(taken.map(({ id }) => id)).size).toBe(taken.length);
});

test('a dry run says the same as the run after it, and deletes nothing; nothing is deleted twice', async () => {
  await clock.advance(30 * DAY);
  const before = await snapshots();
  const dry = await reap({ dryRun: true });
  expect(dry.deleted.length).toBeGreaterThan(3);
  expect(await snapshots()).toHaveLength(before.length);
  const [first, second] = await Promise.all([reap(), reap()]);
  for (const { deleted } of [first, second])
    for (const one of deleted) expect(dry.deleted).toContainEqual(one);
  expect(await snapshots()).toHaveLength(before.length - dry.deleted.length);
  expect((await reap()).deleted).toEqual([]);
});

test('what is on hold, in quarantine, without an expiry or not ours stays; the newest good ones, too', async () => {
  await clock.advance(100 * DAY);
  const all = await snapshots();
  const byRole = (role: string) =>
    all
      .filter(({ TagList }) => readMarks(TagList).role === role)
      .sort((a, b) => Number(a.SnapshotCreateTime) - Number(b.SnapshotCreateTime));
  const [held, unmarked] = byRole('scheduled');
  const [quarantined, foreign] = byRole('pre-migration');
  const tag = (snapshot: DBSnapshot | undefined, key: string, value: string) =>
    lab.rds.send(
      new AddTagsToResourceCommand({
        ResourceName: snapshot?.DBSnapshotArn,
        Tags: [{ Key: `migration-rollback:${key}`, Value: value }],
      }),
    );
  await tag(held, 'hold', 'for the auditors');
  await tag(unmarked, 'expires-at', 'some day');
  await tag(foreign, 'environment', 'staging');
  const migration = readMarks(quarantined?.TagList)['deployment-id']?.replace('deployment-', '');
  const live = await lab.instance('orders');
  const taken = [{ name: `${migration ?? ''}_migration` }];
  await lab.rds.send(
    new AddTagsToResourceCommand({
      ResourceName: live?.DBInstanceArn,
      Tags: writeQuarantine(addToQuarantine([], taken, '0123456789')),
    }),
  );
  await expect(reap({ failOnWarning: true })).rejects.toMatchObject({
    name: 'RetentionWarning',
    message: expect.stringContaining('hours old') as string,
  });
  const left = new Set((await snapshots()).map(({ DBSnapshotIdentifier }) => DBSnapshotIdentifier));
  for (const snapshot of [held, unmarked, quarantined, foreign])
    expect(left).toContain(snapshot?.DBSnapshotIdentifier);
  // Besides, the newest three.
  expect(left.size).toBe(7);
  const { kept } = await reap();
  expect(kept.map(({ why }) => why.replace(/\d+_migration/, 'm')).sort()).toEqual([
    'has no readable expiry',
    'm is in quarantine',
    'on hold: for the auditors',
    'one of the newest 3 good ones',
    'one of the newest 3 good ones',
    'one of the newest 3 good ones',
  ]);
  await lab.rds.send(
    new RemoveTagsFromResourceCommand({
      ResourceName: live?.DBInstanceArn,
      TagKeys: writeQuarantine(addToQuarantine([], taken, '0123456789')).flatMap(({ Key }) => Key ?? []),
    }),
  );
});

test('a version of a secret is let go when no snapshot needs it any more', async () => {
  const { VersionIdsToStages: before = {} } = await lab.secrets.send(
    new DescribeSecretCommand({ SecretId: lab.masterSecretId }),
  );
  const labels = Object.values(before).flat();
  expect(labels.filter((label) => label.startsWith('migration-rollback-kept-'))).toHaveLength(1);
  // The current one stays pinned: the next snapshot would only pin it again.
  expect((await reap()).secretVersionsReleased).toEqual([]);
});

test('5,000 snapshots: no call more than needed', async () => {
  const total = 5000;
  const expired = 150;
  const calls: string[] = [];
  const gone = new Set<string>();
  const now = clock.now().getTime();
  const catalogue = Array.from({ length: total }, (_, index) => ({
    DBSnapshotIdentifier: `orders-pre-migration-${index}`,
    DBSnapshotArn: `arn:aws:rds:eu-central-1:123456789012:snapshot:orders-pre-migration-${index}`,
    Status: 'available',
    SnapshotType: 'manual',
    SnapshotCreateTime: new Date(now - index * 60_000),
    TagList: [
      { Key: 'migration-rollback:role', Value: 'pre-migration' },
      { Key: 'migration-rollback:environment', Value: 'production' },
      {
        Key: 'migration-rollback:expires-at',
        Value: new Date(now + (index >= total - expired ? -1 : 1) * DAY).toISOString(),
      },
    ],
  }));
  const end = lab.sandbox.context.api.intercept(({ context, input }, next) => {
    if (context.service !== 'rds') return next();
    calls.push(context.operation);
    if (context.operation === 'DeleteDBSnapshot') {
      gone.add(String(input['DBSnapshotIdentifier']));
      return Promise.resolve({});
    }
    if (context.operation !== 'DescribeDBSnapshots') return next();
    const start = Number(input['Marker'] ?? 0);
    const page = catalogue.slice(start, start + Number(input['MaxRecords'] ?? 100));
    const more = start + page.length < total;
    return Promise.resolve({
      DBSnapshots: page,
      ...(more && { Marker: String(start + page.length) }),
    });
  });
  try {
    const { deleted, kept } = await reap();
    expect(deleted).toHaveLength(expired);
    expect(kept).toHaveLength(total - expired);
    expect(gone.size).toBe(expired);
    expect(calls.length).toBeLessThanOrEqual(Math.ceil(total / 100) + expired + 5);
  } finally {
    end();
  }
});
