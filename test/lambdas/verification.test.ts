import type { RestorePoint } from '../../lambdas/contract/recovery';
import type { DatabaseFacts } from '../../lambdas/database-facts';
import type { MigrationRow } from '../../lambdas/migrations';
import { schemaFingerprint, schemaKinds, type Schema } from '../../lambdas/schema-fingerprint';
import { migrationsDigest } from '../../lambdas/tags';
import { judge, type Evidence } from '../../lambdas/verification';

/** What binds, what excuses and what is only reported. The queries behind it: test/lambdas/steps/verify.test.ts. */

const row = (name: string, at: string, state: MigrationRow['state'] = 'applied'): MigrationRow => ({
  name,
  checksum: `sum of ${name}`,
  state,
  startedAt: at,
  finishedAt: state === 'applied' ? at : null,
});
const first = row('1_start', '2026-11-01T10:00:00.000Z');
const second = row('2_more', '2026-11-10T10:00:00.000Z');
const bad = row('3_bad', '2026-11-21T10:00:00.000Z');
const table = (...rows: MigrationRow[]) => [{ schema: 'public', table: '_prisma_migrations', rows }];

const schema: Schema = {
  version: '1.170010',
  lines: [
    'column public.task details text',
    'index CREATE INDEX a ON public.task',
    'relation public.task r p f',
  ],
};
const facts = (changes: Partial<DatabaseFacts> = {}): DatabaseFacts => ({
  migrations: { value: table(first, second) },
  schema: { value: schema },
  invalidIndexes: { value: [] },
  sequences: { value: { behind: [], asked: 2, notAsked: [] } },
  unloggedTables: { value: [] },
  replication: { value: { slots: [], subscriptions: [] } },
  preparedTransactions: { value: [] },
  ...changes,
});
const rows = (counted: Record<string, number>, notCounted: string[] = []) => ({
  value: { rows: counted, notCounted },
});
const point: RestorePoint = {
  kind: 'snapshot',
  snapshotId: 'before',
  databaseTime: '2026-11-21T09:55:00.000Z',
  pendingMigrations: ['3_bad'],
  recorded: {
    schemaFingerprint: schemaFingerprint(schema),
    schemaKinds: schemaKinds(schema),
    applied: { count: 2, last: '2_more', digest: migrationsDigest([first, second]) },
    rows: { 'public.task': 50_000, 'public.label': 40, 'public.comment': 700 },
  },
};
const evidence: Evidence = {
  point,
  copy: facts(),
  copyRows: rows({ 'public.task': 50_100, 'public.label': 0, 'public.comment': 690 }),
  live: facts({ migrations: { value: table(first, second, bad) } }),
  liveRows: rows({ 'public.task': 50_200, 'public.comment': 0 }),
  now: new Date('2026-11-21T10:30:00Z'),
};

/** `blocks`, `reported` or `ok`, and the detail. */
function judged(name: string, changes: Partial<Evidence>): [string, string] {
  const found = judge({ ...evidence, ...changes }).find((one) => one.name === name);
  if (!found) throw new Error(`There is no check ${name}.`);
  if (found.ok) return ['ok', found.detail];
  return [found.severity === 'error' ? 'blocks' : 'reported', found.detail];
}

test('a copy that is as it was recorded passes, whatever became of the live database', () => {
  const wrecked = facts({
    migrations: { unknown: 'refused' },
    schema: { value: { ...schema, lines: [] } },
    invalidIndexes: { value: ['public.broken'] },
    sequences: { value: { behind: ['s'], asked: 1, notAsked: [] } },
  });
  for (const changes of [
    {},
    { live: undefined, liveRows: undefined },
    { live: wrecked, liveRows: rows({ 'public.task': 0 }) },
  ])
    expect(judge({ ...evidence, ...changes }).filter(({ ok }) => !ok)).toEqual([]);
});

