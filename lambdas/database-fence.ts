import { createHmac } from 'node:crypto';
import * as z from 'zod/mini';
import { DatabaseUnreachable, FenceFailed, QueryFailed } from './errors';
import { jsonOf } from './parse';
import { identifier, withConnection, type Connection, type Login } from './postgres';
import { scramVerifier } from './scram';

/**
 * The fence around a database (docs/decisions/0015-fence.md): nobody may connect to it but the role READER. Everything that is
 * needed to lift it again is in the database's own catalogs, so it survives whatever dies, and a copy of it that
 * was restored from a snapshot can be opened as well.
 */

/** Never fenced, and never an application's: where the master user looks after the fence. */
export const MAINTENANCE_DATABASE = 'template1';

/** This system's own role on a fenced server. Its comment says what is to be given back; with it goes the fence. */
const READER = 'migration_rollback';

const Grant = z.object({
  /** Null: PUBLIC. */
  grantee: z.nullable(z.string()),
  grantable: z.boolean(),
});
type Grant = z.infer<typeof Grant>;

/** `alter database … allow_connections false` or `connection limit 0`: how a person stops writers, and locks this system out as well. */
const Closed = z.object({ database: z.string(), allowConnections: z.boolean(), connectionLimit: z.int() });
type Closed = z.infer<typeof Closed>;

/** What the comment of READER holds: who could connect to which database. */
const Saved = z.object({
  fencedBy: z.string(),
  databases: z.record(z.string(), z.array(Grant)),
  /** How the application's database was closed to everybody when the fence was raised; absent: it was not. */
  closed: z.optional(Closed),
});
type Saved = z.infer<typeof Saved>;

const Candidate = z.object({ name: z.string(), mine: z.boolean() });

export interface Fence {
  /** Databases that nobody but READER can connect to any more. */
  readonly fenced: readonly string[];
  /** Databases that the master user has no say in (RDS's own). */
  readonly notFenced: readonly string[];
  /** False where it stood before, and had no gap. */
  readonly isNew: boolean;
}

interface Fencing {
  readonly recoveryId: string;
  readonly application: Login;
  readonly reader: Login;
}

/**
 * Takes the right to connect to every database from everybody, in one transaction. Sessions that exist go on: endSessions.
 * @param connection of the master user, to MAINTENANCE_DATABASE
 * @throws FenceFailed when a role would still get in
 */
export async function raiseFence(connection: Connection, fencing: Fencing): Promise<Fence> {
  return aloneInTransaction(connection, () => lockEverybodyOut(connection, fencing));
}

/** Whether the fence could be raised: it is, and the transaction is rolled back. @throws FenceFailed as `raiseFence` does */
export async function rehearseFence(connection: Connection, fencing: Fencing): Promise<void> {
  await aloneInTransaction(connection, () => lockEverybodyOut(connection, fencing), 'rollback');
}

async function lockEverybodyOut(
  connection: Connection,
  { recoveryId, application, reader }: Fencing,
): Promise<Fence> {
  const candidates = z.array(Candidate).parse(
    await connection.query(
      `select datname as name, pg_catalog.pg_has_role(datdba, 'MEMBER') as mine
           from pg_catalog.pg_database where datname not in ('template0', '${MAINTENANCE_DATABASE}') order by 1`,
    ),
  );
  const fenced = candidates.filter(({ mine }) => mine).map(({ name }) => name);
  const { database, user: applicationRole } = application;
  if (!fenced.includes(database))
    throw new FenceFailed(
      `The master user may not change who connects to database "${database}".`,
      'Grant it the role that owns the database, then start a new recovery. Nothing was changed.',
    );
  const saved = await readSaved(connection);
  const databases: Record<string, Grant[]> = {};
  for (const name of fenced)
    databases[name] = saved?.databases[name] ?? (await connectGrants(connection, name));
  // Behind the fence, in the same transaction: only READER gets in.
  const closed = saved?.closed ?? (await openClosed(connection, database));

  if (!saved) await connection.query(`create role ${READER}`);
  await connection.query(`alter role ${READER} login password '${scramVerifier(reader.password)}'`);
  await connection.query(
    `comment on role ${READER} is ${literal(JSON.stringify({ fencedBy: recoveryId, databases, closed }))}`,
  );
  let isNew = saved === undefined;
  for (const name of fenced) {
    // Those of now, too: somebody may have been let in since the fence was raised.
    const grantees = (await connectGrants(connection, name)).filter(({ grantee }) => grantee !== READER);
    if (grantees.length === 0) continue;
    isNew = true;
    await connection.query(
      `revoke connect on database ${identifier(name)} from ${grantees.map(grantee).join(', ')} cascade`,
    );
  }
  await connection.query(`grant connect on database ${identifier(database)} to ${READER}`);
  await grantIfAllowed(connection, applicationRole);
  const stillIn = await connection.query(
    `select r.rolname as role, d.datname as name
         from pg_catalog.pg_roles r cross join pg_catalog.pg_database d
        where d.datname = any($1) and r.rolcanlogin and not r.rolsuper and r.rolname <> $2
          and pg_catalog.has_database_privilege(r.oid, d.oid, 'CONNECT')
        order by 1, 2`,
    [fenced, READER],
  );
  if (stillIn.length > 0)
    throw new FenceFailed(
      `The fence does not keep everybody out: ${stillIn.map(({ role, name }) => `role "${String(role)}" may connect to "${String(name)}"`).join(', ')}.`,
      'The master user could not revoke that: see who granted it (\\l in psql). Nothing was changed.',
    );
  return {
    fenced,
    notFenced: candidates.filter(({ mine }) => !mine).map(({ name }) => name),
    isNew,
  };
}

