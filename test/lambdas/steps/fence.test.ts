import { setTimeout as sleep } from 'node:timers/promises';
import {
  DeleteSecretCommand,
  PutSecretValueCommand,
  RestoreSecretCommand,
} from '@aws-sdk/client-secrets-manager';
import { Client, DatabaseError } from 'pg';
import type { Recovery } from '../../../lambdas/contract/recovery';
import { isWritable } from '../../../lambdas/database-checks';
import { MAINTENANCE_DATABASE, readerLogin } from '../../../lambdas/database-fence';
import { readLogin } from '../../../lambdas/database-url';
import { canLogIn, withConnection, type Login } from '../../../lambdas/postgres';
import { currentSecret, readMasterCredentials } from '../../../lambdas/secrets';
import { takeClaim } from '../../../lambdas/take-claim';
import { fence } from '../../../lambdas/steps/fence';
import { liftFence } from '../../../lambdas/steps/lift-fence';
import { Lab, again } from './lab';
import { until } from '../../until';

/** The fence against writers that do not give up, on a real server. */
let lab: Lab;
let recovery: Recovery;
let application: Login;
let master: Login;
let connectBefore: unknown;
beforeAll(async () => {
  lab = await Lab.start();
  await lab.sql('create table hammered (writer text, number int, primary key (writer, number))');
  await lab.snapshot('run-1', '2_bad');
  recovery = await lab.planned();
  await takeClaim(recovery, lab);
  application = readLogin((await currentSecret(lab.secrets, lab.databaseUrlSecretId)).value);
  const { username, password } = readMasterCredentials(
    (await currentSecret(lab.secrets, lab.masterSecretId)).value,
  );
  master = { ...application, user: username, password };
  // A role of somebody's own, which takes the liberty of writing whatever the default is, and may be told to pass that on.
  await withConnection(master, async (connection) => {
    await connection.query(`create role report login password 'report-Password1'`);
    await connection.query('grant orders_app to report');
    await connection.query('alter role report set default_transaction_read_only = off');
    await connection.query('grant connect on database orders to report with grant option');
  });
  connectBefore = await connectRights();
});
afterAll(() => lab.stop());

/** Who may connect where, as PostgreSQL sees it. */
async function connectRights(): Promise<unknown> {
  return withConnection({ ...master, database: MAINTENANCE_DATABASE }, (connection) =>
    connection.query(
      `select r.rolname, d.datname, has_database_privilege(r.oid, d.oid, 'CONNECT') as may,
              has_database_privilege(r.oid, d.oid, 'CONNECT WITH GRANT OPTION') as may_grant
         from pg_roles r cross join pg_database d order by 1, 2`,
    ),
  );
}

/** Writes as fast as it can, reconnecting for ever, and remembers what it was told is committed. */
class Writer {
  readonly acknowledged: number[] = [];
  refusal: unknown;
  private number = 0;
  private stopped = false;
  private readonly running: Promise<void>;

  constructor(
    private readonly name: string,
    private readonly login: Login,
    private readonly statement: string,
  ) {
    this.running = this.run();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.running;
  }

  private isStopped(): boolean {
    return this.stopped;
  }

