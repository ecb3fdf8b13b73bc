import { DescribeDBSnapshotsCommand } from '@aws-sdk/client-rds';
import type { VerificationCheck } from '../../../lambdas/contract/checks';
import type { InstanceAddress, Recovery } from '../../../lambdas/contract/recovery';
import { countRows } from '../../../lambdas/row-counts';
import { readLogin } from '../../../lambdas/database-url';
import { withConnection } from '../../../lambdas/postgres';
import { readRecordedState } from '../../../lambdas/recorded-state';
import { currentSecret } from '../../../lambdas/secrets';
import { checkRestoredInstance } from '../../../lambdas/steps/check-restored-instance';
import { matchCredentials } from '../../../lambdas/steps/match-credentials';
import { startRestore } from '../../../lambdas/steps/start-restore';
import { verify } from '../../../lambdas/steps/verify';
import type { TeamCheck } from '../../../lambdas/team-checks';
import { Lab, again, migrationTable } from './lab';

/** One restored copy, damaged in different ways. */
let lab: Lab;
let recovery: Recovery;
let instance: InstanceAddress;
beforeAll(async () => {
  lab = await Lab.start(undefined, {
    parameters: { 'rds.logical_replication': '1', max_prepared_transactions: '2' },
  });
  const admin = lab.sandbox.rds.server('orders');
  await lab.sql(migrationTable);
  await migrate('1_start');
  await lab.sql('create table task (id serial primary key, title text not null)');
  await lab.sql(`insert into task (title) select 'task ' || i from generate_series(1, 3000) i`);
  await lab.sql('create table label (id serial primary key, "of" text)');
  await lab.sql(`insert into label ("of") select 'ada@example.com' from generate_series(1, 200)`);
  await lab.sql('create unlogged table "Session" (id int)');
  await lab.sql('insert into "Session" values (1)');
  await lab.sql('create index "task title" on task (title)');
  await lab.sql('analyze');
  await admin?.admin('create extension amcheck', [], 'orders');
  await admin?.admin('grant execute on function bt_index_check(regclass) to orders_app', [], 'orders');
  await admin?.admin(`select pg_create_logical_replication_slot('debezium', 'test_decoding')`, [], 'orders');
  // Nobody is there: it tries for ever, and brings nothing.
  await admin?.admin(
    `create subscription feed connection 'host=127.0.0.1 port=1 dbname=news password=of-the-publisher' publication news
       with (connect = false)`,
    [],
    'orders',
  );
  await admin?.admin('alter subscription feed enable', [], 'orders');
  // As PostgreSQL plans where there are thousands of tables: conditions come in another order.
  await admin?.admin('alter role orders_app set enable_nestloop = off', [], 'orders');
  // A transaction of two phases that nobody ends.
  await lab.sql(`begin; insert into task (title) values ('half'); prepare transaction 'order 7'`);
  await lab.snapshot('run-1', '2_bad');
  await lab.sql('drop table label');
  await migrate('2_bad');
  recovery = await lab.planned({ verify: { amcheck: true } });
  await startRestore({ recovery }, lab);
  instance = await again('InstanceNotReady', () => checkRestoredInstance({ recovery }, lab));
  await again('CredentialsNotReady', () => matchCredentials({ recovery, instance }, lab));
});
afterAll(() => lab.stop());

const migrate = (name: string): Promise<unknown> =>
  lab.sql(
    `insert into _prisma_migrations (id, checksum, finished_at, migration_name) values ('${name}', 'x', now(), '${name}')`,
  );

/** Runs SQL on the copy, as the application. */
async function onCopy(text: string): Promise<Record<string, unknown>[]> {
  const login = readLogin((await currentSecret(lab.secrets, lab.databaseUrlSecretId)).value);
  return withConnection({ ...login, host: instance.host, port: instance.port }, (connection) =>
    connection.query(text),
  );
}

async function found(accept: string[], ...teamChecks: TeamCheck[]): Promise<VerificationCheck[]> {
  const accepting = { ...recovery, verify: { amcheck: false, accept } };
  const { secrets, databaseUrlSecretId } = lab;
  const deps = { secrets, databaseUrlSecretId, teamChecks };
  const { checks } = await verify({ recovery: accepting, instance }, deps);
  return checks.filter(({ ok }) => !ok);
}

