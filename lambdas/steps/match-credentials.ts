import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { InstanceAddress, MatchCredentialsResult, Recovery } from '../contract';
import { MAINTENANCE_DATABASE, liftFence } from '../database-fence';
import { readLogin } from '../database-url';
import { ApplicationRoleMissing, CredentialsNotReady, LoginRefused } from '../errors';
import { canLogIn, firstAccepted, identifier, withConnection, type Login } from '../postgres';
import { scramVerifier } from '../scram';
import { currentSecret, isRotating, masterLogins } from '../secrets';

/**
 * Makes the current passwords of the application and of the master user work on the recovery instance: the backup may be
 * older than the last rotation, and the master user's may have been rotated since MatchSettings.
 * Throws CredentialsNotReady while a rotation is under way and until a master user's password is accepted, ApplicationRoleMissing, LoginRefused.
 */
export async function matchCredentials(
  { instance }: { recovery: Recovery; instance: InstanceAddress },
  deps: { secrets: SecretsManagerClient; masterSecretId: string; databaseUrlSecretId: string },
): Promise<MatchCredentialsResult> {
  const { host, port } = instance;
  for (const secretId of [deps.masterSecretId, deps.databaseUrlSecretId])
    // What is current now may be wrong in a moment, and the rotation reaches the live instance only.
    if (await isRotating(deps.secrets, secretId))
      throw new CredentialsNotReady(
        `A rotation of secret ${secretId} is under way: it has a version AWSPENDING that is not current.`,
        'Wait. If the rotation has failed, rotate once more, or take the label AWSPENDING off; then start again.',
      );
  const application = {
    ...readLogin((await currentSecret(deps.secrets, deps.databaseUrlSecretId)).value),
    host,
    port,
  };
  const role = application.user;
  // A copy of a database that was fenced is fenced itself: only there the master user gets in.
  const where = { host, port, database: MAINTENANCE_DATABASE };
  const masters = await masterLogins(deps.secrets, deps.masterSecretId, where);
  const master = await firstAccepted(masters);
  if (!master)
    throw new CredentialsNotReady(
      `${host}:${port} refuses the master user "${masters[0].user}" so far.`,
      'Wait.',
    );
  const changed = await withConnection(master, async (connection) => {
    await liftFence(connection);
    if (master !== masters[0] && master.user === masters[0].user)
      await connection.query(setPassword(masters[0]));
    const [found] = await connection.query('select 1 from pg_catalog.pg_roles where rolname = $1', [role]);
    if (!found)
      throw new ApplicationRoleMissing(
        `The restored database has no role "${role}", which the secret logs in as.`,
        'Was the role made after the restore point? Choose a later one, or make the role and recover from a snapshot with it.',
      );
    if (await canLogIn(application)) return false;
    await connection.query(setPassword(application));
    return true;
  });
  if (changed && !(await canLogIn(application)))
    throw new LoginRefused(
      `${host}:${port} refuses role "${role}" although its password was set.`,
      'Look at the role (login allowed? valid until?) and its right to connect to the database.',
    );
  return {
    applicationRole: role,
    applicationPassword: changed ? 'set to the current one' : 'already current',
  };
}

/** A verifier, not the password: ALTER ROLE may be logged. Its characters need no quoting. */
function setPassword({ user, password }: Login): string {
  return `alter role ${identifier(user)} password '${scramVerifier(password)}'`;
}
