import type { DBInstance, RDSClient } from '@aws-sdk/client-rds';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { InstanceAddress } from './contract';
import { readLogin } from './database-url';
import { LiveInstanceUnclear } from './errors';
import { addressOf, listInstances } from './rds';
import { currentSecret } from './secrets';

export interface LiveInstance {
  readonly instance: DBInstance;
  readonly address: InstanceAddress;
  /** The version of the secret that names it. */
  readonly secretVersionId: string;
}

/** The instance that the DATABASE_URL secret names now. Throws LiveInstanceUnclear or SecretUnclear. */
export async function findLiveInstance(
  rds: RDSClient,
  secrets: SecretsManagerClient,
  secretId: string,
): Promise<LiveInstance> {
  const secret = await currentSecret(secrets, secretId);
  const { host, port } = readLogin(secret.value);
  const instance = await findInstanceByEndpoint(rds, host, port);
  const address = instance && addressOf(instance);
  if (!instance || !address)
    throw new LiveInstanceUnclear(
      `The secret names ${host}:${port}, which is the endpoint of no RDS instance in this Region.`,
      'The secret must hold the endpoint of the instance itself, not a CNAME or a proxy.',
    );
  return { instance, address, secretVersionId: secret.versionId };
}

/** The instance with that endpoint, or undefined. */
export async function findInstanceByEndpoint(
  rds: RDSClient,
  host: string,
  port: number,
): Promise<DBInstance | undefined> {
  const instances = await listInstances(rds);
  return instances.find(
    ({ Endpoint }) =>
      Endpoint?.Address?.toLowerCase() === host.toLowerCase().replace(/\.$/, '') && Endpoint.Port === port,
  );
}
