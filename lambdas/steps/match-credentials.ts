import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { InstanceAddress, MatchCredentialsResult, Recovery } from '../contract';
import { readLogin } from '../database-url';
import { ApplicationRoleMissing, CredentialsNotReady, LoginRefused } from '../errors';
import { canLogIn, identifier, withConnection } from '../postgres';
import { scramVerifier } from '../scram';
import { currentSecret, readMasterCredentials } from '../secrets';

/**
 * Makes the application's current password work on the recovery instance: the backup may be older than the last rotation.
 * Throws CredentialsNotReady until the master user's password is there, ApplicationRoleMissing, LoginRefused.
 */
export async function matchCredentials(
  { instance }: { recovery: Recovery; instance: InstanceAddress },
  deps: { secrets: SecretsManagerClient; masterSecretId: string; databaseUrlSecretId: string },
): Promise<MatchCredentialsResult> {
  const { host, port } = instance;
  const application = {
    ...readLogin((await currentSecret(deps.secrets, deps.databaseUrlSecretId)).value),
    host,
    port,
  };
  const { username, password } = readMasterCredentials(
    (await currentSecret(deps.secrets, deps.masterSecretId)).value,
  );
  const role = application.user;

  const master = { host, port, user: username, password, database: application.database };
  if (!(await canLogIn(master)))
    throw new CredentialsNotReady(`${host}:${port} refuses the master user "${username}" so far.`, 'Wait.');
  const changed = await withConnection(master, async (connection) => {
    const [found] = await connection.query('select 1 from pg_catalog.pg_roles where rolname = $1', [role]);
    if (!found)
      throw new ApplicationRoleMissing(
        `The restored database has no role "${role}", which the secret logs in as.`,
        'Was the role made after the restore point? Choose a later one, or make the role and recover from a snapshot with it.',
      );
    if (await canLogIn(application)) return false;
    // A verifier, not the password: ALTER ROLE may be logged. Its characters need no quoting.
    await connection.query(
      `alter role ${identifier(role)} password '${scramVerifier(application.password)}'`,
    );
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
