import { GetSecretValueCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import * as z from 'zod/mini';
import type { RestorePoint } from './contract/recovery';
import { SecretUnclear, isAwsError } from './errors';
import { jsonOf } from './parse';
import type { Login } from './postgres';

export interface SecretVersion {
  readonly versionId: string;
  readonly stages: readonly string[];
  readonly value: string;
  readonly createdAt: Date | undefined;
}

/** One version of a secret, by label or by id; undefined when there is none. */
export async function findSecretVersion(
  secrets: SecretsManagerClient,
  secretId: string,
  version: { stage: string } | { versionId: string },
): Promise<SecretVersion | undefined> {
  try {
    const answer = await secrets.send(
      new GetSecretValueCommand({
        SecretId: secretId,
        ...('stage' in version ? { VersionStage: version.stage } : { VersionId: version.versionId }),
      }),
    );
    if (answer.SecretString === undefined)
      throw new SecretUnclear(`Secret ${secretId} holds bytes, not text.`, 'Store it as a string.');
    return {
      versionId: answer.VersionId ?? '',
      stages: answer.VersionStages ?? [],
      value: answer.SecretString,
      createdAt: answer.CreatedDate,
    };
  } catch (error) {
    if (isAwsError(error, 'ResourceNotFoundException')) return undefined;
    if (
      error instanceof Error &&
      isAwsError(error, 'InvalidRequestException') &&
      error.message.includes('marked for deletion')
    )
      throw new SecretUnclear(
        `Secret ${secretId} is scheduled for deletion, and says nothing meanwhile.`,
        `Take that back: aws secretsmanager restore-secret --secret-id ${secretId}`,
        { cause: error },
      );
    throw error;
  }
}

/** The version labelled AWSCURRENT. */
export async function currentSecret(secrets: SecretsManagerClient, secretId: string): Promise<SecretVersion> {
  const version = await findSecretVersion(secrets, secretId, { stage: 'AWSCURRENT' });
  if (!version)
    throw new SecretUnclear(
      `Secret ${secretId} does not exist or has no current version.`,
      'Create the secret and store the value in it.',
    );
  return version;
}

/**
 * Whether a rotation of the secret is under way: it stages the new value as AWSPENDING, sets it in the database and then makes it
 * current. One that failed leaves the label behind.
 */
export async function isRotating(secrets: SecretsManagerClient, secretId: string): Promise<boolean> {
  const pending = await findSecretVersion(secrets, secretId, { stage: 'AWSPENDING' });
  return pending !== undefined && !pending.stages.includes('AWSCURRENT');
}

const MasterCredentials = z.object({ username: z.string(), password: z.string() });
export type MasterCredentials = z.infer<typeof MasterCredentials>;

/** Username and password of the master user, from the JSON that RDS and the CDK write. */
export function readMasterCredentials(value: string): MasterCredentials {
  const parsed = MasterCredentials.safeParse(jsonOf(value));
  if (!parsed.success)
    throw new SecretUnclear(
      'The master secret is not a JSON object with "username" and "password".',
      'Store the master user of the instance in it.',
    );
  return parsed.data;
}

/**
 * The version that is current, the one before the last rotation, and those that were pinned when snapshots were taken, as far as
 * they are there. A server that was restored, or that a rotation has not reached, has an older password.
 */
export async function versionsOf(
  secrets: SecretsManagerClient,
  secretId: string,
  pinned: readonly string[] = [],
): Promise<[SecretVersion, ...SecretVersion[]]> {
  const current = await currentSecret(secrets, secretId);
  const older = [await findSecretVersion(secrets, secretId, { stage: 'AWSPREVIOUS' })];
  for (const versionId of pinned) older.push(await findSecretVersion(secrets, secretId, { versionId }));
  const known = new Map([[current.versionId, current]]);
  for (const version of older) if (version) known.set(version.versionId, version);
  known.delete(current.versionId);
  return [current, ...known.values()];
}

/** The versions that hold the passwords of a restore point, where it is known; of a time those that may. */
export function pinnedVersions(point: RestorePoint): {
  readonly databaseUrl: readonly string[];
  readonly master: readonly string[];
} {
  if (point.kind === 'time') return point.secretVersionsAround ?? { databaseUrl: [], master: [] };
  const { databaseUrl, master } = point.secretVersions ?? {};
  return { databaseUrl: databaseUrl ? [databaseUrl] : [], master: master ? [master] : [] };
}

/** How the master user logs in, with the current password first; `pinned` are versions that snapshots name. */
export async function masterLogins(
  secrets: SecretsManagerClient,
  secretId: string,
  where: { host: string; port: number; database: string },
  pinned: readonly string[] = [],
): Promise<[Login, ...Login[]]> {
  const { host, port, database } = where;
  const login = ({ value }: SecretVersion): Login => {
    const { username, password } = readMasterCredentials(value);
    return { host, port, database, user: username, password };
  };
  const [current, ...older] = await versionsOf(secrets, secretId, pinned);
  return [login(current), ...older.map(login)];
}
