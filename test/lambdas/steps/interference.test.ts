import { DeleteDBSnapshotCommand, RebootDBInstanceCommand } from '@aws-sdk/client-rds';
import { PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import type { Recovery } from '../../../lambdas/contract/recovery';
import { MAINTENANCE_DATABASE } from '../../../lambdas/database-fence';
import { readLogin } from '../../../lambdas/database-url';
import { keptTooLong } from '../../../lambdas/kept-instances';
import { findLiveInstance } from '../../../lambdas/live-instance';
import { canLogIn, identifier, withConnection } from '../../../lambdas/postgres';
import { scramVerifier } from '../../../lambdas/scram';
import { currentSecret, readMasterCredentials } from '../../../lambdas/secrets';
import { drain } from '../../../lambdas/steps/drain';
import { reapSnapshots } from '../../../lambdas/steps/reap-snapshots';
import { readMarks } from '../../../lambdas/tags';
import { retire } from '../../../lambdas/steps/retire';
import { carryOut, type Ending, type Guide } from './carry-out';
import { Lab, again, migrationTable } from './lab';
import { until } from '../../until';

/** What people, rotations and RDS itself do in the middle of a recovery; one database, recovered again and again. */
const RULES = { dailyDays: 7, weeklyDays: 90, keepNewest: 3, newestAtMostHours: 36 };

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
  await lab.sql(migrationTable);
  await lab.sql('create table task (id int primary key)');
  await lab.sql('insert into task values (1)');
  await lab.snapshot('run-1', '2_bad');
});
afterAll(() => lab.stop());

/** Every printable character of ASCII. */
const printable = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join('');

let number = 0;
const planned = (more: object = {}): Promise<Recovery> => lab.planned(more, `interference-${++number}`);
/** What happens when the machine comes to the step named. */
const when = (at: string, act: () => Promise<unknown>): Guide => ({
  before: async (step) => {
    if (step === at) await act();
  },
});

async function expectRecovered(recovery: Recovery, ending: Ending): Promise<void> {
  expect(ending).toMatchObject({ state: 'Recovered' });
  const live = await findLiveInstance(lab.rds, lab.secrets, lab.databaseUrlSecretId);
  expect(live.instance.DBInstanceIdentifier).toBe(recovery.recoveryInstanceId);
  expect(readMarks(live.instance.TagList).role).toBe('live');
  expect(await lab.sql('select id from task')).toEqual([{ id: 1 }]);
}

async function rotateMaster(password: string): Promise<void> {
  const { value } = await currentSecret(lab.secrets, lab.masterSecretId);
  const { username } = readMasterCredentials(value);
  await lab.secrets.send(
    new PutSecretValueCommand({
      SecretId: lab.masterSecretId,
      SecretString: JSON.stringify({ username, password }),
    }),
  );
}

test('the master password rotated between MatchSettings and MatchCredentials works afterwards', async () => {
  const recovery = await planned();
  const ending = await carryOut(
    lab,
    recovery,
    when('match-credentials', () => rotateMaster('second-Password2')),
  );
  await expectRecovered(recovery, ending);
  const { host, port } = readLogin((await currentSecret(lab.secrets, lab.databaseUrlSecretId)).value);
  const login = { host, port, user: 'master', password: 'second-Password2', database: 'orders' };
  expect(await canLogIn(login)).toBe(true);
});

