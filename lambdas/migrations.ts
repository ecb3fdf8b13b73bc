import * as z from 'zod/mini';
import type { Connection } from './postgres';

const Row = z.object({
  migration_name: z.string(),
  state: z.enum(['applied', 'failed', 'rolled back']),
});

export interface RecordedMigrations {
  /** In the order in which they were started. */
  readonly applied: string[];
  /** Started, neither finished nor rolled back: Prisma refuses every deploy (P3009). */
  readonly failed: string[];
}

/** What Prisma's `_prisma_migrations` says; a database without that table has none. */
export async function readMigrationTable(connection: Connection): Promise<RecordedMigrations> {
  const [table] = await connection.query(
    `select quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name
       from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relname = '_prisma_migrations' and c.relkind in ('r', 'p')
      order by n.nspname = any (current_schemas(false)) desc, n.nspname = 'public' desc, n.nspname
      limit 1`,
  );
  if (!table) return { applied: [], failed: [] };
  const rows = z.array(Row).parse(
    await connection.query(
      `select migration_name,
              case when rolled_back_at is not null then 'rolled back'
                   when finished_at is not null then 'applied'
                   else 'failed' end as state
         from ${z.string().parse(table.name)}
        order by started_at, migration_name`,
    ),
  );
  const named = (state: string): string[] =>
    rows.filter((row) => row.state === state).map((row) => row.migration_name);
  return { applied: named('applied'), failed: named('failed') };
}
