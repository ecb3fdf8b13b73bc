import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { Check, InstanceAddress, Recovery, VerifyResult } from '../contract';
import { check, isWritable, noFailedMigration, noInvalidIndex, pendingAreAbsent } from '../database-checks';
import { readLogin } from '../database-url';
import { RollbackError, VerificationFailed } from '../errors';
import { readMigrationTable } from '../migrations';
import { withConnection, type Login } from '../postgres';
import { currentSecret } from '../secrets';

/**
 * Looks at the recovery instance as the application will. Every check runs; VerificationFailed names those that say no.
 * Throws DatabaseUnreachable while the instance restarts: that says nothing about its data.
 */
export async function verify(
  { recovery, instance }: { recovery: Recovery; instance: InstanceAddress },
  deps: { secrets: SecretsManagerClient; databaseUrlSecretId: string },
): Promise<VerifyResult> {
  const live = readLogin((await currentSecret(deps.secrets, deps.databaseUrlSecretId)).value);
  const restored = { ...live, host: instance.host, port: instance.port };
  const login = await check('application login over verified TLS', () =>
    withConnection(restored, async (connection) => {
      await connection.query('select 1');
      return `Role "${restored.user}" logs in to "${restored.database}" on ${restored.host}:${restored.port}.`;
    }),
  );
  const checks: Check[] = [
    login,
    await check('writable', () => withConnection(restored, isWritable)),
    await check('no failed migration', () => withConnection(restored, noFailedMigration)),
    await check('pending migrations are absent', () =>
      withConnection(restored, (connection) => pendingAreAbsent(connection, recovery.restorePoint)),
    ),
    await check('no invalid index', () => withConnection(restored, noInvalidIndex)),
  ];
  const failed = checks.filter(({ ok }) => !ok);
  if (failed.length > 0)
    throw new VerificationFailed(
      `${failed.length} of ${checks.length} checks of ${instance.instanceId} failed: ${failed.map(({ name, detail }) => `${name} (${detail})`).join('; ')}`,
      'The live database is as it was. Choose another restore point.',
    );

  const { applied } = await withConnection(restored, readMigrationTable);
  return { checks, migrations: applied, migrationsTakenAway: await takenAway(live, applied) };
}

/** Best effort: the live database may be in any state, that is why it is being replaced. */
async function takenAway(live: Login, restored: readonly string[]): Promise<string[] | null> {
  try {
    const { applied, failed } = await withConnection(live, readMigrationTable);
    return [...new Set([...applied, ...failed])].filter((name) => !restored.includes(name));
  } catch (error) {
    if (error instanceof RollbackError) return null;
    throw error;
  }
}
