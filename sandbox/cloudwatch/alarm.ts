import type { MetricAlarm, PutMetricAlarmInput } from '@aws-sdk/client-cloudwatch';
import { ApiError, NotInSandbox } from '../core/api';
import type { AlarmState, MissingData, Point } from './evaluation';
import { isStatistic, type MetricId, type Statistic } from './metrics';

/** What every alarm has, whatever it looks at. Plain data. */
export interface AnyAlarm {
  readonly name: string;
  readonly arn: string;
  readonly description: string | undefined;
  readonly actions: Readonly<Record<AlarmState, readonly string[]>>;
  actionsEnabled: boolean;
  readonly configuredAt: Date;
  state: AlarmState;
  reason: string;
  reasonData: string | undefined;
  updatedAt: Date;
  changedAt: Date;
  tags: Record<string, string>;
}

/** An alarm on one metric. Plain data. */
export interface Alarm extends AnyAlarm {
  readonly metric: MetricId;
  readonly statistic: Statistic;
  /** Seconds. */
  readonly period: number;
  readonly evaluationPeriods: number;
  readonly datapointsToAlarm: number | undefined;
  readonly threshold: number;
  readonly comparison: Comparison;
  readonly treatMissingData: MissingData;
  /** Whether the next minute can bring another state. */
  awake: boolean;
}

const COMPARISONS = {
  GreaterThanOrEqualToThreshold: (value: number, threshold: number) => value >= threshold,
  GreaterThanThreshold: (value: number, threshold: number) => value > threshold,
  LessThanThreshold: (value: number, threshold: number) => value < threshold,
  LessThanOrEqualToThreshold: (value: number, threshold: number) => value <= threshold,
} as const;
export type Comparison = keyof typeof COMPARISONS;

const SUPPORTED: readonly string[] = [
  'AlarmName',
  'AlarmDescription',
  'ActionsEnabled',
  'OKActions',
  'AlarmActions',
  'InsufficientDataActions',
  'MetricName',
  'Namespace',
  'Statistic',
  'Dimensions',
  'Period',
  'Unit',
  'EvaluationPeriods',
  'DatapointsToAlarm',
  'Threshold',
  'ComparisonOperator',
  'TreatMissingData',
  'Tags',
];

type Settings = Omit<
  Alarm,
  'arn' | 'state' | 'reason' | 'reasonData' | 'updatedAt' | 'changedAt' | 'tags' | 'awake' | 'configuredAt'
>;

/** What PutMetricAlarm asks for. @throws {ApiError} as CloudWatch refuses it, or a refusal of what the sandbox does not have */
export function settingsOf(input: PutMetricAlarmInput): Settings {
  const other = Object.entries(input).find(
    ([name, value]) => value !== undefined && !SUPPORTED.includes(name),
  );
  if (other)
    throw new NotInSandbox(
      `monitoring:PutMetricAlarm with ${other[0]} (alarms are on one metric's statistic)`,
    );
  const {
    AlarmName: name = '',
    MetricName,
    Namespace,
    Statistic,
    Period,
    Threshold,
    EvaluationPeriods,
  } = input;
  if (MetricName === undefined || Namespace === undefined || Period === undefined || Threshold === undefined)
    throw invalid('MetricName, Namespace, Period and Threshold must be given for an alarm on a metric.');
  if (Statistic === undefined || !isStatistic(Statistic))
    throw invalid('Statistic must be one of SampleCount, Average, Sum, Minimum and Maximum');
  if ([10, 20, 30].includes(Period)) throw new NotInSandbox('alarms with periods below a minute');
  if (Period <= 0 || Period % 60 !== 0) throw invalid('Period must be 10, 20, 30 or a multiple of 60');
  const evaluationPeriods = EvaluationPeriods ?? 1;
  if (evaluationPeriods < 1) throw invalid('EvaluationPeriods must be at least 1');
  if ((input.DatapointsToAlarm ?? 1) > evaluationPeriods || (input.DatapointsToAlarm ?? 1) < 1)
    throw invalid('DatapointsToAlarm must be between 1 and EvaluationPeriods');
  if (Period * evaluationPeriods > 7 * 86_400 || (Period < 3600 && Period * evaluationPeriods > 86_400))
    throw invalid(
      'Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400).',
    );
  const comparison = input.ComparisonOperator ?? '';
  if (!isComparison(comparison)) throw new NotInSandbox(`alarms with the operator ${comparison}`);
  const treatMissingData = input.TreatMissingData ?? 'missing';
  if (!isMissingData(treatMissingData)) throw invalid(`Unsupported TreatMissingData: ${treatMissingData}`);
  return {
    name,
    description: input.AlarmDescription,
    metric: {
      namespace: Namespace,
      name: MetricName,
      dimensions: dimensionsOf(input.Dimensions),
      unit: input.Unit,
    },
    statistic: Statistic,
    period: Period,
    evaluationPeriods,
    datapointsToAlarm: input.DatapointsToAlarm,
    threshold: Threshold,
    comparison,
    treatMissingData,
    actions: actionsOf(input),
    actionsEnabled: input.ActionsEnabled ?? true,
  };
}

