import { restorePointsTable, type RestorePoints } from '../../bin/restore-points-table';

const base = {
  status: 'available',
  outcome: null,
  commit: null,
  actor: null,
  sizeGiB: null,
  expiresAt: null,
  copies: [],
};
const result: RestorePoints = {
  environment: 'production',
  liveInstanceId: 'production-database-rec-0123456789',
  liveProblem: null,
  window: { from: '2026-10-22T07:30:00.000Z', to: '2026-11-21T07:25:12.345Z' },
  notListed: [],
  points: [
    {
      ...base,
      kind: 'point-in-time',
      id: 'build-4712',
      time: '2026-11-21T07:00:00Z',
      ageHours: 0.5,
      migrations: ['20261121065500_add_invoices'],
      outcome: 'succeeded',
      why: 'one of the newest 10 markers',
    },
    {
      ...base,
      kind: 'pre-migration',
      id: 'production-database-pre-migration-build-4711-0123456789',
      time: '2026-11-18T07:30:00.123Z',
      ageHours: 72,
      status: 'creating',
      migrations: ['20261118072000_drop_details', '20261118072500_add_index', '20261118072900_rename_column'],
      commit: '3f786850e387550fdab836ed7e6dc881de23001b',
      actor: 'ada',
      sizeGiB: 100,
      expiresAt: '2027-02-16T07:30:00.123Z',
      why: 'until 2027-02-16T07:30:00.123Z',
      copies: [{ region: 'eu-west-1', status: 'available', expiresAt: '2026-12-18T07:30:00.123Z' }],
    },
  ],
};

test('at 120 columns', () => {
  expect(restorePointsTable(result, 120)).toBe(
    `production: live is production-database-rec-0123456789.
Every second from 2026-10-22 07:30:00 to 2026-11-21 07:25:12 UTC can be gone back to, and:
TIME (UTC)           AGE    KIND           STATUS     MIGRATION
2026-11-21 07:00:00  0.5 h  point-in-time  available  succeeded
    build-4712
    migrations: 20261121065500_add_invoices
    kept: one of the newest 10 markers
2026-11-18 07:30:00  3 d    pre-migration  creating
    production-database-pre-migration-build-4711-0123456789
    migrations: 20261118072000_drop_details, 20261118072500_add_index, 20261118072900_rename_column
    by ada, commit 3f786850e3, 100 GiB, kept: until 2027-02-16T07:30:00.123Z
    copy in eu-west-1: available, until 2026-12-18 07:30:00`,
  );
});

test('at 60 columns the details are broken between words, the id is whole', () => {
  const lines = restorePointsTable({ ...result, points: result.points.slice(1) }, 60).split('\n');
  expect(lines).toEqual([
    'production: live is production-database-rec-0123456789.',
    'Every second from 2026-10-22 07:30:00 to 2026-11-21 07:25:12',
    '  UTC can be gone back to, and:',
    'TIME (UTC)           AGE  KIND           STATUS    MIGRATION',
    '2026-11-18 07:30:00  3 d  pre-migration  creating',
    '    production-database-pre-migration-build-4711-0123456789',
    '    migrations: 20261118072000_drop_details,',
    '      20261118072500_add_index, 20261118072900_rename_column',
    '    by ada, commit 3f786850e3, 100 GiB, kept: until',
    '      2027-02-16T07:30:00.123Z',
    '    copy in eu-west-1: available, until 2026-12-18 07:30:00',
  ]);
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(60);
});

test('where there is nothing it says so', () => {
  expect(restorePointsTable({ ...result, window: null, points: [] }, 80)).toBe(
    `production: live is production-database-rec-0123456789.
There are no automated backups to go back to.
There is no other restore point.`,
  );
  expect(restorePointsTable({ ...result, points: [] }, 120, { migration: 'nope' })).toContain(
    'can be gone back to.\nThere is no other restore point made with migration "nope" pending',
  );
});

test('at 80 columns nothing is wider, also with what is elsewhere and a live instance that is gone', () => {
  const [, snapshot] = result.points;
  if (!snapshot) throw new Error('no snapshot');
  const lines = restorePointsTable(
    {
      ...result,
      liveProblem:
        'Instance production-database-rec-0123456789, which DATABASE_URL names, is gone: it was deleted.',
      points: [
        ...result.points,
        {
          ...snapshot,
          status: 'only in eu-west-1 and in account 210987654321: bring it back first',
          outcome: 'failed',
        },
      ],
    },
    80,
  ).split('\n');
  expect(lines.slice(0, 2)).toEqual([
    'production: Instance production-database-rec-0123456789, which DATABASE_URL',
    '  names, is gone: it was deleted.',
  ]);
  expect(lines).toContain('2026-11-18 07:30:00  3 d    pre-migration  only elsewhere  failed');
  expect(lines).toContain('    only in eu-west-1 and in account 210987654321: bring it back first');
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(80);
});
