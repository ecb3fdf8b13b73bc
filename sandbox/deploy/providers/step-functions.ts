import { z } from 'zod';
import { provider, tags, text, truth, type Provider } from '../resource';

const MachineArn = z.object({ stateMachineArn: z.string() });

export const STEP_FUNCTIONS_PROVIDERS: Readonly<Record<string, Provider>> = {
  'AWS::StepFunctions::StateMachine': provider(
    {
      DefinitionString: text,
      LoggingConfiguration: z
        .strictObject({
          Destinations: z
            .array(z.strictObject({ CloudWatchLogsLogGroup: z.strictObject({ LogGroupArn: text }) }))
            .optional(),
          IncludeExecutionData: truth.optional(),
          Level: text.optional(),
        })
        .optional(),
      RoleArn: text,
      StateMachineName: text.optional(),
      StateMachineType: text.optional(),
      Tags: tags.optional(),
      TracingConfiguration: z.strictObject({ Enabled: truth.optional() }).optional(),
    },
    async (properties, { call, generatedName }) => {
      const { LoggingConfiguration: logging, TracingConfiguration: tracing } = properties;
      const name = properties.StateMachineName ?? generatedName(80);
      const { stateMachineArn } = MachineArn.parse(
        await call('states', 'CreateStateMachine', {
          name,
          definition: properties.DefinitionString,
          roleArn: properties.RoleArn,
          type: properties.StateMachineType ?? 'STANDARD',
          ...(logging && {
            loggingConfiguration: {
              level: logging.Level ?? 'OFF',
              includeExecutionData: logging.IncludeExecutionData ?? false,
              destinations: logging.Destinations?.map(({ CloudWatchLogsLogGroup: { LogGroupArn } }) => ({
                cloudWatchLogsLogGroup: { logGroupArn: LogGroupArn },
              })),
            },
          }),
          ...(tracing && { tracingConfiguration: { enabled: tracing.Enabled ?? false } }),
          ...(properties.Tags && {
            tags: properties.Tags.map(({ Key, Value }) => ({ key: Key, value: Value })),
          }),
        }),
      );
      return { physicalId: stateMachineArn, attributes: { Arn: stateMachineArn, Name: name } };
    },
  ),
};