/** Whom an alarm tells, by its new state. @throws {NotInSandbox} */
export function actionsOf({
  OKActions: OK = [],
  AlarmActions: ALARM = [],
  InsufficientDataActions: INSUFFICIENT_DATA = [],
}: Pick<PutMetricAlarmInput, 'OKActions' | 'AlarmActions' | 'InsufficientDataActions'>): AnyAlarm['actions'] {
  const actions = { OK, ALARM, INSUFFICIENT_DATA };
  for (const action of Object.values(actions).flat())
    if (!/^arn:aws[\w-]*:sns:/.test(action))
      throw new NotInSandbox(`the alarm action ${action} (actions are SNS topics)`);
  return actions;
}

export function dimensionsOf(
  dimensions: readonly { Name?: string | undefined; Value?: string | undefined }[] = [],
): Record<string, string> {
  return Object.fromEntries(dimensions.map(({ Name, Value }) => [Name ?? '', Value ?? '']));
}

function isComparison(text: string): text is Comparison {
  return text in COMPARISONS;
}

function isMissingData(text: string): text is MissingData {
  return ['missing', 'ignore', 'breaching', 'notBreaching'].includes(text);
}

function invalid(message: string): ApiError {
  return new ApiError('ValidationError', message);
}

/** Whether a period's value crosses the alarm's threshold. */
export function pointOf({ comparison, threshold }: Alarm, value: number | undefined): Point {
  if (value === undefined) return 'missing';
  return COMPARISONS[comparison](value, threshold) ? 'breaching' : 'fine';
}

/** What DescribeAlarms answers of every alarm. */
export function describedState(alarm: AnyAlarm) {
  return {
    AlarmName: alarm.name,
    AlarmArn: alarm.arn,
    ...(alarm.description !== undefined && { AlarmDescription: alarm.description }),
    AlarmConfigurationUpdatedTimestamp: alarm.configuredAt,
    ActionsEnabled: alarm.actionsEnabled,
    OKActions: [...alarm.actions.OK],
    AlarmActions: [...alarm.actions.ALARM],
    InsufficientDataActions: [...alarm.actions.INSUFFICIENT_DATA],
    StateValue: alarm.state,
    StateReason: alarm.reason,
    ...(alarm.reasonData !== undefined && { StateReasonData: alarm.reasonData }),
    StateUpdatedTimestamp: alarm.updatedAt,
    StateTransitionedTimestamp: alarm.changedAt,
  } satisfies MetricAlarm;
}

/** An alarm as DescribeAlarms answers it. */
export function describedAlarm(alarm: Alarm): MetricAlarm {
  const { metric } = alarm;
  return {
    ...describedState(alarm),
    MetricName: metric.name,
    Namespace: metric.namespace,
    Statistic: alarm.statistic,
    Dimensions: Object.entries(metric.dimensions).map(([Name, Value]) => ({ Name, Value })),
    Period: alarm.period,
    EvaluationPeriods: alarm.evaluationPeriods,
    ...(alarm.datapointsToAlarm !== undefined && { DatapointsToAlarm: alarm.datapointsToAlarm }),
    Threshold: alarm.threshold,
    ComparisonOperator: alarm.comparison,
    TreatMissingData: alarm.treatMissingData,
  };
}

/** `1 out of the last 1 datapoints [5.0 (22/11/26 04:52:00)] was greater than …`, as CloudWatch explains a state. */
export function reasonFor(
  alarm: Alarm,
  state: AlarmState,
  values: readonly { readonly value: number; readonly from: Date }[],
): string {
  const { evaluationPeriods, datapointsToAlarm = evaluationPeriods } = alarm;
  const plural = (count: number): string => `${count} datapoint${count === 1 ? '' : 's'}`;
  if (values.length === 0) {
    const missing = evaluationPeriods;
    return state === 'INSUFFICIENT_DATA'
      ? `Insufficient Data: ${plural(missing)} ${missing === 1 ? 'was' : 'were'} unknown.`
      : `Threshold Crossed: no datapoints were received for ${missing} period${missing === 1 ? '' : 's'} and ${missing} missing datapoint${missing === 1 ? ' was' : 's were'} treated as [${state === 'ALARM' ? 'Breaching' : 'NonBreaching'}].`;
  }
  const recent = values.slice(-evaluationPeriods);
  const counted = recent.filter(
    ({ value }) => (pointOf(alarm, value) === 'breaching') === (state === 'ALARM'),
  );
  const shown = recent.map(({ value, from }) => `${decimal(value)} (${shortDate(from)})`).join(', ');
  const words = alarm.comparison
    .replace('Threshold', '')
    .replace(/To$/, '')
    .replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
    .trim();
  const [before, after] = state === 'ALARM' ? ['OK', 'ALARM'] : ['ALARM', 'OK'];
  const least = state === 'ALARM' ? datapointsToAlarm : evaluationPeriods - datapointsToAlarm + 1;
  return (
    `Threshold Crossed: ${counted.length} out of the last ${plural(recent.length)} [${shown}] ` +
    `${counted.length === 1 ? 'was' : 'were'} ${state === 'ALARM' ? '' : 'not '}${words} to the threshold (${decimal(alarm.threshold)}) ` +
    `(minimum ${plural(least)} for ${before} -> ${after} transition).`
  ).replace(/(greater|less) than to the threshold/, '$1 than the threshold');
}

function decimal(value: number): string {
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}

function shortDate(date: Date): string {
  const [day = '', time = ''] = date.toISOString().split('T');
  const [year = '', month = '', dayOfMonth = ''] = day.split('-');
  return `${dayOfMonth}/${month}/${year.slice(2)} ${time.slice(0, 8)}`;
}
