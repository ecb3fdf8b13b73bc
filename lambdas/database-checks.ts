import type { Check } from './contract/checks';
import { DatabaseUnreachable, RollbackError } from './errors';
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
