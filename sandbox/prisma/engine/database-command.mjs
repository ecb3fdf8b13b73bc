import pg from 'pg';
import { connectionFrom, quoteIdentifier } from './connection.mjs';
import { connectionError, NO_TLS } from './errors.mjs';

/** Databases from which another one can be made, as the native engine tries them. */
const ADMIN_DATABASES = ['postgres', 'template1', 'defaultdb'];

/**
 * Carries out `cli <command>` and answers with the exit code; an error goes to standard error as the engine's log line,
 * from which the CLI takes code and text.
 *
 * @param {string} command
 * @param {import('./arguments.mjs').Datasource | undefined} datasource
 */
export async function runDatabaseCommand(command, datasource) {
  // The CLI skips the first line.
  log('INFO', { message: 'Starting schema engine CLI' });
  if (!datasource) {
    log('ERROR', { message: 'There is no database URL. See https://pris.ly/d/config-url' });
    return 1;
  }
  const connection = connectionFrom(datasource.url);
  const { config, location, schema } = connection;
  const { database, user = '' } = config;
  try {
    switch (command) {
      case 'can-connect-to-database':
        await (await connect(connection)).end();
        return 0;
      case 'create-database':
        await onAdminDatabase(connection, `CREATE DATABASE ${quoteIdentifier(database)}`);
        await run(connection, `CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`);
        return 0;
      case 'drop-database':
        await onAdminDatabase(connection, `DROP DATABASE ${quoteIdentifier(database)}`);
        return 0;
      default:
        throw new Error(`The schema engine has no command ${JSON.stringify(command)}.`);
    }
  } catch (error) {
    const { code, message } = connectionError(error, { location, user, database });
    log('ERROR', { message, is_panic: false, ...(code === undefined ? {} : { error_code: code }) });
    return 1;
  }
}

/**
 * Connects, without TLS where `sslmode=prefer` and the server has none.
 * @param {ReturnType<typeof connectionFrom>} connection
 */
export async function connect({ config, tls }) {
  const client = new pg.Client(config);
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    if (tls !== 'preferred' || !(error instanceof Error) || !error.message.startsWith(NO_TLS)) throw error;
  }
  const plain = new pg.Client({ ...config, ssl: false });
  await plain.connect();
  return plain;
}

/**
 * @param {ReturnType<typeof connectionFrom>} connection
 * @param {string} sql
 */
export async function onAdminDatabase(connection, sql) {
  /** @type {unknown} */
  let refusal;
  for (const database of ADMIN_DATABASES) {
    try {
      await run({ ...connection, config: { ...connection.config, database } }, sql);
      return;
    } catch (error) {
      const code = error instanceof pg.DatabaseError ? error.code : undefined;
      if (code !== '3D000' && code !== '28000') throw error;
      refusal = error;
    }
  }
  throw refusal;
}

/**
 * @param {ReturnType<typeof connectionFrom>} connection
 * @param {string} sql
 */
async function run(connection, sql) {
  const client = await connect(connection);
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/**
 * @param {'INFO' | 'ERROR'} level
 * @param {Record<string, unknown>} fields
 */
function log(level, fields) {
  const line = { timestamp: new Date().toISOString(), level, fields, target: 'schema_engine::logger' };
  process.stderr.write(`${JSON.stringify(line)}\n`);
}
