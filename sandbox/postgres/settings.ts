import { writeFile, chown, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Account } from './account';
import type { Address, ServerOptions } from './contract';
import { SettingRefused } from './errors';
import { DISCARD_COMMAND, archiveCommand } from './wal-commands';

/**
 * The service's own superuser and its own database. It logs in like everybody, over TLS, with a password that only the
 * sandbox's memory holds.
 */
export const SERVICE_USER = 'rdsadmin';

/** Libraries that RDS and the npm build of PostgreSQL both can preload. */
const PRELOADABLE = new Set(['auto_explain', 'pg_prewarm', 'pg_stat_statements']);

/** RDS's own library is always in the list there, and nowhere else. */
const RDS_LIBRARY = 'rdsutils';

export function isPreloadable(library: string): boolean {
  return library === RDS_LIBRARY || PRELOADABLE.has(library);
}

/**
 * Translates the values of a parameter group into what PostgreSQL itself understands:
 * - `rds.logical_replication` = 1 becomes `wal_level` = logical, else `wal_level` is replica;
 * - `rds.force_ssl` becomes `forceTls`; RDS's own default since PostgreSQL 15 is on;
 * - other `rds.*` parameters, which only RDS's own PostgreSQL knows, are left out;
 * - `shared_preload_libraries` keeps the libraries that exist here;
 * - settings that make a server of the sandbox what it is (addresses, TLS, archiving, durability) are left out;
 * - everything else is passed on, with the units that RDS and PostgreSQL share.
 */
export function postgresParameters(
  group: Readonly<Record<string, string>>,
): Pick<ServerOptions, 'parameters' | 'forceTls'> {
  const parameters: Record<string, string> = {};
  for (const [name, value] of Object.entries(group)) {
    if (name.startsWith('rds.') || OWNED.has(name)) continue;
    if (name !== 'shared_preload_libraries') parameters[name] = value;
    else
      parameters[name] = value
        .split(',')
        .map((library) => library.trim())
        .filter((library) => PRELOADABLE.has(library))
        .join(',');
  }
  parameters['wal_level'] = isOn(group['rds.logical_replication'] ?? '0') ? 'logical' : 'replica';
  return { parameters, forceTls: isOn(group['rds.force_ssl'] ?? '1') };
}

function isOn(value: string): boolean {
  return ['1', 'on', 'true', 'yes'].includes(value.toLowerCase());
}

/** Set by the sandbox itself, whatever a parameter group says. */
export function isSandboxOwned(name: string): boolean {
  return OWNED.has(name);
}

/** What the parameter group may change: small enough for several servers at once on a laptop. */
const DEFAULTS = {
  max_connections: '50',
  shared_buffers: '16MB',
  max_wal_size: '256MB',
  min_wal_size: '32MB',
  wal_level: 'replica',
  max_replication_slots: '20',
  max_wal_senders: '20',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  datestyle: 'ISO, MDY',
  password_encryption: 'scram-sha-256',
  log_line_prefix: '%t:%r:%u@%d:[%p]:',
  default_text_search_config: 'pg_catalog.simple',
} as const;

/** Settings that are the sandbox's own, whatever the parameter group says. */
function ownedSettings(address: Address, walArchive: string | undefined): Record<string, string> {
  return {
    listen_addresses: address.host,
    port: String(address.port),
    unix_socket_directories: '',
    ssl: 'on',
    ssl_cert_file: 'server.crt',
    ssl_key_file: 'server.key',
    // Archiving is always on, so that switching it off and on (backup retention) needs no restart.
    archive_mode: 'on',
    // By a command and not by a library: a change of that ends the archiver, which comes back only after ten seconds.
    archive_library: '',
    archive_command: walArchive === undefined ? DISCARD_COMMAND : archiveCommand(walArchive),
    // A sandbox is thrown away, so it need not survive a power cut. Killed processes lose nothing by this.
    fsync: 'off',
    // In the data directory instead of /dev/shm: nothing is left outside the sandbox's directory.
    dynamic_shared_memory_type: process.platform === 'win32' ? 'windows' : 'mmap',
    huge_pages: 'off',
    logging_collector: 'off',
    log_destination: 'stderr',
  };
}

const OWNED = new Set([
  ...Object.keys(ownedSettings({ host: '', port: 0 }, undefined)),
  ...['data_directory', 'hba_file', 'ident_file', 'external_pid_file', 'config_file'],
  ...['ssl_ca_file', 'ssl_crl_file', 'ssl_dh_params_file', 'restore_command', 'shared_memory_type'],
]);

/** `name = 'value'` as postgresql.conf wants it. @throws SettingRefused for what cannot be written there. */
function configurationLine(name: string, value: string): string {
  if (!/^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$/i.test(name) || /[\n\r\0]/.test(value))
    throw new SettingRefused(`PostgreSQL has no setting "${name}" that could have the value "${value}".`);
  return `${name} = '${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'\n`;
}

export function postgresqlConf(options: Omit<ServerOptions, 'directory'>): string {
  const settings = {
    ...DEFAULTS,
    ...Object.fromEntries(Object.entries(options.parameters).filter(([name]) => !OWNED.has(name))),
    ...ownedSettings(options.address, options.walArchive),
  };
  return Object.entries(settings)
    .map(([name, value]) => configurationLine(name, value))
    .join('');
}

/**
 * Who may log in: everybody with a password, over TLS only if it is forced; into the service's own database only the
 * service; nobody as a physical standby.
 */
export function pgHba(forceTls: boolean): string {
  const type = forceTls ? 'hostssl' : 'host';
  return [
    `hostssl all ${SERVICE_USER} all scram-sha-256`,
    `host ${SERVICE_USER} all all reject`,
    `${type} all all all scram-sha-256`,
    '',
  ].join('\n');
}

/** Replaces a file of a data directory in one step, so that PostgreSQL never reads half of it. */
export async function writeServerFile(
  data: string,
  name: string,
  content: string,
  account: Account | undefined,
): Promise<void> {
  const path = join(data, name);
  const draft = `${path}.new`;
  await writeFile(draft, content, { mode: 0o600 });
  if (account) await chown(draft, account.uid, account.gid);
  await rename(draft, path);
}
