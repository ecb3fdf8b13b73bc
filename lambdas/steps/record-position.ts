import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import * as z from 'zod/mini';
import type { InstanceAddress, Recovery } from '../contract/recovery';
import type { RecordPositionResult } from '../contract/restore';
import { MAINTENANCE_DATABASE } from '../database-fence';
import { readLogin } from '../database-url';
import { LoginRefused } from '../errors';
import { withConnection, type Login } from '../postgres';
import { masterLogins, pinnedVersions, versionsOf } from '../secrets';

export interface RecordPositionDeps {
  readonly secrets: SecretsManagerClient;
  readonly masterSecretId: string;
  readonly databaseUrlSecretId: string;
}

const Position = z.object({
  snapshot_xmax: z.string(),
  last_replay_lsn: z.nullable(z.string()),
  current_lsn: z.string(),
  wal_file: z.string(),
});

/**
 * What the copy holds, asked before anything writes to it. Only the passwords of the backup's moment can be in it, so the
 * current and previous ones of both users, and those pinned with the snapshot, are tried, the master user's first. Never throws: a recovery must not fail for
 * want of this record.
 */
export async function recordPosition(
  { recovery, instance }: { recovery: Recovery; instance: InstanceAddress },
  deps: RecordPositionDeps,
): Promise<RecordPositionResult> {
  try {
    const { masters, applications } = await possibleLogins(deps, recovery, instance);
    for (const login of [...masters, ...applications]) {
      try {
        return await withConnection(login, async (connection) => {
          const [row] = await connection.query(
            `select pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text as snapshot_xmax,
                    pg_catalog.pg_last_wal_replay_lsn()::text as last_replay_lsn,
                    pg_catalog.pg_current_wal_lsn()::text as current_lsn,
                    pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) as wal_file`,
          );
          const position = Position.parse(row);
          return {
            masterUserKnown: masters.includes(login),
            recorded: true,
            snapshotXmax: position.snapshot_xmax,
            lastReplayLsn: position.last_replay_lsn,
            currentLsn: position.current_lsn,
            // The name of a WAL file begins with the timeline, eight hex digits.
            timeline: parseInt(position.wal_file.slice(0, 8), 16),
          };
        });
      } catch (error) {
        if (!(error instanceof LoginRefused)) throw error;
      }
    }
    return {
      masterUserKnown: false,
      recorded: false,
      reason: `None of ${masters.length + applications.length} known passwords is that of the backup.`,
    };
  } catch (error) {
    return {
      masterUserKnown: false,
      recorded: false,
      reason: error instanceof Error ? error.message : String(error),
    };
  }
}

async function possibleLogins(
  deps: RecordPositionDeps,
  { restorePoint }: Recovery,
  { host, port }: InstanceAddress,
): Promise<{ masters: Login[]; applications: Login[] }> {
  const { secrets, masterSecretId, databaseUrlSecretId } = deps;
  const pinned = pinnedVersions(restorePoint);
  const urls = await versionsOf(secrets, databaseUrlSecretId, pinned.databaseUrl);
  const where = { host, port, database: MAINTENANCE_DATABASE };
  return {
    masters: await masterLogins(secrets, masterSecretId, where, pinned.master),
    applications: urls.map(({ value }) => ({ ...readLogin(value), host, port })),
  };
}
