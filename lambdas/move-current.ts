import { UpdateSecretVersionStageCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SecretMovedMeanwhile } from './errors';
import { currentSecret } from './secrets';

/**
 * Moves AWSCURRENT from exactly `from` to `to`: a compare-and-swap. Whether it happened is read back, since the answer may
 * be lost. Throws SecretMovedMeanwhile when another version is current.
 */
export async function moveCurrent(
  secrets: SecretsManagerClient,
  secretId: string,
  { from, to }: { from: string; to: string },
): Promise<void> {
  let refused: unknown;
  try {
    await secrets.send(
      new UpdateSecretVersionStageCommand({
        SecretId: secretId,
        VersionStage: 'AWSCURRENT',
        MoveToVersionId: to,
        RemoveFromVersionId: from,
      }),
    );
  } catch (error) {
    refused = error;
  }
  const { versionId } = await currentSecret(secrets, secretId);
  if (versionId === to) return;
  if (versionId !== from)
    throw new SecretMovedMeanwhile(
      `Version ${versionId} of the secret is current, neither ${from} nor ${to}.`,
      'Somebody changed the secret while the recovery ran. Look at what it names, then start a new recovery.',
      { cause: refused },
    );
  throw refused instanceof Error ? refused : new Error('AWSCURRENT did not move although AWS said so.');
}
