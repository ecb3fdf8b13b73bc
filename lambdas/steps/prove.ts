import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import * as z from 'zod/mini';
import type { Check } from '../contract/checks';
import type { ProveResult } from '../contract/cutover';
import type { InstanceAddress, Recovery } from '../contract/recovery';
import { check, isWritable } from '../database-checks';
import { isSameEndpoint, readLogin } from '../database-url';
import { DatabaseUnreachable, ProofFailed, RollbackError } from '../errors';
import { readMigrationTables, type MigrationTable } from '../migrations';
import { isFull, withConnection, type Connection, type Login } from '../postgres';
import { refuseIfOvertaken } from '../overtaken';
import { currentSecret } from '../secrets';
import { tellChecks } from '../told-checks';
import { noFailedMigration, pendingAreAbsent } from '../verification';

interface Swapped {
  readonly recovery: Recovery;
  readonly instance: InstanceAddress;
  readonly versionId: string;
}

/** Logs in with exactly what the secret says now and proves that it leads to the restored database. Throws ProofFailed, RecoveryOvertaken. */
export async function prove(
  swapped: Swapped,
  deps: { secrets: SecretsManagerClient; databaseUrlSecretId: string },
): Promise<ProveResult> {
  await refuseIfOvertaken(swapped.recovery, [swapped.instance], deps);
  const secret = await currentSecret(deps.secrets, deps.databaseUrlSecretId);
  const checks = await proofs(swapped, secret).catch((error: unknown) => {
    // The application meets the same: no waiting here, the old instance serves at once again.
    // A rename has no old instance that could. Where every connection is taken, the application is there: worth asking again.
    if (error instanceof DatabaseUnreachable && !swapped.recovery.rename && !isFull(error))
      throw new ProofFailed(`DATABASE_URL leads to no server after the swap. ${error.fact}`, LOOK, {
        cause: error,
      });
    throw error;
  });
  const failed = checks.filter(({ ok }) => !ok);
  if (failed.length > 0)
    throw new ProofFailed(
      `${failed.length} of ${checks.length} proofs failed after the swap: ${failed.map(({ name }) => name).join(', ')}.${tellChecks(checks)}`,
      LOOK,
    );
  return { checks };
}

const LOOK = 'Look at the recovery instance.';

async function proofs(
  { recovery, instance, versionId }: Swapped,
  secret: { value: string; versionId: string },
): Promise<Check[]> {
  const login = readLogin(secret.value);
  /** What was accepted for the verification is no reason to swap back. */
  const ofMigrations = (
    name: string,
    look: (tables: readonly MigrationTable[]) => { ok: boolean; detail: string },
  ): Promise<Check> =>
    check(name, async () => {
      const { ok, detail } = look(await withConnection(login, readMigrationTables));
      return { ok: ok || recovery.verify.accept.includes(name), detail };
    });
  return [
    await check('the secret names the recovery instance', async () => ({
      ok: isSameEndpoint(login, instance),
      // A rotation right after the swap makes a version of its own, which names the recovery instance too.
      detail: `Version ${secret.versionId} (swapped in: ${versionId}) names ${login.host}:${login.port}; ${instance.instanceId} is ${instance.host}:${instance.port}.`,
    })),
    await check('application login over verified TLS', () =>
      withConnection(login, async (connection) => {
        await connection.query('select 1');
        return `Role "${login.user}" logs in to "${login.database}".`;
      }),
    ),
    await check('writable', () => withConnection(login, isWritable)),
    // Who undoes a recovery wants the migrations back that it took away, whatever they are. A rename changes none.
    ...(recovery.undoes || recovery.rename
      ? []
      : [
          await ofMigrations('no failed migration', noFailedMigration),
          await ofMigrations('pending migrations are absent', (tables) =>
            pendingAreAbsent(tables, recovery.restorePoint),
          ),
        ]),
    ...(recovery.rename
      ? []
      : [
          await check('it is the restored server, not the old one', () =>
            isAnotherServer(login, recovery.live),
          ),
        ]),
  ];
}

const Identity = z.object({
  address: z.nullable(z.string()),
  port: z.nullable(z.int()),
  started: z.string(),
});

/** Two running servers differ in their address or in the microsecond of their start. */
async function isAnotherServer(login: Login, old: InstanceAddress): Promise<{ ok: boolean; detail: string }> {
  const current = await withConnection(login, identity);
  let previous: string;
  try {
    previous = await withConnection({ ...login, host: old.host, port: old.port }, identity);
  } catch (error) {
    if (!(error instanceof RollbackError)) throw error;
    return { ok: true, detail: `The certificate is that of ${login.host}; the old server answers no login.` };
  }
  return { ok: current !== previous, detail: `Old server: ${previous}; this one: ${current}.` };
}

async function identity(connection: Connection): Promise<string> {
  const [row] = await connection.query(
    `select host(pg_catalog.inet_server_addr()) as address, pg_catalog.inet_server_port() as port,
            pg_catalog.pg_postmaster_start_time()::text as started`,
  );
  const { address, port, started } = Identity.parse(row);
  return `${address ?? 'local'}:${port ?? 0} started ${started}`;
}
