import {
  DescribeDBInstanceAutomatedBackupsCommand,
  type DBSnapshot,
  type RDSClient,
} from '@aws-sdk/client-rds';
import type { EnvironmentName, InstanceAddress, RestorePoint, RestoreRequest } from './contract';
import { RestorePointNotFound } from './errors';
import { findSnapshot, listSnapshots } from './rds';
import { readRecordedState } from './recorded-state';
import { readMarks, readMigrations, type Role } from './tags';

export interface FoundRestorePoint {
  readonly point: RestorePoint;
  /** The moment whose data it holds. */
  readonly time: Date;
  readonly why: string;
}

interface Question {
  readonly rds: RDSClient;
  readonly environment: EnvironmentName;
  readonly live: InstanceAddress;
}

/** Finds what the operator asked to go back to. Throws RestorePointNotFound with what there is instead. */
export async function findRestorePoint(
  request: RestoreRequest,
  question: Question,
): Promise<FoundRestorePoint> {
  switch (request.to) {
    case 'latest-pre-migration-snapshot': {
      const [newest] = await ownSnapshots(question, ['pre-migration']);
      if (!newest)
        throw new RestorePointNotFound(
          `There is no available pre-migration snapshot of ${question.environment}.`,
          'Restore to a time instead: {"to":"time","time":"…"}, or to a snapshot by name.',
        );
      return ofSnapshot(newest, 'It is the newest available pre-migration snapshot.');
    }
    case 'latest-snapshot': {
      const [newest] = await ownSnapshots(question, ['pre-migration', 'scheduled']);
      if (!newest)
        throw new RestorePointNotFound(
          `There is no available snapshot of ${question.environment} that this system took.`,
          'Restore to a time instead: {"to":"time","time":"…"}, or to a snapshot by name.',
        );
      return ofSnapshot(newest, 'It is the newest available snapshot, whatever it was taken for.');
    }
    case 'before-migration': {
      const snapshots = await ownSnapshots(question, ['pre-migration']);
      const found = snapshots.find((snapshot) => pendingIn(snapshot)?.includes(request.migration));
      if (!found)
        throw new RestorePointNotFound(
          `None of ${snapshots.length} available pre-migration snapshots was taken with migration "${request.migration}" pending.`,
          'Restore to a snapshot by name, or to a time before the migration.',
        );
      return ofSnapshot(
        found,
        `It is the newest one taken with migration "${request.migration}" still pending.`,
      );
    }
    case 'snapshot':
      return ofSnapshot(await namedSnapshot(request.snapshotId, question), 'It was asked for by name.');
    case 'time':
      return ofTime(new Date(request.time), question);
  }
}

/** Newest first. The tags decide: after a recovery the snapshots of the instance before it are still this database's. */
async function ownSnapshots({ rds, environment }: Question, roles: readonly Role[]): Promise<DBSnapshot[]> {
  const snapshots = await listSnapshots(rds, { SnapshotType: 'manual' });
  return snapshots
    .filter((snapshot) => {
      const marks = readMarks(snapshot.TagList);
      return (
        marks.role !== undefined &&
        roles.includes(marks.role) &&
        marks.environment === environment &&
        snapshot.Status === 'available' &&
        snapshot.Engine === 'postgres'
      );
    })
    .sort((a, b) => timeOf(b).getTime() - timeOf(a).getTime());
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
  const marked = readMarks(snapshot.TagList).environment;
  if (snapshot.DbiResourceId !== live.resourceId && marked !== environment)
    throw refuse(
      `Snapshot ${snapshotId} is of instance ${snapshot.DBInstanceIdentifier ?? 'unknown'} (${snapshot.DbiResourceId ?? 'unknown'}), not of the live ${live.instanceId} (${live.resourceId}), and is not tagged as one of ${environment}.`,
      `If it is of the same database before an earlier recovery, tag it migration-rollback:environment=${environment}.`,
    );
  return snapshot;
}

function ofSnapshot(snapshot: DBSnapshot, why: string): FoundRestorePoint {
  const time = timeOf(snapshot);
  return {
    point: {
      kind: 'snapshot',
      snapshotId: snapshot.DBSnapshotIdentifier ?? '',
      databaseTime: time.toISOString(),
      pendingMigrations: pendingIn(snapshot),
      recorded: readRecordedState(snapshot.TagList),
    },
    time,
    why,
  };
}

async function ofTime(time: Date, { rds, live }: Question): Promise<FoundRestorePoint> {
  const answer = await rds.send(
    new DescribeDBInstanceAutomatedBackupsCommand({ DbiResourceId: live.resourceId }),
  );
  const window = answer.DBInstanceAutomatedBackups?.[0]?.RestoreWindow;
  const { EarliestTime: earliest, LatestTime: latest } = window ?? {};
  if (!earliest || !latest)
    throw new RestorePointNotFound(
      `Instance ${live.instanceId} has no automated backups to restore from.`,
      'Restore to a snapshot. After a recovery the window begins anew with the new instance.',
    );
  if (time < earliest || time > latest)
    throw new RestorePointNotFound(
      `restore.time: got ${time.toISOString()}, allowed is ${earliest.toISOString()} to ${latest.toISOString()}.`,
      'The window trails the present by up to five minutes.',
    );
  return {
    point: { kind: 'time', time: time.toISOString() },
    time,
    why: 'It was asked for, and lies inside the window of the automated backups.',
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