const team = (sql: string, more: Partial<TeamCheck> = {}): TeamCheck => ({
  name: 'team.sql',
  severity: 'error',
  timeoutSeconds: 20,
  sql,
  ...more,
});
/** jest's matchers are typed `any`. */
const containing = (text: string): unknown => expect.stringContaining(text);

test('the gate writes down what the snapshot must hold, and the sound copy passes every check', async () => {
  const { DBSnapshots } = await lab.rds.send(new DescribeDBSnapshotsCommand({}));
  const state = readRecordedState(DBSnapshots?.[0]?.TagList);
  expect(recovery.restorePoint).toMatchObject({ recorded: state });
  expect(state.applied).toMatchObject({ count: 1, last: '1_start' });
  expect(state.rows).toEqual({
    'public.task': 3000,
    'public.label': 200,
    'public._prisma_migrations': 1,
  });
  const result = await verify({ recovery, instance }, lab);
  expect(result).toMatchObject({ migrations: ['1_start'], migrationsTakenAway: ['2_bad'] });
  expect(result.checks.map(({ name, ok }) => [name, ok])).toEqual([
    ['application login over verified TLS', true],
    ['writable', true],
    ['no failed migration', true],
    ['migrations as recorded', true],
    ['pending migrations are absent', true],
    ['migrations of their time', true],
    ['schema as recorded', true],
    ['no invalid index', true],
    ['sequences ahead of their columns', true],
    ['rows as recorded', true],
    ['rows as in the live database', true],
    ['unlogged tables', false],
    ['replication', false],
    ['prepared transactions', false],
    ['amcheck', true],
  ]);
  const detail = (name: string): string | undefined => result.checks.find((one) => one.name === name)?.detail;
  expect(detail('unlogged tables')).toContain('public."Session"');
  expect(detail('sequences ahead of their columns')).toContain('2 sequences');
  expect(detail('rows as recorded')).toContain('3 tables');
  expect(detail('amcheck')).toMatch(/^(\d+) of \1 B-tree indexes are sound\.$/);
});

test('a prepared transaction that the restore brought along is named until somebody ends it', async () => {
  const named = (await found([])).find(({ name }) => name === 'prepared transactions');
  expect(named).toMatchObject({ severity: 'warning' });
  expect(named?.detail).toMatch(/'order 7' of role orders_app, since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/);
  for (const sql of [onCopy, lab.sql.bind(lab)]) await sql(`rollback prepared 'order 7'`);
  expect((await found([])).map(({ name }) => name)).toEqual(['unlogged tables', 'replication']);
});

test('the slot that the restore left behind and the subscription that it brought along are named, until they are seen to', async () => {
  const { replication } = await lab.checkMigrations({ migrations: null, schema: null });
  expect(replication).toEqual({
    slots: [{ name: 'debezium', plugin: 'test_decoding' }],
    subscriptions: ['feed in orders'],
  });
  const [, told] = await found([]);
  expect(told).toMatchObject({ name: 'replication', severity: 'warning' });
  expect(told?.detail).toContain('that the new one lacks: debezium (test_decoding).');
  expect(told?.detail).toContain('Enabled subscriptions in the restored database: feed in orders.');
  expect(told?.detail).not.toContain('of-the-publisher');
  const server = (id: string) => lab.sandbox.rds.server(id);
  await server(instance.instanceId)?.admin('alter subscription feed disable', [], 'orders');
  await server('orders')?.admin(`select pg_drop_replication_slot('debezium')`, [], 'orders');
  expect(await found([])).toEqual([expect.objectContaining({ name: 'unlogged tables' })]);
});

