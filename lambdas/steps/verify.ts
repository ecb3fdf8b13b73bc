import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { amcheck } from '../amcheck';
import type { VerificationCheck } from '../contract/checks';
import type { InstanceAddress, Recovery } from '../contract/recovery';
import type { VerifyResult } from '../contract/restore';
import { check, isWritable } from '../database-checks';
import { fact, readFacts, type DatabaseFacts, type Fact } from '../database-facts';
import { readLogin } from '../database-url';
import { RollbackError, VerificationFailed } from '../errors';
import { LEDGER, recorded, type MigrationTable } from '../migrations';
import { withConnection, type Connection, type Login } from '../postgres';
import { countRows, type RowCounts } from '../row-counts';
import { currentSecret } from '../secrets';
import { shortChecksum } from '../tags';
import { runTeamChecks, type TeamCheck } from '../team-checks';
import { tellChecks } from '../told-checks';
import { judge } from '../verification';

export interface VerifyDeps {
  readonly secrets: SecretsManagerClient;
  readonly databaseUrlSecretId: string;
  readonly teamChecks: readonly TeamCheck[];
}

/** Storage that was just restored is slow at first. */
const COUNTING = { perTableMs: 5_000, altogetherMs: 60_000 };
/** Without them there is no application: nobody can accept that. */
const LOGIN = 'application login over verified TLS';
const WRITABLE = 'writable';

/**
 * Looks at the recovery instance as the application will. Every check runs; VerificationFailed names those that block.
 * Throws DatabaseUnreachable while the instance restarts: that says nothing about its data.
 */
export async function verify(
  { recovery, instance }: { recovery: Recovery; instance: InstanceAddress },
  deps: VerifyDeps,
): Promise<VerifyResult> {
  const live = readLogin((await currentSecret(deps.secrets, deps.databaseUrlSecretId)).value);
  const restored = { ...live, host: instance.host, port: instance.port };
  const gate = await entrance(restored);
  refuse(gate, instance);

  // The live one first: what has rows there is counted here as well.
  const [copy, lively] = await Promise.all([read(restored, readFacts), readLive(live)]);
  const names = new Set([
    ...(recovery.restorePoint.kind === 'snapshot'
      ? Object.keys(recovery.restorePoint.recorded?.rows ?? {})
      : []),
    ...(lively && 'value' in lively.rows ? Object.keys(lively.rows.value.rows) : []),
  ]);
  const copyRows = await read(restored, (connection) =>
    fact(() => countRows(connection, COUNTING, [...names])),
  );
  const checks = accepting(recovery.verify.accept, [
    ...gate,
    ...judge({
      point: recovery.restorePoint,
      copy,
      copyRows,
      live: lively?.facts,
      liveRows: lively?.rows,
      now: new Date(),
    }),
    ...(recovery.verify.amcheck ? [{ name: 'amcheck', ...(await read(restored, amcheck)) }] : []),
    ...(await runTeamChecks(restored, deps.teamChecks)),
  ]);
  refuse(checks, instance);
  return {
    checks,
    migrations: applied(copy.migrations),
    migrationsTakenAway: lively ? takenAway(lively.facts.migrations, applied(copy.migrations)) : null,
    quarantine: lively ? toQuarantine(lively.facts.migrations, copy.migrations) : null,
  };
}

async function entrance(restored: Login): Promise<VerificationCheck[]> {
  const login = await check(LOGIN, () =>
    withConnection(restored, async (connection) => {
      await connection.query('select 1');
      return `Role "${restored.user}" logs in to "${restored.database}" on ${restored.host}:${restored.port}.`;
    }),
  );
  const writable = await check(WRITABLE, () => withConnection(restored, isWritable));
  return [login, writable].map((answer) => ({ ...answer, severity: 'error' }));
}

/** A session that cannot write, whatever the statements in it are. */
async function read<T>(login: Login, work: (connection: Connection) => Promise<T>): Promise<T> {
  return withConnection(login, async (connection) => {
    await connection.query('set default_transaction_read_only = on');
    return work(connection);
  });
}

/** Best effort: the live database may be in any state, that is why it is being replaced. */
async function readLive(live: Login): Promise<{ facts: DatabaseFacts; rows: Fact<RowCounts> } | undefined> {
  try {
    return await read(live, async (connection) => ({
      facts: await readFacts(connection),
      rows: await fact(() => countRows(connection, COUNTING)),
    }));
  } catch (error) {
    if (error instanceof RollbackError) return undefined;
    throw error;
  }
}

/** What the operator accepts is reported and does not block. */
function accepting(names: readonly string[], checks: readonly VerificationCheck[]): VerificationCheck[] {
  const unknown = names.filter((name) => !checks.some((one) => one.name === name));
  return [
    ...checks.map((one): VerificationCheck =>
      one.ok || one.severity !== 'error' || !names.includes(one.name) || isNeeded(one.name)
        ? one
        : { ...one, severity: 'warning', detail: `${one.detail} Accepted by who started the recovery.` },
    ),
    ...unknown.map((name): VerificationCheck => ({
      name: 'accepted checks',
      severity: 'warning',
      ok: false,
      detail: `"${name}" was to be accepted, and there is no such check.`,
    })),
  ];
}

function isNeeded(name: string): boolean {
  return name === LOGIN || name === WRITABLE;
}

function refuse(checks: readonly VerificationCheck[], instance: InstanceAddress): void {
  const failed = checks.filter(({ ok, severity }) => !ok && severity === 'error');
  if (failed.length === 0) return;
  throw new VerificationFailed(
    `${failed.length} of ${checks.length} checks of ${instance.instanceId} failed: ${failed.map(({ name }) => name).join(', ')}.${tellChecks(checks)}`,
    'The live database is as it was. Choose another restore point, or, if what is said here is no harm, start again with "verify": {"accept": ["name of the check"]}.',
  );
}

function applied(tables: Fact<readonly MigrationTable[]>): string[] {
  return 'value' in tables ? recorded(tables.value[0]).applied : [];
}

function takenAway(live: Fact<readonly MigrationTable[]>, restored: readonly string[]): string[] | null {
  if ('unknown' in live) return null;
  const now = recorded(live.value[0]);
  return [...new Set([...now.applied, ...now.failed])].filter((name) => !restored.includes(name));
}

/** Of every project: what its table has in the live database and not in the copy. Oldest first in each. */
function toQuarantine(
  live: Fact<readonly MigrationTable[]>,
  copy: Fact<readonly MigrationTable[]>,
): VerifyResult['quarantine'] {
  if ('unknown' in live || 'unknown' in copy) return null;
  return live.value.flatMap(({ schema, table, rows }) => {
    const restored = copy.value.find((one) => one.schema === schema && one.table === table);
    const left = new Set(restored?.rows.flatMap(({ name, state }) => (state === 'applied' ? [name] : [])));
    const gone = new Map(
      rows
        .filter(({ name, state }) => state !== 'rolled back' && !left.has(name))
        .map(({ name, checksum }) => [name, checksum]),
    );
    // The ledger has another kind of checksum than CI.
    return [...gone].map(([name, checksum]) =>
      table === LEDGER ? { name } : { name, checksum: shortChecksum(checksum) },
    );
  });
}
