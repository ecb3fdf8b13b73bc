import type { Account } from '../core/account';
import type { Alarm } from './alarm';
import type { CompositeAlarm } from './composite-alarm';
import type { AlarmState } from './evaluation';

/** How AWS calls its Regions in messages to people; others by their code. */
const REGION_NAMES: Readonly<Record<string, string>> = {
  'eu-central-1': 'EU (Frankfurt)',
  'eu-west-1': 'EU (Ireland)',
  'us-east-1': 'US East (N. Virginia)',
  'us-west-2': 'US West (Oregon)',
};

/** What an alarm publishes to a topic when it has changed. */
export function notice(
  account: Account,
  alarm: Alarm | CompositeAlarm,
  before: AlarmState,
): { readonly Subject: string; readonly Message: string } {
  const { actions } = alarm;
  const region = REGION_NAMES[account.region] ?? account.region;
  const message = {
    AlarmName: alarm.name,
    AlarmDescription: alarm.description ?? null,
    AWSAccountId: account.accountId,
    AlarmConfigurationUpdatedTimestamp: time(alarm.configuredAt),
    NewStateValue: alarm.state,
    NewStateReason: alarm.reason,
    StateChangeTime: time(alarm.changedAt),
    Region: region,
    AlarmArn: alarm.arn,
    OldStateValue: before,
    OKActions: actions.OK,
    AlarmActions: actions.ALARM,
    InsufficientDataActions: actions.INSUFFICIENT_DATA,
    ...('rule' in alarm ? children(alarm) : trigger(alarm)),
  };
  return {
    Subject: `${alarm.state}: "${alarm.name}" in ${region}`.slice(0, 100),
    Message: JSON.stringify(message),
  };
}

function trigger(alarm: Alarm): object {
  const { metric } = alarm;
  return {
    Trigger: {
      MetricName: metric.name,
      Namespace: metric.namespace,
      StatisticType: 'Statistic',
      Statistic: alarm.statistic.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase(),
      Unit: metric.unit ?? null,
      Dimensions: Object.entries(metric.dimensions).map(([name, value]) => ({ value, name })),
      Period: alarm.period,
      EvaluationPeriods: alarm.evaluationPeriods,
      ...(alarm.datapointsToAlarm !== undefined && { DatapointsToAlarm: alarm.datapointsToAlarm }),
      ComparisonOperator: alarm.comparison,
      Threshold: alarm.threshold,
      TreatMissingData: alarm.treatMissingData,
      EvaluateLowSampleCountPercentile: '',
    },
  };
}

/** Which alarms made a composite one change. */
function children({ ruleText, triggers }: CompositeAlarm): object {
  return {
    AlarmRule: ruleText,
    TriggeringChildren: triggers.map(({ arn, state, at }) => ({
      Arn: arn,
      State: { Value: state, Timestamp: time(at) },
    })),
  };
}

/** The event `CloudWatch Alarm State Change`. */
export function stateChange(
  alarm: Alarm | CompositeAlarm,
  before: { readonly value: AlarmState; readonly reason: string; readonly at: Date },
): object {
  return {
    alarmName: alarm.name,
    state: {
      value: alarm.state,
      reason: alarm.reason,
      ...(alarm.reasonData !== undefined && { reasonData: alarm.reasonData }),
      timestamp: time(alarm.changedAt),
    },
    previousState: {
      value: before.value,
      reason: before.reason,
      timestamp: time(before.at),
    },
    configuration: {
      ...(alarm.description !== undefined && { description: alarm.description }),
      ...('rule' in alarm ? { alarmRule: alarm.ruleText } : { metrics: metricsOf(alarm) }),
    },
  };
}

function metricsOf({ metric, period, statistic }: Alarm): object[] {
  return [
    {
      id: 'm1',
      metricStat: {
        metric: { namespace: metric.namespace, name: metric.name, dimensions: metric.dimensions },
        period,
        stat: statistic,
      },
      returnData: true,
    },
  ];
}

/** As CloudWatch writes times to people and programs. */
export function time(date: Date): string {
  return date.toISOString().replace('Z', '+0000');
}