test('what the copy lacks is found and named; what the operator accepts is only reported', async () => {
  const names = ['schema as recorded', 'rows as recorded', 'sequences ahead of their columns'];
  await onCopy('drop index "task title"');
  await onCopy('truncate task');
  await onCopy(`select setval('label_id_seq', 7)`);
  const refused = verify({ recovery, instance }, lab);
  await expect(refused).rejects.toMatchObject({ name: 'VerificationFailed' });
  await expect(refused).rejects.toThrow(/^3 of 15 checks/);
  await expect(refused).rejects.toThrow('only live: index CREATE INDEX "task title" ON public.task');
  await expect(refused).rejects.toThrow('public.task has 0, recorded were 3000');
  await expect(refused).rejects.toThrow('public.label_id_seq (public.label.id)');
  const reported = await found([...names, 'no such check']);
  expect(reported).toEqual(
    expect.arrayContaining([
      ...names.map((name) => ({
        name,
        ok: false,
        severity: 'warning',
        detail: containing('Accepted by who started the recovery.'),
      })),
      { name: 'accepted checks', ok: false, severity: 'warning', detail: containing('no such check') },
      {
        name: 'rows as in the live database',
        ok: false,
        severity: 'warning',
        detail: containing('public.task (3000)'),
      },
    ]),
  );
  await onCopy(`insert into task (title) select 'task ' || i from generate_series(1, 3000) i`);
  await onCopy('create index "task title" on task (title)');
  await onCopy(`select setval('label_id_seq', 200)`);
  expect(await found([])).toEqual([expect.objectContaining({ name: 'unlogged tables' })]);
});

test("the team's checks: rows block or are reported, and no value leaves but keys", async () => {
  expect(await found([], team('select id from label where id > 200;'))).toHaveLength(1);
  const people = team('select id, "of" from label where id <= 7 order by id');
  await expect(found([], people)).rejects.toThrow('NO "team.sql": 7 rows (id, of). id: 1, 2, 3, 4, 5, …');
  const [, warning] = await found([], team('select "of", id from label', { severity: 'warning' }));
  expect(warning).toEqual({
    name: 'team.sql',
    severity: 'warning',
    ok: false,
    detail: 'More than 100 rows (of, id).',
  });
  // Rows of a hundred kilobytes, none of which is needed but the first five.
  const login = readLogin((await currentSecret(lab.secrets, lab.databaseUrlSecretId)).value);
  const documents = await withConnection(login, (connection) =>
    connection.readOnly(`select i, repeat('x', 100000) from generate_series(1, 7) i;`, {
      shown: 5,
      counted: 101,
    }),
  );
  expect([documents.rows.map(([key]) => key), documents.count]).toEqual([[1, 2, 3, 4, 5], 7]);
  const [, accepted] = await found(['team.sql'], team('table label'));
  expect(accepted).toMatchObject({ severity: 'warning', detail: containing('Accepted') });
});

test.each([
  ['select * from later_table', 'relation \\"later_table\\" does not exist'],
  [`select setval('label_id_seq', 1)`, 'cannot execute setval() in a read-only transaction'],
  ['with gone as (delete from label returning *) select * from gone', '0A000'],
  ['select 1; drop table label', 'cannot insert multiple commands'],
  [`select set_config('transaction_read_only', 'off', true)`, 'read-write mode'],
  ['select pg_sleep(10)', 'it took longer than its 1 seconds'],
  [`select "of"::int from label`, 'SQLSTATE 22P02; the log of the instance'],
])("a team's check that cannot be run is reported: %s", async (sql, detail) => {
  const timeoutSeconds = sql === 'select pg_sleep(10)' ? 1 : 60;
  const [, reported] = await found([], team(sql, { timeoutSeconds }));
  expect(reported).toMatchObject({ severity: 'warning', ok: false });
  expect(reported?.detail.replaceAll('"', '\\"')).toContain(detail);
  expect(reported?.detail).not.toContain('ada@example.com');
  expect(await onCopy('select count(*)::int as left from label')).toEqual([{ left: 200 }]);
});

test('a table that nobody lets go of is not counted, and does not hold the others up', async () => {
  const login = readLogin((await currentSecret(lab.secrets, lab.databaseUrlSecretId)).value);
  const counted = await withConnection(login, async (holder) => {
    await holder.query('begin');
    await holder.query('lock table task in access exclusive mode');
    return withConnection(login, (connection) =>
      countRows(connection, { perTableMs: 2000, altogetherMs: 60_000 }),
    );
  });
  expect(counted).toEqual({ rows: { 'public._prisma_migrations': 2 }, notCounted: ['public.task'] });
});
