import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import * as z from 'zod/mini';
import type { InstanceAddress, Recovery } from './contract/recovery';
import type { SoakEvent, SoakResult } from './contract/retirement';
import { MAINTENANCE_DATABASE, readerLogin } from './database-fence';
import { readLogin } from './database-url';
import {
  DatabaseUnreachable,
  LoginRefused,
  OldInstanceUnreachable,
  QueryFailed,
  type RollbackError,
} from './errors';
import { describeSessions, onOldServer, sessionsOfOthers } from './old-server';
import { APPLICATION_NAME, canLogIn, withConnection, type Login } from './postgres';
import { currentSecret, masterLogins } from './secrets';

// What one look of a soak finds wrong: with the alarms, the new database and the old one.

export interface LookDeps {
  readonly secrets: SecretsManagerClient;
  readonly databaseUrlSecretId: string;
  readonly masterSecretId: string;
}

/** More than a tenth of the transactions rolled back, and more than twice as many as on the old database in its life. */
const ROLLED_BACK_AT_MOST = 0.1;
const TIMES_AS_USUAL = 2;
/** Too few to say anything. */
const ROLLED_BACK_AT_LEAST = 20;
const DEADLOCKS_AT_MOST = 3;
/** So much of the connections that an application can have. */
const CONNECTIONS_AT_MOST = 0.9;

/**
 * When it counts: `now`, where it must not happen at all; `twice`, at two looks in a row, since a server restarts and a deployment
 * takes the application away for a moment; `at the end`, what may still pass by itself.
 */
type Counts = 'now' | 'twice' | 'at the end';
/** What a look sees that should not be. */
export interface Finding {
  readonly what: string;
  readonly detail: string;
  readonly counts: Counts;
}

export function alarmFindings(
  alarms: z.output<typeof SoakEvent>['alarms'],
  wanted: readonly string[],
  since: string,
): Finding[] {
  if ('problem' in alarms)
    return [{ what: 'the alarms cannot be looked at', detail: alarms.problem, counts: 'twice' }];
  return wanted.flatMap((name): Finding[] => {
    const alarm = alarms.seen.find((one) => one.name === name);
    if (!alarm)
      return [
        { what: `alarm ${name} is not there`, detail: 'CloudWatch has none of that name.', counts: 'now' },
      ];
    if (alarm.state !== 'ALARM') return [];
    // One that rings since the outage may take its time to end.
    const before = alarm.since !== undefined && Date.parse(alarm.since) < Date.parse(since);
    return [
      {
        what: `alarm ${name} rings`,
        detail: `Since ${alarm.since ?? 'some time'}.`,
        counts: before ? 'at the end' : 'now',
      },
    ];
  });
}

const Counters = z.object({
  commits: z.int(),
  rollbacks: z.int(),
  deadlocks: z.int(),
  applicationSessions: z.int(),
  sessions: z.int(),
  most: z.int(),
});
type Counters = z.infer<typeof Counters>;

/** As the application, with what the secret says now. */
export async function lookAtNew(
  { host, port, instanceId }: InstanceAddress,
  { secrets, databaseUrlSecretId }: LookDeps,
): Promise<{ counters?: Counters; findings: Finding[] }> {
  const login = { ...readLogin((await currentSecret(secrets, databaseUrlSecretId)).value), host, port };
  try {
    const [row] = await withConnection(login, (connection) =>
      connection.query(
        `select d.xact_commit::float8 as commits, d.xact_rollback::float8 as rollbacks, d.deadlocks::float8 as deadlocks,
                (select count(*)::int from pg_catalog.pg_stat_activity
                  where usename = current_user and datname = current_database() and application_name is distinct from $1) as "applicationSessions",
                (select sum(numbackends)::int from pg_catalog.pg_stat_database) as sessions,
                current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as most
           from pg_catalog.pg_stat_database d where d.datname = current_database()`,
        [APPLICATION_NAME],
      ),
    );
    return { counters: Counters.parse(row), findings: [] };
  } catch (error) {
    if (!isOfDatabase(error)) throw error;
    return {
      findings: [
        {
          what: 'the application cannot log in',
          detail: `${instanceId}: ${error.fact}`,
          counts: 'twice',
        },
      ],
    };
  }
}

