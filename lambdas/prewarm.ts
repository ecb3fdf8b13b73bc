import * as z from 'zod/mini';
import { QueryFailed } from './errors';
import type { Connection } from './postgres';

/** Something with blocks: a table, an index or what belongs to one. */
export interface Relation {
  readonly oid: string;
  readonly name: string;
  readonly isTable: boolean;
  readonly blocks: number;
}

const Found = z.object({ oid: z.string(), name: z.string(), isTable: z.boolean(), blocks: z.int() });

/** What the names stand for: a table with its partitions, long values and indexes, or one index; `unknown` are no such names. */
export async function relationsNamed(
  connection: Connection,
  names: readonly string[],
): Promise<{ relations: Relation[]; unknown: string[] }> {
  const relations: Relation[] = [];
  const unknown: string[] = [];
  for (const name of names) {
    const found = await relationsOf(connection, name);
    if (found.length === 0) unknown.push(name);
    relations.push(...found.filter(({ oid }) => relations.every((one) => one.oid !== oid)));
  }
  return { relations, unknown };
}

async function relationsOf(connection: Connection, name: string): Promise<Relation[]> {
  try {
    return z.array(Found).parse(
      await connection.query(
        `with recursive named as (
           select c.oid from pg_catalog.pg_class c where c.oid = pg_catalog.to_regclass($1)
           union all
           select i.inhrelid from pg_catalog.pg_inherits i join named n on n.oid = i.inhparent
         ), part as (
           select oid, 1 as part from named
           union select x.indexrelid, 2 from pg_catalog.pg_index x join named n on n.oid = x.indrelid
           union select c.reltoastrelid, 3 from pg_catalog.pg_class c join named n on n.oid = c.oid where c.reltoastrelid <> 0
         )
         select c.oid::text as oid, pg_catalog.format('%I.%I', n.nspname, c.relname) as name,
                c.relkind in ('r', 'm') as "isTable",
                (pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int)::int as blocks
           from part p join pg_catalog.pg_class c on c.oid = p.oid and c.relkind in ('r', 'm', 't', 'i')
           join pg_catalog.pg_namespace n on n.oid = c.relnamespace
          order by p.part, c.oid`,
        [name],
      ),
    );
  } catch (error) {
    // Not even a name.
    if (error instanceof QueryFailed) return [];
    throw error;
  }
}

export interface BlockReader {
  readonly method: 'pg_prewarm' | 'queries';
  canRead(relation: Relation): boolean;
  /** Reads blocks, so that they are loaded; answers why it cannot, or nothing. */
  read(relation: Relation, first: number, last: number): Promise<string | undefined>;
}

/** Reads with pg_prewarm where the database has it; else with queries, which reach the rows of tables only. */
export async function blockReader(connection: Connection): Promise<BlockReader> {
  const [row] = await connection.query(
    `select pg_catalog.format('%I.%I', n.nspname, p.proname) as name
       from pg_catalog.pg_extension e
       join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_extension'::regclass and d.refobjid = e.oid
                                  and d.classid = 'pg_catalog.pg_proc'::regclass
       join pg_catalog.pg_proc p on p.oid = d.objid and p.proname = 'pg_prewarm'
       join pg_catalog.pg_namespace n on n.oid = p.pronamespace
      where e.extname = 'pg_prewarm'
        and pg_catalog.has_schema_privilege(n.oid, 'USAGE') and pg_catalog.has_function_privilege(p.oid, 'EXECUTE')`,
  );
  if (row)
    return {
      method: 'pg_prewarm',
      canRead: () => true,
      read: ({ oid }, first, last) =>
        refusal(connection, `select ${String(row.name)}($1::oid::regclass, 'buffer', 'main', $2, $3)`, [
          oid,
          first,
          last,
        ]),
    };
  return {
    method: 'queries',
    canRead: ({ isTable }) => isTable,
    read: ({ name }, first, last) =>
      refusal(
        connection,
        `select count(*) from only ${name} where ctid >= '(${first},0)' and ctid < '(${last + 1},0)'`,
        [],
      ),
  };
}

async function refusal(
  connection: Connection,
  sql: string,
  values: readonly unknown[],
): Promise<string | undefined> {
  try {
    await connection.query(sql, values);
    return undefined;
  } catch (error) {
    if (error instanceof QueryFailed) return error.fact.slice(0, 300);
    throw error;
  }
}
