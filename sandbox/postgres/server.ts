import { readFile, rm, writeFile, chown } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { Client, escapeIdentifier, escapeLiteral } from 'pg';
import { z } from 'zod';
import { makeServerDirectory, type Account } from './account';
import type { Addresses } from './addresses';
import { isArchived, serverTime, takeBackup } from './backup';
import type { Address, Authority, Backup, Server, ServerOptions } from './contract';
import { ArchivingFailed, PortTaken, PostgresStartFailed, SettingRefused } from './errors';
import type { GuardedProcess, Guardian } from './guardian';
import type { Installation } from './installation';
import { endLeftoverServer } from './leftovers';
import { asVerifier } from './scram';
import { readLogTail } from './server-log';
import { SERVICE_USER, pgHba, postgresqlConf, writeServerFile } from './settings';

/** What every server of a sandbox runs with. */
export interface ServerContext {
  readonly installation: Installation;
  readonly account: Account | undefined;
  readonly guardian: Guardian;
  readonly authority: Authority;
  readonly addresses: Addresses;
  readonly servicePassword: string;
  readonly log: (line: string) => void;
}

const POLL_MS = 10;
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;
const ARCHIVE_TIMEOUT_MS = 60_000;
const RELOAD_TIMEOUT_MS = 60_000;
const ADDRESS_TRIES = 20;

interface Launch {
  /** Of this start alone. */
  readonly parameters: readonly string[];
  readonly timeoutMs: number;
  readonly mayMove: boolean;
}

const FIRST_START = { parameters: [], timeoutMs: START_TIMEOUT_MS } as const;

export function dataDirectory(serverDirectory: string): string {
  return join(serverDirectory, 'data');
}

const wrongSettingSchema = z.object({
  name: z.string().nullable(),
  setting: z.string().nullable(),
  error: z.string(),
});

/** A server process on a data directory, and everything that is asked of it. */
export class RunningServer implements Server {
  readonly ended: Server['ended'];
  private resolveEnded: (how: Awaited<Server['ended']>) => void = () => undefined;
  private process: GuardedProcess | undefined;
  /** While the process is meant to end: its end is no news then. */
  private expectingEnd = false;

  private constructor(
    private readonly context: ServerContext,
    private options: ServerOptions,
  ) {
    this.ended = new Promise((resolve) => {
      this.resolveEnded = resolve;
    });
  }

  /**
   * Starts a server for the first time on the data directory in `options.directory`; resolves when it takes logins (after a
   * recovery: when it has been promoted). `recovery` are further parameters of this start alone, and how long it may take.
   * @throws PostgresStartFailed, PortTaken
   */
  static async start(
    context: ServerContext,
    options: ServerOptions,
    recovery: { parameters: readonly string[]; timeoutMs: number } = FIRST_START,
  ): Promise<RunningServer> {
    const server = new RunningServer(context, options);
    if (recovery.parameters.length > 0)
      await writeServerFile(server.data, 'recovery.signal', '', context.account);
    await server.launch({ ...recovery, mayMove: true });
    return server;
  }

  /**
   * Starts a server again on a data directory that has had one, at no other address than it had.
   * @throws PostgresStartFailed, PortTaken
   */
  static async open(context: ServerContext, options: ServerOptions): Promise<RunningServer> {
    const server = new RunningServer(context, options);
    await endLeftoverServer(server.data);
    await server.launch();
    return server;
  }

  get address(): Address {
    return this.options.address;
  }

  get directory(): string {
    return this.options.directory;
  }

  async admin(
    sql: string,
    values: readonly unknown[] = [],
    database = 'postgres',
  ): Promise<readonly Record<string, unknown>[]> {
    return this.connected(async (client) => {
      const result = await client.query<Record<string, unknown>>(sql, [...values]);
      return result.rows;
    }, database);
  }

  async setMasterPassword(username: string, password: string): Promise<void> {
    const verifier = escapeLiteral(await asVerifier(password));
    await this.admin(`ALTER ROLE ${escapeIdentifier(username)} PASSWORD ${verifier}`);
  }

  async backup(directory: string): Promise<Backup> {
    await makeServerDirectory(directory, this.context.account);
    return this.connected((client) =>
      takeBackup(client, { data: this.data, directory, owner: this.context.account }),
    );
  }

