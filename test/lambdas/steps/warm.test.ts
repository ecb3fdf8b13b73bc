import type { Recovery } from '../../../lambdas/contract/recovery';
import type { WarmResult } from '../../../lambdas/contract/restore';
import { hydrate } from '../../../lambdas/steps/hydrate';
import { warm } from '../../../lambdas/steps/warm';
import { Lab } from './lab';

/** Reads the live instance of the lab: to Warm it is all the same which one it is told. */
let lab: Lab;
let recovery: Recovery;
beforeAll(async () => {
  lab = await Lab.start();
  await lab.sql('create table task (id int primary key, title text, body text)');
  await lab.sql('alter table task alter body set storage external');
  await lab.sql(
    `insert into task select i, repeat('x', 300), case when i <= 20 then repeat('y', 10000) end from generate_series(1, 60000) i`,
  );
  await lab.sql('create index "task title" on task (title)');
  await lab.sql('create table event (id int, at int) partition by range (at)');
  await lab.sql('create table event_1 partition of event for values from (0) to (10)');
  await lab.sql('insert into event select i, 1 from generate_series(1, 1000) i');
  await lab.sql('create table nothing (id int)');
  await lab.snapshot('run-1', '2_bad');
  recovery = await lab.planned();
});
afterAll(() => lab.stop());

/** As RDS's own user, who may look everywhere. */
async function asked(sql: string): Promise<unknown> {
  const rows = await lab.sandbox.rds.server('orders')?.admin(sql, [], 'orders');
  return rows?.[0]?.answer;
}
const blocks = (...relations: string[]): Promise<unknown> =>
  asked(
    `select (sum(pg_relation_size(name::regclass)) / 8192)::int as answer from unnest(array['${relations.join("','")}']) name`,
  );
const toast = async (): Promise<string> =>
  String(await asked(`select reltoastrelid::regclass::text as answer from pg_class where relname = 'task'`));

async function toTheEnd(tables: string[], percent = 100, callMs = 60_000): Promise<WarmResult> {
  const wanted = { ...recovery, warm: { tables, percent } };
  for (let warmth: WarmResult | null = null; ;) {
    warmth = await warm({ recovery: wanted, instance: recovery.live, warmth }, { ...deps(), callMs });
    if (warmth.enough) return warmth;
  }
}
const deps = () => ({ secrets: lab.secrets, databaseUrlSecretId: lab.databaseUrlSecretId });

test('without pg_prewarm the rows of tables are read, call by call, and what cannot be read is said', async () => {
  const all = await blocks('task', 'event_1');
  const whole = await toTheEnd(['task', 'event', 'public.nothing', 'no_such', 'not a name;'], 100, 0);
  expect(whole).toMatchObject({ percent: 100, blocksRead: all, method: 'queries' });
  expect(whole.calls).toBe(Math.ceil(Number(await blocks('task')) / 2048) + 1);
  expect(whole.leftOut).toEqual([
    'no_such: there is no such table or index in the restored database.',
    'not a name;: there is no such table or index in the restored database.',
    expect.stringMatching(/^\d indexes and stores of long values: only the extension pg_prewarm/),
  ]);
});

test('it ends at the percentage that was chosen', async () => {
  const half = await toTheEnd(['task'], 50);
  expect(half.enough).toBe(true);
  expect(half.percent).toBeGreaterThanOrEqual(50);
  expect(half.percent).toBeLessThan(100);
});

test('nothing to read is warm', async () => {
  for (const tables of [[], ['nothing'], ['no_such']])
    expect(await toTheEnd(tables)).toMatchObject({ percent: 100, enough: true, blocksRead: 0, calls: 1 });
});

test('with pg_prewarm indexes and long values are read as well; what PostgreSQL refuses is left out', async () => {
  const server = lab.sandbox.rds.server('orders');
  await server?.admin('create extension pg_prewarm', [], 'orders');
  await server?.admin('create table secret as select i from generate_series(1, 1000) i', [], 'orders');
  await server?.admin('create extension pg_buffercache', [], 'orders');
  const all = await blocks('task', 'task_pkey', '"task title"', await toast());
  const read = await toTheEnd(['task', '"task title"', 'secret']);
  expect(read).toMatchObject({ percent: 100, method: 'pg_prewarm' });
  expect(read.leftOut).toEqual([expect.stringMatching(/^Refused: public\.secret: .*permission denied/)]);
  expect(read.blocksRead).toBe(all);
  const buffers = `select count(*)::int as answer from pg_buffercache where relfilenode = pg_relation_filenode('"task title"')`;
  expect(await asked(buffers)).toBe(await blocks('"task title"'));
});

test('after too many calls it gives up', async () => {
  const wanted = { ...recovery, warm: { tables: ['task'], percent: 100 } };
  const first = await warm(
    { recovery: wanted, instance: recovery.live, warmth: null },
    { ...deps(), callMs: 0 },
  );
  expect(first).toMatchObject({ enough: false, calls: 1 });
  const last = { ...first, calls: 200 };
  await expect(
    warm({ recovery: wanted, instance: recovery.live, warmth: last }, deps()),
  ).rejects.toMatchObject({
    name: 'NotWarmInTime',
  });
});

test('the storage is waited for up to the percentage that was chosen', async () => {
  let progress: number | undefined = 40;
  const unhook = lab.sandbox.context.api.intercept(async ({ context }, next) => {
    const output = await next();
    if (context.operation !== 'DescribeDBInstances' || progress === undefined) return output;
    const instances = Array.isArray(output.DBInstances) ? output.DBInstances : [];
    const shown: unknown[] = instances.map((instance: object) => ({
      ...instance,
      StorageOperationStatus: 'Initializing',
      StorageOperationPercentProgress: progress,
    }));
    return { ...output, DBInstances: shown };
  });
  const ask = (storagePercent?: number) =>
    hydrate(
      {
        recovery: {
          ...recovery,
          recoveryInstanceId: 'orders',
          warm: { tables: [], percent: 100, ...(storagePercent === undefined ? {} : { storagePercent }) },
        },
      },
      lab,
    );
  await expect(ask(50)).rejects.toMatchObject({ name: 'NotHydratedYet' });
  expect(await ask(40)).toEqual({ percent: 40 });
  expect(await ask()).toEqual({ percent: 40 });
  progress = undefined;
  expect(await ask(100)).toEqual({ percent: 100 });
  unhook();
});
