import {
  paginateDescribeDBSnapshots,
  type DBInstance,
  type DBSnapshot,
  type RDSClient,
} from '@aws-sdk/client-rds';
import type { EnvironmentName } from './contract';
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

/**
 * Every snapshot that this system made for this environment, in the Region of the client, with what keeps it whatever its age.
 *
 * @param live whose quarantine keeps snapshots; undefined for copies in another Region: what they are kept by is their own table
 */
export async function listOwnSnapshots(
  rds: RDSClient,
  environment: EnvironmentName,
  live: DBInstance | undefined,
): Promise<OwnSnapshot[]> {
  const quarantined = new Set(
    readQuarantine(live?.TagList).flatMap(({ name, lift }) => (lift === undefined ? [name] : [])),
  );
  const found: OwnSnapshot[] = [];
  const copied = new Set<string>();
  const pages = paginateDescribeDBSnapshots({ client: rds, pageSize: 100 }, { SnapshotType: 'manual' });
  for await (const page of pages)
    for (const snapshot of page.DBSnapshots ?? []) {
      if (snapshot.Status !== 'available' && snapshot.SourceDBSnapshotIdentifier)
        copied.add(snapshot.SourceDBSnapshotIdentifier);
      const candidate = ownSnapshot(snapshot, environment);
      if (candidate) found.push(candidate);
    }
  return found.map((candidate) => {
    const { arn, id, migrations } = candidate;
    if (candidate.keptFor !== undefined) return candidate;
    if (copied.has(arn) || copied.has(id)) return { ...candidate, keptFor: 'is being copied' };
    const held = migrations.find((name) => quarantined.has(name));
    return held === undefined ? candidate : { ...candidate, keptFor: `${held} is in quarantine` };
  });
}

/** Deleting it now would cancel it. */
export function isBeingMade(status: string | undefined): boolean {
  return status === 'creating' || status === 'copying';
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
