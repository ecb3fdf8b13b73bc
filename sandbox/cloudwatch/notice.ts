import type { Account } from '../core/account';
import type { Alarm } from './alarm';
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
  alarm: Alarm,
  before: AlarmState,
): { readonly Subject: string; readonly Message: string } {
  const { metric, actions } = alarm;
  const region = REGION_NAMES[account.region] ?? account.region;
  const time = (date: Date): string => date.toISOString().replace('Z', '+0000');
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
  return {
    Subject: `${alarm.state}: "${alarm.name}" in ${region}`.slice(0, 100),
    Message: JSON.stringify(message),
  };
}

/** The event `CloudWatch Alarm State Change`. */
export function stateChange(
  alarm: Alarm,
  before: { readonly value: AlarmState; readonly reason: string; readonly at: Date },
): object {
  const { metric } = alarm;
  return {
    alarmName: alarm.name,
    state: {
      value: alarm.state,
      reason: alarm.reason,
      ...(alarm.reasonData !== undefined && { reasonData: alarm.reasonData }),
      timestamp: alarm.changedAt.toISOString().replace('Z', '+0000'),
    },
    previousState: {
      value: before.value,
      reason: before.reason,
      timestamp: before.at.toISOString().replace('Z', '+0000'),
    },
    configuration: {
      ...(alarm.description !== undefined && { description: alarm.description }),
      metrics: [
        {
          id: 'm1',
          metricStat: {
            metric: { namespace: metric.namespace, name: metric.name, dimensions: metric.dimensions },
            period: alarm.period,
            stat: alarm.statistic,
          },
          returnData: true,
        },
      ],
    },
  };
}
