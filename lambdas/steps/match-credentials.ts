import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { Check } from '../contract/checks';
import type { InstanceAddress, Recovery } from '../contract/recovery';
import type { MatchCredentialsResult } from '../contract/restore';
import { check, isWritable } from '../database-checks';
import {
  MAINTENANCE_DATABASE,
  asMaster,
  endSessions,
  liftFence,
  openClosed,
  raiseFence,
  readerLogin,
  rehearseFence,
} from '../database-fence';
import { readLogin } from '../database-url';
import { ApplicationRoleMissing, CredentialsNotReady, LoginRefused, VerificationFailed } from '../errors';
import {
  canLogIn,
  firstAccepted,
  identifier,
  isPasswordRight,
  withConnection,
  type Login,
} from '../postgres';
import { scramVerifier } from '../scram';
import { currentSecret, isRotating, masterLogins, pinnedVersions } from '../secrets';
import { tellChecks } from '../told-checks';

/**
 * Makes the current passwords of the application and of the master user work on the recovery instance: the backup may be
 * older than the last rotation, and the master user's may have been rotated since MatchSettings.
 * An instance that an undo takes back stays fenced, and is looked at through the fence: Swap opens it.
 * Throws CredentialsNotReady while a rotation is under way and until a master user's password is accepted, ApplicationRoleMissing, LoginRefused, VerificationFailed.
 */
export async function matchCredentials(
  { recovery, instance }: { recovery: Recovery; instance: InstanceAddress },
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
  const masters = await masterLogins(
    deps.secrets,
    deps.masterSecretId,
    where,
    pinnedVersions(recovery.restorePoint).master,
  );
  const master = await firstAccepted(masters);
  if (!master)
    throw new CredentialsNotReady(
      `${host}:${port} refuses the master user "${masters[0].user}" so far.`,
      'Wait.',
    );
  const reader = readerLogin(masters[0], application, recovery.id);
  const isRight = recovery.undoes ? isPasswordRight : canLogIn;
  const changed = await asMaster(master, async (connection) => {
    if (recovery.undoes) {
      // With this recovery's own reader; whoever was let in by hand is kept out again.
      const fence = await raiseFence(connection, { recoveryId: recovery.id, application, reader });
      await endSessions(connection, fence);
    } else {
      await liftFence(connection);
      // As it was when the backup was made: somebody may have stopped the writers like this.
      await openClosed(connection, application.database);
    }
    if (master !== masters[0] && master.user === masters[0].user)
      await connection.query(setPassword(masters[0]));
    const [found] = await connection.query('select 1 from pg_catalog.pg_roles where rolname = $1', [role]);
    if (!found)
      throw new ApplicationRoleMissing(
        `The restored database has no role "${role}", which the secret logs in as.`,
        'Was the role made after the restore point? Choose a later one, or make the role and recover from a snapshot with it.',
      );
    // A drill ends before the fence, and is to find what would stop a recovery there.
    if (recovery.mode === 'drill')
      await rehearseFence(connection, { recoveryId: recovery.id, application, reader });
    if (await isRight(application)) return false;
    await connection.query(setPassword(application));
    return true;
  });
  if (changed && !(await isRight(application)))
    throw new LoginRefused(
      `${host}:${port} refuses role "${role}" although its password was set.`,
      'Look at the role (login allowed? valid until?), its right to connect to the database, and the login event triggers there.',
    );
  return {
    applicationRole: role,
    applicationPassword: changed ? 'set to the current one' : 'already current',
    ...(recovery.undoes && { checks: await checksBehindFence(reader) }),
  };
}

/** It served until it was fenced, so nothing more is asked of it than that it answers and may write. */
async function checksBehindFence(reader: Login): Promise<Check[]> {
  const writable = await check('writable, behind its fence', () => withConnection(reader, isWritable));
  if (!writable.ok)
    throw new VerificationFailed(
      `The database that was to be taken back is not as it was.${tellChecks([writable])}`,
      'The live database is as it was.',
    );
  return [writable];
}

/** A verifier, not the password: ALTER ROLE may be logged. Its characters need no quoting. */
function setPassword({ user, password }: Login): string {
  return `alter role ${identifier(user)} password '${scramVerifier(password)}'`;
}
