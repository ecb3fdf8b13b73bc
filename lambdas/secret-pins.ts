import {
  DescribeSecretCommand,
  UpdateSecretVersionStageCommand,
  type SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { SecretUnclear } from './errors';

/** One label per version, since a label is on one version only and a version without any may be purged. */
const PREFIX = 'migration-rollback-kept-';

function pinOf(versionId: string): string {
  return `${PREFIX}${versionId.slice(0, 12)}`;
}

/** Pins the current version of a secret, so that it is still there when a snapshot of today is restored. Answers its id. */
export async function pinCurrentVersion(secrets: SecretsManagerClient, secretId: string): Promise<string> {
  const { VersionIdsToStages: stages = {} } = await secrets.send(
    new DescribeSecretCommand({ SecretId: secretId }),
  );
  const [versionId, labels] =
    Object.entries(stages).find(([, labels]) => labels.includes('AWSCURRENT')) ?? [];
  if (versionId === undefined)
    throw new SecretUnclear(`Secret ${secretId} has no current version.`, 'Store the value in it.');
  if (!labels?.includes(pinOf(versionId)))
    await secrets.send(
      new UpdateSecretVersionStageCommand({
        SecretId: secretId,
        VersionStage: pinOf(versionId),
        MoveToVersionId: versionId,
      }),
    );
  return versionId;
}

/** Takes the pins off all versions but those that some snapshot needs. Answers the ids of the versions let go. */
export async function unpinVersions(
  secrets: SecretsManagerClient,
  secretId: string,
  needed: ReadonlySet<string>,
): Promise<string[]> {
  const { VersionIdsToStages: stages = {} } = await secrets.send(
    new DescribeSecretCommand({ SecretId: secretId }),
  );
  const released = Object.entries(stages).filter(
    ([versionId, labels]) =>
      !needed.has(versionId) && !labels.includes('AWSCURRENT') && labels.includes(pinOf(versionId)),
  );
  for (const [versionId] of released)
    await secrets.send(
      new UpdateSecretVersionStageCommand({
        SecretId: secretId,
        VersionStage: pinOf(versionId),
        RemoveFromVersionId: versionId,
      }),
    );
  return released.map(([versionId]) => versionId);
}