/**
 * READER reads what the application reads: its role owns the tables, or may use them. Since PostgreSQL 16 only who administers a role may
 * pass it on; the fence holds without it.
 */
async function grantIfAllowed(connection: Connection, applicationRole: string): Promise<void> {
  await connection.query('savepoint membership');
  try {
    await connection.query(`grant ${identifier(applicationRole)} to ${READER}`);
  } catch (error) {
    if (!(error instanceof QueryFailed) || error.sqlState !== INSUFFICIENT_PRIVILEGE) throw error;
    await connection.query('rollback to savepoint membership');
  }
}

/**
 * Ends every session on the fenced databases, whatever it is doing, those of this system's READER left out. Answers with how
 * many there were.
 */
export async function endSessions(connection: Connection, { fenced }: Fence): Promise<number> {
  const ended = await connection.query(
    `select pg_catalog.pg_terminate_backend(a.pid) as ended
       from pg_catalog.pg_stat_activity a join pg_catalog.pg_roles r on r.oid = a.usesysid
      where a.datname = any($1) and a.pid <> pg_catalog.pg_backend_pid()
        and not r.rolsuper and r.rolname <> $2`,
    [fenced, READER],
  );
  return ended.length;
}

export interface LiftedFence {
  readonly lifted: boolean;
  /** The id of the recovery that raised it last; undefined where there is no fence. */
  readonly fencedBy: string | undefined;
}

/**
 * Gives everybody back what the fence took, in one transaction.
 * @param connection of the master user, to MAINTENANCE_DATABASE
 * @param raisedBy only a fence that this recovery raised last; left out, any
 * @param asBefore a database that a person had closed is closed again; left out: it is to serve
 */
export async function liftFence(
  connection: Connection,
  { raisedBy, asBefore = false }: { raisedBy?: string; asBefore?: boolean } = {},
): Promise<LiftedFence> {
  return aloneInTransaction(connection, async () => {
    const saved = await readSaved(connection);
    if (!saved) return { lifted: false, fencedBy: undefined };
    const { fencedBy } = saved;
    if (raisedBy !== undefined && fencedBy !== raisedBy) return { lifted: false, fencedBy };
    const existing = await namesOf(connection, 'select datname as name from pg_catalog.pg_database');
    const roles = await namesOf(connection, 'select rolname as name from pg_catalog.pg_roles');
    for (const [name, grants] of Object.entries(saved.databases)) {
      if (!existing.has(name)) continue;
      for (const grant of grants)
        if (grant.grantee === null || roles.has(grant.grantee))
          await connection.query(
            `grant connect on database ${identifier(name)} to ${grantee(grant)}${grant.grantable ? ' with grant option' : ''}`,
          );
      await connection.query(`revoke connect on database ${identifier(name)} from ${READER}`);
    }
    const { closed } = saved;
    if (asBefore && closed && existing.has(closed.database)) await alterConnections(connection, closed);
    await connection.query(`drop role ${READER}`);
    return { lifted: true, fencedBy };
  });
}

/**
 * Opens a database that takes no connections at all; rights are not touched. Answers how it was closed, undefined where it was not.
 * @param connection of the master user, to MAINTENANCE_DATABASE
 */
