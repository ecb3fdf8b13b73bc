import { CLAIM_LABEL, findClaim, runningRecovery, type Claim, type SecretDeps } from './claim';
import type { InstanceAddress, Recovery } from './contract/recovery';
import { isSameEndpoint, readLogin } from './database-url';
import { RecoveryOvertaken } from './errors';
import { currentSecret } from './secrets';
import { swapVersionId } from './swap-version';

/** Throws RecoveryOvertaken unless the claim is this recovery's, also where the one that took it over has ended. */
export async function requireClaim(recovery: Recovery, deps: SecretDeps): Promise<void> {
  const claim = await findClaim(deps);
  if (claim?.recoveryId === recovery.id) return;
  if (claim) throw overtakenBy(claim);
  throw new RecoveryOvertaken(
    `This recovery has no claim on the database: no version of the secret has the label ${CLAIM_LABEL}.`,
    'Somebody took the label off. Start a new recovery.',
  );
}

/**
 * For what comes after the swap. As long as the secret names the instance of this recovery, it may go on; where it names another
 * one because another recovery took over, nothing that this one would do or say is right. Throws RecoveryOvertaken. What a person
 * did to the secret by hand is for the steps to find.
 * @param own where its instance is, as far as that is known; what it wrote into the secret itself is its own in any case
 */
export async function refuseIfOvertaken(
  recovery: Recovery,
  own: readonly Pick<InstanceAddress, 'host' | 'port'>[],
  deps: SecretDeps,
): Promise<void> {
  const { value, versionId } = await currentSecret(deps.secrets, deps.databaseUrlSecretId);
  if (versionId === swapVersionId(recovery.id)) return;
  const named = readLogin(value);
  if (own.some((one) => isSameEndpoint(one, named))) return;
  await refuseUnderOtherClaim(recovery, deps);
}

/** Throws RecoveryOvertaken where another recovery has the claim. */
export async function refuseUnderOtherClaim(recovery: Recovery, deps: SecretDeps): Promise<void> {
  const claim = await findClaim(deps);
  if (claim && claim.recoveryId !== recovery.id) throw overtakenBy(claim);
}

function overtakenBy(claim: Claim): RecoveryOvertaken {
  const { name, requestedBy, since } = runningRecovery(claim);
  return new RecoveryOvertaken(
    `Execution ${name}, which ${requestedBy} started at ${since}, has taken over.`,
    'Nothing to do here: see how that one ended, it says what is live.',
  );
}
