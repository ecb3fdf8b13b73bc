import { randomBytes } from 'node:crypto';
import { readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { makeServerDirectory, serverAccount } from './account';
import { Addresses } from './addresses';
import { openAuthority } from './authority';
import { backupWal, readConsistentAt, unpackBackup } from './backup';
import { openClusterTemplate, setServicePassword, type TemplateOptions } from './cluster-template';
import type {
  NewServerOptions,
  Postgres,
  RestoreOptions,
  RestoreToTimeOptions,
  ServerOptions,
} from './contract';
import { PostgresStartFailed, RestoreTimeOutOfRange } from './errors';
import { Guardian } from './guardian';
import { findInstallation } from './installation';
import { endLeftoverServer, guardianGone } from './leftovers';
import { unpackTree, type PackedTree } from './packed-tree';
import { recoveryParameters } from './recovery';
import { asVerifier } from './scram';
import { RunningServer, dataDirectory, type ServerContext } from './server';
import { writeWhole } from './write-whole';

export interface PostgresOptions {
  /** Where this module keeps what is its own; made if need be. The servers' directories may be elsewhere. */
  readonly directory: string;
  /** A directory to remove when the sandbox ends, however it ends, after the servers have been stopped. */
  readonly removeDirectoryOnExit?: string;
  readonly log: (line: string) => void;
}

/** Replaying WAL takes as long as there is WAL. */
const RECOVERY_TIMEOUT_MS = 15 * 60_000;

/**
 * Gets PostgreSQL ready to make servers; none runs yet.
 * @throws PostgresNotUsable when PostgreSQL cannot run on this machine.
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const { directory, removeDirectoryOnExit, log } = options;
  const account = await serverAccount();
  // Says at once if the servers' account cannot get there.
  await makeServerDirectory(join(directory, TEMPLATE), account);
  const pidFile = join(directory, 'guardian.pid');
  await guardianGone(pidFile);
  const guardian = new Guardian({ pidFile, removeDirectoryOnExit });
  try {
    const [installation, authority, servicePassword] = await Promise.all([
      findInstallation(account, join(directory, 'software')),
      openAuthority({ caFile: join(directory, 'rds-ca.pem'), keyFile: join(directory, 'rds-ca.key') }),
      keptSecret(join(directory, 'service-password')),
    ]);
    return new SandboxPostgres(directory, {
      installation,
      account,
      guardian,
      authority,
      addresses: new Addresses(),
      servicePassword,
      log,
    });
  } catch (error) {
    await guardian.stop();
    throw error;
  }
}

const TEMPLATE = 'template';

/** The content of a file that only its owner reads; made up when there is none yet. */
async function keptSecret(file: string): Promise<string> {
  const kept = await readFile(file, 'utf8').catch(() => '');
  if (kept !== '') return kept;
  const secret = randomBytes(24).toString('base64url');
  await writeWhole(file, secret, 0o600);
  return secret;
}

class SandboxPostgres implements Postgres {
  readonly version: string;
  readonly parameters: Postgres['parameters'];
  readonly authority: Postgres['authority'];
  private readonly servers = new Set<RunningServer>();
  private template: Promise<PackedTree> | undefined;

  constructor(
    private readonly directory: string,
    private readonly context: ServerContext,
  ) {
    this.version = context.installation.version;
    this.parameters = context.installation.parameters;
    this.authority = context.authority;
  }

  reserveAddress(port: number): ReturnType<Postgres['reserveAddress']> {
    return this.context.addresses.reserve(port);
  }

  releaseAddress(address: ServerOptions['address']): void {
    this.context.addresses.release(address);
  }

  claimAddress(address: ServerOptions['address']): Promise<void> {
    return this.context.addresses.claim(address);
  }

  async prepare(): Promise<void> {
    await this.clusterTemplate();
  }

  async create(options: NewServerOptions): Promise<RunningServer> {
    const template = await this.clusterTemplate();
    return this.inNewDirectory(options, async () => {
      const data = dataDirectory(options.directory);
      await unpackTree(template, data, this.context.account);
      await setServicePassword(data, this.context.servicePassword, this.templateOptions);
      const server = this.keep(await RunningServer.start(this.context, options));
      await createMaster(server, options);
      return server;
    });
  }

  async restore(options: RestoreOptions): Promise<RunningServer> {
    return this.recover(options, recoveryParameters({ wal: [backupWal(options.backup)] }));
  }

  async restoreToTime(options: RestoreToTimeOptions): Promise<RunningServer> {
    const { backup, sourceWalArchive, time } = options;
    const consistentAt = await readConsistentAt(backup);
    if (time < consistentAt)
      throw new RestoreTimeOutOfRange(`The backup cannot be restored to ${time.toISOString()}.`, {
        evidence: `It became consistent only at ${consistentAt.toISOString()}.`,
        hint: 'Take an older backup, or a later time.',
      });
    const wal = [sourceWalArchive, backupWal(backup)];
    try {
      return await this.recover(options, recoveryParameters({ wal, time }));
    } catch (error) {
      if (!(error instanceof PostgresStartFailed) || !error.message.includes(TARGET_NOT_REACHED)) throw error;
      throw new RestoreTimeOutOfRange(`The archive does not reach ${time.toISOString()}.`, {
        evidence: error.message
          .split('\n')
          .filter((line) => /last completed transaction|FATAL/.test(line))
          .join('\n'),
        hint: 'Archive what the source has written so far, or take an earlier time.',
      });
    }
  }

  async open(options: ServerOptions): Promise<RunningServer> {
    return this.keep(await RunningServer.open(this.context, options));
  }

  async remove(directory: string): Promise<void> {
    await endLeftoverServer(dataDirectory(directory));
    await rm(directory, { recursive: true, force: true });
  }

  async stop(): Promise<void> {
    await Promise.all([...this.servers].map((server) => server.stop()));
    await this.context.guardian.stop();
  }

  private clusterTemplate(): Promise<PackedTree> {
    this.template ??= openClusterTemplate(this.templateOptions);
    return this.template;
  }

  private get templateOptions(): TemplateOptions {
    return { ...this.context, directory: join(this.directory, TEMPLATE) };
  }

  private async recover(options: RestoreOptions, parameters: readonly string[]): Promise<RunningServer> {
    return this.inNewDirectory(options, async () => {
      await unpackBackup(options.backup, dataDirectory(options.directory), this.context.account);
      const recovery = { parameters, timeoutMs: RECOVERY_TIMEOUT_MS };
      return this.keep(await RunningServer.start(this.context, options, recovery));
    });
  }

  /** Makes the server's directory for `work`, and removes it again if that fails. */
  private async inNewDirectory(
    { directory }: ServerOptions,
    work: () => Promise<RunningServer>,
  ): Promise<RunningServer> {
    await makeServerDirectory(directory, this.context.account);
    if ((await readdir(directory)).length > 0)
      throw new PostgresStartFailed(
        `There is something in the new server's directory already: ${directory}.`,
      );
    const before = new Set(this.servers);
    try {
      return await work();
    } catch (error) {
      const made = [...this.servers].filter(
        (server) => !before.has(server) && server.directory === directory,
      );
      await Promise.all(made.map((server) => server.stop()));
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  private keep(server: RunningServer): RunningServer {
    this.servers.add(server);
    void server.ended.then(() => this.servers.delete(server));
    return server;
  }
}

/** What PostgreSQL says when the WAL ends before the target. */
const TARGET_NOT_REACHED = 'recovery ended before configured recovery target was reached';

/** The master user and the first database, as RDS makes them. */
async function createMaster(server: RunningServer, options: NewServerOptions): Promise<void> {
  const { masterUsername, masterPassword, databaseName } = options;
  const master = escapeIdentifier(masterUsername);
  const verifier = escapeLiteral(await asVerifier(masterPassword));
  // On RDS membership in rds_replication lets a role use replication slots; unmodified PostgreSQL asks for the attribute.
  await server.admin(
    `CREATE ROLE ${master} LOGIN CREATEDB CREATEROLE REPLICATION PASSWORD ${verifier} VALID UNTIL 'infinity'`,
  );
  await server.admin(`GRANT rds_superuser TO ${master}`);
  await server.admin(`ALTER DATABASE postgres OWNER TO ${master}`);
  if (databaseName !== 'postgres')
    await server.admin(`CREATE DATABASE ${escapeIdentifier(databaseName)} OWNER ${master}`);
}
