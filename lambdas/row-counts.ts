import * as z from 'zod/mini';
import { QueryFailed } from './errors';
import type { Connection } from './postgres';

export interface RowCounts {
  /** By schema and name, quoted where PostgreSQL quotes. */
  readonly rows: Record<string, number>;
  /** Tables that could not be counted in the time that there was. */
  readonly notCounted: readonly string[];
}

export interface TimeLimits {
  readonly perTableMs: number;
  readonly altogetherMs: number;
}

/** Tables that are counted where none are named. */
const BIGGEST = 60;
/** Counted up to here; above, PostgreSQL's own estimate from the density of the rows and the size of the file will do. */
export const COUNTED_EXACTLY = 1000;

/** Density: rows in a page. */
const Table = z.object({ name: z.string(), oid: z.string(), density: z.number() });

/**
 * Rows of the logged tables that the role may read: of the biggest ones, or of those that are named. A big table costs as
 * little as a small one, since it is estimated. Sets the session's statement_timeout.
 */
export async function countRows(
  connection: Connection,
  { perTableMs, altogetherMs }: TimeLimits,
  names?: readonly string[],
): Promise<RowCounts> {
  const until = Date.now() + altogetherMs;
  const tables = z.array(Table).parse(
    await connection.query(
      // What was written down at the last VACUUM or ANALYZE: asking for the size now waits for whoever has locked the table.
      `select name, oid, density from (
         select pg_catalog.format('%I.%I', n.nspname, c.relname) as name, c.oid::text as oid, c.relpages as pages,
                case when c.relpages > 0 and c.reltuples > 0 then c.reltuples::float8 / c.relpages else 0 end as density
           from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
          where c.relkind = 'r' and c.relpersistence = 'p'
            and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'
            and pg_catalog.has_schema_privilege(n.oid, 'USAGE') and pg_catalog.has_table_privilege(c.oid, 'SELECT')
       ) as readable
        where $1::text[] is null or name = any ($1)
        order by pages desc, name limit $2`,
      [names ?? null, names?.length ?? BIGGEST],
    ),
  );
  await connection.query(`select pg_catalog.set_config('statement_timeout', $1, false)`, [
    String(perTableMs),
  ]);
  const rows: Record<string, number> = {};
  const notCounted: string[] = [];
  for (const table of tables) {
    const counted = Date.now() < until ? await count(connection, table) : undefined;
    if (counted === undefined) notCounted.push(table.name);
    else rows[table.name] = counted;
  }
  return { rows, notCounted };
}

/** Undefined where it took too long or was refused. */
async function count(
  connection: Connection,
  { name, oid, density }: z.infer<typeof Table>,
): Promise<number | undefined> {
  try {
    const [row] = await connection.query(
      `select (select count(*) from (select from only ${name} limit ${COUNTED_EXACTLY + 1}) as first_rows)::int as counted,
              (pg_catalog.pg_relation_size($1::oid) / pg_catalog.current_setting('block_size')::int)::int as pages`,
      [oid],
    );
    const { counted, pages } = z.object({ counted: z.int(), pages: z.int() }).parse(row);
    return counted <= COUNTED_EXACTLY ? counted : Math.max(counted, Math.round(density * pages));
  } catch (error) {
    if (error instanceof QueryFailed) return undefined;
    throw error;
  }
}
