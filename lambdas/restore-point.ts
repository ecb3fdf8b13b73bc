import type { DBInstance, DBSnapshot, RDSClient } from '@aws-sdk/client-rds';
import type { CheckMigrationsResult } from './contract/gate';
import type { Recovery, RestorePoint } from './contract/recovery';
import type { RestoreRequest } from './contract/recovery-input';
import type { EnvironmentName } from './contract/settings';
import { RestorePointNotFound } from './errors';
import { endOf, newerPoints, type OfLiveInstance } from './newer-points';
import { minutesInWords } from './plan-loss';
import { backupWindow, readMarkers } from './point-in-time';
import { findSnapshot, listSnapshots } from './rds';
import { readRecordedState } from './recorded-state';
import { readMarks, readMigrations, type Role } from './tags';

export interface FoundRestorePoint {
  readonly point: RestorePoint;
  /** Undefined: the automated backups, which are like the instance. */
  readonly snapshot: DBSnapshot | undefined;
  /** The moment whose data it holds. */
  readonly time: Date;
  /** One sentence each. */
  readonly why: readonly string[];
  /** What else would do, and why it was not chosen. */
  readonly alternatives: readonly Alternative[];
  /** Of a live instance that is gone: up to when it is known to have been written to. */
  readonly end?: Date | undefined;
}

export interface Alternative {
  readonly restore: RestoreRequest;
  readonly time: Date;
  readonly why: string;
}

/** The migrations that the live database has, in the order in which they were started, or why they are not known. */
export type History =
  CheckMigrationsResult['history'] | { readonly unknown: string; readonly fencedBy?: string };

export interface Question {
  readonly rds: RDSClient;
  readonly environment: EnvironmentName;
  readonly live: Recovery['live'];
  /** Undefined where the live instance is gone. */
  readonly instance: DBInstance | undefined;
  readonly history: History;
}

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

// --- before a migration ---

type Candidate = Omit<FoundRestorePoint, 'alternatives'>;

const FASTER = 'a snapshot is restored faster: nothing has to be replayed';
const SLOWER = 'it is slower: the log since the automated backup before it has to be replayed';

/** Of all that was made before the migration began, the nearest: it loses least. */
async function beforeMigration(migration: string, question: Question): Promise<FoundRestorePoint> {
  const { history } = question;
  const started = startOf(migration, history);
  const gone = startedSince(migration, history);
  const window = await backupWindow(question.rds, question.live.resourceId);
  const reachable = (time: Date): boolean => window !== undefined && time >= window.from && time <= window.to;
  const before = started && secondBefore(started);

  const candidates: Candidate[] = [];
  for (const snapshot of await snapshotsOfDatabase(question)) {
    const saysSo = pendingIn(snapshot)?.includes(migration) ?? false;
    // A snapshot of an instance before an earlier recovery may hold the migration as it was applied there.
    const isEarlier =
      started !== undefined &&
      snapshot.DbiResourceId === question.live.resourceId &&
      timeOf(snapshot) < started;
    if (!saysSo && !isEarlier) continue;
    const found = ofSnapshot(snapshot);
    const pendingMigrations = saysSo ? pendingIn(snapshot) : gone;
    candidates.push({
      ...found,
      point: { ...found.point, pendingMigrations },
      why: [
        saysSo
          ? `It was taken with migration "${migration}" still pending.`
          : `It was taken before migration "${migration}" began, at ${started?.toISOString() ?? ''}.`,
      ],
    });
  }
  if (before && reachable(before))
    candidates.push({
      point: { kind: 'time', time: before.toISOString(), pendingMigrations: gone },
      snapshot: undefined,
      time: before,
      why: [`It is the second before migration "${migration}" began, at ${started.toISOString()}.`],
    });
  if (!started)
    for (const { time, migrations } of readMarkers(question.instance?.TagList)) {
      const names = migrations.map(({ name }) => name).reverse();
      const at = new Date(time);
      if (names.includes(migration) && reachable(at))
        candidates.push({
          point: { kind: 'time', time: at.toISOString(), pendingMigrations: names },
          snapshot: undefined,
          time: at,
          why: [`The pipeline marked that second with migration "${migration}" still pending.`],
        });
    }

  const [nearest, ...others] = candidates.sort((a, b) => b.time.getTime() - a.time.getTime());
  if (!nearest) throw noneBefore(migration, question, started, window);
  const later = before && window && before > window.to && before > nearest.time ? before : undefined;
  return {
    ...nearest,
    why: [
      ...nearest.why,
      ...(others.length > 0
        ? [`Of ${candidates.length} restore points before it this one loses least.`]
        : []),
      ...doubts(migration, history, started),
      ...(later
        ? [
            `The automated backups reach up to ${window?.to.toISOString() ?? ''}.`,
            `Plan again when they have reached ${later.toISOString()}, in some minutes, and less is lost.`,
          ]
        : []),
    ],
    alternatives: alternatives(nearest, others),
  };
}

