import type { RetentionRules } from '../../lambdas/contract/rules';
import { decide, good, type KnownSnapshot } from '../../lambdas/retention';
import fc from '../fast-check';

const DAY = 86_400_000;
const NOW = new Date('2026-11-21T12:00:00Z');
const rules: RetentionRules = { dailyDays: 7, weeklyDays: 90, keepNewest: 3, newestAtMostHours: 36 };

const snapshot = fc.record({
  role: fc.constantFrom('pre-migration', 'scheduled', 'safety', 'final'),
  age: fc.integer({ min: 0, max: 200 * DAY }),
  lifetime: fc.option(fc.integer({ min: 0, max: 100 * DAY }), { nil: undefined }),
  isAvailable: fc.boolean(),
  keptFor: fc.option(fc.constant('on hold'), { nil: undefined, freq: 8 }),
});
const catalogue = fc.array(snapshot, { maxLength: 60 }).map((list) =>
  list.map(({ role, age, lifetime, isAvailable, keptFor }, index): KnownSnapshot => ({
    id: `s-${index}`,
    role,
    takenAt: new Date(NOW.getTime() - age),
    madeAt: new Date(NOW.getTime() - age),
    expiresAt: lifetime === undefined ? undefined : new Date(NOW.getTime() - age + lifetime),
    isAvailable,
    keptFor,
  })),
);

const deleted = (snapshots: readonly KnownSnapshot[], now = NOW): KnownSnapshot[] => {
  const ids = new Set(
    decide(snapshots, rules, now)
      .filter((decision) => decision.delete)
      .map(({ id }) => id),
  );
  return snapshots.filter(({ id }) => ids.has(id));
};
const left = (snapshots: readonly KnownSnapshot[], now = NOW): KnownSnapshot[] => {
  const gone = new Set(deleted(snapshots, now));
  return snapshots.filter((one) => !gone.has(one));
};

test('every snapshot gets one decision, with a reason', () => {
  fc.assert(
    fc.property(catalogue, (snapshots) => {
      const decisions = decide(snapshots, rules, NOW);
      expect(decisions.map(({ id }) => id)).toEqual(snapshots.map(({ id }) => id));
      for (const { why } of decisions) expect(why).not.toBe('');
    }),
  );
});

test('what goes has an expiry, is past it or thinned, and nobody wants it kept', () => {
  fc.assert(
    fc.property(catalogue, (snapshots) => {
      for (const { expiresAt, keptFor, role, takenAt } of deleted(snapshots)) {
        expect(keptFor).toBeUndefined();
        expect(expiresAt).toBeDefined();
        const isExpired = expiresAt !== undefined && expiresAt <= NOW;
        const isThinned = role === 'scheduled' && NOW.getTime() - takenAt.getTime() >= 7 * DAY;
        expect(isExpired || isThinned).toBe(true);
      }
    }),
  );
});

test('the newest good ones stay, whatever their age, and an instance is never left without one', () => {
  fc.assert(
    fc.property(catalogue, (snapshots) => {
      expect(left(snapshots)).toEqual(expect.arrayContaining(good(snapshots).slice(0, 3)));
    }),
  );
});

test('a second run finds nothing more to do', () => {
  fc.assert(
    fc.property(catalogue, (snapshots) => {
      expect(deleted(left(snapshots))).toEqual([]);
    }),
  );
});

test('of every week with a good unexpired scheduled one, one stays', () => {
  fc.assert(
    fc.property(catalogue, (snapshots) => {
      const weeks = (list: readonly KnownSnapshot[]) =>
        new Set(
          list
            .filter(({ role, isAvailable }) => role === 'scheduled' && isAvailable)
            .filter(({ expiresAt }) => expiresAt !== undefined && expiresAt > NOW)
            .map(({ takenAt }) => Math.floor(takenAt.getTime() / (7 * DAY))),
        );
      // The one of a week may itself be expired where people edit expiries; with equal lifetimes none is lost.
      const equal = snapshots.map((one) => ({
        ...one,
        expiresAt: new Date(one.takenAt.getTime() + 90 * DAY),
      }));
      const youngest = (week: number) => NOW.getTime() - (week + 1) * 7 * DAY < 90 * DAY - 7 * DAY;
      expect([...weeks(left(equal))].filter(youngest)).toEqual([...weeks(equal)].filter(youngest));
    }),
  );
});

test('a clock that is off by an hour deletes what expires in that hour, and no more', () => {
  const hour = 3_600_000;
  const boundaries = ({ takenAt, expiresAt }: KnownSnapshot): number[] => [
    expiresAt?.getTime() ?? Infinity,
    takenAt.getTime() + rules.dailyDays * DAY,
  ];
  fc.assert(
    fc.property(catalogue, (snapshots) => {
      const now = deleted(snapshots);
      const fast = deleted(snapshots, new Date(NOW.getTime() + hour));
      const slow = deleted(snapshots, new Date(NOW.getTime() - hour));
      expect(now).toEqual(expect.arrayContaining(slow));
      for (const early of fast.filter((one) => !now.includes(one)))
        expect(boundaries(early).some((at) => at > NOW.getTime() && at <= NOW.getTime() + hour)).toBe(true);
    }),
  );
});
