import {
  RestoreDBInstanceFromDBSnapshotCommand,
  RestoreDBInstanceToPointInTimeCommand,
  type DBInstance,
  type RDSClient,
  type Tag,
} from '@aws-sdk/client-rds';
import type { Recovery } from '../contract/recovery';
import type { StartRestoreResult } from '../contract/restore';
import { InvalidInput, NameTaken, RestorePointNotFound, isAwsError } from '../errors';
import { restoreSettings } from '../instance-settings';
import { settingsOf } from '../live-instance';
import { readMarkers } from '../point-in-time';
import { heldBaseName } from '../names';
import { addToQuarantine, readQuarantine, writeQuarantine } from '../quarantine';
import { findInstance, findSnapshot, listSnapshots } from '../rds';
import { refuseWhileAnotherRuns, requirePlannedVersion, type ClaimDeps } from '../recovery-claim';
import { customerTags, readMarks, readMigrationEntries, writeMarks, type Migration } from '../tags';
import { takeClaim } from '../take-claim';

/**
 * Claims the database, then asks RDS for the recovery instance, with every setting of the live instance that a restore takes. Asked again, it finds
 * what the first call made. A drill claims nothing, so that it is in nobody's way, and quarantines nothing. Throws RecoveryAlreadyRunning, StoppedRecoveryAtWork, SecretMovedMeanwhile, NameTaken, LiveInstanceUnclear, RestorePointNotFound.
 */
export async function startRestore(
  { recovery }: { recovery: Recovery },
  deps: ClaimDeps & { readonly rds: RDSClient },
): Promise<StartRestoreResult> {
  const { rds } = deps;
  const instanceId = recovery.recoveryInstanceId;
  if (recovery.mode !== 'recover' && recovery.mode !== 'drill')
    throw new InvalidInput(
      `A recovery in mode "${recovery.mode}" restores nothing.`,
      'Start with mode "recover".',
    );
  if (recovery.mode === 'recover') await takeClaim(recovery, deps);
  else await refuseWhileAnotherRuns(recovery.id, deps);
  await requirePlannedVersion(recovery, deps);
  if (await isOurs(rds, recovery)) return { instanceId };

  const live = await settingsOf(rds, recovery);
  const base = heldBaseName(recovery.live.instanceId, readMarks(live.TagList)['base-name']);
  const tags = [
    ...customerTags(live.TagList),
    ...writeMarks({
      role: 'recovery-instance',
      environment: recovery.environment,
      'recovery-id': recovery.id,
      ...(recovery.mode === 'recover' && { replaces: recovery.live.resourceId }),
      ...(base !== undefined && { 'base-name': base }),
    }),
    ...(recovery.mode === 'recover' ? await quarantine(rds, recovery, live) : []),
  ];
  try {
    await askForRestore(rds, recovery, live, tags);
  } catch (error) {
    if (isAwsError(error, 'KMSKeyNotAccessibleFault'))
      throw new RestorePointNotFound(
        `RDS cannot use the key under which the restore point is encrypted: ${error instanceof Error ? error.message : ''}`,
        'Enable the key, or cancel its deletion, and let this account use it. Or choose a restore point under another key.',
        { cause: error },
      );
    // The answer of an earlier call was lost, or somebody took the name in between.
    if (!isAwsError(error, 'DBInstanceAlreadyExistsFault', 'DBInstanceAlreadyExists')) throw error;
    if (!(await isOurs(rds, recovery))) throw error;
  }
  return { instanceId };
}

async function askForRestore(
  rds: RDSClient,
  { restorePoint: point, recoveryInstanceId, live: { state, instanceId, resourceId } }: Recovery,
  live: DBInstance,
  Tags: Tag[],
): Promise<void> {
  if (point.kind === 'time') {
    await rds.send(
      new RestoreDBInstanceToPointInTimeCommand({
        ...restoreSettings(live),
        MaxAllocatedStorage: live.MaxAllocatedStorage,
        // The automated backups of an instance that is gone are known by its resource id alone.
        ...(state === 'gone'
          ? { SourceDbiResourceId: resourceId }
          : { SourceDBInstanceIdentifier: instanceId }),
        TargetDBInstanceIdentifier: recoveryInstanceId,
        RestoreTime: new Date(point.time),
        Tags,
      }),
    );
    return;
  }
  const snapshot = await findSnapshot(rds, point.snapshotId);
  if (snapshot?.Status !== 'available')
    throw new RestorePointNotFound(
      `Snapshot ${point.snapshotId} is ${snapshot?.Status ?? 'gone'}.`,
      'Plan again; another restore point may serve.',
    );
  await rds.send(
    new RestoreDBInstanceFromDBSnapshotCommand({
      ...restoreSettings(live, snapshot.AllocatedStorage),
      DBInstanceIdentifier: recoveryInstanceId,
      DBSnapshotIdentifier: point.snapshotId,
      Tags,
    }),
  );
}

/** What CI may not apply again, once the recovery instance is live. */
async function quarantine(rds: RDSClient, recovery: Recovery, live: DBInstance): Promise<Tag[]> {
  const taken = await takenAway(rds, recovery, live);
  return [
    ...writeMarks({ 'quarantine-reason': recovery.reason ?? 'not given' }),
    ...writeQuarantine(addToQuarantine(readQuarantine(live.TagList), taken, recovery.id)),
  ];
}

/** The migrations that restore points from this one on were made for: the recovery takes them away. Oldest first. */
async function takenAway(rds: RDSClient, recovery: Recovery, live: DBInstance): Promise<Migration[]> {
  const { restorePoint, environment } = recovery;
  const from = Date.parse(restorePoint.kind === 'time' ? restorePoint.time : restorePoint.databaseTime);
  const snapshots = (await listSnapshots(rds, { SnapshotType: 'manual' })).flatMap((snapshot) => {
    const marks = readMarks(snapshot.TagList);
    const taken = (snapshot.SnapshotDatabaseTime ?? snapshot.SnapshotCreateTime)?.getTime() ?? 0;
    return marks.role === 'pre-migration' && marks.environment === environment && taken >= from
      ? [{ taken, migrations: readMigrationEntries(snapshot.TagList) }]
      : [];
  });
  const markers = readMarkers(live.TagList)
    .map(({ time, migrations }) => ({ taken: Date.parse(time), migrations: [...migrations].reverse() }))
    .filter(({ taken }) => taken >= from);
  const found = new Map<string, Migration>();
  for (const { migrations } of [...snapshots, ...markers].sort((a, b) => a.taken - b.taken))
    for (const migration of migrations) found.set(migration.name, migration);
  return [...found.values()];
}

/** Whether the recovery instance is there; throws NameTaken when an instance of that name is not this recovery's. */
async function isOurs(rds: RDSClient, recovery: Recovery): Promise<boolean> {
  const existing = await findInstance(rds, recovery.recoveryInstanceId);
  if (!existing) return false;
  const marks = readMarks(existing.TagList);
  if (marks['recovery-id'] === recovery.id && marks.role === 'recovery-instance') return true;
  throw new NameTaken(
    `Instance ${recovery.recoveryInstanceId} exists and does not carry the tags of recovery ${recovery.id}.`,
    'Find out whose it is; a new recovery gets another name.',
  );
}
