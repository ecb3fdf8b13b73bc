import { existsSync } from 'node:fs';
import { chown, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeServerDirectory, type Account } from './account';
import { runToEnd, type Guardian } from './guardian';
import type { Installation } from './installation';
import { scramVerifier } from './scram';
import { readLogTail } from './server-log';
import { SERVICE_USER } from './settings';

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

export interface TemplateOptions {
  readonly directory: string;
  readonly installation: Installation;
  readonly account: Account | undefined;
  readonly guardian: Guardian;
  readonly servicePassword: string;
}

/**
 * The data directory that new instances start as a copy of (initdb takes a second, a copy does not). Made when `directory`
 * has none yet.
 */
export async function openClusterTemplate(options: TemplateOptions): Promise<string> {
  const { directory, account } = options;
  const finished = join(directory, 'data');
  if (existsSync(finished)) return finished;
  await makeServerDirectory(directory, account);
  const draft = join(directory, 'draft');
  await rm(draft, { recursive: true, force: true });
  await createCluster(draft, options);
  await rename(draft, finished);
  return finished;
}

async function createCluster(data: string, options: TemplateOptions): Promise<void> {
  const { directory, installation, account, guardian, servicePassword } = options;
  const log = join(directory, 'initdb.log');
  const evidence = (): Promise<string> => readLogTail(log);
  const program = { environment: { LC_ALL: 'C', TZ: 'UTC' }, account, directory, log };

  await runToEnd(
    guardian,
    {
      ...program,
      program: installation.initdb,
      parameters: [
        ...['--pgdata', data, '--username', SERVICE_USER, '--encoding', 'UTF8', '--auth', 'reject'],
        // The same order of text on every machine; RDS has the C library's en_US.UTF-8.
        ...['--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8', '--locale', 'C'],
        // Small segments: every snapshot and every archived point in time costs at least one of them.
        ...['--wal-segsize', '4', '--data-checksums', '--no-sync', '--no-instructions'],
      ],
    },
    evidence,
  );

  const statements = [
    ...RDS_ROLES,
    `ALTER ROLE ${SERVICE_USER} PASSWORD '${await scramVerifier(servicePassword)}'`,
  ];
  const input = join(directory, 'roles.sql');
  await writeFile(input, `${statements.join('\n')}\n`, { mode: 0o600 });
  if (account) await chown(input, account.uid, account.gid);
  await runToEnd(
    guardian,
    {
      ...program,
      program: installation.postgres,
      parameters: ['--single', '-D', data, '-c', 'fsync=off', '-c', 'exit_on_error=on', 'postgres'],
      input,
    },
    evidence,
  );
  await rm(input);
}