  /** @throws ArchivingFailed when archiving is off or does not get on. */
  async archiveUpToNow(): Promise<Date> {
    const { walArchive } = this.options;
    if (walArchive === undefined)
      throw new ArchivingFailed('This server archives nothing (its backup retention is 0).');
    const { upTo, segment } = await this.connected(async (client) => {
      const now = new Date(Math.floor(await serverTime(client)));
      // A restore to `now` replays that whole millisecond and wants to see one commit after it: this one.
      await client.query('SELECT pg_sleep(0.002)');
      await client.query('SELECT pg_current_xact_id()');
      const { rows } = await client.query('SELECT pg_walfile_name(pg_switch_wal()) AS segment');
      return { upTo: now, ...z.object({ segment: z.string() }).parse(rows[0]) };
    });
    const deadline = Date.now() + ARCHIVE_TIMEOUT_MS;
    while (!(await isArchived(walArchive, segment))) {
      if (Date.now() > deadline || this.process === undefined)
        throw new ArchivingFailed(`The WAL segment ${segment} did not reach the archive ${walArchive}.`, {
          evidence: await readLogTail(this.logFile),
          hint: 'Is there space left on the disk?',
        });
      await delay(POLL_MS);
    }
    return upTo;
  }

  /** @throws SettingRefused when PostgreSQL does not take a setting; then nothing has changed. */
  async configure(
    wanted: Pick<ServerOptions, 'parameters' | 'forceTls'> & { readonly walArchive?: string },
  ): Promise<{ pendingReboot: boolean }> {
    const before = this.options;
    const { parameters, forceTls, walArchive } = wanted;
    const { directory, address } = before;
    const rest = { directory, address, parameters, forceTls };
    this.options = walArchive === undefined ? rest : { ...rest, walArchive };
    await this.writeSettings();
    try {
      // A value that waits for a restart has an error here too, and so has one that is wrong: the reload tells them apart.
      await this.refuse(`error <> 'setting could not be applied' OR context <> 'postmaster'`);
      const pendingReboot = await this.reload();
      await this.refuse('NOT pending_restart');
      return { pendingReboot };
    } catch (error) {
      this.options = before;
      await this.writeSettings();
      await this.reload();
      throw error;
    }
  }

  async restart(): Promise<void> {
    await this.endProcess();
    await this.launch();
  }

  async readdress(address: Address): Promise<void> {
    await this.endProcess();
    this.options = { ...this.options, address };
    await this.launch({ ...FIRST_START, mayMove: true });
  }

  async stop(): Promise<void> {
    await this.endProcess();
    this.resolveEnded('was stopped');
  }

  private get data(): string {
    return dataDirectory(this.options.directory);
  }

  private get logFile(): string {
    return join(this.options.directory, 'server.log');
  }

  private async connected<T>(work: (client: Client) => Promise<T>, database = 'postgres'): Promise<T> {
    const { authority, servicePassword } = this.context;
    const client = new Client({
      ...this.options.address,
      user: SERVICE_USER,
      password: servicePassword,
      database,
      application_name: 'rds',
      ssl: { ca: await readFile(authority.caFile, 'utf8') },
    });
    // A connection that breaks also fails the query that waits on it.
    client.on('error', () => undefined);
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  }

  private async writeSettings(): Promise<void> {
    const { account } = this.context;
    if (this.options.walArchive !== undefined) await makeServerDirectory(this.options.walArchive, account);
    await writeServerFile(this.data, 'postgresql.conf', postgresqlConf(this.options), account);
    await writeServerFile(this.data, 'pg_hba.conf', pgHba(this.options.forceTls), account);
  }

  /** Has the server read its settings again; says whether some of them wait for a restart. */
  private async reload(): Promise<boolean> {
    const [before] = await this.admin('SELECT pg_conf_load_time()::text AS at, pg_reload_conf()');
    const deadline = Date.now() + RELOAD_TIMEOUT_MS;
    // Each look is a new connection: the server takes that only when it is done with a reload.
    for (;;) {
      const [now] = await this.admin(
        `SELECT pg_conf_load_time()::text AS at,
                EXISTS (SELECT FROM pg_settings WHERE pending_restart) AS "pendingReboot"`,
      );
      if (now?.['at'] !== before?.['at']) return now?.['pendingReboot'] === true;
      if (Date.now() > deadline)
        throw new SettingRefused('The server did not read its settings again.', {
          evidence: await readLogTail(this.logFile),
        });
      await delay(POLL_MS);
    }
  }

  /** @throws SettingRefused when one of the settings in the file has an error for which `condition` holds. */
  private async refuse(condition: string): Promise<void> {
    const [wrong] = await this.admin(
      `SELECT file.name, file.setting, file.error
       FROM pg_file_settings AS file LEFT JOIN pg_settings USING (name)
       WHERE file.error IS NOT NULL AND (context IS NULL OR ${condition})`,
    );
    if (!wrong) return;
    const { name, setting, error } = wrongSettingSchema.parse(wrong);
    throw new SettingRefused(`PostgreSQL does not accept ${name ?? 'a setting'} = ${setting ?? ''}.`, {
      evidence: error,
    });
  }

