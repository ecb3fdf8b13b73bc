import { parseExpression } from '../../../sandbox/scheduler/expression';
import fc from '../../fast-check';

const MINUTE = 60_000;
const next = (expression: string, zone: string, after: Date): Date | undefined =>
  parseExpression(expression, zone, after)(after);

describe('schedule expressions', () => {
  const after = new Date('2026-03-28T12:00:00Z');
  it.each([
    ['cron(0 3 * * ? *)', 'UTC', '2026-03-29T03:00:00.000Z'],
    // The clocks of Berlin skip 02:30 on 29 March.
    ['cron(30 2 * * ? *)', 'Europe/Berlin', '2026-03-30T00:30:00.000Z'],
    ['cron(0 3 ? * SUN *)', 'Europe/Berlin', '2026-03-29T01:00:00.000Z'],
    ['cron(0/20 * * * ? *)', 'UTC', '2026-03-28T12:20:00.000Z'],
    ['cron(0 0 L * ? *)', 'UTC', '2026-03-31T00:00:00.000Z'],
    ['cron(0 0 ? * 2#1 *)', 'UTC', '2026-04-06T00:00:00.000Z'],
    ['cron(0 0 ? * 6L *)', 'UTC', '2026-04-24T00:00:00.000Z'],
    ['cron(0 8 1W * ? *)', 'UTC', '2026-04-01T08:00:00.000Z'],
    ['cron(0 0 29 2 ? *)', 'UTC', '2028-02-29T00:00:00.000Z'],
    ['cron(15 10 ? * MON-FRI 2027)', 'UTC', '2027-01-01T10:15:00.000Z'],
    ['at(2026-11-21T10:00:00)', 'America/New_York', '2026-11-21T15:00:00.000Z'],
    ['rate(5 minutes)', 'UTC', '2026-03-28T12:05:00.000Z'],
  ])('%s in %s', (expression, zone, expected) => {
    expect(next(expression, zone, after)?.toISOString()).toBe(expected);
  });

  it('runs once in the hour that the clocks show twice', () => {
    const before = new Date('2026-10-24T22:00:00Z');
    const first = next('cron(30 2 * * ? *)', 'Europe/Berlin', before);
    expect(first?.toISOString()).toBe('2026-10-25T00:30:00.000Z');
    expect(next('cron(30 2 * * ? *)', 'Europe/Berlin', first ?? before)?.toISOString()).toBe(
      '2026-10-26T01:30:00.000Z',
    );
  });

  it.each([
    'cron(0 3 * * * *)',
    'cron(0 3 ? * ? *)',
    'cron(61 3 * * ? *)',
    'cron(0 24 * * ? *)',
    'cron(0 3 32 * ? *)',
    'cron(0 3 * 13 ? *)',
    'cron(0 3 ? * 8 *)',
    'cron(0 3 * * ? 1969)',
    'cron(0 3 * * ?)',
    'cron(5-1 3 * * ? *)',
    'rate(0 minutes)',
    'rate(5 seconds)',
    'at(2026-13-01T00:00:00)',
    'at(2026-11-21)',
    'every day',
  ])('refuses %s', (text) => {
    expect(() => parseExpression(text, 'UTC', after)).toThrow(`Invalid Schedule Expression ${text}.`);
  });

  it('refuses a time zone that there is not', () => {
    expect(() => parseExpression('rate(1 day)', 'Mars/Olympus', after)).toThrow(
      'Invalid Schedule Expression Timezone Mars/Olympus.',
    );
  });

  /** A field as text, and which numbers it means. */
  type Field = { readonly text: string; readonly has: (value: number) => boolean };
  const field = (least: number, greatest: number): fc.Arbitrary<Field> =>
    fc.oneof(
      fc.constant<Field>({ text: '*', has: () => true }),
      fc
        .integer({ min: least, max: greatest })
        .map((value) => ({ text: `${value}`, has: (other: number) => other === value })),
      fc
        .tuple(fc.integer({ min: least, max: greatest }), fc.integer({ min: least, max: greatest }))
        .map(([one, two]) => [Math.min(one, two), Math.max(one, two)] as const)
        .map(([from, to]) => ({
          text: `${from}-${to}`,
          has: (value: number) => value >= from && value <= to,
        })),
      fc
        .tuple(fc.integer({ min: least, max: greatest }), fc.integer({ min: 1, max: 20 }))
        .map(([from, step]) => ({
          text: `${from}/${step}`,
          has: (value: number) => value >= from && (value - from) % step === 0,
        })),
      fc
        .uniqueArray(fc.integer({ min: least, max: greatest }), { minLength: 2, maxLength: 4 })
        .map((values) => ({ text: values.join(','), has: (value: number) => values.includes(value) })),
    );
  const moment = fc
    .integer({ min: Date.UTC(2024, 0) / 1000, max: Date.UTC(2032, 0) / 1000 })
    .map((seconds) => new Date(seconds * 1000));

  it('a cron expression runs at the earliest minute that fits, and at no other', () => {
    fc.assert(
      fc.property(
        field(0, 59),
        field(0, 23),
        field(1, 31),
        field(1, 12),
        field(1, 7),
        fc.boolean(),
        moment,
        (minute, hour, day, month, weekday, byWeekday, from) => {
          const days = byWeekday ? `? ${month.text} ${weekday.text}` : `${day.text} ${month.text} ?`;
          const found = next(`cron(${minute.text} ${hour.text} ${days} *)`, 'UTC', from);
          const fits = (at: Date): boolean =>
            minute.has(at.getUTCMinutes()) &&
            hour.has(at.getUTCHours()) &&
            month.has(at.getUTCMonth() + 1) &&
            (byWeekday ? weekday.has(at.getUTCDay() + 1) : day.has(at.getUTCDate()));
          // Looked for minute by minute, a week long: what is found later must not fit before.
          let expected: number | undefined;
          let at = (Math.floor(from.getTime() / MINUTE) + 1) * MINUTE;
          for (const end = at + 7 * 24 * 60 * MINUTE; at < end; at += MINUTE)
            if (fits(new Date(at))) {
              expected = at;
              break;
            }
          if (expected !== undefined) expect(found?.getTime()).toBe(expected);
          else expect(found === undefined || (found.getTime() >= at && fits(found))).toBe(true);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('a rate runs at every multiple of it since the start, whenever it is asked', () => {
    const unit = fc.constantFrom<[string, number]>(
      ['minute', MINUTE],
      ['hour', 60 * MINUTE],
      ['day', 1440 * MINUTE],
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 90 }),
        unit,
        moment,
        fc.nat(10 ** 9),
        (count, [name, length], start, later) => {
          const asked = new Date(start.getTime() + later);
          const found = parseExpression(`rate(${count} ${name}s)`, 'UTC', start)(asked)?.getTime() ?? 0;
          const every = count * length;
          expect((found - start.getTime()) % every).toBe(0);
          expect(found).toBeGreaterThan(asked.getTime());
          expect(found - asked.getTime()).toBeLessThanOrEqual(every);
        },
      ),
    );
  });
});
