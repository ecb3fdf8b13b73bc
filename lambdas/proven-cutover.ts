import {
  AddTagsToResourceCommand,
  RemoveTagsFromResourceCommand,
  type DBInstance,
  type RDSClient,
} from '@aws-sdk/client-rds';
import { RecoveryAlreadyRunning } from './errors';
import { correctQuarantine, quarantineKeys, readQuarantine, writeQuarantine } from './quarantine';
import type { RunningRecovery } from './claim';
import { findRunningRecovery, type ClaimDeps } from './recovery-claim';
import { readMarks, writeMarks, type Migration } from './tags';

/**
 * From the proof of the cutover on nothing moves the secret back: the instance is live for good, and deployments need not wait
 * until the old one is retired. It is known by a tag of the live instance with the id of the recovery, so that the mark of an
 * earlier recovery says nothing about a later one that takes the same instance back.
 */
function isCutoverProven(live: DBInstance, { recoveryId }: { readonly recoveryId: string }): boolean {
  return readMarks(live.TagList)['cutover-proven'] === recoveryId;
}

/** The recovery that runs, its cutover proven; undefined where none runs. Throws RecoveryAlreadyRunning before that. */
export async function refuseUntilProven(
  live: DBInstance,
  deps: ClaimDeps,
): Promise<RunningRecovery | undefined> {
  const recovery = await findRunningRecovery(deps);
  if (recovery && !isCutoverProven(live, recovery))
    throw new RecoveryAlreadyRunning(
      `Recovery ${recovery.name}, which ${recovery.requestedBy} started at ${recovery.since}, runs, and its cutover is not proven yet.`,
      'Wait for that, then see which migrations it took away, if any.',
    );
  return recovery;
}

/**
 * Marks it, once its quarantine holds exactly what the recovery took away: until then no deployment comes and nobody lifts it. Asked
 * again, it changes nothing.
 * @param takenAway undefined: not known, and what the restore points say stands
 */
export async function markCutoverProven(
  rds: RDSClient,
  instance: DBInstance,
  recoveryId: string,
  takenAway: readonly Migration[] | undefined,
): Promise<void> {
  if (isCutoverProven(instance, { recoveryId })) return;
  const { DBInstanceArn: ResourceName, TagList } = instance;
  const mark = writeMarks({ 'cutover-proven': recoveryId });
  const tags = writeQuarantine(correctQuarantine(readQuarantine(TagList), takenAway, recoveryId));
  const superfluous = quarantineKeys(TagList).filter((key) => !tags.some(({ Key }) => Key === key));
  if (superfluous.length > 0) {
    // In this order: whoever dies in between leaves a quarantine that holds too much, and does all of it again.
    if (tags.length > 0) await rds.send(new AddTagsToResourceCommand({ ResourceName, Tags: tags }));
    await rds.send(new RemoveTagsFromResourceCommand({ ResourceName, TagKeys: superfluous }));
  }
  await rds.send(new AddTagsToResourceCommand({ ResourceName, Tags: [...mark, ...tags] }));
}
