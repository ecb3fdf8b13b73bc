import type { Check, RestorePoint } from './contract';
import { DatabaseUnreachable, RollbackError } from './errors';
import { readMigrationTable } from './migrations';
import type { Connection } from './postgres';

/**
 * Runs one check; a refusal or an error is its answer, so that the others still run. Throws DatabaseUnreachable: a server that
 * cannot be asked has not answered.
 */
export async function check(
  name: string,
  run: () => Promise<string | { ok: boolean; detail: string }>,
): Promise<Check> {
  try {
    const result = await run();
    return typeof result === 'string' ? { name, ok: true, detail: result } : { name, ...result };
  } catch (error) {
    if (error instanceof DatabaseUnreachable) throw error;
    if (error instanceof RollbackError) return { name, ok: false, detail: error.message };
    throw error;
  }
}

export async function isWritable(connection: Connection): Promise<{ ok: boolean; detail: string }> {
  const [row] = await connection.query(
    `select pg_catalog.pg_is_in_recovery() as in_recovery,
            pg_catalog.current_setting('transaction_read_only') = 'on' as read_only`,
  );
  if (row?.in_recovery === true)
    return { ok: false, detail: 'The server is still replaying WAL (in recovery).' };
  if (row?.read_only === true) return { ok: false, detail: 'Transactions are read-only.' };
  return { ok: true, detail: 'Not in recovery, and transactions may write.' };
}

/** The migrations that were pending when the snapshot was taken must not be in the restored database. */
export async function pendingAreAbsent(
  connection: Connection,
  point: RestorePoint,
): Promise<{ ok: boolean; detail: string }> {
  if (point.kind === 'time')
    return { ok: true, detail: 'Restored to a time: no migration is known to be absent.' };
  if (point.pendingMigrations === null)
    return { ok: true, detail: 'The snapshot does not say which migrations were pending.' };
  const { applied, failed } = await readMigrationTable(connection);
  const present = point.pendingMigrations.filter((name) => applied.includes(name) || failed.includes(name));
  if (present.length > 0)
    return { ok: false, detail: `In the restored database although taken away: ${present.join(', ')}.` };
  return {
    ok: true,
    detail: `Absent, as they must be: ${point.pendingMigrations.join(', ') || 'none were pending'}.`,
  };
}

export async function noFailedMigration(connection: Connection): Promise<{ ok: boolean; detail: string }> {
  const { applied, failed } = await readMigrationTable(connection);
  return failed.length > 0
    ? { ok: false, detail: `Failed and not resolved: ${failed.join(', ')}.` }
    : { ok: true, detail: `${applied.length} migrations applied, none failed.` };
}

export async function noInvalidIndex(connection: Connection): Promise<{ ok: boolean; detail: string }> {
  const rows = await connection.query(
    `select i.indexrelid::regclass::text as name from pg_catalog.pg_index i
      where not (i.indisvalid and i.indisready and i.indislive) order by 1`,
  );
  const names = rows.map((row) => String(row.name));
  return names.length > 0
    ? { ok: false, detail: `Invalid: ${names.join(', ')}.` }
    : { ok: true, detail: 'Every index is valid.' };
}
