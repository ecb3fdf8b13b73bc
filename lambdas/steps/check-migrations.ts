import type * as z from 'zod/mini';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { CheckMigrationsEvent, CheckMigrationsResult, FencedOut } from '../contract/gate';
import { fact } from '../database-facts';
import { MAINTENANCE_DATABASE, findFence } from '../database-fence';
import { readLogin, readSchema } from '../database-url';
import { LoginRefused, RollbackError } from '../errors';
import { readLogicalReplication } from '../logical-replication';
import { lockHolders } from '../migration-lock';
import { LEDGER, appliedRows, projectRows, readMigrationTables, recorded } from '../migrations';
import { withConnection, type Login } from '../postgres';
import { countRows } from '../row-counts';
import { describeSchema, schemaFingerprint, schemaKinds } from '../schema-fingerprint';
import { currentSecret } from '../secrets';
import { migrationsDigest } from '../tags';

/** The pipeline waits for the answer: what is not counted by then is not written down. */
const COUNTING = { perTableMs: 1000, altogetherMs: 5000 };

/** What only the live database itself can say before a migration. Reads; changes nothing. */
export async function checkMigrations(
  event: z.infer<typeof CheckMigrationsEvent>,
  deps: { secrets: SecretsManagerClient; databaseUrlSecretId: string },
): Promise<CheckMigrationsResult | FencedOut> {
  const { value } = await currentSecret(deps.secrets, deps.databaseUrlSecretId);
  const schema = event.schema ?? readSchema(value) ?? 'public';
  const login = readLogin(value);
  try {
    return await ask(login, event, schema);
  } catch (error) {
    const fencedBy = error instanceof LoginRefused ? await fenceAround(login) : undefined;
    if (fencedBy === undefined) throw error;
    return { fencedBy };
  }
}

/** The catalogs of the server say who raised a fence, and they can be asked where nobody is fenced out. */
async function fenceAround(login: Login): Promise<string | undefined> {
  try {
    return await withConnection({ ...login, database: MAINTENANCE_DATABASE }, findFence);
  } catch (error) {
    if (error instanceof RollbackError) return undefined;
    throw error;
  }
}

async function ask(
  login: Login,
  event: z.infer<typeof CheckMigrationsEvent>,
  schema: string,
): Promise<CheckMigrationsResult> {
  return withConnection(login, async (connection) => {
    const tables = await readMigrationTables(connection);
    const own = tables.find((table) => table.schema === schema && table.table !== LEDGER);
    const rows = appliedRows(own, tables);
    const applied = new Set(rows.map(({ name }) => name));
    const described = await describeSchema(connection);
    const replication = await fact(() => readLogicalReplication(connection));
    const counted = await fact(() => countRows(connection, COUNTING));
    return {
      pending: event.migrations?.filter(({ name }) => !applied.has(name)).map(({ name }) => name) ?? null,
      changed: (event.migrations ?? [])
        .filter(
          ({ name, checksum }) =>
            checksum !== undefined &&
            own?.rows.some(
              (row) => row.state === 'applied' && row.name === name && row.checksum !== checksum,
            ),
        )
        .map(({ name }) => name),
      failed: recorded(own).failed,
      failedElsewhere: tables
        .filter((table) => table !== own)
        .flatMap((table) => recorded(table).failed.map((name) => `${table.schema}.${name}`)),
      applied: { count: rows.length, last: rows.at(-1)?.name ?? null, digest: migrationsDigest(rows) },
      history: projectRows(own, tables)
        .filter(({ state }) => state !== 'rolled back')
        .map(({ name, startedAt }) => ({ name, startedAt })),
      lockHolders: await lockHolders(connection),
      schemaFingerprint: schemaFingerprint(described),
      schemaKinds: schemaKinds(described),
      rows: 'value' in counted ? counted.value.rows : {},
      ...('value' in replication && { replication: replication.value }),
    };
  });
}
