import * as z from 'zod/mini';
import type { Connection } from './postgres';

/** The key of the advisory lock that `prisma migrate deploy` holds while it migrates, in every version so far. */
const PRISMA_LOCK = 72_707_369;

/** A session that does nothing for as long is taken for one that a killed job left behind. Seconds. */
const STALE_AFTER = 300;

const Holder = z.object({
  pid: z.int(),
  role: z.string(),
  application: z.string(),
  address: z.string(),
  stale: z.boolean(),
  since: z.string(),
});

/** A session that holds Prisma's lock on this database. */
export interface LockHolder {
  readonly pid: number;
  /** Who it is, for people. */
  readonly session: string;
  /** Whether it has done nothing for minutes; false where this role may not look into it. */
  readonly stale: boolean;
}

/** Who holds Prisma's migration lock on this database. */
export async function lockHolders(connection: Connection): Promise<LockHolder[]> {
  const holders = z.array(Holder).parse(
    await connection.query(
      // A key of 64 bits is shown in two halves, with objsubid 1.
      `select l.pid, coalesce(a.usename::text, '?') as role, coalesce(nullif(a.application_name, ''), 'no application name') as application,
              coalesce(a.client_addr::text, 'local') as address,
              coalesce(a.state = 'idle' and a.state_change < clock_timestamp() - make_interval(secs => $2), false) as stale,
              to_char(coalesce(a.state_change, a.backend_start, clock_timestamp()) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since
         from pg_catalog.pg_locks l left join pg_catalog.pg_stat_activity a on a.pid = l.pid
        where l.locktype = 'advisory' and l.granted and l.classid = 0 and l.objid::bigint = $1 and l.objsubid = 1
          and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
          and l.pid <> pg_catalog.pg_backend_pid()
        order by l.pid`,
      [PRISMA_LOCK, STALE_AFTER],
    ),
  );
  return holders.map(({ pid, role, application, address, stale, since }) => ({
    pid,
    session: `pid ${pid}, role ${role}, ${application}, from ${address}, ${stale ? 'idle' : 'last active'} since ${since}`,
    stale,
  }));
}