  private async run(): Promise<void> {
    while (!this.isStopped()) {
      const client = new Client({ ...this.login, ssl: {} });
      client.on('error', () => undefined);
      try {
        await client.connect();
        while (!this.isStopped()) {
          const number = ++this.number;
          await client.query(this.statement.replace('$', `'${this.name}', ${number}`));
          this.acknowledged.push(number);
        }
      } catch (error) {
        this.refusal = error;
        await sleep(5);
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  }
}

const insert = 'insert into hammered values ($)';

test('what writers were told is committed is behind the fence, and nothing more is written, whatever their role', async () => {
  const report = { ...application, user: 'report', password: 'report-Password1' };
  const writers = [
    new Writer('application', application, insert),
    new Writer('application too', application, insert),
    new Writer('master', master, `grant connect on database orders to public; ${insert}`),
    new Writer('report', report, `set default_transaction_read_only = off; ${insert}`),
  ];
  const idle = new Client({ ...application, ssl: {} });
  idle.on('error', () => undefined);
  await idle.connect();
  await idle.query(`begin; insert into hammered values ('long transaction', 1)`);
  try {
    await until(
      () => Promise.resolve(writers.every(({ acknowledged }) => acknowledged.length > 30)),
      (busy) => busy,
    );
    const result = await again('SessionsNotEnded', () => fence({ recovery }, lab));
    const told = writers.map(({ acknowledged }) => acknowledged.length);
    const reader = readerLogin(master, application, recovery.id);
    const rows = (): Promise<Record<string, unknown>[]> =>
      withConnection(reader, (connection) =>
        connection.query('select writer, number from hammered order by 1, 2'),
      );
    const written = await rows();

    expect(result).toMatchObject({ fenced: ['orders', 'postgres'], preparedTransactions: 0 });
    expect(result.checks.map(({ name, ok }) => [name, ok])).toEqual([
      ['role "orders_app" is kept out', true],
      ['role "master" is kept out', true],
      ['this system can read', true],
    ]);
    // Each of them has come back, and was not let in.
    await until(() =>
      writers.every(({ refusal }) => refusal instanceof DatabaseError && refusal.code === '42501'),
    );
    expect(writers.map(({ acknowledged }) => acknowledged.length)).toEqual(told);
    expect(await rows()).toEqual(written);
    for (const { refusal } of writers) expect(refusal).toMatchObject({ code: '42501' });
    const kept = new Set(written.map(({ writer, number }) => `${String(writer)} ${String(number)}`));
    const names = ['application', 'application too', 'master', 'report'];
    for (const [index, { acknowledged }] of writers.entries())
      expect(acknowledged.filter((number) => !kept.has(`${names[index] ?? ''} ${number}`))).toEqual([]);
    expect(kept).not.toContain('long transaction 1');

    // Asked again, by a recovery that comes after one that died: the same fence.
    expect(await fence({ recovery }, lab)).toEqual(result);
    expect(await liftFence({ recovery }, lab)).toMatchObject({ lifted: true });
    await until(
      () =>
        Promise.resolve(writers.every(({ acknowledged }, index) => acknowledged.length > (told[index] ?? 0))),
      (busy) => busy,
    );
  } finally {
    await Promise.all(writers.map((writer) => writer.stop()));
    await idle.end().catch(() => undefined);
  }
  expect(await liftFence({ recovery }, lab)).toEqual({
    lifted: false,
    reason: 'orders has no fence.',
    stillOpen: null,
  });
  expect(await canLogIn(readerLogin(master, application, recovery.id))).toBe(false);
  expect(await connectRights()).toEqual(connectBefore);
});

test('a fence that another recovery left behind is taken over, and lifting it gives back what was before both', async () => {
  const other = await lab.planned();
  await again('SessionsNotEnded', () => fence({ recovery }, lab));
  await takeClaim(other, lab);
  await again('SessionsNotEnded', () => fence({ recovery: other }, lab));
  // The first one, redriven, neither fences nor opens what the other one has closed.
  await expect(fence({ recovery }, lab)).rejects.toMatchObject({ name: 'RecoveryOvertaken' });
  const stays: unknown = expect.stringContaining(other.id);
  expect(await liftFence({ recovery }, lab)).toMatchObject({ lifted: false, reason: stays });
  expect(await canLogIn(readerLogin(master, application, recovery.id))).toBe(false);
  expect(await canLogIn(readerLogin(master, application, other.id))).toBe(true);
  expect(await liftFence({ recovery: other }, lab)).toMatchObject({ lifted: true });
  await takeClaim(recovery, lab);
  expect(await connectRights()).toEqual(connectBefore);
});

test('the fence is not lifted while the secret names another database', async () => {
  const moved: Recovery = { ...recovery, live: { ...recovery.live, host: 'elsewhere.example' } };
  await again('SessionsNotEnded', () => fence({ recovery }, lab));
  expect(await liftFence({ recovery: moved }, lab)).toMatchObject({ lifted: false });
  expect(await canLogIn(application)).toBe(false);
  expect(await liftFence({ recovery }, lab)).toMatchObject({ lifted: true });
  expect(await canLogIn(application)).toBe(true);
});

test.each(['allow_connections false', 'connection limit 0'])(
  'what a person did to stop the writers is in nobody’s way, and is as it was when the fence is lifted: %s',
  async (closed) => {
    const admin = (sql: string): unknown => lab.sandbox.rds.server('orders')?.admin(sql, [], 'postgres');
    const state = (): unknown =>
      admin(`select datallowconn, datconnlimit from pg_database where datname = 'orders'`);
    const before = await state();
    await admin(`alter database orders ${closed}`);
    await admin('alter role orders_app connection limit 0');
    await admin('alter role master set default_transaction_read_only = on');
    const asClosed = await state();
    expect(asClosed).not.toEqual(before);
    try {
      const { checks } = await again('SessionsNotEnded', () => fence({ recovery }, lab));
      expect(checks.map(({ ok }) => ok)).toEqual([true, true, true]);
      // Another one that takes the fence over keeps what the first one found.
      await expect(fence({ recovery }, lab)).resolves.toMatchObject({ checks });
      expect(await liftFence({ recovery }, lab)).toMatchObject({ lifted: true });
      expect(await state()).toEqual(asClosed);
    } finally {
      await admin('alter role master reset default_transaction_read_only');
      await admin('alter role orders_app connection limit -1');
      await admin('alter database orders with allow_connections true connection limit -1');
    }
    expect(await connectRights()).toEqual(connectBefore);
  },
);

test('why transactions are read-only is said, with what ends it', async () => {
  const admin = (sql: string): unknown => lab.sandbox.rds.server('orders')?.admin(sql, [], 'postgres');
  const answers: string[] = [];
  for (const where of ['database orders', 'role orders_app', 'role orders_app in database orders']) {
    await admin(`alter ${where} set default_transaction_read_only = on`);
    answers.push((await withConnection(application, isWritable)).detail);
    await admin(`alter ${where} reset default_transaction_read_only`);
  }
  expect(answers).toEqual([
    expect.stringContaining('"alter database orders reset default_transaction_read_only" ends that'),
    expect.stringContaining('"alter role orders_app reset default_transaction_read_only" ends that'),
    expect.stringContaining('"alter role orders_app in database orders reset default_transaction_read_only"'),
  ]);
  expect(await withConnection(application, isWritable)).toMatchObject({ ok: true });
});

test('a secret that somebody scheduled for deletion: what takes that back is said, and nobody is locked out', async () => {
  const SecretId = lab.databaseUrlSecretId;
  await lab.secrets.send(new DeleteSecretCommand({ SecretId }));
  const refused = fence({ recovery }, lab);
  await expect(refused).rejects.toMatchObject({ name: 'SecretUnclear' });
  await expect(refused).rejects.toThrow(`aws secretsmanager restore-secret --secret-id ${SecretId}`);
  await lab.secrets.send(new RestoreSecretCommand({ SecretId }));
  expect(await connectRights()).toEqual(connectBefore);
});

test('nobody is locked out for a recovery whose swap would be refused', async () => {
  const stale: Recovery = { ...recovery, secretVersionId: 'an-earlier-one' };
  await expect(fence({ recovery: stale }, lab)).rejects.toMatchObject({ name: 'SecretMovedMeanwhile' });
  expect(await connectRights()).toEqual(connectBefore);
});

test('a database that the master user has no say in is not half fenced', async () => {
  const server = lab.sandbox.rds.server('orders');
  await server?.admin('alter database orders owner to rdsadmin');
  await expect(fence({ recovery }, lab)).rejects.toMatchObject({ name: 'FenceFailed' });
  await server?.admin('alter database orders owner to orders_app');
  expect(await connectRights()).toEqual(connectBefore);
});

test('settings of roles, triggers at a login and rights of the master user are in the way of no fence, and of none that is lifted', async () => {
  const admin = (sql: string, database = 'orders'): unknown =>
    lab.sandbox.rds.server('orders')?.admin(sql, [], database);
  const limits = ['transaction_timeout', 'idle_session_timeout', 'idle_in_transaction_session_timeout'];
  for (const limit of limits) await admin(`alter role master set ${limit} = '5min'`);
  await admin(`create function known() returns event_trigger language plpgsql as $$ begin
    if session_user = 'migration_rollback' then raise exception 'who is that?'; end if; end $$`);
  await admin('create event trigger known on login execute function known()');
  await admin('alter database template1 is_template false', 'postgres');
  await admin('alter database template1 owner to master', 'postgres');
  await admin('alter database orders is_template true', 'postgres');
  // It may use the role, and not pass it on.
  await admin('revoke orders_app from master cascade');
  await admin('grant orders_app to master');
  const before = await connectRights();

  const settings = limits.map((limit) => `current_setting('${limit}') as ${limit}`).join(', ');
  expect(await withConnection(master, (connection) => connection.query(`select ${settings}`))).toEqual([
    Object.fromEntries(limits.map((limit) => [limit, '0'])),
  ]);
  const { fenced, checks } = await again('SessionsNotEnded', () => fence({ recovery }, lab));
  expect(fenced).toEqual(['orders', 'postgres']);
  expect(checks.map(({ name, ok }) => [name, ok])).toEqual([
    ['role "orders_app" is kept out', true],
    ['role "master" is kept out', true],
    ['this system can read', false],
  ]);
  expect(checks.at(-1)?.detail).toMatch(/who is that\?.* Hint: A login event trigger of the database/);
  expect(await liftFence({ recovery }, lab)).toMatchObject({ lifted: true });
  expect(await connectRights()).toEqual(before);
});

test('a secret that writes the same host in capitals and with a dot at its end names the old database', async () => {
  await again('SessionsNotEnded', () => fence({ recovery }, lab));
  const { value } = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
  const SecretString = value.replace(application.host, `${application.host.toUpperCase()}.`);
  expect(SecretString).not.toBe(value);
  await lab.secrets.send(new PutSecretValueCommand({ SecretId: lab.databaseUrlSecretId, SecretString }));
  expect(await liftFence({ recovery }, lab)).toMatchObject({ lifted: true });
});
