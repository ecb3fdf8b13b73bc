import * as z from 'zod/mini';
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
            pg_catalog.current_setting('transaction_read_only') = 'on' as read_only, source,
            pg_catalog.quote_ident(pg_catalog.current_database()) as database, pg_catalog.quote_ident(current_user) as role
       from pg_catalog.pg_settings where name = 'default_transaction_read_only'`,
  );
  if (row?.in_recovery === true)
    return { ok: false, detail: 'The server is still replaying WAL (in recovery).' };
  if (row?.read_only === true) return { ok: false, detail: whyReadOnly(ReadOnly.parse(row)) };
  return { ok: true, detail: 'Not in recovery, and transactions may write.' };
}

const ReadOnly = z.object({ source: z.string(), database: z.string(), role: z.string() });

/** As somebody may have set it who wanted the writers to stop. */
function whyReadOnly({ source, database, role }: z.infer<typeof ReadOnly>): string {
  const setting = 'default_transaction_read_only';
  const ways: Readonly<Record<string, string>> = {
    database: `"alter database ${database} reset ${setting}" ends that`,
    user: `"alter role ${role} reset ${setting}" ends that`,
    'database user': `"alter role ${role} in database ${database} reset ${setting}" ends that`,
    'configuration file': 'it is in the parameter group',
  };
  return `Transactions are read-only: ${setting} is on, ${ways[source] ?? `from "${source}"`}.`;
}
