import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { LiftFenceResult, Recovery } from '../contract';
import { MAINTENANCE_DATABASE, asMaster, liftFence as lift } from '../database-fence';
import { readLogin } from '../database-url';
import { firstAccepted } from '../postgres';
import { currentSecret, masterLogins } from '../secrets';

/**
 * Opens the old database again as it was before Fence, when a recovery is abandoned. Where the secret names another one by
 * now, or another recovery has raised the fence since, it stays fenced.
 */
export async function liftFence(
  { recovery }: { recovery: Recovery },
  deps: { secrets: SecretsManagerClient; masterSecretId: string; databaseUrlSecretId: string },
): Promise<LiftFenceResult> {
  const { host, port, instanceId, state } = recovery.live;
  if (state !== 'there') return { lifted: false, reason: `${instanceId} is ${state}: it has no fence.` };
  const named = readLogin((await currentSecret(deps.secrets, deps.databaseUrlSecretId)).value);
  if (named.host.toLowerCase() !== host.toLowerCase() || named.port !== port)
    return {
      lifted: false,
      reason: `The secret names ${named.host}:${named.port}, not ${host}:${port} of ${instanceId}, which stays fenced: else two databases could be written to.`,
    };
  const masters = await masterLogins(deps.secrets, deps.masterSecretId, {
    host,
    port,
    database: MAINTENANCE_DATABASE,
  });
  const master = (await firstAccepted(masters)) ?? masters[0];
  const { lifted, fencedBy } = await asMaster(master, (connection) => lift(connection, recovery.id));
  if (lifted) return { lifted, reason: `${instanceId} is open again, as it was.` };
  return {
    lifted,
    reason:
      fencedBy === undefined
        ? `${instanceId} has no fence.`
        : `${instanceId} was fenced by recovery ${fencedBy} after this one (${recovery.id}): it stays fenced for that one.`,
  };
}
