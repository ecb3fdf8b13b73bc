import { AddTagsToResourceCommand, type DBInstance, type RDSClient } from '@aws-sdk/client-rds';
import type { Recovery } from '../contract/recovery';
import type { TakeBackResult } from '../contract/restore';
import { InvalidInput, NothingToUndo } from '../errors';
import { findInstance } from '../rds';
import { requirePlannedVersion, type ClaimDeps } from '../recovery-claim';
import { readMarks, writeMarks } from '../tags';
import { takeClaim } from '../take-claim';

/**
 * Where an undo begins: claims the database and marks the retired instance as taken back, so that nothing takes it for one that
 * may be deleted. It stays fenced. Throws RecoveryAlreadyRunning, StoppedRecoveryAtWork, SecretMovedMeanwhile, NothingToUndo.
 */
export async function takeBack(
  { recovery }: { recovery: Recovery },
  deps: ClaimDeps & { readonly rds: RDSClient },
): Promise<TakeBackResult> {
  const { undoes, environment } = recovery;
  if (!undoes) throw new InvalidInput(`Recovery ${recovery.id} undoes nothing.`, 'Start with mode "undo".');
  await takeClaim(recovery, deps);
  await requirePlannedVersion(recovery, deps);
  const { instanceId, resourceId } = undoes.instance;
  const instance = await findInstance(deps.rds, instanceId);
  if (!instance || instance.DbiResourceId !== resourceId || !mayBeTaken(instance, recovery))
    throw new NothingToUndo(
      `Instance ${instanceId} (${resourceId}) is ${instance ? 'no longer what the plan saw' : 'gone'}.`,
      'Somebody was faster. Look at its tags, and start again.',
    );
  const marks = readMarks(instance.TagList);
  if (marks.role !== 'taken-back' || marks['recovery-id'] !== recovery.id)
    await deps.rds.send(
      new AddTagsToResourceCommand({
        ResourceName: instance.DBInstanceArn,
        Tags: writeMarks({
          role: 'taken-back',
          environment,
          'recovery-id': recovery.id,
          undoes: undoes.recoveryId,
          replaces: recovery.live.resourceId,
        }),
      }),
    );
  return { instanceId };
}

/** Retired by the recovery that is undone, taken back from it, or not retired yet. */
function mayBeTaken(instance: DBInstance, { undoes }: Recovery): boolean {
  const marks = readMarks(instance.TagList);
  switch (marks.role) {
    case 'retired':
      return marks['recovery-id'] === undoes?.recoveryId;
    case 'taken-back':
      return marks.undoes === undoes?.recoveryId;
    case undefined:
    case 'live':
      return true;
    default:
      return false;
  }
}
