import { readFileSync } from 'node:fs';
import pg from 'pg';
import { parseIntoClientConfig } from 'pg-connection-string';
import { z } from 'zod/mini';

export interface TaskTrackerOptions {
  /** Reads DATABASE_URL, usually from its secret. Asked at the start and at every refresh. */
  readonly databaseUrl: () => Promise<string>;
  /** File with the authorities that the database's certificate is checked against. */
  readonly caFile?: string;
  /** Real milliseconds between beats; without it the application beats only when asked. */
  readonly beatEvery?: number;
  /** Real milliseconds between looks at the secret; without it the application looks only when asked. */
  readonly refreshEvery?: number;
  /** Name of this copy of the application. @default 'task-tracker-1' */
  readonly instance?: string;
}

/** How the application is doing. Holds no URL and no password. */
export interface TaskTrackerStats {
  /** Where it is connected, without credentials: host, port and database; null before the first refresh. */
  readonly server: { readonly host: string; readonly port: number; readonly database: string } | null;
  readonly beats: number;
  readonly failures: number;
  readonly lastSuccessAt: Date | null;
  readonly lastFailureAt: Date | null;
  /** Code (SQLSTATE or of the system) and message of the newest failure. */
  readonly lastError: { readonly code: string | null; readonly message: string } | null;
  /** Whether the newest beat or refresh succeeded. */
  readonly healthy: boolean;
  /** How often the secret had a new value. */
  readonly reconnects: number;
}

/** How `pg_stat_activity` shows the application. */
export const APPLICATION_NAME = 'task-tracker';

const POOL_SIZE = 3;
/** Milliseconds after which a beat gives up on a server that does not answer: many times what a slow machine needs. */
const PATIENCE = 30_000;

const Failure = z.object({ message: z.string(), code: z.optional(z.string()) });
const Beats = z.array(z.object({ beats: z.coerce.number() })).check(z.minLength(1));

/**
 * The application of the drill: a consumer of DATABASE_URL as plain as they come. One beat is a transaction that writes
 * a row of its own ("Heartbeat", unlogged, so that it never counts as data) and reads what its front page shows, so it
 * fails where a bad migration took a table or a column away. It lives through the loss of its server and goes on with
 * the next value of the secret. Nothing here throws because of the database: failures are counted.
 */
export class TaskTracker {
  private pool: pg.Pool | undefined;
  private url: string | undefined;
  private timers: NodeJS.Timeout[] = [];
  private beating: Promise<boolean> | undefined;
  private refreshing: Promise<boolean> | undefined;
  private state: TaskTrackerStats = {
    server: null,
    beats: 0,
    failures: 0,
    lastSuccessAt: null,
    lastFailureAt: null,
    lastError: null,
    healthy: false,
    reconnects: 0,
  };

  constructor(private readonly options: TaskTrackerOptions) {}

  /** Reads the secret and beats once, then as often as the options say. */
  async start(): Promise<void> {
    await this.refresh();
    await this.beat();
    const { beatEvery, refreshEvery } = this.options;
    if (beatEvery !== undefined)
      this.timers.push(
        setInterval(() => {
          if (!this.beating) void this.beat();
        }, beatEvery),
      );
    if (refreshEvery !== undefined)
      this.timers.push(
        setInterval(() => {
          if (!this.refreshing) void this.refresh();
        }, refreshEvery),
      );
  }

  /** Closes every connection, after the beat that is under way. */
  async stop(): Promise<void> {
    for (const timer of this.timers) clearInterval(timer);
    this.timers = [];
    await Promise.all([this.beating, this.refreshing]);
    const { pool } = this;
    this.pool = undefined;
    this.url = undefined;
    await pool?.end();
  }

  stats(): TaskTrackerStats {
    return this.state;
  }

  /** One beat, after the one under way: that one may have met what was there before. Answers whether it succeeded. */
  beat(): Promise<boolean> {
    const beat = (this.beating ?? Promise.resolve())
      .then(() => this.tryBeat())
      .finally(() => {
        if (this.beating === beat) this.beating = undefined;
      });
    return (this.beating = beat);
  }

