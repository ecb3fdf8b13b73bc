import { chmodSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import type { Address, Postgres, Server, ServerOptions } from '../../../sandbox/postgres/contract';
import { startPostgres } from '../../../sandbox/postgres/postgres';

export const MASTER = { masterUsername: 'boss', masterPassword: `it's "odd" / %40 €` };

/** PostgreSQL in a directory of its own, whose name holds what a shell or a configuration file could trip over. */
export interface Playground {
  readonly postgres: Postgres;
  readonly directory: string;
  readonly logged: string[];
  options(
    name: string,
    others?: Partial<Pick<ServerOptions, 'parameters' | 'forceTls'>>,
  ): Promise<ServerOptions & { walArchive: string }>;
  create(name: string): Promise<Server>;
  /** A login of the master user, or of another, that verifies the server's certificate. */
  login(address: Address, login?: { user?: string; password?: string; database?: string }): Promise<Client>;
  backupDirectory(name: string): string;
  stop(): Promise<void>;
}

export async function makePlayground(): Promise<Playground> {
  const directory = mkdtempSync(join(tmpdir(), "postgres of 100%f it's "));
  chmodSync(directory, 0o755);
  const logged: string[] = [];
  const postgres = await startPostgres({
    directory: join(directory, 'postgres'),
    removeDirectoryOnExit: directory,
    log: (line) => logged.push(line),
  });
  const ca = readFileSync(postgres.authority.caFile, 'utf8');
  const clients: Client[] = [];
  const playground: Playground = {
    postgres,
    directory,
    logged,
    options: async (name, { parameters = {}, forceTls = true } = {}) => ({
      directory: join(directory, 'servers', name),
      walArchive: join(directory, 'archives', name),
      address: await postgres.reserveAddress(5432),
      parameters,
      forceTls,
    }),
    create: async (name) =>
      postgres.create({ ...(await playground.options(name)), ...MASTER, databaseName: 'app' }),
    login: async (address, { user = 'boss', password = MASTER.masterPassword, database = 'app' } = {}) => {
      const client = new Client({ ...address, user, password, database, ssl: { ca } });
      client.on('error', () => undefined);
      await client.connect();
      clients.push(client);
      return client;
    },
    backupDirectory: (name) => join(directory, 'backups', name),
    stop: async () => {
      await Promise.allSettled(clients.map((client) => client.end()));
      await postgres.stop();
    },
  };
  return playground;
}
