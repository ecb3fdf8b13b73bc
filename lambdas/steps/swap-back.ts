import type { Recovery } from '../contract/recovery';
import type { SwapBackResult } from '../contract/way-back';
import { refuseBesideCutOff } from '../cut-off';
import { isSameEndpoint, readLogin } from '../database-url';
import { SecretMovedMeanwhile } from '../errors';
import { moveCurrent } from '../move-current';
import { refuseUnderOtherClaim } from '../overtaken';
import { refuseWhileAnotherRuns, type ClaimDeps } from '../recovery-claim';
import { currentSecret, findSecretVersion } from '../secrets';
import { BEFORE_SWAP_LABEL, swapVersionId } from '../swap-version';

/**
 * Undoes a swap as far as it went. Says that it was swapped whenever that cannot be ruled out: the recovery instance is
 * then kept. When the secret names neither what the swap wrote nor the old instance it throws RecoveryOvertaken where another recovery
 * took over, else SecretMovedMeanwhile; and RecoveryAlreadyRunning when another recovery is bringing back what this one swapped in.
 * A Fence or Swap that was cut off before a redrive would undo what is undone here and behind it: StoppedRecoveryAtWork until it cannot.
 */
export async function swapBack(
  { recovery, redrives = 0 }: { recovery: Recovery; redrives?: number },
  deps: ClaimDeps,
): Promise<SwapBackResult> {
  const { secrets, databaseUrlSecretId: secretId } = deps;
  await refuseBesideCutOff(recovery, redrives, ['fence', 'swap'], deps);
  const ours = swapVersionId(recovery.id);
  const before = recovery.secretVersionId;
  const current = await currentSecret(secrets, secretId);

  if (current.versionId === ours) {
    await refuseWhileAnotherRuns(recovery.id, deps);
    await moveCurrent(secrets, secretId, { from: ours, to: before });
    return { wasSwapped: true };
  }
  const swappedIn = await findSecretVersion(secrets, secretId, { versionId: ours });
  // Never staged, never current: somebody else moved the secret before the swap could.
  if (!swappedIn) return { wasSwapped: false };
  // AWSPREVIOUS follows AWSCURRENT: our version has it only if it was current and an earlier call moved it back.
  const wasCurrent = swappedIn.stages.includes('AWSPREVIOUS');
  if (current.versionId === before) return { wasSwapped: wasCurrent };

  const named = readLogin(current.value);
  if (!isSameEndpoint(named, recovery.live)) {
    await refuseUnderOtherClaim(recovery, deps);
    throw new SecretMovedMeanwhile(
      `Version ${current.versionId} of the secret is current, which this recovery did not write; it names ${named.host}:${named.port}.`,
      `Decide which database is right. The old one is ${recovery.live.host}:${recovery.live.port}, its version of the secret is ${before}.`,
    );
  }
  // Somebody else's version names the old instance. The pin comes before the swap: without it there was none.
  const pinned = await findSecretVersion(secrets, secretId, { stage: BEFORE_SWAP_LABEL });
  return { wasSwapped: wasCurrent || pinned?.versionId === before };
}
