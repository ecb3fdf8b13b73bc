import {
  RestoreDBInstanceFromDBSnapshotCommand,
  RestoreDBInstanceToPointInTimeCommand,
  type RDSClient,
} from '@aws-sdk/client-rds';
import type { Recovery, StartRestoreResult } from '../contract';
import { InvalidInput, LiveInstanceUnclear, NameTaken, RestorePointNotFound, isAwsError } from '../errors';
import { restoreSettings } from '../instance-settings';
import { findInstance, findSnapshot } from '../rds';
import { customerTags, readMarks, writeMarks } from '../tags';

/**
 * Asks RDS for the recovery instance, with every setting of the live instance that a restore takes. Asked again, it finds
 * what the first call made. Throws NameTaken, LiveInstanceUnclear, RestorePointNotFound.
 */
export async function startRestore(
  { recovery }: { recovery: Recovery },
  { rds }: { rds: RDSClient },
): Promise<StartRestoreResult> {
  const instanceId = recovery.recoveryInstanceId;
  if (recovery.mode !== 'recover')
    throw new InvalidInput(
      `A recovery in mode "${recovery.mode}" restores nothing.`,
      'Start with mode "recover".',
    );
  if (await isOurs(rds, recovery)) return { instanceId };

  const live = await findInstance(rds, recovery.live.instanceId);
  if (!live || live.DbiResourceId !== recovery.live.resourceId)
    throw new LiveInstanceUnclear(
      `Instance ${recovery.live.instanceId} (${recovery.live.resourceId}), live when the recovery was planned, is not there any more.`,
      'Start a new recovery.',
    );
  const tags = [
    ...customerTags(live.TagList),
    ...writeMarks({
      role: 'recovery-instance',
      environment: recovery.environment,
      'recovery-id': recovery.id,
    }),
  ];
  try {
    const point = recovery.restorePoint;
    if (point.kind === 'snapshot') {
      const snapshot = await findSnapshot(rds, point.snapshotId);
      if (snapshot?.Status !== 'available')
        throw new RestorePointNotFound(
          `Snapshot ${point.snapshotId} is ${snapshot?.Status ?? 'gone'}.`,
          'Plan again; another restore point may serve.',
        );
      await rds.send(
        new RestoreDBInstanceFromDBSnapshotCommand({
          ...restoreSettings(live, snapshot.AllocatedStorage),
          DBInstanceIdentifier: instanceId,
          DBSnapshotIdentifier: point.snapshotId,
          Tags: tags,
        }),
      );
    } else {
      await rds.send(
        new RestoreDBInstanceToPointInTimeCommand({
          ...restoreSettings(live),
          MaxAllocatedStorage: live.MaxAllocatedStorage,
          SourceDBInstanceIdentifier: recovery.live.instanceId,
          TargetDBInstanceIdentifier: instanceId,
          RestoreTime: new Date(point.time),
          Tags: tags,
        }),
      );
    }
  } catch (error) {
    // The answer of an earlier call was lost, or somebody took the name in between.
    if (!isAwsError(error, 'DBInstanceAlreadyExistsFault', 'DBInstanceAlreadyExists')) throw error;
    if (!(await isOurs(rds, recovery))) throw error;
  }
  return { instanceId };
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