export function counterFindings(
  now: Counters,
  compared: {
    since: NonNullable<SoakResult['last']>;
    deadlocksBefore: number;
    usualShare: number | undefined;
    sessionsExpected: boolean;
  },
): Finding[] {
  const { since, usualShare, sessionsExpected } = compared;
  // A server that crashed counts from zero again: then there is less than before, and nothing is found.
  const rolledBack = now.rollbacks - since.rollbacks;
  const share = shareOf({ commits: now.commits - since.commits, rollbacks: rolledBack });
  const most = Math.max(ROLLED_BACK_AT_MOST, TIMES_AS_USUAL * (usualShare ?? 0));
  const deadlocks = now.deadlocks - compared.deadlocksBefore;
  const findings: (Finding | false)[] = [
    sessionsExpected &&
      now.applicationSessions === 0 && {
        what: 'the application is not connected',
        detail: 'It has no session on the new database.',
        counts: 'twice',
      },
    now.sessions >= CONNECTIONS_AT_MOST * now.most && {
      what: 'connections run out',
      detail: `${now.sessions} of ${now.most} are taken.`,
      counts: 'twice',
    },
    rolledBack >= ROLLED_BACK_AT_LEAST &&
      share > most && {
        what: 'transactions fail',
        detail: `${percent(share)} of those since the look before were rolled back; ${usualShare === undefined ? 'what is usual is not known' : `${percent(usualShare)} were in the life of the old database`}.`,
        counts: 'twice',
      },
    deadlocks > DEADLOCKS_AT_MOST && {
      what: 'there are deadlocks',
      detail: `${deadlocks} since the first look.`,
      counts: 'twice',
    },
  ];
  return findings.filter((finding) => finding !== false);
}

const OldCounters = z.object({ commits: z.number(), rollbacks: z.number() });
const Writes = z.object({ writes: z.number() });

/** As the master user, where the fence keeps nobody out; its tables as this system's own role behind the fence. */
export async function lookAtOld(
  recovery: Recovery,
  deps: LookDeps,
): Promise<{ findings: Finding[]; usualShare?: number; writes?: number }> {
  const { live } = recovery;
  if (live.state !== 'there') return { findings: [] };
  const application = readLogin((await currentSecret(deps.secrets, deps.databaseUrlSecretId)).value);
  try {
    const { sessions, usual } = await onOldServer(live, deps, async (connection) => ({
      sessions: await sessionsOfOthers(connection),
      usual: await connection.query(
        `select xact_commit::float8 as commits, xact_rollback::float8 as rollbacks
           from pg_catalog.pg_stat_database where datname = $1`,
        [application.database],
      ),
    }));
    const counted = z.safeParse(OldCounters, usual[0]);
    const writes = await writesToOld(recovery, application, deps);
    return {
      ...(counted.success && { usualShare: shareOf(counted.data) }),
      ...(writes !== undefined && { writes }),
      findings:
        sessions.length === 0
          ? []
          : [
              {
                what: 'somebody is connected to the old database',
                detail: describeSessions(sessions),
                counts: 'now',
              },
            ],
    };
  } catch (error) {
    if (!(error instanceof OldInstanceUnreachable) && !isOfDatabase(error)) throw error;
    return {
      findings: [{ what: 'the old database cannot be asked', detail: error.fact, counts: 'twice' }],
    };
  }
}

/** Rows that were changed in the tables of the application; undefined where this system's role is not let in. */
async function writesToOld(
  { id, live }: Recovery,
  application: Login,
  { secrets, masterSecretId }: LookDeps,
): Promise<number | undefined> {
  const { host, port } = live;
  const masters = await masterLogins(secrets, masterSecretId, { host, port, database: MAINTENANCE_DATABASE });
  for (const master of masters) {
    const reader = readerLogin(master, application, id);
    if (!(await canLogIn(reader))) continue;
    const [row] = await withConnection(reader, (connection) =>
      connection.query(
        `select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::float8 as writes from pg_catalog.pg_stat_user_tables`,
      ),
    );
    return Writes.parse(row).writes;
  }
  return undefined;
}

function isOfDatabase(error: unknown): error is RollbackError {
  return (
    error instanceof DatabaseUnreachable || error instanceof LoginRefused || error instanceof QueryFailed
  );
}

function shareOf({ commits, rollbacks }: { commits: number; rollbacks: number }): number {
  return rollbacks / Math.max(1, commits + rollbacks);
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
