import {
  baseName,
  finalSnapshotId,
  preMigrationSnapshotId,
  recoveryId,
  recoveryInstanceId,
  originalName,
  heldBaseName,
  safetySnapshotId,
} from '../../lambdas/names';
import fc from '../fast-check';

/** Every legal instance name: 1-63 of a-z, 0-9 and single hyphens, starting with a letter, not ending with a hyphen. */
const instanceName = fc
  .stringMatching(/^[a-z](-?[a-z0-9]){0,40}$/)
  .map((name) => name.slice(0, 63).replace(/-$/, ''));
const id = fc.stringMatching(/^[0-9a-f]{10}$/);

function expectLegal(name: string, maximum: number): void {
  expect(name).toMatch(/^[a-z]([a-z0-9]|-(?=[a-z0-9]))*$/);
  expect(name.length).toBeLessThanOrEqual(maximum);
}

test('names of instances and snapshots are legal for every name and id', () => {
  fc.assert(
    fc.property(
      instanceName,
      id,
      fc.string({ minLength: 1, maxLength: 200 }),
      (live, recovery, deployment) => {
        expectLegal(recoveryInstanceId(live, recovery), 63);
        expectLegal(finalSnapshotId(live, recovery), 255);
        expectLegal(safetySnapshotId(live, recovery), 255);
        expectLegal(preMigrationSnapshotId({ instanceId: live, resourceId: 'db-A' }, deployment), 255);
      },
    ),
  );
});

test('recovering again and again does not make the name longer', () => {
  fc.assert(
    fc.property(instanceName, fc.array(id, { minLength: 2, maxLength: 5 }), (live, ids) => {
      const last = ids.reduce(recoveryInstanceId, live);
      expect(last).toBe(recoveryInstanceId(live, ids.at(-1) ?? ''));
    }),
  );
});

test('a recovery of a recovered instance has another name than that instance', () => {
  const first = recoveryInstanceId('orders', '0000000001');
  expect(first).toBe('orders-rec-0000000001');
  expect(recoveryInstanceId(first, '0000000002')).toBe('orders-rec-0000000002');
  expect(baseName(first)).toBe('orders');
});

test('a name of the full 63 characters still leaves room for the id', () => {
  const live = `a${'b'.repeat(46)}-${'c'.repeat(15)}`;
  expect(live).toHaveLength(63);
  expect(recoveryInstanceId(live, '0123456789')).toBe(`a${'b'.repeat(46)}-rec-0123456789`);
});

test('deployment ids that look alike give different snapshots', () => {
  const ids = ['Run 1', 'run-1', 'run_1', 'RUN-1', '-run-1-', 'ü', 'ä'].map((one) =>
    preMigrationSnapshotId({ instanceId: 'orders', resourceId: 'db-A' }, one),
  );
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids[1]).toMatch(/^orders-pre-migration-run-1-[0-9a-f]{10}$/);
});

test('a deployment that runs again after a recovery gets a snapshot of the database that is live then', () => {
  const before = preMigrationSnapshotId({ instanceId: 'orders', resourceId: 'db-A' }, 'run-1');
  const after = preMigrationSnapshotId({ instanceId: 'orders-rec-0123456789', resourceId: 'db-B' }, 'run-1');
  expect(after).not.toBe(before);
  expect(after).toMatch(/^orders-pre-migration-run-1-/);
});

test('the id of a recovery stays with its execution, and a name used again gets another', () => {
  const first = { name: 'checkout', startTime: '2026-01-01T00:00:00Z' };
  expect(recoveryId(first)).toBe(recoveryId({ ...first, startTime: '2026-01-01T00:00:00.000Z' }));
  expect(recoveryId(first)).not.toBe(recoveryId({ ...first, startTime: '2026-06-01T00:00:00Z' }));
  expect(recoveryId(first)).toMatch(/^[0-9a-f]{10}$/);
});

describe('the name before any recovery', () => {
  const long = `${'o'.repeat(50)}-database`;
  const id = '0123456789';

  test.each([
    ['orders', undefined, 'orders'],
    ['orders-rec-0123456789', undefined, 'orders'],
    // Tags that a person wrote are held against the name.
    ['orders-rec-0123456789', 'invoices', undefined],
    ['orders-rec-0123456789', 'orders', 'orders'],
    [`${'o'.repeat(46)}-rec-0123456789`, undefined, 'o'.repeat(46)],
    // It may have been cut off, or a hyphen may have gone with what was.
    [`${'o'.repeat(47)}-rec-0123456789`, undefined, undefined],
    [`${'o'.repeat(48)}-rec-0123456789`, undefined, undefined],
    [`${'o'.repeat(48)}-rec-0123456789`, `${'o'.repeat(48)}-two`, `${'o'.repeat(48)}-two`],
  ])('of %s, with the tag %s, is %s', (instanceId, held, name) => {
    expect(originalName(instanceId, held)).toBe(name);
  });

  test('lives on over any number of recoveries, however long it is', () => {
    let name = long;
    let held: string | undefined;
    for (let recovery = 0; recovery < 3; recovery++) {
      held = heldBaseName(name, held);
      name = recoveryInstanceId(name, id);
      expect(name.length).toBeLessThanOrEqual(63);
      expect(originalName(name, held)).toBe(long);
    }
    // Of a short one no tag is needed.
    expect(heldBaseName('orders', undefined)).toBeUndefined();
  });
});
