import { RemoveTagsFromResourceCommand } from '@aws-sdk/client-rds';
import type * as z from 'zod/mini';
import { RENAME_MARKS, begunRename } from '../begun-rename';
import type { FinishRenameEvent, FinishRenameResult } from '../contract/rename';
import { LiveInstanceUnclear, SnapshotQuotaExceeded } from '../errors';
import { refuseIfOvertaken } from '../overtaken';
import { findInstance } from '../rds';
import { tagKeys } from '../tags';
import { askForSafetySnapshot, type TakeSafetySnapshotDeps } from './take-safety-snapshot';

/**
 * The end of a rename, once the application is back. Asks for a snapshot first: a recovery without the live instance finds its settings
 * by the address in the newest one, and the address may be one that another instance had before. Then it takes the marks of the rename
 * off. Throws InstanceBusy until RDS takes a snapshot, LiveInstanceUnclear, RecoveryOvertaken.
 */
export async function finishRename(
  {
    recovery,
    instance: { instanceId, resourceId, host, port },
    askedAt,
    backAt,
  }: z.infer<typeof FinishRenameEvent>,
  deps: TakeSafetySnapshotDeps,
): Promise<FinishRenameResult> {
  await refuseIfOvertaken(recovery, [{ host, port }], deps);
  const live = { instanceId, resourceId, host, port, state: 'there' } as const;
  const snapshot = await askForSafetySnapshot({ ...recovery, live }, deps).catch((error: unknown) => {
    // Room is made by a person, who is told; the schedule takes one later.
    if (error instanceof SnapshotQuotaExceeded) return { taken: false as const, reason: error.fact };
    throw error;
  });
  const instance = await findInstance(deps.rds, instanceId);
  if (instance?.DbiResourceId !== resourceId)
    throw new LiveInstanceUnclear(
      `Instance ${instanceId} (${resourceId}) is not there any more.`,
      'See CloudTrail for who renamed or deleted it; a plan says what can be done.',
    );
  if (begunRename(instance))
    await deps.rds.send(
      new RemoveTagsFromResourceCommand({
        ResourceName: instance.DBInstanceArn,
        TagKeys: tagKeys(...RENAME_MARKS),
      }),
    );
  const seconds = Math.round((Date.parse(backAt) - Date.parse(askedAt)) / 1000);
  return { outage: { from: askedAt, until: backAt, seconds }, snapshot };
}
