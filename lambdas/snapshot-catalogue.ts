import {
  paginateDescribeDBSnapshots,
  type DBInstance,
  type DBSnapshot,
  type RDSClient,
} from '@aws-sdk/client-rds';
import type { EnvironmentName } from './contract/settings';
import { readQuarantine } from './quarantine';
import type { KnownSnapshot } from './retention';
import { readMarks, readMigrationEntries } from './tags';

/** What of a snapshot is remembered: thousands of them have to fit. */
export interface OwnSnapshot extends KnownSnapshot {
  readonly arn: string;
  /** The last transaction inside it. */
  readonly databaseTime: Date;
  readonly status: string;
  readonly sizeGiB: number | null;
  readonly commit: string | null;
  readonly actor: string | null;
  readonly outcome: string | null;
  readonly secretVersions: readonly string[];
  readonly migrations: readonly string[];
}

/** A copy under the key of the vault, which lies here until the vault has its own. One cannot go back to it. */
export interface PassingCopy {
  readonly id: string;
  readonly arn: string;
  /** Id of the snapshot. */
  readonly copyOf: string;
  readonly status: string;
  readonly expiresAt: Date;
}

/** Every snapshot that this system made for this environment, in the Region and account of the client. */
export async function listOwnSnapshots(
  rds: RDSClient,
  environment: EnvironmentName,
  live: DBInstance | undefined,
): Promise<OwnSnapshot[]> {
  return (await listAllSnapshots(rds, environment, live)).own;
}

/**
 * The same with what is on its way to the vault. Each has with it what keeps it whatever its age.
 *
 * @param live whose quarantine keeps snapshots; undefined for copies elsewhere: what they are kept by is their own table
 */
export async function listAllSnapshots(
  rds: RDSClient,
  environment: EnvironmentName,
  live: DBInstance | undefined,
): Promise<{ own: OwnSnapshot[]; passing: PassingCopy[] }> {
  const quarantined = new Set(
    readQuarantine(live?.TagList).flatMap(({ name, lift }) => (lift === undefined ? [name] : [])),
  );
  const found: OwnSnapshot[] = [];
  const passing: PassingCopy[] = [];
  const copied = new Set<string>();
  const pages = paginateDescribeDBSnapshots({ client: rds, pageSize: 100 }, { SnapshotType: 'manual' });
  for await (const page of pages)
    for (const snapshot of page.DBSnapshots ?? []) {
      if (snapshot.Status !== 'available' && snapshot.SourceDBSnapshotIdentifier)
        copied.add(snapshot.SourceDBSnapshotIdentifier);
      const candidate = ownSnapshot(snapshot, environment);
      if (candidate) found.push(candidate);
      const onItsWay = passingCopy(snapshot, environment);
      if (onItsWay) passing.push(onItsWay);
    }
  const own = found.map((candidate) => {
    const { arn, id, migrations } = candidate;
    if (candidate.keptFor !== undefined) return candidate;
    if (copied.has(arn) || copied.has(id)) return { ...candidate, keptFor: 'is being copied' };
    const held = migrations.find((name) => quarantined.has(name));
    return held === undefined ? candidate : { ...candidate, keptFor: `${held} is in quarantine` };
  });
  return { own, passing };
}

/** Deleting it now would cancel it. */
export function isBeingMade(status: string | undefined): boolean {
  return status === 'creating' || status === 'copying';
}

function passingCopy(snapshot: DBSnapshot, environment: EnvironmentName): PassingCopy | undefined {
  const marks = readMarks(snapshot.TagList);
  const copyOf = marks['copy-of'];
  if (marks.environment !== environment || marks.role !== 'passing' || copyOf === undefined) return undefined;
  const expiry = Date.parse(marks['expires-at'] ?? '');
  return {
    id: snapshot.DBSnapshotIdentifier ?? '',
    arn: snapshot.DBSnapshotArn ?? '',
    copyOf,
    status: snapshot.Status ?? 'unknown',
    // Where somebody took the tag away it stays until the vault has its own.
    expiresAt: new Date(Number.isNaN(expiry) ? 8.64e15 : expiry),
  };
}

function ownSnapshot(snapshot: DBSnapshot, environment: EnvironmentName): OwnSnapshot | undefined {
  const marks = readMarks(snapshot.TagList);
  const { role } = marks;
  if (marks.environment !== environment) return undefined;
  if (role !== 'pre-migration' && role !== 'scheduled' && role !== 'safety' && role !== 'final')
    return undefined;
  const expiry = Date.parse(marks['expires-at'] ?? '');
  const takenAt = snapshot.OriginalSnapshotCreateTime ?? snapshot.SnapshotCreateTime;
  return {
    id: snapshot.DBSnapshotIdentifier ?? '',
    arn: snapshot.DBSnapshotArn ?? '',
    role,
    takenAt: takenAt ?? new Date(0),
    madeAt: snapshot.SnapshotCreateTime ?? takenAt ?? new Date(0),
    expiresAt: Number.isNaN(expiry) ? undefined : new Date(expiry),
    isAvailable: snapshot.Status === 'available',
    keptFor:
      marks.hold !== undefined
        ? `on hold: ${marks.hold}`
        : takenAt === undefined || isBeingMade(snapshot.Status)
          ? 'is being made'
          : undefined,
    databaseTime: snapshot.SnapshotDatabaseTime ?? takenAt ?? new Date(0),
    status: snapshot.Status ?? 'unknown',
    sizeGiB: snapshot.AllocatedStorage ?? null,
    commit: marks.commit ?? null,
    actor: marks.actor ?? null,
    outcome: marks.outcome ?? null,
    secretVersions: [marks['database-url-version'], marks['master-version']].flatMap(
      (version) => version ?? [],
    ),
    migrations: readMigrationEntries(snapshot.TagList).map(({ name }) => name),
  };
}
