import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chown, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Account } from './account';
import { runToEnd, type Guardian, type Program } from './guardian';
import type { Installation } from './installation';
import { packTree, type PackedTree } from './packed-tree';
import { scramVerifier } from './scram';
import { readLogTail } from './server-log';
import { SERVICE_USER } from './settings';

const INITDB = [
  ...['--username', SERVICE_USER, '--encoding', 'UTF8', '--auth', 'reject'],
  // The same order of text on every machine; RDS has the C library's en_US.UTF-8.
  ...['--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8', '--locale', 'C'],
  // Small segments: every snapshot and every archived point in time costs at least one of them.
  ...['--wal-segsize', '4', '--data-checksums', '--no-sync', '--no-instructions'],
];

/**
 * The roles that an RDS instance has from the start, and the service's own database. `rds_superuser` can neither read
 * everybody's data nor bypass row security there either.
 */
const RDS_ROLES = [
  ...['rds_superuser', 'rds_replication', 'rds_password', 'rds_iam', 'rds_ad'].map(
    (role) => `CREATE ROLE ${role} NOLOGIN`,
  ),
  `GRANT pg_checkpoint, pg_monitor, pg_signal_backend, pg_use_reserved_connections, rds_password, rds_replication TO rds_superuser WITH ADMIN OPTION`,
  `CREATE DATABASE ${SERVICE_USER}`,
];

/** Where templates are kept from one sandbox to the next. */
const KEPT = join(__dirname, '../../node_modules/.cache/postgres');

export interface TemplateOptions {
  /** Of this sandbox, which PostgreSQL's account can use. */
  readonly directory: string;
  readonly installation: Installation;
  readonly account: Account | undefined;
  readonly guardian: Guardian;
}

/**
 * The data directory that new instances start as a copy of (initdb takes a second, a copy does not). Its service user has no
 * password yet. Made when there is none of this version of PostgreSQL and of this code.
 */
export async function openClusterTemplate(options: TemplateOptions): Promise<PackedTree> {
  const { directory, installation } = options;
  const what = [installation.version, process.platform, process.arch, INITDB, RDS_ROLES];
  const kept = join(KEPT, createHash('sha256').update(JSON.stringify(what)).digest('hex').slice(0, 16));
  if (existsSync(kept)) return packedIn(kept);
  const data = join(directory, 'data');
  await rm(data, { recursive: true, force: true });
  await createCluster(data, options);
  const made = await mkdir(KEPT, { recursive: true })
    .then(() => mkdtemp(`${kept}-`))
    // Where nothing can be kept it is this sandbox's own.
    .catch(() => directory);
  await packTree(data, packedIn(made), () => false);
  await rm(data, { recursive: true });
  if (made === directory) return packedIn(directory);
  await rename(made, kept).catch(async (error: unknown) => {
    // Another sandbox was first.
    if (!existsSync(kept)) throw error;
    await rm(made, { recursive: true });
  });
  return packedIn(kept);
}

function packedIn(directory: string): PackedTree {
  return { content: join(directory, 'cluster'), index: join(directory, 'cluster.json') };
}

async function createCluster(data: string, options: TemplateOptions): Promise<void> {
  const { installation, guardian } = options;
  await runToEnd(guardian, ...program(options, installation.initdb, ['--pgdata', data, ...INITDB]));
  await runSql(data, options, RDS_ROLES);
}

/** Gives the service user of a data directory, on which no server runs, its password. */
export async function setServicePassword(
  data: string,
  password: string,
  options: TemplateOptions,
): Promise<void> {
  await runSql(data, options, [`ALTER ROLE ${SERVICE_USER} PASSWORD '${await scramVerifier(password)}'`]);
}

async function runSql(data: string, options: TemplateOptions, statements: readonly string[]): Promise<void> {
  const { directory, installation, account, guardian } = options;
  const input = join(directory, `${randomUUID()}.sql`);
  await writeFile(input, `${statements.join('\n')}\n`, { mode: 0o600 });
  if (account) await chown(input, account.uid, account.gid);
  const parameters = ['--single', '-D', data, '-c', 'fsync=off', '-c', 'exit_on_error=on', 'postgres'];
  const [single, evidence] = program(options, installation.postgres, parameters);
  await runToEnd(guardian, { ...single, input }, evidence);
  await rm(input);
}

function program(
  { directory, account }: TemplateOptions,
  file: string,
  parameters: readonly string[],
): [Program, () => Promise<string>] {
  const log = join(directory, 'initdb.log');
  const environment = { LC_ALL: 'C', TZ: 'UTC' };
  return [{ program: file, parameters, environment, account, directory, log }, () => readLogTail(log)];
}
