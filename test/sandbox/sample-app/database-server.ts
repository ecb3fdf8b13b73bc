import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { prisma, type PrismaResult } from '../../../sandbox/prisma/cli';
import { startPostgres } from '../../../sandbox/postgres/postgres';
import { prepareProject, type Project } from '../../../sandbox/sample-app/project';

const PASSWORD = 'p@ss/word?#%25 ü';

/** A server as RDS has it (TLS forced, a private authority) for one suite, with a migrated database to copy. */
export interface DatabaseServer {
  readonly directory: string;
  readonly caFile: string;
  /** URL of a database for the master user. */
  url(database: string, options?: { password?: string; parameters?: Record<string, string> }): string;
  /** Makes a database, as a copy of the migrated one or empty, and connects to it; all are closed at the end. */
  database(name: string, from: 'migrated' | 'empty'): Promise<pg.Client>;
  /** A copy of the sample app's project, free to be changed. */
  project(name: string): Promise<Project>;
  prisma(args: readonly string[], database: string, project: Project): Promise<PrismaResult>;
  stop(): Promise<void>;
}

export async function startDatabaseServer(): Promise<DatabaseServer> {
  const directory = await mkdtemp(path.join(tmpdir(), 'sample-app-'));
  // As root, PostgreSQL runs under another account, which must get through.
  await chmod(directory, 0o711);
  const postgres = await startPostgres({ directory, removeDirectoryOnExit: directory, log: () => undefined });
  const address = await postgres.reserveAddress(5432);
  await postgres.create({
    directory: path.join(directory, 'instance'),
    address,
    parameters: {},
    forceTls: true,
    masterUsername: 'master',
    masterPassword: PASSWORD,
    databaseName: 'empty',
  });
  const { caFile } = postgres.authority;
  const clients: pg.Client[] = [];
  const url: DatabaseServer['url'] = (database, { password = PASSWORD, parameters = {} } = {}) => {
    const found = new URL(`postgresql://master@${address.host}:${address.port}/${database}`);
    found.password = encodeURIComponent(password);
    for (const [name, value] of Object.entries({ sslmode: 'verify-full', ...parameters }))
      found.searchParams.set(name, value);
    return found.href;
  };
  const connect = async (database: string): Promise<pg.Client> => {
    const parameters = { sslrootcert: caFile };
    const client = new pg.Client({ connectionString: url(database, { parameters }) });
    await client.connect();
    clients.push(client);
    return client;
  };
  const run: DatabaseServer['prisma'] = (args, database, project) =>
    prisma(args, { databaseUrl: url(database), projectDirectory: project.directory, caFile });
  const project = (name: string): Promise<Project> => prepareProject(path.join(directory, 'projects', name));
  const admin = await connect('empty');
  let migrated: Promise<void> | undefined;
  const migrate = async (): Promise<void> => {
    await admin.query('CREATE DATABASE migrated TEMPLATE template0');
    const { exitCode, stderr } = await run(['migrate', 'deploy'], 'migrated', await project('migrated'));
    if (exitCode !== 0) throw new Error(`The sample app's migrations failed:\n${stderr}`);
  };
  return {
    directory,
    caFile,
    url,
    project,
    prisma: run,
    async database(name, from) {
      if (from === 'migrated') await (migrated ??= migrate());
      await admin.query(
        `CREATE DATABASE "${name}" TEMPLATE ${from === 'migrated' ? 'migrated' : 'template0'}`,
      );
      return connect(name);
    },
    async stop() {
      await Promise.all(clients.map((client) => client.end()));
      await postgres.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
