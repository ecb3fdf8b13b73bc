import {
  PutSecretValueCommand,
  UpdateSecretVersionStageCommand,
  type SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import type { SwapResult } from '../contract/cutover';
import type { InstanceAddress, Recovery } from '../contract/recovery';
import { MAINTENANCE_DATABASE, asMaster, liftFence } from '../database-fence';
import { isSameEndpoint, moveEndpoint, readLogin } from '../database-url';
import {
  DatabaseUnreachable,
  NewAddressNotReached,
  SecretMovedMeanwhile,
  SecretUnclear,
  isAwsError,
} from '../errors';
import { moveCurrent } from '../move-current';
import { refuseUnderOtherClaim, requireClaim } from '../overtaken';
import { firstAccepted, withConnection } from '../postgres';
import { currentSecret, findSecretVersion, masterLogins } from '../secrets';
import { BEFORE_SWAP_LABEL, STAGED_LABEL, swapVersionId } from '../swap-version';

/**
 * Makes the secret name the recovery instance. The new version is staged and logged in with before it becomes current;
 * AWSCURRENT moves only from the version that the plan saw, and only while this recovery has the claim. Throws
 * SecretMovedMeanwhile, RecoveryOvertaken, SecretUnclear, LoginRefused; of a rename NewAddressNotReached until the new address leads
 * to the database.
 */
export async function swap(
  { recovery, instance }: { recovery: Recovery; instance: InstanceAddress },
  deps: { secrets: SecretsManagerClient; masterSecretId: string; databaseUrlSecretId: string },
): Promise<SwapResult> {
  const { secrets, databaseUrlSecretId: secretId } = deps;
  const versionId = swapVersionId(recovery.id);
  const previousVersionId = recovery.secretVersionId;
  const current = await currentSecret(secrets, secretId);
  if (current.versionId === versionId) return { versionId, previousVersionId };
  // An earlier execution came as far, or a person wrote it.
  if (recovery.rename && isSameEndpoint(readLogin(current.value), instance))
    return { versionId: current.versionId, previousVersionId };
  if (current.versionId !== previousVersionId) {
    await refuseUnderOtherClaim(recovery, deps);
    throw new SecretMovedMeanwhile(
      `The plan was made for version ${previousVersionId} of the secret; ${current.versionId} is current now.`,
      recovery.rename
        ? 'Somebody changed the secret meanwhile (a rotation?). Start the rename again: it goes on from what is there, and asks nobody.'
        : 'Somebody changed the secret while the recovery ran (a rotation?). Start a new recovery.',
    );
  }

  const moved = moveEndpoint(current.value, recovery.live, instance);
  await stage(secrets, secretId, versionId, moved);
  const staged = await findSecretVersion(secrets, secretId, { versionId });
  if (staged?.value !== moved)
    throw new SecretUnclear(
      `Version ${versionId} of the secret is not what was stored in it.`,
      'Look at the versions of the secret; nothing was swapped.',
    );
  // What an undo takes back is fenced up to here; the live one is by now.
  if (recovery.undoes) {
    await requireClaim(recovery, deps);
    await open(instance, deps);
  }
  await logIn(staged.value, recovery);

  await requireClaim(recovery, deps);
  await pin(secrets, secretId, previousVersionId);
  await moveCurrent(secrets, secretId, { from: previousVersionId, to: versionId });
  return { versionId, previousVersionId };
}

/** The address of a rename is new to everybody, and effective only some time after RDS shows it. */
async function logIn(value: string, { rename, recoveryInstanceId: id }: Recovery): Promise<void> {
  const login = readLogin(value);
  try {
    await withConnection(login, (connection) => connection.query('select 1'));
  } catch (error) {
    if (!rename || !(error instanceof DatabaseUnreachable)) throw error;
    throw new NewAddressNotReached(
      `Instance ${id} does not answer at ${login.host} yet: ${error.fact}`,
      'Wait.',
      {
        cause: error,
      },
    );
  }
}

async function open(
  { host, port }: InstanceAddress,
  { secrets, masterSecretId }: { secrets: SecretsManagerClient; masterSecretId: string },
): Promise<void> {
  const masters = await masterLogins(secrets, masterSecretId, { host, port, database: MAINTENANCE_DATABASE });
  await asMaster((await firstAccepted(masters)) ?? masters[0], (connection) => liftFence(connection));
}

async function stage(
  secrets: SecretsManagerClient,
  secretId: string,
  versionId: string,
  value: string,
): Promise<void> {
  try {
    await secrets.send(
      new PutSecretValueCommand({
        SecretId: secretId,
        ClientRequestToken: versionId,
        SecretString: value,
        VersionStages: [STAGED_LABEL],
      }),
    );
  } catch (error) {
    // There already, with another value: what is in it is read back and compared.
    if (!isAwsError(error, 'ResourceExistsException')) throw error;
  }
}

/**
 * Moves the label that keeps the version before the swap from being purged. A retry of a call that took effect is refused,
 * since the label is not where it was: so it is read back.
 */
async function pin(secrets: SecretsManagerClient, secretId: string, versionId: string): Promise<void> {
  const holder = async (): Promise<string | undefined> =>
    (await findSecretVersion(secrets, secretId, { stage: BEFORE_SWAP_LABEL }))?.versionId;
  const before = await holder();
  if (before === versionId) return;
  try {
    await secrets.send(
      new UpdateSecretVersionStageCommand({
        SecretId: secretId,
        VersionStage: BEFORE_SWAP_LABEL,
        MoveToVersionId: versionId,
        RemoveFromVersionId: before,
      }),
    );
  } catch (error) {
    if ((await holder()) !== versionId) throw error;
  }
}
