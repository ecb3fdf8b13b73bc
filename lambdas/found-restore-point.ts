import type { DBInstance, DBSnapshot, RDSClient } from '@aws-sdk/client-rds';
import type { CheckMigrationsResult } from './contract/gate';
import type { Recovery, RestorePoint } from './contract/recovery';
import type { RestoreRequest } from './contract/recovery-input';
import type { EnvironmentName } from './contract/settings';
import { listSnapshots } from './rds';
import { readRecordedState } from './recorded-state';
import { readMarks, readMigrations } from './tags';

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

/** One of several that would do. */
export type Candidate = Omit<FoundRestorePoint, 'alternatives'>;

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

/**
 * Available manual snapshots of this database, newest first: those of the live instance, and those that the tags say are of this
 * environment. After a recovery the snapshots of the instance before it are still this database's.
 */
export async function snapshotsOfDatabase({ rds, environment, live }: Question): Promise<DBSnapshot[]> {
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

export function ofSnapshot(snapshot: DBSnapshot): Omit<Candidate, 'why'> {
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

export function pendingIn(snapshot: DBSnapshot): string[] | null {
  const migrations = readMigrations(snapshot.TagList);
  return migrations && [...migrations.names];
}

/** The last transaction inside the snapshot; where RDS does not say, when it was begun. */
export function timeOf(snapshot: DBSnapshot): Date {
  return (
    snapshot.SnapshotDatabaseTime ??
    snapshot.OriginalSnapshotCreateTime ??
    snapshot.SnapshotCreateTime ??
    new Date(0)
  );
}

/** The same restore point by name, so that a newer one does not slip in between plan and recovery. */
export function asRequest(point: RestorePoint): RestoreRequest {
  return point.kind === 'time'
    ? { to: 'time', time: point.time }
    : { to: 'snapshot', snapshotId: point.snapshotId };
}