export async function openClosed(connection: Connection, database: string): Promise<Closed | undefined> {
  const [found] = z.array(Closed).parse(
    await connection.query(
      `select datname as database, datallowconn as "allowConnections", datconnlimit as "connectionLimit"
         from pg_catalog.pg_database where datname = $1 and (not datallowconn or datconnlimit = 0)`,
      [database],
    ),
  );
  if (found) await alterConnections(connection, { database, allowConnections: true, connectionLimit: -1 });
  return found;
}

async function alterConnections(
  connection: Connection,
  { database, allowConnections, connectionLimit }: Closed,
): Promise<void> {
  await connection.query(
    `alter database ${identifier(database)} with allow_connections ${allowConnections} connection limit ${connectionLimit}`,
  );
}

/** The recovery that raised the fence of this server; undefined where there is none. Any role may ask, from MAINTENANCE_DATABASE. */
export async function findFence(connection: Connection): Promise<string | undefined> {
  return (await readSaved(connection))?.fencedBy;
}

/** How this system logs in to a fenced database: as nobody else can, with a password that only the master secret gives. */
export function readerLogin(master: Login, application: Login, recoveryId: string): Login {
  const password = createHmac('sha256', master.password)
    .update(`migration-rollback fence ${recoveryId}`)
    .digest('base64url');
  return { ...application, host: master.host, port: master.port, user: READER, password };
}

/** Who may connect to a database now. A database that nobody has changed has no list; PostgreSQL's defaults count then. */
async function connectGrants(connection: Connection, database: string): Promise<Grant[]> {
  return z.array(Grant).parse(
    await connection.query(
      `select r.rolname::text as grantee, bool_or(a.is_grantable) as grantable
         from pg_catalog.pg_database d
        cross join pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
         left join pg_catalog.pg_roles r on r.oid = a.grantee
        where d.datname = $1 and a.privilege_type = 'CONNECT' and (a.grantee = 0 or r.oid is not null)
        group by 1 order by 1`,
      [database],
    ),
  );
}

/** What an earlier fence took; undefined where there is none. */
async function readSaved(connection: Connection): Promise<Saved | undefined> {
  const [role] = await connection.query(
    `select pg_catalog.shobj_description(oid, 'pg_authid') as saved from pg_catalog.pg_roles where rolname = $1`,
    [READER],
  );
  if (!role) return undefined;
  const saved = Saved.safeParse(jsonOf(String(role.saved)));
  if (!saved.success)
    throw new FenceFailed(
      `Role "${READER}" exists on the server and was not made by a fence: its comment does not say who was fenced out.`,
      "That name is this system's: rename the role.",
    );
  return saved.data;
}

async function namesOf(connection: Connection, sql: string): Promise<Set<string>> {
  return new Set((await connection.query(sql)).map(({ name }) => String(name)));
}

/** Of a lock in MAINTENANCE_DATABASE; any number. */
const FENCE_LOCK = 5_732_011_946;

/** One at a time raises or lifts the fence: two that did so at once would meet in the catalogs, and one of them fail. */
async function aloneInTransaction<T>(
  connection: Connection,
  work: () => Promise<T>,
  end: 'commit' | 'rollback' = 'commit',
): Promise<T> {
  await connection.query('begin');
  try {
    await connection
      .query('select pg_catalog.pg_advisory_xact_lock($1)', [FENCE_LOCK])
      .catch(lockedByAnother);
    const result = await work();
    await connection.query(end);
    return result;
  } catch (error) {
    // The connection is closed after this, which rolls back as well, should it not be there any more.
    await connection.query('rollback').catch(() => undefined);
    throw error;
  }
}

function lockedByAnother(error: unknown): never {
  if (!(error instanceof QueryFailed) || error.sqlState !== LOCK_NOT_AVAILABLE) throw error;
  throw new DatabaseUnreachable(
    'Another function raises or lifts the fence, and has not come to its end for a while.',
    'Usually this passes: try again in a few minutes.',
    { cause: error },
  );
}

const LOCK_NOT_AVAILABLE = '55P03';
const INSUFFICIENT_PRIVILEGE = '42501';

function grantee(grant: Grant): string {
  return grant.grantee === null ? 'public' : identifier(grant.grantee);
}

/** A string constant, whatever standard_conforming_strings says. */
function literal(text: string): string {
  return `e'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

/** Runs `work` as the master user where the fence keeps nobody out, and may write whatever the default is: a person may have set it to stop writers. */
export async function asMaster<T>(master: Login, work: (connection: Connection) => Promise<T>): Promise<T> {
  return withConnection({ ...master, database: MAINTENANCE_DATABASE }, async (connection) => {
    await connection.query('set default_transaction_read_only = off');
    return work(connection);
  });
}
