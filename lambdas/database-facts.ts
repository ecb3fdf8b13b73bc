import * as z from 'zod/mini';
import type { LogicalReplication } from './contract/replication';
import { QueryFailed } from './errors';
import { readLogicalReplication } from './logical-replication';
import { readMigrationTables, type MigrationTable } from './migrations';
import type { Connection } from './postgres';
import { describeSchema, type Schema } from './schema-fingerprint';

/** What PostgreSQL answered, or why it did not. */
export type Fact<T> = { readonly value: T } | { readonly unknown: string };

/** What Verify looks at, in the recovery instance as in the live one. */
export interface DatabaseFacts {
  readonly migrations: Fact<readonly MigrationTable[]>;
  readonly schema: Fact<Schema>;
  readonly invalidIndexes: Fact<readonly string[]>;
  readonly sequences: Fact<Sequences>;
  readonly unloggedTables: Fact<readonly UnloggedTable[]>;
  readonly replication: Fact<LogicalReplication>;
  /** Of this database, as `id of role since when`. */
  readonly preparedTransactions: Fact<readonly string[]>;
}

export interface Sequences {
  /** Whose next value the column has already, as `sequence (table.column)`. */
  readonly behind: readonly string[];
  readonly asked: number;
  /** That could not be asked in the time that there was. */
  readonly notAsked: readonly string[];
}

export interface UnloggedTable {
  readonly name: string;
  /** Undefined where that could not be found out in time. */
  readonly isEmpty: boolean | undefined;
}

/** A statement that reads the catalogue, one that reads data, and all of these of one kind together. */
const LISTING_MS = 20_000;
const PER_STATEMENT_MS = 5_000;
const PER_FACT_MS = 45_000;

/** Reads; changes nothing but settings of the session. Throws DatabaseUnreachable. */
export async function readFacts(connection: Connection): Promise<DatabaseFacts> {
  await limit(connection, LISTING_MS);
  return {
    migrations: await fact(() => readMigrationTables(connection)),
    schema: await fact(() => describeSchema(connection)),
    invalidIndexes: await fact(() => invalidIndexes(connection)),
    replication: await fact(() => readLogicalReplication(connection)),
    preparedTransactions: await fact(() => preparedTransactions(connection)),
    sequences: await fact(() => sequences(connection)),
    unloggedTables: await fact(() => unloggedTables(connection)),
  };
}

async function limit(connection: Connection, milliseconds: number): Promise<void> {
  await connection.query(`select pg_catalog.set_config('statement_timeout', $1, false)`, [
    String(milliseconds),
  ]);
}

/** An answer, or why PostgreSQL refused it. */
export async function fact<T>(ask: () => Promise<T>): Promise<Fact<T>> {
  try {
    return { value: await ask() };
  } catch (error) {
    if (error instanceof QueryFailed) return { unknown: error.fact };
    throw error;
  }
}

async function invalidIndexes(connection: Connection): Promise<string[]> {
  const rows = z.array(z.object({ name: z.string() })).parse(
    await connection.query(
      `select pg_catalog.format('%I.%I', n.nspname, c.relname) as name
         from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where not (i.indisvalid and i.indisready and i.indislive) and n.nspname not like 'pg\\_temp\\_%' order by 1`,
    ),
  );
  return rows.map(({ name }) => name);
}

/** Any role may ask; only its own role, or a superuser, may end one. */
async function preparedTransactions(connection: Connection): Promise<string[]> {
  const rows = z.array(z.object({ name: z.string() })).parse(
    await connection.query(
      `select pg_catalog.format('%L of role %I, since %s UTC', gid, owner,
                pg_catalog.to_char(prepared at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')) as name
         from pg_catalog.pg_prepared_xacts where database = pg_catalog.current_database() order by prepared, gid`,
    ),
  );
  return rows.map(({ name }) => name);
}

const SequenceOfColumn = z.object({
  sequence: z.string(),
  table: z.string(),
  column: z.string(),
  increment: z.string(),
});

/** Ten megabytes, as of the last VACUUM or ANALYZE. */
const SMALL_PAGES = 1280;

/**
 * Sequences that a column takes its numbers from: its own, or the one in its default. Left out are those that may begin anew,
 * and columns of big tables whose highest number no index knows.
 */
