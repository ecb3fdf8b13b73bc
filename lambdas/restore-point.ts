import type { DBSnapshot } from '@aws-sdk/client-rds';
import { beforeMigration } from './before-migration';
import type { RestoreRequest } from './contract/recovery-input';
import { RestorePointNotFound } from './errors';
import {
  ofSnapshot,
  snapshotsOfDatabase,
  timeOf,
  type FoundRestorePoint,
  type Question,
} from './found-restore-point';
import { endOf, newerPoints, type OfLiveInstance } from './newer-points';
import { backupWindow } from './point-in-time';
import { findSnapshot } from './rds';
import { readMarks, type Role } from './tags';

/** Finds what the operator asked to go back to. Throws RestorePointNotFound with what there is instead. */
export async function findRestorePoint(
  request: RestoreRequest,
  question: Question,
): Promise<FoundRestorePoint> {
  const found = await withNewer(request, await find(request, question), question);
  const { point, time } = found;
  if (point.kind !== 'time') return found;
  const secretVersionsAround = pinsAround(time, await snapshotsOfDatabase(question));
  return { ...found, point: { ...point, secretVersionsAround } };
}

/** Before a migration nothing newer helps; otherwise it does where nobody can write any more, or where the latest was wanted. */
async function withNewer(
  request: RestoreRequest,
  found: FoundRestorePoint,
  question: Question,
): Promise<FoundRestorePoint> {
  const { rds, live } = question;
  if (live.state !== 'there') {
    const there = { ...(await ofLiveInstance(question)), window: await backupWindow(rds, live.resourceId) };
    const end = live.state === 'gone' ? endOf(there) : undefined;
    const newer = request.to === 'before-migration' ? [] : newerPoints(found.time, there, end);
    return { ...found, end, alternatives: [...found.alternatives, ...newer] };
  }
  if (request.to !== 'latest-snapshot') return found;
  const newer = newerPoints(found.time, await ofLiveInstance(question), undefined);
  return { ...found, alternatives: [...found.alternatives, ...newer] };
}

async function ofLiveInstance(question: Question): Promise<OfLiveInstance> {
  const { live } = question;
  const snapshots = (await snapshotsOfDatabase(question))
    .filter(({ DbiResourceId }) => DbiResourceId === live.resourceId)
    .map((snapshot) => ({ snapshot, time: timeOf(snapshot) }));
  return { live, snapshots, window: undefined };
}

/** A secret that was rotated has the version of the one side or of the other. */
function pinsAround(
  time: Date,
  newestFirst: readonly DBSnapshot[],
): { databaseUrl: string[]; master: string[] } {
  const around = (mark: 'database-url-version' | 'master-version'): string[] => {
    const pins = newestFirst.flatMap((snapshot) => {
      const versionId = readMarks(snapshot.TagList)[mark];
      return versionId === undefined ? [] : [{ versionId, at: timeOf(snapshot) }];
    });
    const sides = [pins.find(({ at }) => at <= time), pins.findLast(({ at }) => at > time)];
    return [...new Set(sides.flatMap((pin) => (pin ? [pin.versionId] : [])))];
  };
  return { databaseUrl: around('database-url-version'), master: around('master-version') };
}

/** As it is typed into the console. */
const TIME_OR_NAME = 'a time, {"restore":{"to":"time","time":"…"}}, or a snapshot by name';

