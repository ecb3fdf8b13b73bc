import {
  evaluate,
  evaluationRange,
  type AlarmState,
  type Point,
} from '../../../sandbox/cloudwatch/evaluation';

/** The points, and the state with each way to treat missing ones: missing, ignore, breaching, notBreaching. */
type Row = [string, ...(AlarmState | undefined)[]];

const POINTS: Readonly<Record<string, Point>> = { '0': 'fine', X: 'breaching', '-': 'missing' };
const points = (text: string): Point[] => text.split(' ').map((each) => POINTS[each] ?? 'missing');
const retain = undefined;

/** The tables of "How alarm state is evaluated when data is missing" in AWS's documentation. */
describe.each<[number, Row[]]>([
  [
    3,
    [
      ['0 - X - X', 'OK', 'OK', 'OK', 'OK'],
      ['0 - - - -', 'OK', 'OK', 'OK', 'OK'],
      ['- - - - -', 'INSUFFICIENT_DATA', retain, 'ALARM', 'OK'],
      ['0 X X - X', 'ALARM', 'ALARM', 'ALARM', 'ALARM'],
      ['- - X - -', 'ALARM', retain, 'ALARM', 'OK'],
    ],
  ],
  [
    2,
    [
      ['0 - X - X', 'ALARM', 'ALARM', 'ALARM', 'ALARM'],
      ['0 0 X 0 X', 'ALARM', 'ALARM', 'ALARM', 'ALARM'],
      ['0 - X - -', 'OK', 'OK', 'ALARM', 'OK'],
      ['- - - - 0', 'OK', 'OK', 'ALARM', 'OK'],
      ['- - - X -', 'ALARM', retain, 'ALARM', 'OK'],
    ],
  ],
])('%i of 3 datapoints', (datapointsToAlarm, rows) => {
  it.each(rows)('%s', (text, missing, ignore, breaching, notBreaching) => {
    const state = (
      treatMissingData: 'missing' | 'ignore' | 'breaching' | 'notBreaching',
    ): string | undefined =>
      evaluate(points(text), { evaluationPeriods: 3, datapointsToAlarm, treatMissingData });
    expect(evaluationRange(3)).toBe(5);
    expect([state('missing'), state('ignore'), state('breaching'), state('notBreaching')]).toEqual([
      missing,
      ignore,
      breaching,
      notBreaching,
    ]);
  });
});

it.each(['- - - - X', '- - - X -'])('%s is too early for an alarm on 3 of 3', (text) => {
  const rules = { evaluationPeriods: 3, datapointsToAlarm: 3, treatMissingData: 'missing' } as const;
  expect(evaluate(points(text), rules)).toBeUndefined();
});
