import { ApiError, NotInSandbox } from '../../../sandbox/core/api';
import { alarmsIn, isTrue, parseAlarmRule } from '../../../sandbox/cloudwatch/alarm-rule';
import type { AlarmState } from '../../../sandbox/cloudwatch/evaluation';
import fc from '../../fast-check';

const NOW: Readonly<Record<string, AlarmState>> = {
  rings: 'ALARM',
  quiet: 'OK',
  new: 'INSUFFICIENT_DATA',
  'a "b" (c)': 'ALARM',
  'arn:aws:cloudwatch:eu-central-1:123456789012:alarm:rings': 'ALARM',
};
const holds = (text: string): boolean => isTrue(parseAlarmRule(text), (alarm) => NOW[alarm]);

test.each<[string, boolean]>([
  ['ALARM(rings)', true],
  ['ALARM("rings")', true],
  ['OK(rings)', false],
  ['INSUFFICIENT_DATA(new)', true],
  ['ALARM("a \\"b\\" (c)")', true],
  ['ALARM(arn:aws:cloudwatch:eu-central-1:123456789012:alarm:rings)', true],
  ['TRUE', true],
  ['false', false],
  ['ALARM(rings) AND ALARM(quiet)', false],
  ['ALARM(rings) AND NOT ALARM(quiet)', true],
  ['ALARM(quiet) OR ALARM(new) OR ALARM(rings)', true],
  ['(ALARM(rings)\n OR ALARM(quiet)) AND OK(new)', false],
  ['NOT (NOT (ALARM(rings)))', true],
  ['(NOT(ALARM( "rings" )))', false],
])('%s is %s', (text, expected) => {
  expect(holds(text)).toBe(expected);
});

test.each([
  ['', /is missing/],
  ['ALARM()', /"ALARM" is not understood/],
  ['ALARM(rings', /not understood/],
  ['ALARM(rings) AND', /is missing/],
  ['ALARM(rings) ALARM(quiet)', /follows its end/],
  ['(ALARM(rings)', /not closed/],
  ['ALARM(rings) XOR TRUE', /"XOR" is not understood/],
  ['ALARM(rings) && TRUE', /"&& TRUE" is not understood/],
  [`TRUE${' OR TRUE'.repeat(500)}`, /more than 500 elements/],
  [Array.from({ length: 101 }, (_, index) => `OK(a${index})`).join(' OR '), /more than 100 alarms/],
  [' '.repeat(10_241), /more than 10240 characters/],
])('%s is refused', (text, why) => {
  expect(() => parseAlarmRule(text)).toThrow(ApiError);
  expect(() => parseAlarmRule(text)).toThrow(why);
});

test.each(['AT_LEAST(2, ALARM, (a, b))', 'TRUE AND FALSE OR TRUE'])('%s is not in the sandbox', (text) => {
  expect(() => parseAlarmRule(text)).toThrow(NotInSandbox);
});

test('any rule that is written out in full is read as it is meant', () => {
  interface Written {
    readonly text: string;
    readonly value: boolean;
    readonly alarms: readonly string[];
  }
  const { rule } = fc.letrec<{ rule: Written }>((tie) => ({
    rule: fc.oneof(
      { maxDepth: 5 },
      fc.boolean().map((value) => ({ text: value ? 'TRUE' : 'FALSE', value, alarms: [] })),
      fc
        .constantFrom<[string, AlarmState]>(['rings', 'ALARM'], ['quiet', 'ALARM'], ['new', 'OK'])
        .map(([alarm, state]) => ({
          text: `${state}("${alarm}")`,
          value: NOW[alarm] === state,
          alarms: [alarm],
        })),
      tie('rule').map(({ text, value, alarms }) => ({ text: `NOT (${text})`, value: !value, alarms })),
      fc
        .tuple(fc.constantFrom('AND', 'OR'), fc.array(tie('rule'), { minLength: 2, maxLength: 3 }))
        .map(([operator, parts]) => ({
          text: `(${parts.map(({ text }) => text).join(` ${operator} `)})`,
          value: operator === 'AND' ? parts.every(({ value }) => value) : parts.some(({ value }) => value),
          alarms: parts.flatMap(({ alarms }) => alarms),
        })),
    ),
  }));
  fc.assert(
    fc.property(rule, ({ text, value, alarms }) => {
      fc.pre(
        text.length < 10_000 && alarms.length <= 100 && (text.match(/[()]|TRUE|FALSE/g)?.length ?? 0) < 350,
      );
      expect(holds(text)).toBe(value);
      expect(alarmsIn(parseAlarmRule(text))).toEqual(alarms);
    }),
  );
});
