import { connect } from 'node:net';
import { Client, DatabaseError } from 'pg';
import { DatabaseUnreachable, LoginRefused, QueryFailed, type RollbackError } from './errors';

/** Where and as whom to log in. */
export interface Login {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export const APPLICATION_NAME = 'migration-rollback';

const CONNECT_TIMEOUT_MS = 10_000;
const STATEMENT_TIMEOUT_MS = 60_000;

/**
 * Limits that somebody gave a role or a database for the application's sake, and that would end our session while it works: of these
 * the driver sets none, and not every version of PostgreSQL knows each.
 */
const WITHOUT_LIMITS = `select pg_catalog.set_config(name, '0', false)
  from pg_catalog.unnest(array['idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout']) as name
 where pg_catalog.current_setting(name, true) <> '0'`;

/**
 * One login for the time of `work`. TLS is always verified in full: name and authority; what is trusted comes from the
 * runtime (NODE_EXTRA_CA_CERTS). Throws LoginRefused, DatabaseUnreachable or QueryFailed, never with a password.
 */
export async function withConnection<T>(
  login: Login,
  work: (connection: Connection) => Promise<T>,
  { statementTimeoutMs = STATEMENT_TIMEOUT_MS }: { statementTimeoutMs?: number } = {},
): Promise<T> {
  const client = new Client({
    host: login.host,
    port: login.port,
    user: login.user,
    password: login.password,
    database: login.database,
    ssl: { rejectUnauthorized: true },
    application_name: APPLICATION_NAME,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + 5000,
    lock_timeout: CONNECT_TIMEOUT_MS,
  });
  // A connection that breaks while nobody waits for an answer must not end the process; the next query reports it.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw connectError(error, login);
  }
  try {
    const connection = new Connection(client, login);
    await connection.query(WITHOUT_LIMITS);
    return await work(connection);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** True when the login works; false when it is refused. Throws when the database cannot be asked. */
export async function canLogIn(login: Login): Promise<boolean> {
  try {
    await withConnection(login, (connection) => connection.query('select 1'));
    return true;
  } catch (error) {
    if (error instanceof LoginRefused) return false;
    throw error;
  }
}

/** Whether anything takes connections at this address; for an instance that is said to be gone. */
export function answers({ host, port }: { host: string; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 5000 });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => {
      end(true);
    });
    for (const event of ['error', 'timeout'])
      socket.once(event, () => {
        end(false);
      });
  });
}

/** Whether the password is right, also where the right to connect to the database is missing, or a trigger refuses: both come behind the password. */
export async function isPasswordRight(login: Login): Promise<boolean> {
  try {
    return await withConnection(login, () => Promise.resolve(true));
  } catch (error) {
    if (!(error instanceof LoginRefused)) throw error;
    return error.cause instanceof DatabaseError && (error.cause.code === '42501' || isByTrigger(error.cause));
  }
}

/** The first of the logins that the server accepts, or undefined. Throws when the database cannot be asked. */
export async function firstAccepted(logins: readonly Login[]): Promise<Login | undefined> {
  for (const login of logins) if (await canLogIn(login)) return login;
  return undefined;
}

export interface ReadRows {
  readonly columns: readonly { readonly name: string; /** OID of the type. */ readonly type: number }[];
  /** The first ones. */
  readonly rows: readonly (readonly unknown[])[];
  /** Of all, as far as they were counted. */
  readonly count: number;
}

/** What a step may do with a connection. */
export class Connection {
  constructor(
    private readonly client: Client,
    private readonly login: Login,
  ) {}

  /** Rows of one statement. The statement must not hold a password: PostgreSQL and errors repeat it. */
  async query(sql: string, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    const { rows } = await this.sent(() => this.client.query<Record<string, unknown>>(sql, [...values]));
    return rows;
  }

