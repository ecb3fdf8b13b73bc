import { AddTagsToResourceCommand, type RDSClient } from '@aws-sdk/client-rds';
import type * as z from 'zod/mini';
import type { LiftQuarantineEvent, LiftQuarantineResult } from '../contract/gate';
import { QuarantineNotLifted } from '../errors';
import { findLiveInstance } from '../live-instance';
import { refuseUntilProven } from '../proven-cutover';
import { readQuarantine, writeLift, type Quarantined } from '../quarantine';
import type { ClaimDeps } from '../recovery-claim';
import { heldName, MAX_TAGS } from '../tags';

/**
 * Lets a migration that a recovery took away pass the gate unchanged, and records who wants that and why. Asked again, it
 * answers what the first one said. Throws QuarantineNotLifted, RecoveryAlreadyRunning, LiveInstanceUnclear.
 */
export async function liftQuarantine(
  { migration, requestedBy, reason }: z.infer<typeof LiftQuarantineEvent>,
  deps: ClaimDeps & { readonly rds: RDSClient },
): Promise<LiftQuarantineResult> {
  const { rds } = deps;
  const { instance, address } = await findLiveInstance(rds, deps.secrets, deps.databaseUrlSecretId);
  const { instanceId } = address;
  // A recovery makes the quarantine of the next instance out of that of this one, and corrects it before its cutover is proven.
  await refuseUntilProven(instance, deps);
  const quarantine = readQuarantine(instance.TagList);
  const held = quarantine.find(({ name }) => name === heldName(migration));
  const others = quarantine.filter((one) => one !== held && one.lift === undefined).map(({ name }) => name);
  if (!held)
    throw new QuarantineNotLifted(
      `${migration} is not in the quarantine of ${instanceId}. In it: ${others.join(', ') || 'nothing'}.`,
      'Write the name of the migration as its folder is named.',
    );
  const answer = (lift: NonNullable<Quarantined['lift']>): LiftQuarantineResult => ({
    migration: held.name,
    instanceId,
    recoveryId: held.recoveryId,
    lift,
    stillInQuarantine: others,
  });
  if (held.lift) return answer(held.lift);

  const tags = writeLift(held, { by: requestedBy, at: deps.now().toISOString(), reason });
  const keys = new Set([...(instance.TagList ?? []), ...tags].map(({ Key }) => Key));
  if (keys.size > MAX_TAGS)
    throw new QuarantineNotLifted(
      `${instanceId} has ${keys.size - 1} tags, and RDS allows ${MAX_TAGS}: there is no room for the one that lifts it.`,
      'Take a tag that nobody needs off the instance, then ask again.',
    );
  await rds.send(new AddTagsToResourceCommand({ ResourceName: instance.DBInstanceArn, Tags: tags }));
  const [written] = readQuarantine([...(instance.TagList ?? []), ...tags]).flatMap(({ name, lift }) =>
    name === held.name && lift ? [lift] : [],
  );
  if (!written) throw new Error(`The tag that lifts the quarantine of ${held.name} cannot be read back.`);
  return answer(written);
}
