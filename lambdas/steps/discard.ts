import type { RDSClient } from '@aws-sdk/client-rds';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { Recovery } from '../contract/recovery';
import type { DiscardResult } from '../contract/way-back';
import { isSameHost, readLogin } from '../database-url';
import { DiscardNotFinished, DiscardRefused, LiveInstanceUnclear } from '../errors';
import { deleteInstance, isDeletionForLater } from '../instance-deletion';
import { addressOf, findInstance, isDead } from '../rds';
import { currentSecret } from '../secrets';
import { swapVersionId } from '../swap-version';
import { readMarks } from '../tags';

export interface DiscardDeps {
  readonly rds: RDSClient;
  readonly secrets: SecretsManagerClient;
  readonly databaseUrlSecretId: string;
}

/**
 * Deletes the recovery instance of a recovery that failed before the swap: only if its tags say that this recovery made it
 * and the secret does not name it. It holds nothing that its restore point does not, so it gets no final snapshot
 * and leaves no automated backups. Where no live instance is left, before the recovery or since, it is kept: it may be the nearest
 * thing to a database that there is.
 * Throws DiscardNotFinished until it is gone, DiscardRefused, LiveInstanceUnclear.
 */
export async function discard(
  { recovery }: { recovery: Recovery },
  deps: DiscardDeps,
): Promise<DiscardResult> {
  const { rds, secrets, databaseUrlSecretId } = deps;
  const instanceId = recovery.recoveryInstanceId;
  const instance = await findInstance(rds, instanceId);
  if (!instance) return { discarded: 'gone', instanceId };

  const refuse = (fact: string): DiscardRefused =>
    new DiscardRefused(fact, `Instance ${instanceId} is left alone; delete it by hand if nobody needs it.`);
  const marks = readMarks(instance.TagList);
  if (marks.role !== 'recovery-instance' || marks['recovery-id'] !== recovery.id)
    throw refuse(`Instance ${instanceId} does not carry the tags of recovery ${recovery.id}.`);
  if (instance.DbiResourceId === recovery.live.resourceId)
    throw refuse(`Instance ${instanceId} is the one that was live when the recovery was planned.`);
  const current = await currentSecret(secrets, databaseUrlSecretId);
  const { host } = readLogin(current.value);
  const address = addressOf(instance);
  if (current.versionId === swapVersionId(recovery.id) || (address && isSameHost(host, address.host)))
    throw refuse(`The secret names instance ${instanceId}.`);
  if (await nothingIsLive(recovery.live, host, rds))
    throw new LiveInstanceUnclear(
      `Instance ${recovery.live.instanceId}, which the secret names, is gone or broken for good; ${instanceId} is kept.`,
      'Start the machine with {}: it says what to recover to. Then redrive this one, which deletes its copy.',
    );

  if (instance.DBInstanceStatus !== 'deleting') {
    try {
      await deleteInstance(rds, instance, { SkipFinalSnapshot: true, DeleteAutomatedBackups: true });
    } catch (error) {
      if (!isDeletionForLater(error, instance)) throw error;
    }
  }
  throw new DiscardNotFinished(
    `Instance ${instanceId} is still there (${instance.DBInstanceStatus ?? 'unknown'}).`,
    'Wait.',
  );
}

/** Whether the live instance of the plan is gone for good, or about to be, and the secret still names it: nothing has taken its place. */
async function nothingIsLive(live: Recovery['live'], named: string, rds: RDSClient): Promise<boolean> {
  if (!isSameHost(named, live.host)) return false;
  const instance = await findInstance(rds, live.instanceId);
  // Another one of that name may be anything.
  if (instance?.DbiResourceId !== live.resourceId) return true;
  const { DBInstanceStatus: status = 'unknown' } = instance;
  return status === 'deleting' || isDead(status);
}