async function find(request: RestoreRequest, question: Question): Promise<FoundRestorePoint> {
  switch (request.to) {
    case 'latest-pre-migration-snapshot': {
      const [newest] = (await snapshotsOfDatabase(question)).filter(hasRole('pre-migration'));
      if (!newest)
        throw new RestorePointNotFound(
          `There is no available pre-migration snapshot of ${question.environment}.`,
          `Start with one of the schedule: {"restore":{"to":"latest-snapshot"}}. Or ${TIME_OR_NAME}.`,
        );
      return {
        ...ofSnapshot(newest),
        why: ['It is the newest available pre-migration snapshot.'],
        alternatives: [],
      };
    }
    case 'latest-snapshot': {
      const [newest] = (await snapshotsOfDatabase(question)).filter(hasRole('pre-migration', 'scheduled'));
      if (!newest)
        throw new RestorePointNotFound(
          `There is no available snapshot of ${question.environment} that the schedule or the pipeline took.`,
          `Start with ${TIME_OR_NAME}.`,
        );
      return {
        ...ofSnapshot(newest),
        why: ['It is the newest available snapshot that was taken by the schedule or before a migration.'],
        alternatives: [],
      };
    }
    case 'before-migration':
      return beforeMigration(request.migration, question);
    case 'snapshot': {
      const snapshot = await namedSnapshot(request.snapshotId, question);
      return { ...ofSnapshot(snapshot), why: ['It was asked for by name.'], alternatives: [] };
    }
    case 'time':
      return ofTime(new Date(request.time), question);
  }
}

function hasRole(...roles: readonly Role[]): (snapshot: DBSnapshot) => boolean {
  return ({ TagList }) => {
    const { role } = readMarks(TagList);
    return role !== undefined && roles.includes(role);
  };
}

async function namedSnapshot(snapshotId: string, { rds, environment, live }: Question): Promise<DBSnapshot> {
  const snapshot = await findSnapshot(rds, snapshotId);
  const refuse = (fact: string, hint: string): RestorePointNotFound => new RestorePointNotFound(fact, hint);
  if (!snapshot)
    throw refuse(`There is no snapshot "${snapshotId}" in this Region.`, 'Look for typing errors.');
  if (snapshot.Status !== 'available')
    throw refuse(`Snapshot ${snapshotId} is "${snapshot.Status ?? 'unknown'}".`, 'Wait, or choose another.');
  if (snapshot.Engine !== 'postgres')
    throw refuse(
      `Snapshot ${snapshotId} is of engine "${snapshot.Engine ?? 'unknown'}", not postgres.`,
      'Choose another.',
    );
  const { environment: marked, role, 'copy-of': original } = readMarks(snapshot.TagList);
  if (role === 'passing')
    throw refuse(
      `Snapshot ${snapshotId} is a copy of ${original ?? 'another one'} on its way to the vault, and goes when it is there.`,
      'Choose the one that it is a copy of.',
    );
  if (snapshot.DbiResourceId !== live.resourceId && marked !== environment)
    throw refuse(
      `Snapshot ${snapshotId} is of instance ${snapshot.DBInstanceIdentifier ?? 'unknown'} (${snapshot.DbiResourceId ?? 'unknown'}), not of the live ${live.instanceId} (${live.resourceId}), and is not tagged as one of ${environment}.`,
      `If it is of the same database before an earlier recovery, tag it migration-rollback:environment=${environment}.`,
    );
  return snapshot;
}

async function ofTime(time: Date, { rds, live, instance, history }: Question): Promise<FoundRestorePoint> {
  const window = await backupWindow(rds, live.resourceId);
  if (!window)
    throw new RestorePointNotFound(
      instance?.BackupRetentionPeriod === 0
        ? `Instance ${live.instanceId} has no automated backups: its backup retention is 0 days.`
        : `Instance ${live.instanceId} has no automated backups to restore from.`,
      'Restore to a snapshot. After a recovery the window begins anew with the new instance.',
    );
  if (time < window.from || time > window.to)
    throw new RestorePointNotFound(
      `restore.time: got ${time.toISOString()}, allowed is ${window.from.toISOString()} to ${window.to.toISOString()}.`,
      'The window trails the present by up to five minutes.',
    );
  return {
    point: {
      kind: 'time',
      time: time.toISOString(),
      pendingMigrations:
        'unknown' in history
          ? null
          : history
              .filter(({ startedAt }) => startedAt !== null && new Date(startedAt) > time)
              .map(({ name }) => name),
    },
    snapshot: undefined,
    time,
    why: ['It was asked for, and lies inside the window of the automated backups.'],
    alternatives: [],
  };
}