test('the recovery instance restarts before it is verified, and while the old one is being retired; the application is back so soon that no connection is left for the proof', async () => {
  const recovery = await planned();
  let full = 0;
  const reboot = (): Promise<unknown> =>
    lab.rds.send(new RebootDBInstanceCommand({ DBInstanceIdentifier: recovery.recoveryInstanceId }));
  const ending = await carryOut(lab, recovery, {
    around: async (step, call) => {
      if (step !== 'prove' || full > 0) return { answer: await call(lab) };
      const { value } = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
      const server = lab.sandbox.rds.server(recovery.recoveryInstanceId);
      await server?.admin('alter role orders_app connection limit 1', [], 'orders');
      return withConnection(readLogin(value), () => call(lab).then((answer) => ({ answer }))).finally(
        async () => {
          full++;
          await server?.admin('alter role orders_app connection limit -1', [], 'orders');
        },
      );
    },
    before: async (step) => {
      if (step !== 'verify' && step !== 'retire') return;
      // RDS restarts nothing during a backup, and the cutover does not wait for the first one.
      await until(
        () => lab.instance(recovery.recoveryInstanceId),
        (instance) => instance?.DBInstanceStatus === 'available',
      );
      await reboot();
    },
  });
  expect(full).toBe(1);
  await expectRecovered(recovery, ending);
});

test('a rotation right after the swap names the new instance: the recovery goes on', async () => {
  const recovery = await planned();
  const password = 'it is new';
  const ending = await carryOut(
    lab,
    recovery,
    when('prove', async () => {
      await lab.sql(`alter role orders_app password '${password}'`);
      const { value } = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
      await lab.secrets.send(
        new PutSecretValueCommand({
          SecretId: lab.databaseUrlSecretId,
          SecretString: value.replace(/:[^:@]*@/, `:${encodeURIComponent(password)}@`),
        }),
      );
    }),
  );
  await expectRecovered(recovery, ending);
});

test('while somebody is connected to the old instance it is neither drained nor deleted', async () => {
  const recovery = await planned();
  const { value } = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
  let stopped = 0;
  const ending = await carryOut(lab, recovery, {
    before: async (step) => {
      if (step !== 'drain') return;
      // A session that does not call itself this system's, where the fence keeps nobody out.
      const login = { ...readLogin(value), database: MAINTENANCE_DATABASE };
      await withConnection(login, async (connection) => {
        await connection.query(`set application_name to 'orders-web'`);
        const sessions: unknown = expect.stringContaining('1 of role orders_app (orders-web)');
        await expect(drain({ recovery, instance: recovery.live }, lab)).rejects.toMatchObject({
          name: 'StillConnected',
          message: sessions,
        });
        stopped++;
      });
    },
  });
  expect(stopped).toBe(1);
  await expectRecovered(recovery, ending);
});

test('the old instance to be kept is marked retired and stays', async () => {
  const recovery = await planned({ retire: 'keep', keepDays: 3 });
  const ending = await carryOut(lab, recovery);
  await expectRecovered(recovery, ending);
  const old = await lab.instance(recovery.live.instanceId);
  expect(old).toMatchObject({ DBInstanceStatus: 'available', DeletionProtection: true });
  const { role, 'recovery-id': id, 'keep-until': day = '' } = readMarks(old?.TagList);
  expect({ role, id }).toEqual({ role: 'retired', id: recovery.id });
  const days = (Date.parse(day) - lab.now().getTime()) / 86_400_000;
  expect(days).toBeGreaterThan(2.9);
  expect(days).toBeLessThanOrEqual(3);
  const { rds, secrets, stepFunctions, environment, snapshotRetentionDays } = lab;
  const { databaseUrlSecretId, masterSecretId } = lab;
  const deps = { rds, secrets, stepFunctions, environment, snapshotRetentionDays };
  const ids = { databaseUrlSecretId, masterSecretId };
  const event = { recovery, drainedAt: lab.now().toISOString() };
  expect(await retire(event, { ...deps, ...ids, now: () => new Date(0) })).toMatchObject({ keepUntil: day });

  // Once the day is over, and only then, a plan and the reaper name it; nothing deletes it.
  const reaper = (now: Date): ReturnType<typeof reapSnapshots> =>
    reapSnapshots({ dryRun: true, failOnWarning: false }, { ...deps, ...ids, rules: RULES, now: () => now });
  const named: unknown = expect.arrayContaining([
    expect.stringContaining(
      `Instance ${recovery.live.instanceId}, retired by a recovery, was to be kept until ${day}`,
    ),
  ]);
  const late = new Date(Date.parse(day) + 1000);
  expect((await reaper(late)).warnings).toEqual(named);
  expect((await reaper(lab.now())).warnings).not.toEqual(named);
  const { plan } = await lab.plan({}, 'late', undefined, { now: () => late });
  expect(plan.keptTooLong).toEqual(named);
  expect(plan.summary).toEqual(named);
  expect((await lab.plan({})).plan.keptTooLong).toEqual([]);

  // A day that a person wrote on an instance that no recovery knows counts as well; that of another environment, or of what is live, does not.
  const tags = { Key: 'migration-rollback:keep-until', Value: day };
  const others = [
    { DBInstanceIdentifier: 'by-hand', DbiResourceId: 'db-1', TagList: [tags] },
    { DBInstanceIdentifier: 'live', DbiResourceId: 'db-2', TagList: [tags] },
    {
      DBInstanceIdentifier: 'elsewhere',
      DbiResourceId: 'db-3',
      TagList: [tags, { Key: 'migration-rollback:environment', Value: 'staging' }],
    },
  ];
  expect(keptTooLong(others, environment, { live: { DbiResourceId: 'db-2' }, now: late })).toEqual([
    expect.stringContaining('Instance by-hand was to be kept until') as string,
  ]);
});