  /** `mayMove`: nobody knows the address yet, so that a neighbouring one will do as well. */
  private async launch(
    { parameters, timeoutMs, mayMove }: Launch = { ...FIRST_START, mayMove: false },
  ): Promise<void> {
    const { authority, account, addresses, log } = this.context;
    const { directory } = this.options;
    await writeServerFile(this.data, 'pg_ident.conf', '', account);
    await writeServerFile(this.data, 'postgresql.auto.conf', '', account);
    // Clients that check the name `localhost` for an address: node-postgres, on a connection to an IP address.
    const { certificate, key } = await authority.issue([this.address.host, 'localhost']);
    await writeServerFile(this.data, 'server.crt', certificate, account);
    await writeServerFile(this.data, 'server.key', key, account);

    for (let attempt = 1; ; attempt++) {
      await this.writeSettings();
      try {
        await this.run(parameters, timeoutMs);
        log(`PostgreSQL in ${directory} listens on ${this.address.host}:${this.address.port}`);
        return;
      } catch (error) {
        if (!(error instanceof AddressInUse)) throw error;
        if (!mayMove) throw error.asPortTaken(this.address);
        if (attempt >= ADDRESS_TRIES) throw error.asStartFailure();
        this.options = { ...this.options, address: await addresses.instead(this.address) };
      }
    }
  }

  /** Runs the server process until it is ready. */
  private async run(parameters: readonly string[], timeoutMs: number): Promise<void> {
    const { installation, account, guardian, log } = this.context;
    await rm(this.logFile, { force: true });
    await writeFile(this.logFile, '', { mode: 0o600 });
    if (account) await chown(this.logFile, account.uid, account.gid);
    this.expectingEnd = false;
    const started = await guardian.run({
      program: installation.postgres,
      parameters: ['-D', this.data, ...parameters],
      environment: { LC_ALL: 'C', TZ: 'UTC', PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
      account,
      directory: this.data,
      log: this.logFile,
    });
    const state: { over: boolean; ready: boolean } = { over: false, ready: false };
    const ended = started.ended.then(() => {
      state.over = true;
      if (this.process === started) this.process = undefined;
      if (state.ready && !this.expectingEnd) {
        log(`PostgreSQL in ${this.directory} has ended unexpectedly`);
        this.resolveEnded('died');
      }
    });
    this.process = started;

    const deadline = Date.now() + timeoutMs;
    while (!(await this.isReady(started.pid))) {
      if (state.over)
        throw await this.startFailure(`PostgreSQL in ${this.directory} ended while it started.`);
      if (Date.now() > deadline) {
        started.signal('SIGQUIT');
        await ended;
        throw await this.startFailure(
          `PostgreSQL in ${this.directory} was not ready after ${timeoutMs / 1000} s.`,
        );
      }
      await delay(POLL_MS);
    }
    state.ready = true;
  }

  private async startFailure(fact: string): Promise<PostgresStartFailed | AddressInUse> {
    const evidence = await readLogTail(this.logFile);
    const inUse = /could not bind [^\n]*(Address already in use|Cannot assign requested address)/.test(
      evidence,
    );
    return inUse ? new AddressInUse(fact, evidence) : new PostgresStartFailed(fact, { evidence });
  }

  /** The server writes its state as the eighth line of postmaster.pid, after its process id as the first. */
  private async isReady(pid: number): Promise<boolean> {
    const lines = (await readFile(join(this.data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
    return lines[0] === String(pid) && lines[7]?.trim() === 'ready';
  }

  private async endProcess(): Promise<void> {
    const { process } = this;
    if (!process) return;
    this.expectingEnd = true;
    // Fast shutdown; immediate when that does not come to its end.
    process.signal('SIGINT');
    const timer = setTimeout(() => {
      process.signal('SIGQUIT');
    }, STOP_TIMEOUT_MS);
    await process.ended;
    clearTimeout(timer);
    this.process = undefined;
  }
}

/** The address was free when it was handed out, and is not any more. */
class AddressInUse extends Error {
  constructor(
    private readonly fact: string,
    private readonly evidence: string,
  ) {
    super(fact);
  }

  asPortTaken({ host, port }: Address): PortTaken {
    return new PortTaken(`Somebody else listens on ${host}:${port}, the address of this server.`, {
      evidence: this.evidence,
      hint: 'End what listens there: clients know the server by this address.',
    });
  }

  asStartFailure(): PostgresStartFailed {
    return new PostgresStartFailed(this.fact, { evidence: this.evidence });
  }
}
