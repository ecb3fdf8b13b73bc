import { createHash } from 'node:crypto';
import type pg from 'pg';
import { z } from 'zod/mini';

export interface TableDigest {
  readonly name: string;
  readonly rows: number;
  /** Hexadecimal; the same for the same rows, in whatever order they are stored. */
  readonly digest: string;
}

export interface DatabaseDigest {
  /** Rows of all tables together. */
  readonly rows: number;
  readonly digest: string;
  readonly tables: readonly TableDigest[];
  /** Unlogged tables: a restore empties them, as PostgreSQL promises, so they are counted but not part of the digest. */
  readonly unlogged: readonly { readonly name: string; readonly rows: number }[];
}

const Tables = z.array(z.object({ name: z.string(), unlogged: z.boolean(), columns: z.string() }));
const Contents = z.array(z.object({ rows: z.coerce.number(), low: z.string(), high: z.string() }));
const Counts = z.array(z.object({ rows: z.coerce.number() }));

/** Tables of every schema but the system's, Prisma's own table left out, with the columns that they have now. */
const TABLES = `
  SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relpersistence = 'u' AS unlogged,
    coalesce(string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ',' ORDER BY a.attnum), '') AS columns
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  WHERE c.relkind = 'r' AND c.relpersistence IN ('p', 'u') AND c.relname <> '_prisma_migrations'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
  GROUP BY n.nspname, c.relname, c.relpersistence
  ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`;

/** What a value looks like as text depends on these. */
const SETTINGS = `
  SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'postgres';
  SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; SET LOCAL search_path = pg_catalog`;

/**
 * Fingerprint of every row of every table of the application, computed by PostgreSQL on one consistent view of the data:
 * the MD5 of each row's text, summed up in two halves, so that the order of rows does not matter and every row counts.
 * It holds whatever columns and tables there are, so a dropped or renamed one changes it and does not break it.
 * Sequences are not in it: a restore may leave gaps in them.
 *
 * @throws when the client is inside a transaction already, or may not read a table
 */
export async function digest(client: pg.ClientBase): Promise<DatabaseDigest> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    await client.query(SETTINGS);
    const found = Tables.parse((await client.query(TABLES)).rows);
    const tables: TableDigest[] = [];
    const unlogged: { name: string; rows: number }[] = [];
    for (const { name, unlogged: isUnlogged, columns } of found) {
      if (isUnlogged) unlogged.push({ name, rows: await countOf(client, name) });
      else tables.push(await digestOf(client, name, columns));
    }
    const all = createHash('sha256');
    for (const table of tables) all.update(`${table.name} ${table.rows} ${table.digest}\n`);
    const rows = tables.reduce((sum, table) => sum + table.rows, 0);
    return { rows, digest: all.digest('hex'), tables, unlogged };
  } finally {
    await client.query('ROLLBACK');
  }
}

async function digestOf(client: pg.ClientBase, name: string, columns: string): Promise<TableDigest> {
  const half = (start: number): string =>
    `coalesce(sum(('x' || substr(hash, ${start}, 16))::bit(64)::bigint), 0)::text`;
  const { rows: answer } = await client.query(
    `SELECT count(*) AS rows, ${half(1)} AS low, ${half(17)} AS high FROM (SELECT md5(t::text) AS hash FROM ${name} t) hashes`,
  );
  const [contents] = Contents.parse(answer);
  if (!contents) throw new Error(`PostgreSQL gave no count for ${name}.`);
  const { rows, low, high } = contents;
  return {
    name,
    rows,
    digest: createHash('sha256').update([columns, rows, low, high].join('|')).digest('hex'),
  };
}

async function countOf(client: pg.ClientBase, name: string): Promise<number> {
  const [count] = Counts.parse((await client.query(`SELECT count(*) AS rows FROM ${name}`)).rows);
  return count?.rows ?? 0;
}
