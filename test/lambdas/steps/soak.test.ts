import type { InstanceAddress, Recovery } from '../../../lambdas/contract/recovery';
import type { SoakEvent, SoakResult } from '../../../lambdas/contract/retirement';
import { MAINTENANCE_DATABASE } from '../../../lambdas/database-fence';
import { readLogin } from '../../../lambdas/database-url';
import { withConnection, type Login } from '../../../lambdas/postgres';
import { currentSecret } from '../../../lambdas/secrets';
import { checkRestoredInstance } from '../../../lambdas/steps/check-restored-instance';
import { fence } from '../../../lambdas/steps/fence';
import { soak } from '../../../lambdas/steps/soak';
import { startRestore } from '../../../lambdas/steps/start-restore';
import { swap } from '../../../lambdas/steps/swap';
import type { z } from 'zod';
import { Lab, again } from './lab';
import { until } from '../../until';

/** The looks of a soak of ten minutes, on a fenced old and a live new database. */
let lab: Lab;
let recovery: Recovery;
let instance: InstanceAddress;
let application: Login;
let began: number;
beforeAll(async () => {
  lab = await Lab.start();
  await lab.sql('create table task (id int primary key)');
  await lab.sql('insert into task values (1)');
  await lab.snapshot('run-1', '2_bad');
  recovery = await lab.planned({ soakMinutes: 10, soakAlarms: ['orders-failing'] });
  await startRestore({ recovery }, lab);
  instance = await again('InstanceNotReady', () => checkRestoredInstance({ recovery }, lab));
  await again('SessionsNotEnded', () => fence({ recovery }, lab));
  await swap({ recovery, instance }, lab);
  application = readLogin((await currentSecret(lab.secrets, lab.databaseUrlSecretId)).value);
  began = lab.now().getTime();
});
afterAll(() => lab.stop());

const quiet = { name: 'orders-failing', state: 'OK', since: '2026-01-01T00:00:00Z' };

/** The look of so many minutes after the first one. */
function look(
  minutes: number,
  before: SoakResult | null = null,
  more: Partial<z.output<typeof SoakEvent>> = {},
): Promise<SoakResult> {
  const { secrets, databaseUrlSecretId, masterSecretId } = lab;
  return soak(
    { recovery, instance, sessionsExpected: false, alarms: { seen: [quiet] }, soak: before, ...more },
    { secrets, databaseUrlSecretId, masterSecretId, now: () => new Date(began + minutes * 60_000) },
  );
}
const isOnly = (...what: string[]): unknown =>
  what.length === 0 ? [] : what.map((text) => expect.stringContaining(text) as unknown);

test('all is well: it looks every minute, and it is enough when the time is over', async () => {
  const first = await look(0);
  expect(first).toMatchObject({ looks: 1, findings: [], problems: [], enough: false, pauseSeconds: 60 });
  expect(first.first).toMatchObject({ oldWrites: 1, sessions: 0 });
  const late = await look(9.5, first);
  expect(late).toMatchObject({ looks: 2, enough: false, pauseSeconds: 30, since: first.since });
  expect(await look(10, late)).toMatchObject({ looks: 3, findings: [], problems: [], enough: true });
  expect(JSON.stringify(late)).not.toContain(application.password);
});

test('a long soak has at most 120 looks', async () => {
  const long = { ...recovery, soakMinutes: 1440 };
  expect(await look(0, null, { recovery: long })).toMatchObject({ pauseSeconds: 720 });
});

test('a session on the old database is a problem at once', async () => {
  const { host, port } = recovery.live;
  const login = { ...application, host, port, database: MAINTENANCE_DATABASE };
  await withConnection(login, async (connection) => {
    await connection.query(`set application_name to 'orders-web'`);
    const { problems, enough } = await look(1, await look(0));
    expect(problems).toEqual(
      isOnly('somebody is connected to the old database: 1 of role orders_app (orders-web)'),
    );
    expect(enough).toBe(true);
  });
});

test('a row that changes in the old database is a problem at once, whoever did it and is gone', async () => {
  const first = await look(0);
  await lab.sandbox.rds.server('orders')?.admin('insert into task values (2)', [], 'orders');
  // PostgreSQL counts when the session ends.
  const { problems } = await until(
    () => look(1, first),
    (seen) => seen.enough,
  );
  expect(problems).toEqual(isOnly('something writes to the old database: 1 rows'));
});

