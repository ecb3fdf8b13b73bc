import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { Recovery } from './contract/recovery';
import { MAINTENANCE_DATABASE } from './database-fence';
import { DatabaseUnreachable, LoginRefused, OldInstanceUnreachable, QueryFailed } from './errors';
import { APPLICATION_NAME, firstAccepted, withConnection, type Connection } from './postgres';
import { masterLogins } from './secrets';

/**
 * What Drain and Soak ask the old server, as the master user and where the fence keeps nobody out. Throws OldInstanceUnreachable
 * when it cannot be asked: nobody is assumed gone.
 */
export async function onOldServer<T>(
  { host, port, instanceId }: Recovery['live'],
  deps: { secrets: SecretsManagerClient; masterSecretId: string },
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const masters = await masterLogins(deps.secrets, deps.masterSecretId, {
    host,
    port,
    database: MAINTENANCE_DATABASE,
  });
  try {
    return await withConnection((await firstAccepted(masters)) ?? masters[0], work);
  } catch (error) {
    if (error instanceof DatabaseUnreachable || error instanceof LoginRefused || error instanceof QueryFailed)
      throw new OldInstanceUnreachable(
        `Instance ${instanceId} cannot be asked who is connected: ${error.fact}`,
        'It is kept. Look at it, then delete it by hand, with a final snapshot.',
        { cause: error },
      );
    throw error;
  }
}

/** Who is connected, this system and RDS itself left out: with role, application and how many. */
export function sessionsOfOthers(connection: Connection): Promise<Record<string, unknown>[]> {
  return connection.query(
    // Of sessions that may not be looked into, backend_type is null: they count.
    `select coalesce(usename, '?') as role, coalesce(application_name, '') as application, count(*)::int as sessions
       from pg_catalog.pg_stat_activity
      where pid <> pg_catalog.pg_backend_pid()
        and usesysid is not null and usename is distinct from 'rdsadmin'
        and coalesce(backend_type, 'client backend') in ('client backend', 'walsender')
        and application_name is distinct from $1
      group by 1, 2 order by 3 desc, 1, 2`,
    [APPLICATION_NAME],
  );
}

export function describeSessions(sessions: readonly Record<string, unknown>[]): string {
  return sessions
    .map(
      ({ role, application, sessions: count }) =>
        `${String(count)} of role ${String(role)} (${String(application) || 'no application name'})`,
    )
    .join(', ');
}