/** The best of the other kind: whoever is in a hurry may prefer a snapshot. */
function alternatives(chosen: Candidate, others: readonly Candidate[]): FoundRestorePoint['alternatives'] {
  const other = others.find(({ point }) => point.kind !== chosen.point.kind);
  if (!other) return [];
  const lost = (chosen.time.getTime() - other.time.getTime()) / 60_000;
  return [
    {
      restore: asRequest(other.point),
      time: other.time,
      why: `It loses ${minutesInWords(lost)} more; ${other.point.kind === 'snapshot' ? FASTER : SLOWER}.`,
    },
  ];
}

/** What makes it less certain than it looks. */
function doubts(migration: string, history: History, started: Date | undefined): string[] {
  if ('unknown' in history)
    return [
      `The live database could not be asked when it began, so this rests on the tags: ${history.unknown}`,
    ];
  if (started) return [];
  return history.some(({ name }) => name === migration)
    ? ['The migration table does not say when it began.']
    : [`The live database has no migration of that name, neither applied nor failed: is it the right one?`];
}

function noneBefore(
  migration: string,
  { history, environment }: Question,
  started: Date | undefined,
  window: { from: Date; to: Date } | undefined,
): RestorePointNotFound {
  const known =
    'unknown' in history
      ? `The live database could not be asked about it: ${history.unknown}`
      : started
        ? `It began at ${started.toISOString()}.`
        : `Newest in the live database: ${
            history
              .slice(-5)
              .map(({ name }) => name)
              .join(', ') || 'none'
          }.`;
  return new RestorePointNotFound(
    `No available snapshot of ${environment} and no second of the automated backups (${window ? `${window.from.toISOString()} to ${window.to.toISOString()}` : 'there are none'}) is known to lie before migration "${migration}". ${known}`,
    started && window && started > window.to
      ? 'The automated backups trail by up to five minutes: wait, and plan again.'
      : 'Look for typing errors; restore to a snapshot by name, or to a time.',
  );
}

/** When the try of a migration began that the live database has. */
function startOf(migration: string, history: History): Date | undefined {
  if ('unknown' in history) return undefined;
  const startedAt = history.findLast(({ name }) => name === migration)?.startedAt;
  return typeof startedAt === 'string' ? new Date(startedAt) : undefined;
}

/** The migration and all that were started after it; null where that is not known. */
function startedSince(migration: string, history: History): string[] | null {
  if ('unknown' in history) return null;
  const index = history.findLastIndex(({ name }) => name === migration);
  return index < 0 ? null : history.slice(index).map(({ name }) => name);
}

/** RestoreTime knows whole seconds; that in which the migration began may hold its first changes. */
function secondBefore(started: Date): Date {
  return new Date(Math.floor(started.getTime() / 1000) * 1000 - 1000);
}

// --- snapshots ---

/**
 * Available manual snapshots of this database, newest first: those of the live instance, and those that the tags say are of this
 * environment. After a recovery the snapshots of the instance before it are still this database's.
 */
async function snapshotsOfDatabase({ rds, environment, live }: Question): Promise<DBSnapshot[]> {
  const snapshots = await listSnapshots(rds, { SnapshotType: 'manual' });
  return snapshots
    .filter(
      (snapshot) =>
        snapshot.Status === 'available' &&
        snapshot.Engine === 'postgres' &&
        // It goes as soon as the vault has its own.
        readMarks(snapshot.TagList).role !== 'passing' &&
        (readMarks(snapshot.TagList).environment === environment ||
          snapshot.DbiResourceId === live.resourceId),
    )
    .sort((a, b) => timeOf(b).getTime() - timeOf(a).getTime());
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

function ofSnapshot(snapshot: DBSnapshot): Omit<Candidate, 'why'> {
  const time = timeOf(snapshot);
  const marks = readMarks(snapshot.TagList);
  return {
    point: {
      kind: 'snapshot',
      snapshotId: snapshot.DBSnapshotIdentifier ?? '',
      databaseTime: time.toISOString(),
      pendingMigrations: pendingIn(snapshot),
      recorded: readRecordedState(snapshot.TagList),
      secretVersions: { databaseUrl: marks['database-url-version'], master: marks['master-version'] },
    },
    snapshot,
    time,
  };
}

function pendingIn(snapshot: DBSnapshot): string[] | null {
  const migrations = readMigrations(snapshot.TagList);
  return migrations && [...migrations.names];
}

/** The last transaction inside the snapshot; where RDS does not say, when it was begun. */
function timeOf(snapshot: DBSnapshot): Date {
  return (
    snapshot.SnapshotDatabaseTime ??
    snapshot.OriginalSnapshotCreateTime ??
    snapshot.SnapshotCreateTime ??
    new Date(0)
  );
}

// --- a time ---

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

/** The same restore point by name, so that a newer one does not slip in between plan and recovery. */
export function asRequest(point: RestorePoint): RestoreRequest {
  return point.kind === 'time'
    ? { to: 'time', time: point.time }
    : { to: 'snapshot', snapshotId: point.snapshotId };
}
