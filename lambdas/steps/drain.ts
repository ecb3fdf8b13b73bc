import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { DrainResult, Recovery } from '../contract';
import { MAINTENANCE_DATABASE } from '../database-fence';
import {
  DatabaseUnreachable,
  LoginRefused,
  OldInstanceUnreachable,
  QueryFailed,
  StillConnected,
} from '../errors';
import { APPLICATION_NAME, firstAccepted, withConnection } from '../postgres';
import { masterLogins } from '../secrets';

/**
 * Looks who is connected to the old instance, this system and RDS itself left out. Throws StillConnected while anybody is,
 * OldInstanceUnreachable when it cannot be asked: nobody is assumed gone.
 */
export async function drain(
  { recovery }: { recovery: Recovery },
  deps: { secrets: SecretsManagerClient; masterSecretId: string; now: () => Date },
): Promise<DrainResult> {
  const { host, port, instanceId, state } = recovery.live;
  // Before it is looked at: it is never taken for later than it was.
  const at = deps.now().toISOString();
  // Fence has seen that nothing takes connections there.
  if (state !== 'there') return { sessions: 0, at };
  const masters = await masterLogins(deps.secrets, deps.masterSecretId, {
    host,
    port,
    database: MAINTENANCE_DATABASE,
  });
  let sessions: Record<string, unknown>[];
  try {
    sessions = await withConnection((await firstAccepted(masters)) ?? masters[0], (connection) =>
      // Of sessions that may not be looked into, backend_type is null: they count.
      connection.query(
        `select coalesce(usename, '?') as role, coalesce(application_name, '') as application, count(*)::int as sessions
           from pg_catalog.pg_stat_activity
          where pid <> pg_catalog.pg_backend_pid()
            and usesysid is not null and usename is distinct from 'rdsadmin'
            and coalesce(backend_type, 'client backend') in ('client backend', 'walsender')
            and application_name is distinct from $1
          group by 1, 2 order by 3 desc, 1, 2`,
        [APPLICATION_NAME],
      ),
    );
  } catch (error) {
    if (error instanceof DatabaseUnreachable || error instanceof LoginRefused || error instanceof QueryFailed)
      throw new OldInstanceUnreachable(
        `Instance ${instanceId} cannot be asked who is connected: ${error.fact}`,
        'It is kept. Look at it, then delete it by hand, with a final snapshot.',
        { cause: error },
      );
    throw error;
  }
  if (sessions.length > 0)
    throw new StillConnected(
      `Still connected to ${instanceId}: ${sessions.map(({ role, application, sessions: count }) => `${String(count)} of role ${String(role)} (${String(application) || 'no application name'})`).join(', ')}.`,
      'Restart what still runs with the old DATABASE_URL.',
    );
  return { sessions: 0, at };
}