async function sequences(connection: Connection): Promise<Sequences> {
  await limit(connection, LISTING_MS);
  const found = z.array(SequenceOfColumn).parse(
    await connection.query(
      `with used as (
         select d.objid as sequence, d.refobjid as "table", d.refobjsubid as "column" from pg_catalog.pg_depend d
          where d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
            and d.deptype in ('a', 'i') and d.refobjsubid > 0
         union
         select d.refobjid, a.adrelid, a.adnum from pg_catalog.pg_depend d join pg_catalog.pg_attrdef a on a.oid = d.objid
          where d.classid = 'pg_catalog.pg_attrdef'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
       )
       select pg_catalog.format('%I.%I', sn.nspname, s.relname) as sequence,
              pg_catalog.format('%I.%I', tn.nspname, t.relname) as "table",
              pg_catalog.quote_ident(a.attname) as "column", q.seqincrement::text as increment
         from used u
         join pg_catalog.pg_class s on s.oid = u.sequence and s.relkind = 'S'
         join pg_catalog.pg_namespace sn on sn.oid = s.relnamespace
         join pg_catalog.pg_sequence q on q.seqrelid = s.oid and not q.seqcycle
         join pg_catalog.pg_class t on t.oid = u."table" and t.relkind in ('r', 'p')
         join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
         join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = u."column" and not a.attisdropped
        where a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
          -- Not has_sequence_privilege: where there are many tables it is asked of some that are no sequence, and that is an error.
          and pg_catalog.has_schema_privilege(sn.oid, 'USAGE') and pg_catalog.has_schema_privilege(tn.oid, 'USAGE')
          and pg_catalog.has_table_privilege(s.oid, 'SELECT') and pg_catalog.has_table_privilege(t.oid, 'SELECT')
          and (t.relkind = 'r' and t.relpages < ${SMALL_PAGES}
               or exists (select from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid
                           join pg_catalog.pg_am m on m.oid = x.relam and m.amname = 'btree'
                           where i.indrelid = t.oid and i.indkey[0] = a.attnum and i.indpred is null and i.indisvalid))
        order by 1, 2, 3`,
    ),
  );
  await limit(connection, PER_STATEMENT_MS);
  const until = Date.now() + PER_FACT_MS;
  const behind: string[] = [];
  const notAsked: string[] = [];
  for (const { sequence, table, column, increment } of found) {
    const name = `${sequence} (${table}.${column})`;
    const forward = !increment.startsWith('-');
    const answer =
      Date.now() < until
        ? await fact(() =>
            connection.query(
              `select coalesce((q.last_value::numeric + case when q.is_called then ${increment} else 0 end)
                      ${forward ? '<=' : '>='} (select ${forward ? 'max' : 'min'}(${column}) from ${table}), false) as behind
                 from ${sequence} q`,
            ),
          )
        : undefined;
    if (answer === undefined || 'unknown' in answer) notAsked.push(name);
    else if (answer.value[0]?.behind === true) behind.push(name);
  }
  return { behind, asked: found.length - notAsked.length, notAsked };
}

async function unloggedTables(connection: Connection): Promise<UnloggedTable[]> {
  await limit(connection, LISTING_MS);
  const found = z.array(z.object({ name: z.string() })).parse(
    await connection.query(
      `select pg_catalog.format('%I.%I', n.nspname, c.relname) as name
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where c.relkind = 'r' and c.relpersistence = 'u'
          and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'
          and pg_catalog.has_schema_privilege(n.oid, 'USAGE') and pg_catalog.has_table_privilege(c.oid, 'SELECT')
        order by 1`,
    ),
  );
  await limit(connection, PER_STATEMENT_MS);
  const until = Date.now() + PER_FACT_MS;
  const tables: UnloggedTable[] = [];
  for (const { name } of found) {
    const answer =
      Date.now() < until
        ? await fact(() => connection.query(`select exists (select from only ${name}) as filled`))
        : undefined;
    const isEmpty = answer && 'value' in answer ? answer.value[0]?.filled !== true : undefined;
    tables.push({ name, isEmpty });
  }
  return tables;
}