  /**
   * The first rows of a query that somebody else wrote, and how many there are up to `counted`. PostgreSQL itself refuses everything but one query, and one that writes.
   */
  async readOnly(sql: string, { shown, counted }: { shown: number; counted: number }): Promise<ReadRows> {
    await this.query('begin read only');
    // A prepared statement, as one with a name is, is one statement or refused; so is a cursor for anything but a query.
    await this.sent(() =>
      this.client.query({ name: 'declare', text: `declare asked no scroll cursor for ${sql}` }),
    );
    const { fields, rows } = await this.sent(() =>
      this.client.query<unknown[], []>({ text: `fetch ${shown} from asked`, rowMode: 'array' }),
    );
    // A row may be as big as a whole document: those that only count stay where they are.
    const { rowCount } = await this.sent(() => this.client.query(`move ${counted - shown} in asked`));
    await this.query('rollback');
    return {
      columns: fields.map(({ name, dataTypeID }) => ({ name, type: dataTypeID })),
      rows,
      count: rows.length + (rowCount ?? 0),
    };
  }

  private async sent<T>(send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (error) {
      if (error instanceof DatabaseError && !isShutdown(error))
        throw new QueryFailed(
          `PostgreSQL on ${this.login.host} refused a query: ${error.message} (SQLSTATE ${error.code ?? 'unknown'}).`,
          'See the log of the instance.',
          error.code,
        );
      throw unreachable(error, this.login);
    }
  }
}

/** An SQL identifier, quoted. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Class 57P: the server ends sessions, since it stops or restarts; class 08: the connection broke. */
function isShutdown({ code = '' }: DatabaseError): boolean {
  return code.startsWith('57P') || code.startsWith('08');
}

/** SQLSTATEs of a refused login: no such role, wrong password, no matching pg_hba.conf entry, role may not log in. */
const REFUSED = new Set(['28000', '28P01']);
/** The database is missing, or this role may not connect to it: the server was reached and said no. */
const NO_DATABASE = new Set(['3D000', '42501']);

/** Classes of what passes, in a trigger as well: broken connections, conflicts, locks, resources, shutdowns. */
const PASSING = new Set(['08', '40', '53', '55', '57', '58']);

/** Nothing but code of the database gives its errors a context: it runs before the session is there, as an event trigger on login. */
function isByTrigger({ code = '', where }: DatabaseError): boolean {
  return where !== undefined && !PASSING.has(code.slice(0, 2));
}

/** Every connection of the server, of the database or of the role is taken. */
const FULL = '53300';

/** Whether a login was turned away since all connections are taken: the server works, and knows the password. */
export function isFull(error: unknown): boolean {
  return (
    error instanceof DatabaseUnreachable && error.cause instanceof DatabaseError && error.cause.code === FULL
  );
}

function connectError(error: unknown, login: Login): RollbackError {
  if (error instanceof DatabaseError && error.code !== undefined) {
    const evidence = `${login.host}:${login.port} refused role "${login.user}" on database "${login.database}" (SQLSTATE ${error.code}: ${error.message}).`;
    if (isByTrigger(error))
      return new LoginRefused(
        evidence,
        `A login event trigger of the database refused it (\\dy in psql lists them). Let role "${login.user}" in, or disable the trigger.`,
        { cause: error },
      );
    if (REFUSED.has(error.code))
      return new LoginRefused(evidence, 'Compare the secret with the password that the database has.');
    if (NO_DATABASE.has(error.code))
      return new LoginRefused(evidence, 'The database or the right to connect to it is missing.', {
        cause: error,
      });
    return new DatabaseUnreachable(
      evidence,
      error.code === FULL
        ? 'Every connection that there may be is taken. Stop what takes them, or raise the limit.'
        : 'The server answers but takes no session now; try again.',
      { cause: error },
    );
  }
  return unreachable(error, login);
}

function unreachable(error: unknown, login: Login): DatabaseUnreachable {
  const reason = error instanceof Error ? reasonOf(error) : String(error);
  return new DatabaseUnreachable(
    `PostgreSQL on ${login.host}:${login.port} cannot be reached: ${reason}.`,
    'Is the instance stopped, restarting or gone? If not: look at the security groups and routes from the function to it, and whether its certificate is signed by an authority in NODE_EXTRA_CA_CERTS.',
  );
}

function reasonOf(error: Error): string {
  const code = 'code' in error ? `${String(error.code)}: ` : '';
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return reasonOf(error.errors[0]);
  return `${code}${error.message}`;
}
