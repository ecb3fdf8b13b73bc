import type { Recovery } from '../contract/recovery';
import type { TakeSafetySnapshotResult } from '../contract/restore';
import { InstanceBusy, LiveInstanceUnclear, SnapshotQuotaExceeded } from '../errors';
import { findInstance, findSnapshot } from '../rds';
import { snapshotQuota } from '../snapshot-quota';
import { readMarks } from '../tags';
import { takeSnapshot, type TakeSnapshotDeps } from '../take-snapshot';

export interface TakeSafetySnapshotDeps extends TakeSnapshotDeps {
  readonly snapshotRetentionDays: number;
  readonly now: () => Date;
}

/**
 * Asks for a snapshot of the live instance as it is now, while the recovery instance is being made: what a person clicks away
 * during the recovery is in it. It is not waited for, and that RDS takes none now is no reason to let the outage go on: the
 * result says why. The last place of the quota is left to the final snapshot.
 */
export async function takeSafetySnapshot(
  { recovery }: { recovery: Recovery },
  deps: TakeSafetySnapshotDeps,
): Promise<TakeSafetySnapshotResult> {
  if (recovery.mode !== 'recover' && recovery.mode !== 'undo')
    return { taken: false, reason: 'Only a recovery that touches the live instance needs one.' };
  try {
    return await askForSafetySnapshot(recovery, deps);
  } catch (error) {
    if (
      error instanceof InstanceBusy ||
      error instanceof LiveInstanceUnclear ||
      error instanceof SnapshotQuotaExceeded
    )
      return { taken: false, reason: error.fact };
    throw error;
  }
}

/** Throws InstanceBusy, LiveInstanceUnclear, SnapshotQuotaExceeded. */
export async function askForSafetySnapshot(
  recovery: Recovery,
  deps: TakeSafetySnapshotDeps,
): Promise<TakeSafetySnapshotResult> {
  const { rds } = deps;
  const { live, safetySnapshotId: snapshotId } = recovery;
  const existing = await findSnapshot(rds, snapshotId);
  if (existing)
    return readMarks(existing.TagList)['recovery-id'] === recovery.id
      ? { taken: true, snapshotId }
      : { taken: false, reason: `Snapshot ${snapshotId} exists and is not this recovery's.` };
  const instance = await findInstance(rds, live.instanceId);
  if (!instance || instance.DbiResourceId !== live.resourceId)
    return { taken: false, reason: `Instance ${live.instanceId} is not there any more.` };
  const { used, quota } = await snapshotQuota(rds);
  if (recovery.retire === 'delete' && used + 2 > quota)
    return {
      taken: false,
      reason: `${used} of ${quota} manual snapshots are used: what is left is kept for the final snapshot.`,
    };
  await takeSnapshot(
    {
      instance,
      address: live,
      snapshotId,
      migrations: undefined,
      database: undefined,
      marks: {
        role: 'safety',
        'recovery-id': recovery.id,
        'expires-at': new Date(deps.now().getTime() + deps.snapshotRetentionDays * 86_400_000).toISOString(),
      },
    },
    deps,
  );
  return { taken: true, snapshotId };
}