  /** Looks at the secret, after the look under way, and moves to its value where that is new. Answers whether it was. */
  refresh(): Promise<boolean> {
    const look = (this.refreshing ?? Promise.resolve())
      .then(() => this.tryRefresh())
      .finally(() => {
        if (this.refreshing === look) this.refreshing = undefined;
      });
    return (this.refreshing = look);
  }

  private async tryBeat(): Promise<boolean> {
    try {
      if (!this.pool) throw new Error('The application has no database URL yet.');
      await beatOn(this.pool, this.options.instance ?? 'task-tracker-1');
      const { beats } = this.state;
      this.state = { ...this.state, beats: beats + 1, lastSuccessAt: new Date(), healthy: true };
      return true;
    } catch (error) {
      this.failed(error);
      return false;
    }
  }

  private async tryRefresh(): Promise<boolean> {
    try {
      const url = await this.options.databaseUrl();
      if (url === this.url) return false;
      const config = clientConfig(url, this.options.caFile);
      const previous = this.pool;
      this.pool = new pg.Pool({ ...config, max: POOL_SIZE });
      // An idle connection that the server ends is noticed here; the next beat shows whether it matters.
      this.pool.on('error', () => undefined);
      this.url = url;
      const server = { host: config.host ?? '', port: config.port ?? 5432, database: config.database ?? '' };
      this.state = { ...this.state, server, reconnects: this.state.reconnects + (previous ? 1 : 0) };
      await previous?.end();
      return true;
    } catch (error) {
      this.failed(error);
      return false;
    }
  }

  private failed(error: unknown): void {
    // Not asked with instanceof: errors of Node's own modules may be of another realm.
    const failure = Failure.safeParse(error);
    const code = failure.data?.code ?? null;
    const message = failure.data?.message ?? String(error);
    this.state = {
      ...this.state,
      failures: this.state.failures + 1,
      lastFailureAt: new Date(),
      lastError: { code, message },
      healthy: false,
    };
  }
}

async function beatOn(pool: pg.Pool, instance: string): Promise<void> {
  const client = await pool.connect();
  let broken: Error | undefined;
  // A connection that is lost between two queries speaks up only here.
  const onError = (error: Error): void => {
    broken = error;
  };
  client.on('error', onError);
  try {
    await client.query('BEGIN');
    const { rows } = await client.query(
      `INSERT INTO "Heartbeat" ("instance", "beats", "beatAt") VALUES ($1, 1, clock_timestamp())
       ON CONFLICT ("instance") DO UPDATE SET "beats" = "Heartbeat"."beats" + 1, "beatAt" = clock_timestamp()
       RETURNING "beats"`,
      [instance],
    );
    Beats.parse(rows);
    await client.query(
      `SELECT t."title", t."details", u."name", (SELECT count(*) FROM "Comment" c WHERE c."taskId" = t."id") AS comments
       FROM "Task" t JOIN "User" u ON u."id" = t."reporterId" ORDER BY t."id" DESC LIMIT 5`,
    );
    await client.query('COMMIT');
  } catch (error) {
    broken = error instanceof Error ? error : new Error(String(error));
    throw broken;
  } finally {
    client.off('error', onError);
    // A broken connection is closed, which also ends its transaction.
    client.release(broken);
  }
}

/** @throws Error without the URL in it, where it cannot be read */
function clientConfig(url: string, caFile: string | undefined): pg.ClientConfig {
  const { config, mode } = parsed(url);
  // What pg makes of sslmode today, without its warning that this will change: every mode with TLS checks the server.
  const ssl = mode === null ? config.ssl : mode !== 'disable';
  const given = typeof config.ssl === 'object' ? config.ssl : {};
  const ca = caFile === undefined ? {} : { ca: readFileSync(caFile, 'utf8') };
  return {
    ...config,
    ssl: ssl === undefined || ssl === false ? false : { ...given, ...ca, rejectUnauthorized: true },
    application_name: APPLICATION_NAME,
    connectionTimeoutMillis: PATIENCE,
    query_timeout: PATIENCE,
  };
}

function parsed(text: string): { config: pg.ClientConfig; mode: string | null } {
  try {
    const url = new URL(text);
    const mode = url.searchParams.get('sslmode');
    url.searchParams.delete('sslmode');
    return { config: parseIntoClientConfig(url.href), mode };
  } catch {
    throw new Error('DATABASE_URL is not a valid PostgreSQL URL.');
  }
}
