import { z } from 'zod';
import { arn } from '../../core/account';
import { number, provider, tags, text, texts, truth, type Provider } from '../resource';

export const CLOUDWATCH_PROVIDERS: Readonly<Record<string, Provider>> = {
  'AWS::CloudWatch::Alarm': provider(
    {
      ActionsEnabled: truth.optional(),
      AlarmActions: texts.optional(),
      AlarmDescription: text.optional(),
      AlarmName: text.optional(),
      ComparisonOperator: text,
      DatapointsToAlarm: number.optional(),
      Dimensions: z.array(z.strictObject({ Name: text, Value: text })).optional(),
      EvaluationPeriods: number,
      InsufficientDataActions: texts.optional(),
      MetricName: text.optional(),
      Namespace: text.optional(),
      OKActions: texts.optional(),
      Period: number.optional(),
      Statistic: text.optional(),
      Tags: tags.optional(),
      Threshold: number.optional(),
      TreatMissingData: text.optional(),
      Unit: text.optional(),
    },
    async (properties, { call, context, generatedName }) => {
      const name = properties.AlarmName ?? generatedName(255);
      await call('monitoring', 'PutMetricAlarm', { ...properties, AlarmName: name });
      return { physicalId: name, attributes: { Arn: arn(context.account, 'cloudwatch', `alarm:${name}`) } };
    },
  ),
  'AWS::CloudWatch::CompositeAlarm': provider(
    {
      ActionsEnabled: truth.optional(),
      AlarmActions: texts.optional(),
      AlarmDescription: text.optional(),
      AlarmName: text.optional(),
      AlarmRule: text,
      InsufficientDataActions: texts.optional(),
      OKActions: texts.optional(),
      Tags: tags.optional(),
    },
    async (properties, { call, context, generatedName }) => {
      const name = properties.AlarmName ?? generatedName(255);
      await call('monitoring', 'PutCompositeAlarm', { ...properties, AlarmName: name });
      return { physicalId: name, attributes: { Arn: arn(context.account, 'cloudwatch', `alarm:${name}`) } };
    },
  ),
  'AWS::CloudWatch::Dashboard': provider(
    { DashboardBody: text, DashboardName: text.optional() },
    async ({ DashboardBody, DashboardName }, { call, generatedName }) => {
      const name = DashboardName ?? generatedName(255);
      await call('monitoring', 'PutDashboard', { DashboardName: name, DashboardBody });
      return { physicalId: name };
    },
  ),
};
