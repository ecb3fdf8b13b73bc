import type { CheckMigrationsResult } from '../../lambdas/contract/gate';
import { readRecordedState, recordedDetails, recordedMarks } from '../../lambdas/recorded-state';
import { writeMarks } from '../../lambdas/tags';

const state = (tables: number): CheckMigrationsResult => ({
  pending: null,
  changed: [],
  failed: [],
  failedElsewhere: [],
  applied: { count: 3, last: '3_last', digest: 'ab'.repeat(32) },
  history: [],
  lockHolders: [],
  schemaFingerprint: `1.170010.${'cd'.repeat(32)}`,
  schemaKinds: { relation: '01234567', index: '89abcdef' },
  rows: Object.fromEntries(
    Array.from({ length: tables }, (_, index) => [`public."Täble ${index * 7919}"`, 1000 * (index + 1)]),
  ),
});
const tagsOf = (result: CheckMigrationsResult, room: number) => [
  ...writeMarks(recordedMarks(result)),
  ...recordedDetails(result, room),
];

test('what is written down is read back', () => {
  const result = state(20);
  const { schemaFingerprint, schemaKinds, applied, rows } = result;
  expect(readRecordedState(tagsOf(result, 5))).toEqual({ schemaFingerprint, schemaKinds, applied, rows });
  expect(readRecordedState([])).toEqual({});
});

test('of many tables those with the most rows are kept, and the tags stay legal and within their number', () => {
  for (const room of [0, 1, 2, 5, 9]) {
    const details = recordedDetails(state(2000), room);
    expect(details.length).toBeLessThanOrEqual(Math.min(room, 5));
    for (const { Value = '' } of details) {
      expect(Value.length).toBeLessThanOrEqual(256);
      expect(Value).toMatch(/^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u);
    }
  }
  const { rows = {} } = readRecordedState(tagsOf(state(2000), 5));
  expect(Math.max(...Object.values(rows))).toBe(2_000_000);
  expect(Object.keys(rows).length).toBeGreaterThan(20);
});

test('tags that somebody edited are as if nothing was written down', () => {
  const edited = tagsOf(state(20), 5).map(({ Key, Value = '' }) => ({
    Key,
    Value:
      Key?.endsWith(':rows') === true
        ? `x${Value}`
        : Key?.endsWith('applied-count') === true
          ? 'many'
          : Value,
  }));
  const read = readRecordedState(edited);
  expect(read.rows).toBeUndefined();
  expect(read.applied).toBeUndefined();
  expect(read.schemaFingerprint).toBeDefined();
});