test('where nothing was recorded, that is said and passes', () => {
  const unrecorded = { point: { ...point, pendingMigrations: null, recorded: {} } };
  for (const name of ['migrations as recorded', 'schema as recorded', 'rows as recorded'])
    expect(judged(name, unrecorded)).toEqual(['ok', 'Nothing was recorded with the restore point.']);
  const time = { point: { kind: 'time', time: '2026-11-21T09:55:00Z', pendingMigrations: null } as const };
  expect(judged('pending migrations are absent', time)[0]).toBe('ok');
  expect(judged('pending migrations are absent', unrecorded)[0]).toBe('ok');
});

test('migrations: those that should be there are, the others are not', () => {
  const copy = (...there: MigrationRow[]): Partial<Evidence> => ({
    copy: facts({ migrations: { value: table(...there) } }),
  });
  expect(judged('migrations as recorded', copy(first))).toEqual([
    'blocks',
    expect.stringContaining('Recorded were 2 migrations, the newest 2_more; in the restored database public'),
  ]);
  expect(judged('migrations as recorded', copy(first, { ...second, checksum: 'other' }))[0]).toBe('blocks');
  expect(judged('pending migrations are absent', copy(first, second, bad))[0]).toBe('blocks');
  expect(judged('pending migrations are absent', copy({ ...bad, state: 'failed' }))[0]).toBe('blocks');
  expect(judged('pending migrations are absent', copy({ ...bad, state: 'rolled back' }))[0]).toBe('ok');
  const marked: Partial<Evidence> = {
    ...copy(first, second, bad),
    point: { kind: 'time', time: '2026-11-21T09:55:00Z', pendingMigrations: ['3_bad'] },
  };
  expect(judged('pending migrations are absent', marked)[0]).toBe('blocks');
  expect(judged('no failed migration', copy({ ...second, state: 'failed' }))[0]).toBe('blocks');
  const elsewhere = [...table(first), ...table({ ...second, state: 'failed' })];
  expect(judged('no failed migration', { copy: facts({ migrations: { value: elsewhere } }) })[0]).toBe(
    'reported',
  );
  expect(judged('migrations of their time', copy(first))).toEqual([
    'reported',
    'Applied before that time, and not there: public.2_more.',
  ]);
  expect(judged('migrations of their time', copy(first, second, bad))).toEqual([
    'reported',
    'Begun after that time, and there: public.3_bad.',
  ]);
  const ahead = { ...copy(first), now: new Date('2026-11-20T00:00:00Z') };
  expect(judged('migrations of their time', ahead)[0]).toBe('ok');
});

test('a schema that differs from the recorded one blocks, and the difference to the live one is named', () => {
  const other = { ...schema, lines: schema.lines.filter((line) => !line.startsWith('index')) };
  const copy = facts({ schema: { value: other } });
  expect(judged('schema as recorded', { copy })).toEqual([
    'blocks',
    'It differs from the recorded schema in index. Compared with the live database, which has what was migrated since: only restored: nothing; only live: index CREATE INDEX a ON public.task.',
  ]);
  expect(judged('schema as recorded', { copy, live: undefined })[0]).toBe('blocks');
  const newer = facts({ schema: { value: { ...other, version: '2.170010' } } });
  expect(judged('schema as recorded', { copy: newer })[0]).toBe('ok');
});

test.each([
  ['no invalid index', { invalidIndexes: { value: ['public.broken'] } }],
  ['sequences ahead of their columns', { sequences: { value: { behind: ['s'], asked: 1, notAsked: [] } } }],
])('%s: blocks, but is only reported where the live database has it as well', (name, found) => {
  expect(judged(name, { copy: facts(found) })[0]).toBe('blocks');
  expect(judged(name, { copy: facts(found), live: undefined })[0]).toBe('blocks');
  expect(judged(name, { copy: facts(found), live: facts(found) })[0]).toBe('reported');
});

