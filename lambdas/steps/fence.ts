import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { Check } from '../contract/checks';
import type { FenceResult } from '../contract/cutover';
import type { Recovery } from '../contract/recovery';
import { check } from '../database-checks';
import {
  MAINTENANCE_DATABASE,
  asMaster,
  endSessions,
  raiseFence,
  readerLogin,
  type Fence,
} from '../database-fence';
import { readLogin } from '../database-url';
import { FenceFailed, QueryFailed, SecretMovedMeanwhile, SessionsNotEnded } from '../errors';
import {
  answers,
  canLogIn,
  firstAccepted,
  isFull,
  withConnection,
  type Connection,
  type Login,
} from '../postgres';
import { requireClaim } from '../overtaken';
import { currentSecret, masterLogins } from '../secrets';
import { tellChecks } from '../told-checks';

/**
 * Closes the old database to everybody but this system, whatever role they use, and ends the sessions that exist. What was
 * committed before is in it; nothing is committed after. Proven by trying.
 * Throws SessionsNotEnded until nobody is connected any more, FenceFailed, SecretMovedMeanwhile, RecoveryOvertaken.
 */
export async function fence(
  { recovery }: { recovery: Recovery },
  deps: { secrets: SecretsManagerClient; masterSecretId: string; databaseUrlSecretId: string },
): Promise<FenceResult> {
  const { live, id } = recovery;
  await requireClaim(recovery, deps);
  const current = await currentSecret(deps.secrets, deps.databaseUrlSecretId);
  // The swap would be refused: no reason to lock anybody out.
  if (current.versionId !== recovery.secretVersionId)
    throw new SecretMovedMeanwhile(
      `The plan was made for version ${recovery.secretVersionId} of the secret; ${current.versionId} is current now.`,
      'Somebody changed the secret while the recovery ran (a rotation?). Start a new recovery.',
    );
  if (live.state !== 'there') return nothingToFence(recovery);
  const application = { ...readLogin(current.value), host: live.host, port: live.port };
  const masters = await masterLogins(deps.secrets, deps.masterSecretId, {
    host: live.host,
    port: live.port,
    database: MAINTENANCE_DATABASE,
  });
  const master = (await firstAccepted(masters)) ?? masters[0];
  const reader = readerLogin(master, application, id);
  const raised = await asMaster(master, async (connection) => {
    const made = await raiseFence(connection, { recoveryId: id, application, reader }).catch(
      notYetWhenDisturbed,
    );
    const ended = await endSessions(connection, made);
    // A login that was under way when the fence was raised shows itself a moment later, so the fence is looked at once more.
    if (ended > 0 || made.isNew)
      throw new SessionsNotEnded(
        `${live.instanceId} is fenced; ${ended} sessions were told to end.`,
        'Wait. Behind a session that does not end there is a server that cannot write: look at its storage.',
      );
    return { ...made, preparedTransactions: await preparedTransactions(connection) };
  });
  // Whoever took over before the fence stood is seen here; whoever does so later finds it.
  await requireClaim(recovery, deps);
  return {
    fenced: raised.fenced,
    notFenced: raised.notFenced,
    checks: await proofs(application, { ...master, database: application.database }, reader, raised),
    preparedTransactions: raised.preparedTransactions,
  };
}

/** Nobody can write to what is gone; but somebody may have made an instance of the same name, and so of the same address. */
async function nothingToFence({ live }: Recovery): Promise<FenceResult> {
  if (await answers(live))
    throw new FenceFailed(
      `Instance ${live.instanceId} was ${live.state} when the recovery was planned, and something takes connections at ${live.host}:${live.port} now.`,
      'Did somebody bring it back, or make another one under its name? Start a new recovery: it sees what is there now.',
    );
  return {
    fenced: [],
    notFenced: [],
    checks: [
      {
        name: 'nobody can write to the old database',
        ok: true,
        detail: `It is ${live.state}, and nothing takes connections at ${live.host}:${live.port}.`,
      },
    ],
    preparedTransactions: 0,
  };
}

async function proofs(application: Login, master: Login, reader: Login, { fenced }: Fence): Promise<Check[]> {
  const keptOut = await Promise.all(
    [application, master].map(async (login) => ({
      name: `role "${login.user}" is kept out`,
      ok: await isKeptOut(login),
      detail: `With the password that it had it may not connect to ${login.host}:${login.port}.`,
    })),
  );
  const failed = keptOut.filter(({ ok }) => !ok);
  if (failed.length > 0)
    throw new FenceFailed(
      `The fence of ${application.host}:${application.port} does not hold: ${failed.map(({ name }) => name).join(', ')}: no.${tellChecks(keptOut)}`,
      'See who may connect to the database (\\l in psql).',
    );
  // Whatever keeps this system out, a login event trigger of the team say, keeps nobody else in.
  const canRead = await check('this system can read', () =>
    withConnection(reader, () => Promise.resolve(`Fenced: ${fenced.join(', ')}.`)),
  );
  return [...keptOut, canRead];
}

/** Where no session is left for the role it cannot be tried: what PostgreSQL said when the fence was raised has to do. */
async function isKeptOut(login: Login): Promise<boolean> {
  try {
    return !(await canLogIn(login));
  } catch (error) {
    if (isFull(error)) return true;
    throw error;
  }
}

/** Somebody else grants or revokes at this very moment; PostgreSQL says so with an internal error, and nothing was changed. */
function notYetWhenDisturbed(error: unknown): never {
  if (error instanceof QueryFailed && error.message.includes('tuple concurrently'))
    throw new SessionsNotEnded('Rights on the database are being changed by somebody else.', 'Wait.', {
      cause: error,
    });
  throw error;
}

/** Of all databases; any role may ask. */
async function preparedTransactions(connection: Connection): Promise<number> {
  return (await connection.query('select 1 from pg_catalog.pg_prepared_xacts')).length;
}
