import { PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { z } from 'zod';
import type { InstanceAddress, Recovery } from '../../../lambdas/contract/recovery';
import { readLogin } from '../../../lambdas/database-url';
import { canLogIn } from '../../../lambdas/postgres';
import { settingsOf } from '../../../lambdas/live-instance';
import { findSnapshot } from '../../../lambdas/rds';
import { currentSecret } from '../../../lambdas/secrets';
import { checkRestoredInstance } from '../../../lambdas/steps/check-restored-instance';
import { fence } from '../../../lambdas/steps/fence';
import { finishSettings } from '../../../lambdas/steps/finish-settings';
import { liftFence } from '../../../lambdas/steps/lift-fence';
import { matchCredentials } from '../../../lambdas/steps/match-credentials';
import { matchSettings } from '../../../lambdas/steps/match-settings';
import { recordPosition } from '../../../lambdas/steps/record-position';
import { retire } from '../../../lambdas/steps/retire';
import { startRestore } from '../../../lambdas/steps/start-restore';
import { swap } from '../../../lambdas/steps/swap';
import { swapBack } from '../../../lambdas/steps/swap-back';
import { takeSafetySnapshot } from '../../../lambdas/steps/take-safety-snapshot';
import { swapVersionId } from '../../../lambdas/swap-version';
import { readSettings } from '../../../lambdas/stored-settings';
import { readMarks } from '../../../lambdas/tags';
import { ApiError, type Output } from '../../../sandbox/core/api';
import { Lab, again, migrationTable } from './lab';

/** What RDS does beside the cutover: the safety snapshot of the old instance, the first backup of the new one. One recovery. */
let lab: Lab;
let recovery: Recovery;
let instance: InstanceAddress;
beforeAll(async () => {
  lab = await Lab.start();
  await lab.sql(migrationTable);
  await lab.snapshot('run-1', '1_bad');
  recovery = await lab.planned();
  await startRestore({ recovery }, lab);
});
afterAll(() => lab.stop());

/** jest's matcher is typed `any`. */
const containing = (text: string): unknown => expect.stringContaining(text);

/** An API call that goes otherwise while `work` runs. */
async function during<T>(
  operation: string,
  otherwise: (next: () => Promise<Output>) => Promise<Output>,
  work: () => Promise<T>,
): Promise<T> {
  const unhook = lab.sandbox.context.api.intercept(({ context }, next) =>
    context.operation === operation ? otherwise(next) : next(),
  );
  try {
    return await work();
  } finally {
    unhook();
  }
}

test('what RDS is changing on the live instance counts already, and what waits for its maintenance window does not', async () => {
  const shown = (DBInstanceStatus: string): Promise<string | undefined> =>
    during(
      'DescribeDBInstances',
      async (next) => {
        const { DBInstances } = z.object({ DBInstances: z.array(z.looseObject({})) }).parse(await next());
        const PendingModifiedValues = { DBInstanceClass: 'db.m7g.large' };
        return {
          DBInstances: DBInstances.map((one) => ({ ...one, DBInstanceStatus, PendingModifiedValues })),
        };
      },
      async () => (await settingsOf(lab.rds, recovery)).DBInstanceClass,
    );
  expect(await shown('modifying')).toBe('db.m7g.large');
  expect(await shown('available')).toBe('db.t4g.micro');
});

/** RDS as it is during a backup: it takes no change. */
const duringBackup = <T>(work: () => Promise<T>): Promise<T> =>
  during(
    'ModifyDBInstance',
    () =>
      Promise.reject(new ApiError('InvalidDBInstanceState', 'Database instance is not in available state.')),
    work,
  );

test.each([
  [
    'the last place of the quota is left to the final snapshot',
    'DescribeAccountAttributes',
    'kept for the final',
  ],
  ['RDS is busy', 'CreateDBSnapshot', 'RDS takes no snapshot'],
])('%s: no safety snapshot, with the reason', async (_what, operation, reason) => {
  const answer = await during(
    operation,
    (next) =>
      operation === 'CreateDBSnapshot'
        ? Promise.reject(new ApiError('InvalidDBInstanceState', 'It is not available.'))
        : next().then(() => ({
            AccountQuotas: [{ AccountQuotaName: 'ManualSnapshots', Used: 99, Max: 100 }],
          })),
    () => takeSafetySnapshot({ recovery }, lab),
  );
  expect(answer).toEqual({ taken: false, reason: containing(reason) });
});

test('the safety snapshot is taken once, with all that a recovery from it needs', async () => {
  const { safetySnapshotId: snapshotId } = recovery;
  expect(await takeSafetySnapshot({ recovery }, lab)).toEqual({ taken: true, snapshotId });
  expect(await takeSafetySnapshot({ recovery }, lab)).toEqual({ taken: true, snapshotId });
  const snapshot = await findSnapshot(lab.rds, snapshotId);
  const marks = readMarks(snapshot?.TagList);
  expect(marks).toMatchObject({ role: 'safety', environment: 'production', 'recovery-id': recovery.id });
  expect(Date.parse(marks['expires-at'] ?? '')).toBeGreaterThan(lab.now().getTime() + 89 * 86_400_000);
  expect(marks['database-url-version']).toBe(recovery.secretVersionId);
  expect(readSettings(snapshot?.TagList)).toMatchObject({ DeletionProtection: true });
});

test('a known password: nothing is asked of RDS before the cutover', async () => {
  instance = await again('InstanceNotReady', () => checkRestoredInstance({ recovery }, lab));
  const { masterUserKnown } = await recordPosition({ recovery, instance }, lab);
  expect(masterUserKnown).toBe(true);
  const { settings } = await duringBackup(() => matchSettings({ recovery, instance, masterUserKnown }, lab));
  expect(settings.find(({ name }) => name === 'DeletionProtection')?.note).toBe('set after the cutover');
});

/** Holds the calls until there are two of them, then lets both through. */
async function twice<T>(operation: string, work: () => Promise<T>): Promise<T[]> {
  let second = (): void => undefined;
  const both = new Promise<void>((resolve) => (second = resolve));
  let calls = 0;
  return during(
    operation,
    async (next) => {
      if (++calls === 2) second();
      if (calls <= 2) await both;
      return next();
    },
    () => Promise.all([work(), work()]),
  );
}

test('two copies of a step at once, as after a stop and a redrive, are as one: fence, swap, and the way back', async () => {
  const current = (): ReturnType<typeof currentSecret> => currentSecret(lab.secrets, lab.databaseUrlSecretId);
  const before = await current();
  const login = readLogin(before.value);
  const fenced = await Promise.all(
    [1, 2].map(() => again('SessionsNotEnded', () => fence({ recovery }, lab))),
  );
  for (const { checks } of fenced) expect(checks.filter(({ ok }) => !ok)).toEqual([]);
  expect(await canLogIn(login)).toBe(false);
  const [one, other] = await twice('UpdateSecretVersionStage', () => swap({ recovery, instance }, lab));
  expect(one).toEqual({ versionId: swapVersionId(recovery.id), previousVersionId: before.versionId });
  expect(other).toEqual(one);
  expect((await current()).versionId).toBe(one?.versionId);
  expect(await twice('UpdateSecretVersionStage', () => swapBack({ recovery }, lab))).toEqual([
    { wasSwapped: true },
    { wasSwapped: true },
  ]);
  const lifted = await Promise.all([1, 2].map(() => liftFence({ recovery }, lab)));
  expect(lifted.filter((each) => each.lifted)).toHaveLength(1);
  expect(await current()).toMatchObject({ versionId: before.versionId, value: before.value });
  expect(await canLogIn(login)).toBe(true);
});

/** The same recovery from a snapshot that names no versions of secrets, as one of before there were pins. */
function withoutPins(planned: Recovery): Recovery {
  const { restorePoint } = planned;
  if (restorePoint.kind !== 'snapshot') throw new Error(`It goes back to a ${restorePoint.kind}.`);
  return { ...planned, restorePoint: { ...restorePoint, secretVersions: {} } };
}

test('a password that nobody knows any more is set by RDS, as soon as it takes changes', async () => {
  for (const password of ['second-Password2', 'third-Password3'])
    await lab.secrets.send(
      new PutSecretValueCommand({
        SecretId: lab.masterSecretId,
        SecretString: JSON.stringify({ username: 'master', password }),
      }),
    );
  // The version that the snapshot names is the password of the backup.
  expect(await recordPosition({ recovery, instance }, lab)).toMatchObject({ masterUserKnown: true });
  const unpinned = withoutPins(recovery);
  const position = await recordPosition({ recovery: unpinned, instance }, lab);
  // The application's password still is that of the backup.
  expect(position).toMatchObject({ masterUserKnown: false, recorded: true });
  const match = (): Promise<unknown> =>
    matchSettings({ recovery: unpinned, instance, masterUserKnown: false }, lab);
  const refused: unknown = await duringBackup(() => match().catch((error: unknown) => error));
  expect(refused).toMatchObject({ name: 'SettingsNotMatched', message: containing('MasterUserPassword') });
  expect(String(refused)).not.toContain('third-Password3');
  await again('SettingsNotMatched', match);
  expect(await matchCredentials({ recovery: unpinned, instance }, lab)).toMatchObject({
    applicationRole: 'orders_app',
  });
});

test('what is left is set after the cutover, when RDS takes changes, and it says until then what is missing', async () => {
  await swap({ recovery, instance }, lab);
  const finish = (): ReturnType<typeof finishSettings> => finishSettings({ recovery, instance }, lab);
  await expect(duringBackup(finish)).rejects.toMatchObject({
    name: 'SettingsNotMatched',
    message: containing('still lacks: DeletionProtection true'),
  });
  const { settings } = await again('SettingsNotMatched', finish);
  expect(settings.filter(({ note }) => note !== undefined)).toEqual([]);
  expect((await lab.instance(instance.instanceId))?.DeletionProtection).toBe(true);
});

test('the old instance is not deleted while its safety snapshot is being taken', async () => {
  const retirement = (): ReturnType<typeof retire> =>
    retire({ recovery, drainedAt: lab.now().toISOString() }, lab);
  await during(
    'DescribeDBSnapshots',
    async (next) => {
      const { DBSnapshots } = z.object({ DBSnapshots: z.array(z.looseObject({})) }).parse(await next());
      return { DBSnapshots: DBSnapshots.map((one) => ({ ...one, Status: 'creating' })) };
    },
    () =>
      expect(retirement()).rejects.toMatchObject({
        name: 'RetirementNotFinished',
        message: containing('still being taken'),
      }),
  );
  expect((await lab.instance('orders'))?.DBInstanceStatus).toBe('available');
});
