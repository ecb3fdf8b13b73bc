import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { PrismaPg } from '@prisma/adapter-pg';
import { ColumnTypeEnum, DriverAdapterError } from '@prisma/driver-adapter-utils';
import pg from 'pg';
import { quoteIdentifier } from './connection.mjs';
import { connect, onAdminDatabase } from './database-command.mjs';

/**
 * @typedef {ReturnType<typeof import('./connection.mjs').connectionFrom>} Connection
 * @typedef {Awaited<ReturnType<PrismaPg['connect']>>} Adapter
 */

/** Prisma's adapter for `pg`, made to do what the native engine does where the two differ. */
export class EngineAdapter extends PrismaPg {
  /** @type {{ script: string, error: pg.DatabaseError } | undefined} the last script that the server refused */
  refused;

  /**
   * @param {Connection} connection
   * @param {Connection} shadow where temporary databases are made
   */
  constructor(connection, shadow) {
    super(poolConfig(connection.config), { schema: connection.schema });
    this.target = connection;
    this.shadow = shadow;
  }

  /** @override */
  async connect() {
    return this.open(this.target);
  }

  /** @override */
  async connectToShadowDb() {
    const { shadow } = this;
    const database = `prisma_migrate_shadow_db_${randomUUID()}`;
    await onAdminDatabase(shadow, `CREATE DATABASE ${quoteIdentifier(database)}`);
    const adapter = await this.open({ ...shadow, config: { ...shadow.config, database } });
    const close = adapter.dispose.bind(adapter);
    adapter.dispose = async () => {
      await close();
      await onAdminDatabase(shadow, `DROP DATABASE IF EXISTS ${quoteIdentifier(database)} WITH (FORCE)`);
    };
    return adapter;
  }

  /**
   * @param {Connection} connection
   * @returns {Promise<Adapter>}
   */
  async open(connection) {
    // A first connection of its own shows the error as `pg` gave it, and whether the server has TLS.
    const probe = await connect(connection);
    const { ssl } = probe;
    await probe.end();
    const pool = new pg.Pool(
      poolConfig({ ...connection.config, ssl: ssl ? (connection.config.ssl ?? false) : false }),
    );
    /** @type {number[]} columns of the newest result that are of type "char" */
    let characters = [];
    pool.on('connect', (client) => {
      presentCharacters(client, (columns) => (characters = columns));
    });
    const adapter = await new PrismaPg(pool, {
      schema: connection.schema,
      disposeExternalPool: true,
    }).connect();
    const queryRaw = adapter.queryRaw.bind(adapter);
    adapter.queryRaw = async (query) => {
      characters = [];
      const result = await queryRaw(query);
      for (const column of characters) result.columnTypes[column] = ColumnTypeEnum.Character;
      return result;
    };
    // The adapter sends a script statement by statement, split at every semicolon. The native engine sends it whole, as
    // one simple query: one implicit transaction, unless the script itself begins and commits.
    adapter.executeScript = async (script) => {
      try {
        await pool.query(script);
      } catch (error) {
        if (!(error instanceof pg.DatabaseError)) throw error;
        this.refused = { script, error };
        const { code = 'N/A', severity = 'ERROR', message, detail, column, hint } = error;
        throw new DriverAdapterError({ kind: 'postgres', code, severity, message, detail, column, hint });
      }
    };
    return adapter;
  }
}

/**
 * One session, kept open: the advisory lock and the settings of a session belong to it.
 * @param {pg.ClientConfig} config
 * @returns {pg.PoolConfig}
 */
function poolConfig(config) {
  return { ...config, max: 1, idleTimeoutMillis: 0 };
}

/**
 * The system catalogs, which the engine reads, have columns of the type "char", which the adapter refuses: it gets them
 * as bpchar, and `note` which columns these were. Results arrive one after the other, as there is one session.
 * @param {pg.PoolClient} client
 * @param {(columns: number[]) => void} note
 */
function presentCharacters(client, note) {
  /** @type {unknown} */
  const connection = Reflect.get(client, 'connection');
  if (!(connection instanceof EventEmitter))
    throw new Error('pg no longer exposes the connection of a client.');
  connection.prependListener(
    'rowDescription',
    (/** @type {{ fields: { dataTypeID: number }[] }} */ { fields }) => {
      const columns = fields.flatMap(({ dataTypeID }, column) => (dataTypeID === CHARACTER ? [column] : []));
      for (const field of fields) if (field.dataTypeID === CHARACTER) field.dataTypeID = BPCHAR;
      note(columns);
    },
  );
}

/** Object identifiers of types. */
const CHARACTER = 18;
const BPCHAR = 1042;
