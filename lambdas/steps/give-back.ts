import { AddTagsToResourceCommand, type RDSClient } from '@aws-sdk/client-rds';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { Recovery } from '../contract/recovery';
import type { GiveBackResult } from '../contract/way-back';
import { isSameHost, readLogin } from '../database-url';
import { SecretMovedMeanwhile } from '../errors';
import { findInstance } from '../rds';
import { currentSecret } from '../secrets';
import { readMarks, writeMarks } from '../tags';

/**
 * Where an undo is abandoned: the instance that was taken back is retired again, as the recovery that was to be undone left it.
 * It is never deleted. Throws SecretMovedMeanwhile when the secret names it.
 */
export async function giveBack(
  { recovery }: { recovery: Recovery },
  deps: { rds: RDSClient; secrets: SecretsManagerClient; databaseUrlSecretId: string },
): Promise<GiveBackResult> {
  const instanceId = recovery.recoveryInstanceId;
  const instance = await findInstance(deps.rds, instanceId);
  const marks = readMarks(instance?.TagList);
  // Never taken: another recovery was faster. Or given back by an earlier call.
  if (!instance || marks.role !== 'taken-back' || marks['recovery-id'] !== recovery.id)
    return { instanceId, retired: marks.role === 'retired' };
  const { versionId, value } = await currentSecret(deps.secrets, deps.databaseUrlSecretId);
  const { Address: address } = instance.Endpoint ?? {};
  if (address !== undefined && isSameHost(readLogin(value).host, address))
    throw new SecretMovedMeanwhile(
      `Version ${versionId} of the secret names instance ${instanceId}, which was to be retired again.`,
      'Somebody moved the secret. Decide which database is right; nothing is deleted.',
    );
  await deps.rds.send(
    new AddTagsToResourceCommand({
      ResourceName: instance.DBInstanceArn,
      Tags: writeMarks({
        role: 'retired',
        environment: recovery.environment,
        'recovery-id': recovery.undoes?.recoveryId ?? recovery.id,
      }),
    }),
  );
  return { instanceId, retired: true };
}
