import { z } from 'zod';
import { number, provider, text, type Provider } from '../resource';
import { retrying } from './events';

const ScheduleArn = z.object({ ScheduleArn: z.string() });
const date = z.coerce.date();

export const SCHEDULER_PROVIDERS: Readonly<Record<string, Provider>> = {
  'AWS::Scheduler::Schedule': provider(
    {
      Description: text.optional(),
      EndDate: date.optional(),
      FlexibleTimeWindow: z.strictObject({ MaximumWindowInMinutes: number.optional(), Mode: text }),
      GroupName: text.optional(),
      Name: text.optional(),
      ScheduleExpression: text,
      ScheduleExpressionTimezone: text.optional(),
      StartDate: date.optional(),
      State: text.optional(),
      Target: z.strictObject({ Arn: text, Input: text.optional(), RoleArn: text, ...retrying }),
    },
    async (properties, { call, generatedName }) => {
      const name = properties.Name ?? generatedName(64);
      const created = ScheduleArn.parse(
        await call('scheduler', 'CreateSchedule', { ...properties, Name: name }),
      );
      return { physicalId: name, attributes: { Arn: created.ScheduleArn } };
    },
  ),
};