test('an old instance that cannot be asked is not taken for drained', async () => {
  const recovery = await planned();
  const unreachable = { ...recovery, live: { ...recovery.live, port: 1 } };
  await expect(drain({ recovery: unreachable, instance: recovery.live }, lab)).rejects.toMatchObject({
    name: 'OldInstanceUnreachable',
  });
});

test('a snapshot that is gone between plan and restore ends the recovery, and nothing is made', async () => {
  await lab.snapshot('run-2');
  const recovery = await planned();
  const { restorePoint } = recovery;
  if (restorePoint.kind !== 'snapshot') throw new Error('planned from a snapshot');
  const ending = await carryOut(
    lab,
    recovery,
    when('start-restore', () =>
      lab.rds.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: restorePoint.snapshotId })),
    ),
  );
  expect(ending).toMatchObject({ state: 'RecoveryFailed', error: 'RestorePointNotFound' });
  expect(await lab.instance(recovery.recoveryInstanceId)).toBeUndefined();
});

test('somebody gave the name of the old instance to another one: that one is left alone', async () => {
  const recovery = await planned();
  const ending = await carryOut(lab, recovery, {
    tell: (step, told) =>
      step === 'retire' ? { ...told, live: { ...told.live, resourceId: 'db-ANOTHER' } } : told,
  });
  expect(ending).toMatchObject({ state: 'OldInstanceKept', error: 'RetirementRefused' });
  expect(await lab.instance(recovery.live.instanceId)).toMatchObject({ DBInstanceStatus: 'available' });
});

test('a recovery to a time', async () => {
  const live = await findLiveInstance(lab.rds, lab.secrets, lab.databaseUrlSecretId);
  const time = new Date(Date.now() + 1000);
  await until(
    async () => Date.now(),
    (now) => now > time.getTime() + 500,
  );
  await lab.sql('delete from task');
  await until(
    () => lab.instance(live.address.instanceId),
    (instance) => (instance?.LatestRestorableTime?.getTime() ?? 0) > time.getTime(),
  );
  const recovery = await planned({ restore: { to: 'time', time: time.toISOString() } });
  expect(recovery.restorePoint).toMatchObject({ kind: 'time', time: time.toISOString() });
  await expectRecovered(recovery, await carryOut(lab, recovery));
});

