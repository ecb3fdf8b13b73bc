import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { InstanceAddress, Recovery } from '../contract/recovery';
import type { LiftFenceResult } from '../contract/way-back';
import {
  MAINTENANCE_DATABASE,
  asMaster,
  endSessions,
  liftFence as lift,
  raiseFence,
  readerLogin,
} from '../database-fence';
import { isSameEndpoint, readLogin } from '../database-url';
import { toRollbackError } from '../errors';
import { firstAccepted } from '../postgres';
import { requireClaim } from '../overtaken';
import { currentSecret, masterLogins } from '../secrets';

interface LiftFenceDeps {
  readonly secrets: SecretsManagerClient;
  readonly masterSecretId: string;
  readonly databaseUrlSecretId: string;
}

/**
 * Opens the old database again as it was before Fence, when a recovery is abandoned. Where the secret names another one by
 * now, or another recovery has raised the fence since, it stays fenced. Of an undo the instance that was taken back is fenced again.
 */
export async function liftFence(
  { recovery }: { recovery: Recovery },
  deps: LiftFenceDeps,
): Promise<LiftFenceResult> {
  const { host, port, instanceId, state } = recovery.live;
  const named = readLogin((await currentSecret(deps.secrets, deps.databaseUrlSecretId)).value);
  if (!isSameEndpoint(named, recovery.live))
    return {
      lifted: false,
      stillOpen: null,
      reason: `The secret names ${named.host}:${named.port}, not ${host}:${port} of ${instanceId}, which stays fenced: else two databases could be written to.`,
    };
  // First, so that no two take writes; whatever comes of it, the application needs the live one.
  const stillOpen = recovery.undoes ? await fenceAgain(recovery, recovery.undoes.instance, deps) : null;
  if (state !== 'there')
    return { lifted: false, stillOpen, reason: `${instanceId} is ${state}: it has no fence.` };
  const masters = await masterLogins(deps.secrets, deps.masterSecretId, {
    host,
    port,
    database: MAINTENANCE_DATABASE,
  });
  const master = (await firstAccepted(masters)) ?? masters[0];
  // A clean-up has the claim: whose fence it is does not matter, nobody else's recovery runs.
  const isCleanUp = recovery.mode === 'clean-up';
  if (isCleanUp) await requireClaim(recovery, deps);
  const { lifted, fencedBy } = await asMaster(master, (connection) =>
    lift(connection, { ...(!isCleanUp && { raisedBy: recovery.id }), asBefore: true }),
  );
  if (lifted) return { lifted, stillOpen, reason: `${instanceId} is open again, as it was.` };
  return {
    lifted,
    stillOpen,
    reason:
      fencedBy === undefined
        ? `${instanceId} has no fence.`
        : `${instanceId} was fenced by recovery ${fencedBy} after this one (${recovery.id}): it stays fenced for that one.`,
  };
}

/** Answers why it could not be done. */
async function fenceAgain(
  recovery: Recovery,
  { host, port }: InstanceAddress,
  deps: LiftFenceDeps,
): Promise<string | null> {
  const { id } = recovery;
  try {
    // Another one that took over may be opening it.
    await requireClaim(recovery, deps);
    const masters = await masterLogins(deps.secrets, deps.masterSecretId, {
      host,
      port,
      database: MAINTENANCE_DATABASE,
    });
    const master = (await firstAccepted(masters)) ?? masters[0];
    const application = {
      ...readLogin((await currentSecret(deps.secrets, deps.databaseUrlSecretId)).value),
      host,
      port,
    };
    const reader = readerLogin(master, application, id);
    await asMaster(master, async (connection) => {
      const fence = await raiseFence(connection, { recoveryId: id, application, reader });
      await endSessions(connection, fence);
    });
    return null;
  } catch (error) {
    return toRollbackError(error).fact;
  }
}
