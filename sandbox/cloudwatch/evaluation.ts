/** A state that an alarm can be in. */
export type AlarmState = 'OK' | 'ALARM' | 'INSUFFICIENT_DATA';

/** How an alarm counts periods without values. */
export type MissingData = 'missing' | 'ignore' | 'breaching' | 'notBreaching';

/** A period: whether its value crosses the threshold, or `missing`. */
export type Point = 'breaching' | 'fine' | 'missing';

export interface Rules {
  /** N: how many periods are looked at. */
  readonly evaluationPeriods: number;
  /** M: how many of them must breach. */
  readonly datapointsToAlarm: number;
  readonly treatMissingData: MissingData;
}

/**
 * More periods are looked at than the alarm names, in case some are missing. How many more AWS does not say for every alarm;
 * in the examples of its documentation it is 5 for 3.
 */
export function evaluationRange(evaluationPeriods: number): number {
  return evaluationPeriods + 2;
}

/**
 * The state that follows from the periods of the evaluation range, oldest first; `undefined` where the alarm stays as it is.
 * After "Configuring how CloudWatch alarms treat missing data" of AWS's documentation.
 */
export function evaluate(points: readonly Point[], rules: Rules): AlarmState | undefined {
  const { evaluationPeriods, datapointsToAlarm, treatMissingData } = rules;
  const present = points.filter((point) => point !== 'missing');
  const breaching = present.slice(-evaluationPeriods).filter((point) => point === 'breaching').length;
  const decided = (count: number): AlarmState => (count >= datapointsToAlarm ? 'ALARM' : 'OK');
  if (present.length >= evaluationPeriods) return decided(breaching);
  // As few missing ones as it takes are counted in.
  const filled = evaluationPeriods - present.length;
  if (treatMissingData === 'breaching') return decided(breaching + filled);
  if (treatMissingData === 'notBreaching') return decided(breaching);
  if (present.length === 0) return treatMissingData === 'missing' ? 'INSUFFICIENT_DATA' : undefined;
  if (breaching >= datapointsToAlarm) return 'ALARM';
  if (present.includes('fine')) return 'OK';
  // Nothing but a few breaches: the alarm waits for more, until the oldest of them is as old as it takes.
  const age = points.length - points.indexOf('breaching');
  return treatMissingData === 'missing' && age >= datapointsToAlarm ? 'ALARM' : undefined;
}