test('a second recovery that gets past the plan cannot swap, and leaves nothing behind', async () => {
  const [first, second] = [await planned(), await planned()];
  let outcome: Ending | undefined;
  const late = await carryOut(
    lab,
    second,
    when('fence', async () => {
      outcome = await carryOut(lab, first);
    }),
  );
  expect(late).toMatchObject({ state: 'RecoveryFailed', error: 'RecoveryOvertaken' });
  expect(await lab.instance(second.recoveryInstanceId)).toBeUndefined();
  await expectRecovered(first, outcome ?? { state: 'RecoveryFailed' });
});

test('without room for a snapshot nothing is planned that needs one', async () => {
  const restore = lab.sandbox.context.api.intercept(async ({ context }, next) =>
    context.operation === 'DescribeAccountAttributes'
      ? { AccountQuotas: [{ AccountQuotaName: 'ManualSnapshots', Used: 100, Max: 100 }] }
      : next(),
  );
  try {
    await expect(planned()).rejects.toMatchObject({ name: 'SnapshotQuotaExceeded' });
    expect(await planned({ retire: 'keep' })).toMatchObject({ retire: 'keep' });
  } finally {
    restore();
  }
});

test('without room for the final snapshot the old instance is kept until there is some', async () => {
  const recovery = await planned();
  lab.sandbox.faults.follow({
    faults: [
      {
        fault: 'error',
        at: { operation: 'rds:DeleteDBInstance', every: 1 },
        code: 'SnapshotQuotaExceeded',
        message: 'Cannot create more than 100 manual snapshots',
      },
    ],
  });
  expect(await carryOut(lab, recovery)).toMatchObject({
    state: 'OldInstanceKept',
    error: 'SnapshotQuotaExceeded',
  });
  lab.sandbox.faults.follow({});
  expect(await lab.instance(recovery.live.instanceId)).toMatchObject({ DBInstanceStatus: 'available' });
  // A redrive goes on with the state that failed.
  await again('RetirementNotFinished', () => retire({ recovery, drainedAt: lab.now().toISOString() }, lab));
  expect(await lab.instance(recovery.live.instanceId)).toBeUndefined();
  await expectRecovered(recovery, { state: 'Recovered' });
});

test('a password of every printable character, in a secret of single fields', async () => {
  const secret = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
  const { user, host, port, database } = readLogin(secret.value);
  const odd = `${printable} ü`;
  await lab.sql(`alter role ${identifier(user)} password '${scramVerifier(odd)}'`);
  const fields = { username: user, password: odd, host, port, dbname: database, note: 'kept' };
  await lab.secrets.send(
    new PutSecretValueCommand({
      SecretId: lab.databaseUrlSecretId,
      SecretString: JSON.stringify(fields, undefined, 1),
    }),
  );
  const recovery = await planned();
  const ending = await carryOut(lab, recovery);
  await expectRecovered(recovery, ending);
  expect((await currentSecret(lab.secrets, lab.databaseUrlSecretId)).value).toBe(
    JSON.stringify({ ...fields, host: ending.instance?.host }, undefined, 1),
  );
});

test('a verifier logs in to a real server, whatever the password is made of', async () => {
  const { value } = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
  const login = readLogin(value);
  for (const password of [printable, `ü\u00A0ﬁ Ⅸ 漢字 🦘`, `''"\\$$;--`, ' leading and trailing ']) {
    await lab.sql(`alter role ${identifier(login.user)} password '${scramVerifier(password)}'`);
    expect({ password, accepted: await canLogIn({ ...login, password }) }).toEqual({
      password,
      accepted: true,
    });
    expect(await canLogIn({ ...login, password: `${password}x` })).toBe(false);
    // Back to what the secret says, as a role that is still logged in nowhere: the master user does it.
    const { username, password: master } = readMasterCredentials(
      (await currentSecret(lab.secrets, lab.masterSecretId)).value,
    );
    await withConnection({ ...login, user: username, password: master }, (connection) =>
      connection.query(`alter role ${identifier(login.user)} password '${scramVerifier(login.password)}'`),
    );
  }
});
