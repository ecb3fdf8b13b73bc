import * as z from 'zod/mini';
import { identifier, type Connection } from './postgres';

/** One row of a migration table. A name has several where an earlier try was rolled back. */
const Row = z.object({
  name: z.string(),
  /** SHA-256 of migration.sql; of Prisma 8 the hash of the migration. */
  checksum: z.string(),
  state: z.enum(['applied', 'failed', 'rolled back']),
  /** ISO 8601; null where the table does not say. */
  startedAt: z.nullable(z.string()),
  finishedAt: z.nullable(z.string()),
});
export type MigrationRow = z.infer<typeof Row>;

/** One table of migrations: a database has as many as Prisma projects use it. */
export interface MigrationTable {
  readonly schema: string;
  /** `_prisma_migrations` up to Prisma 7, `ledger` (in schema prisma_contract) since Prisma 8. */
  readonly table: string;
  /** In the order in which they were started. */
  readonly rows: readonly MigrationRow[];
}

export interface RecordedMigrations {
  /** In the order in which they were started. */
  readonly applied: string[];
  /** Started, neither finished nor rolled back: Prisma refuses every deploy (P3009). */
  readonly failed: string[];
}

const UP_TO_7 = '_prisma_migrations';
/** The table of Prisma 8, for all projects of a database. */
export const LEDGER = 'ledger';
const SCHEMA_OF_8 = 'prisma_contract';

/** Every migration table of the database, those in the schemas where unqualified names are looked for first. */
export async function readMigrationTables(connection: Connection): Promise<MigrationTable[]> {
  const places = z.array(z.object({ schema: z.string(), table: z.string() })).parse(
    await connection.query(
      `select n.nspname as schema, c.relname as "table"
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p')
          and (c.relname = $1 or (c.relname = $2 and n.nspname = $3))
        order by c.relname = $1 desc, n.nspname = any (current_schemas(false)) desc, n.nspname = 'public' desc, n.nspname`,
      [UP_TO_7, LEDGER, SCHEMA_OF_8],
    ),
  );
  const tables: MigrationTable[] = [];
  for (const { schema, table } of places) {
    const name = `${identifier(schema)}.${identifier(table)}`;
    const rows = await connection.query(table === UP_TO_7 ? rowsUpTo7(name) : rowsSince8(name));
    tables.push({ schema, table, rows: z.array(Row).parse(rows) });
  }
  return tables;
}

/** The names in a table by what became of them; a database without one has none. */
export function recorded(table: MigrationTable | undefined): RecordedMigrations {
  const named = (state: MigrationRow['state']): string[] =>
    (table?.rows ?? []).filter((row) => row.state === state).map(({ name }) => name);
  return { applied: named('applied'), failed: named('failed') };
}

/**
 * The migrations of one project that the database has: those of its own table and, since a project that went from Prisma 7 to
 * 8 has both, of the ledger.
 */
export function projectRows(
  own: MigrationTable | undefined,
  tables: readonly MigrationTable[],
): MigrationRow[] {
  const ledger = tables.find(({ table }) => table === LEDGER);
  return [...(own?.rows ?? []), ...(ledger?.rows ?? [])];
}

/** Those of them that were applied. */
export function appliedRows(
  own: MigrationTable | undefined,
  tables: readonly MigrationTable[],
): MigrationRow[] {
  return projectRows(own, tables).filter(({ state }) => state === 'applied');
}

function isoOf(column: string): string {
  return `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}

function rowsUpTo7(table: string): string {
  return `select migration_name as name, coalesce(checksum, '') as checksum,
                 case when rolled_back_at is not null then 'rolled back'
                      when finished_at is not null then 'applied'
                      else 'failed' end as state,
                 ${isoOf('started_at')} as "startedAt", ${isoOf('finished_at')} as "finishedAt"
            from ${table}
           order by started_at, migration_name`;
}

/** Its rows are written when a migration is complete. Early pre-releases had no name and no hash of it, only the contract's. */
function rowsSince8(table: string): string {
  return `select coalesce(row ->> 'migration_name', row ->> 'destination_core_hash', '') as name,
                 coalesce(row ->> 'migration_hash', row ->> 'destination_core_hash', '') as checksum,
                 'applied' as state, null as "startedAt", null as "finishedAt"
            from (select id, pg_catalog.to_jsonb(l) as row from ${table} l) as ledger
           order by id`;
}