test.each<[string, Record<string, number>, string]>([
  ['a big table that is empty', { 'public.task': 0 }, 'blocks'],
  ['a big table with less than half', { 'public.task': 20_000 }, 'blocks'],
  ['a table of some hundreds that is empty', { 'public.comment': 0 }, 'blocks'],
  ['a table of some hundreds with fewer', { 'public.comment': 200 }, 'ok'],
  ['a small table that is empty', { 'public.label': 0 }, 'ok'],
  ['many more than recorded', { 'public.task': 200_000 }, 'reported'],
])('rows: %s', (_, counted, verdict) => {
  expect(judged('rows as recorded', { copyRows: rows(counted) })[0]).toBe(verdict);
});

test('a table that is empty in the copy and full in the live database is reported; the other way round is why one recovers', () => {
  const changes = { copyRows: rows({ 'public.audit': 0 }), liveRows: rows({ 'public.audit': 5000 }) };
  expect(judged('rows as in the live database', changes)).toEqual([
    'reported',
    'Empty, though the live database has rows: public.audit (5000).',
  ]);
  const other = { copyRows: rows({ 'public.audit': 5000 }), liveRows: rows({ 'public.audit': 0 }) };
  expect(judged('rows as in the live database', other)[0]).toBe('ok');
});

test('unlogged tables that the restore emptied are named', () => {
  const unlogged = (name: string, isEmpty: boolean) => ({ name, isEmpty });
  const copy = facts({ unloggedTables: { value: [unlogged('a', true), unlogged('b', true)] } });
  const live = facts({ unloggedTables: { value: [unlogged('a', false), unlogged('b', true)] } });
  expect(judged('unlogged tables', { copy, live })).toEqual([
    'reported',
    'Emptied by the restore, with rows in the live database: a.',
  ]);
  expect(judged('unlogged tables', { copy, live: undefined })[0]).toBe('reported');
  expect(judged('unlogged tables', { copy, live: copy })[0]).toBe('ok');
});

test('replication: slots that the copy lacks and subscriptions that start in it are named', () => {
  const replicating = (slots: string[], ...subscriptions: string[]) =>
    facts({
      replication: { value: { slots: slots.map((name) => ({ name, plugin: 'pgoutput' })), subscriptions } },
    });
  const live = replicating(['debezium'], 'feed in orders');
  const [verdict, detail] = judged('replication', { copy: replicating([], 'feed in orders'), live });
  expect(verdict).toBe('reported');
  expect(detail).toContain('Slots of the live instance that the new one lacks: debezium (pgoutput). After');
  expect(detail).toContain('Enabled subscriptions in the restored database: feed in orders. They');
  expect(judged('replication', { copy: replicating(['debezium']), live })).toEqual([
    'reported',
    expect.stringMatching(
      /^Slots in the new one, as old as the restore point: debezium \(pgoutput\)\. After/,
    ),
  ]);
  expect(judged('replication', { copy: facts(), live: replicating([], 'feed in orders') })[0]).toBe('ok');
  expect(judged('replication', { copy: facts(), live: undefined })).toEqual([
    'ok',
    'No subscription is enabled. Slots were not compared: the live database could not be asked.',
  ]);
});

test('what PostgreSQL did not answer in time is reported', () => {
  const unknown = { unknown: 'canceling statement due to statement timeout' };
  const copy = facts({
    schema: unknown,
    invalidIndexes: unknown,
    sequences: unknown,
    unloggedTables: unknown,
    replication: unknown,
    preparedTransactions: unknown,
  });
  for (const name of [
    'schema as recorded',
    'no invalid index',
    'sequences ahead of their columns',
    'unlogged tables',
    'replication',
    'prepared transactions',
  ])
    expect(judged(name, { copy })).toEqual(['reported', unknown.unknown]);
  expect(judged('rows as recorded', { copyRows: unknown })[0]).toBe('reported');
});
