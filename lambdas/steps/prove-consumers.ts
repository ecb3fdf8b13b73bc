import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import * as z from 'zod/mini';
import type { ProveConsumersResult } from '../contract/cutover';
import type { InstanceAddress, Recovery } from '../contract/recovery';
import type { Consumer } from '../contract/rules';
import { readLogin } from '../database-url';
import { ConsumersNotConnected } from '../errors';
import { APPLICATION_NAME, withConnection } from '../postgres';
import { refuseIfOvertaken } from '../overtaken';
import { currentSecret } from '../secrets';

const Sessions = z.object({ sessions: z.int() });

/**
 * Looks whether the application has come to the new instance: sessions of its role that are not this system's. Where the
 * table names no consumer nobody is expected. Throws ConsumersNotConnected while there is none, RecoveryOvertaken.
 */
export async function proveConsumers(
  { recovery, instance }: { recovery: Recovery; instance: InstanceAddress },
  deps: { secrets: SecretsManagerClient; databaseUrlSecretId: string; consumers: readonly Consumer[] },
): Promise<ProveConsumersResult> {
  await refuseIfOvertaken(recovery, [instance], deps);
  if (deps.consumers.length === 0) return { expected: false };
  const { value } = await currentSecret(deps.secrets, deps.databaseUrlSecretId);
  const login = { ...readLogin(value), host: instance.host, port: instance.port };
  const [row] = await withConnection(login, (connection) =>
    connection.query(
      `select count(*)::int as sessions from pg_catalog.pg_stat_activity
        where usename = current_user and datname = current_database() and application_name is distinct from $1`,
      [APPLICATION_NAME],
    ),
  );
  const { sessions } = Sessions.parse(row);
  if (sessions > 0) return { expected: true, sessions };
  throw new ConsumersNotConnected(
    `Nobody is connected to ${instance.instanceId} as "${login.user}".`,
    `Look at the tasks of ${deps.consumers.map(({ cluster, service }) => `${cluster}/${service}`).join(', ')}: do they start, and do they get the secret?`,
  );
}
