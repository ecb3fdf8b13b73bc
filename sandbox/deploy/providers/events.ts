import { z } from 'zod';
import { json, number, provider, text, type Provider } from '../resource';

const RuleArn = z.object({ RuleArn: z.string() });

/** What rules and schedules say of retries and dead letters. */
export const retrying = {
  DeadLetterConfig: z.strictObject({ Arn: text.optional() }).optional(),
  RetryPolicy: z
    .strictObject({
      MaximumEventAgeInSeconds: number.optional(),
      MaximumRetryAttempts: number.optional(),
    })
    .optional(),
};

const Target = z.strictObject({
  Arn: text,
  Id: text,
  Input: text.optional(),
  InputPath: text.optional(),
  InputTransformer: z
    .strictObject({ InputPathsMap: z.record(z.string(), text).optional(), InputTemplate: text })
    .optional(),
  RoleArn: text.optional(),
  ...retrying,
});

export const EVENTS_PROVIDERS: Readonly<Record<string, Provider>> = {
  'AWS::Events::Rule': provider(
    {
      Description: text.optional(),
      EventBusName: text.optional(),
      EventPattern: json.optional(),
      Name: text.optional(),
      RoleArn: text.optional(),
      ScheduleExpression: text.optional(),
      State: text.optional(),
      Targets: z.array(Target).optional(),
    },
    async ({ EventPattern, Name, Targets = [], ...settings }, { call, generatedName }) => {
      const name = Name ?? generatedName(64);
      const { RuleArn: ruleArn } = RuleArn.parse(
        await call('events', 'PutRule', {
          ...settings,
          Name: name,
          ...(EventPattern !== undefined && { EventPattern: JSON.stringify(EventPattern) }),
        }),
      );
      if (Targets.length > 0) await call('events', 'PutTargets', { Rule: name, Targets });
      return { physicalId: name, attributes: { Arn: ruleArn } };
    },
  ),
};