test('transactions that are rolled back are a problem at the second look in a row', async () => {
  const fail = (): Promise<void> =>
    withConnection(application, async (connection) => {
      for (let tries = 0; tries < 40; tries++) await connection.query('select 1 / 0').catch(() => undefined);
    });
  // PostgreSQL counts when the session ends.
  const found = (minutes: number, before: SoakResult): Promise<SoakResult> =>
    until(
      () => look(minutes, before),
      ({ findings }) => findings.length > 0,
    );
  const first = await look(0);
  await fail();
  const second = await found(1, first);
  expect(second).toMatchObject({ problems: [], enough: false });
  // It was for a moment.
  expect(await look(2, second)).toMatchObject({ findings: [] });
  await fail();
  expect((await found(2, second)).problems).toEqual(isOnly('transactions fail'));
});

test('an application that was connected and is not any more is a problem at the second look in a row', async () => {
  const first = await withConnection(application, async (connection) => {
    await connection.query(`set application_name to 'orders-web'`);
    return look(0);
  });
  expect(first.first.sessions).toBe(1);
  const second = await look(1, first);
  expect(second).toMatchObject({
    problems: [],
    findings: [{ what: 'the application is not connected', looks: 1 }],
  });
  expect((await look(2, second)).problems).toEqual(isOnly('the application is not connected'));
  // Nobody said that it would come, and it never was there.
  expect(await look(1, await look(0))).toMatchObject({ findings: [] });
  expect(await look(1, null, { sessionsExpected: true })).toMatchObject({
    findings: [{ what: 'the application is not connected' }],
  });
});

test('a database that does not answer is a problem at the second look in a row', async () => {
  const nobody = { port: 1 };
  const nowhere = { instance: { ...instance, ...nobody } };
  const first = await look(0, null, nowhere);
  expect(first).toMatchObject({ problems: [], first: { sessions: null }, last: null });
  expect((await look(1, first, nowhere)).problems).toEqual(isOnly('the application cannot log in'));
  // It was a restart: what is compared begins with the first look that there was.
  const back = await look(1, first);
  expect(back).toMatchObject({ findings: [], first: { sessions: 0, deadlocks: 0 } });

  const old = { recovery: { ...recovery, live: { ...recovery.live, ...nobody } } };
  const blind = await look(0, null, old);
  expect(blind.problems).toEqual([]);
  expect((await look(1, blind, old)).problems).toEqual(isOnly('the old database cannot be asked'));
  const gone = { recovery: { ...recovery, live: { ...recovery.live, state: 'gone' as const } } };
  expect(await look(0, null, gone)).toMatchObject({ findings: [] });
});

test('what is seen for the first time when the time is over is looked at once more', async () => {
  const first = await look(0);
  const last = await look(10, first, { instance: { ...instance, port: 1 } });
  expect(last).toMatchObject({ problems: [], enough: false, pauseSeconds: 60 });
  expect(await look(11, last)).toMatchObject({ problems: [], enough: true });
});

test('alarms: one that begins to ring counts at once, one that rang before at the end, one that is not there at once', async () => {
  const first = await look(0);
  const at = (minutes: number): string => new Date(began + minutes * 60_000).toISOString();
  const seen = (state: string, since: string): Partial<z.output<typeof SoakEvent>> => ({
    alarms: { seen: [{ name: 'orders-failing', state, since }] },
  });
  expect((await look(2, first, seen('ALARM', at(1)))).problems).toEqual(
    isOnly('alarm orders-failing rings: Since'),
  );
  const before = seen('ALARM', at(-30));
  const second = await look(1, first, before);
  expect(second).toMatchObject({ problems: [], enough: false });
  const third = await look(9, await look(2, second, before), before);
  expect(third.problems).toEqual([]);
  expect((await look(10, third, before)).problems).toEqual(isOnly('alarm orders-failing rings'));
  expect(await look(10, third, seen('INSUFFICIENT_DATA', at(9)))).toMatchObject({
    problems: [],
    enough: true,
  });
  expect((await look(1, first, { alarms: { seen: [] } })).problems).toEqual(
    isOnly('alarm orders-failing is not there'),
  );
  const mute = { alarms: { problem: 'CloudWatch is busy' } };
  expect((await look(1, await look(0, null, mute), mute)).problems).toEqual(isOnly('CloudWatch is busy'));
});
