import * as z from 'zod/mini';
import { QueryFailed } from './errors';
import type { Connection } from './postgres';

const PER_INDEX_MS = 30_000;
const ALTOGETHER_MS = 90_000;
/** index_corrupted and data_corrupted. */
const CORRUPT = ['XX001', 'XX002'];

/**
 * Reads the B-tree indexes of the database in full with the extension amcheck, the smallest first. Nothing is installed for
 * it: where the extension is missing, or its functions must not be called, that is the answer.
 */
export async function amcheck(
  connection: Connection,
): Promise<{ ok: boolean; severity: 'error' | 'warning'; detail: string }> {
  const [row] = await connection.query(
    `select pg_catalog.format('%I.%I', n.nspname, p.proname) as name,
            pg_catalog.has_schema_privilege(n.oid, 'USAGE') and pg_catalog.has_function_privilege(p.oid, 'EXECUTE') as callable
       from pg_catalog.pg_extension e
       join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_extension'::regclass and d.refobjid = e.oid
                                  and d.classid = 'pg_catalog.pg_proc'::regclass
       join pg_catalog.pg_proc p on p.oid = d.objid
       join pg_catalog.pg_namespace n on n.oid = p.pronamespace
      where e.extname = 'amcheck' and p.proname = 'bt_index_check' and p.pronargs = 1`,
  );
  if (!row || row.callable !== true)
    return {
      ok: false,
      severity: 'warning',
      detail: row
        ? 'It was asked for, but the role of the application may not call bt_index_check(regclass).'
        : 'It was asked for, but the restored database has no extension amcheck.',
    };
  const check = String(row.name);
  const indexes = z.array(z.object({ oid: z.string(), name: z.string() })).parse(
    await connection.query(
      `select c.oid::text as oid, pg_catalog.format('%I.%I', n.nspname, c.relname) as name
         from pg_catalog.pg_index i
         join pg_catalog.pg_class c on c.oid = i.indexrelid and c.relkind = 'i' and c.relpersistence = 'p'
         join pg_catalog.pg_am m on m.oid = c.relam and m.amname = 'btree'
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where i.indisvalid and i.indisready and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'
        order by pg_catalog.pg_relation_size(c.oid), 2`,
    ),
  );
  await connection.query(`select pg_catalog.set_config('statement_timeout', $1, false)`, [
    String(PER_INDEX_MS),
  ]);
  const until = Date.now() + ALTOGETHER_MS;
  const corrupt: string[] = [];
  let read = 0;
  for (const { oid, name } of indexes) {
    if (Date.now() >= until) break;
    try {
      await connection.query(`select ${check}($1::oid::regclass)`, [oid]);
      read++;
    } catch (error) {
      if (!(error instanceof QueryFailed)) throw error;
      if (CORRUPT.includes(error.sqlState ?? '')) corrupt.push(name);
    }
  }
  const rest = indexes.length - read - corrupt.length;
  const unread = rest > 0 ? ` ${rest} could not be read in the time there was.` : '';
  return corrupt.length > 0
    ? { ok: false, severity: 'error', detail: `Corrupt: ${corrupt.slice(0, 10).join(', ')}.${unread}` }
    : {
        ok: true,
        severity: 'error',
        detail: `${read} of ${indexes.length} B-tree indexes are sound.${unread}`,
      };
}
