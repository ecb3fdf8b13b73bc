import { z } from 'zod';
import { arn } from '../../core/account';
import { json, number, provider, tags, text, texts, truth, type Provider } from '../resource';

const MachineArn = z.object({ stateMachineArn: z.string() });
const TopicArn = z.object({ TopicArn: z.string() });
const SubscriptionArn = z.object({ SubscriptionArn: z.string() });

/** Resources that are kept with their properties, for the services that read them, and those of the smaller services. */
export const OTHER_PROVIDERS: Readonly<Record<string, Provider>> = {
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
  'AWS::SNS::Topic': provider(
    {
      DisplayName: text.optional(),
      KmsMasterKeyId: text.optional(),
      Tags: tags.optional(),
      TopicName: text.optional(),
    },
    async ({ DisplayName, KmsMasterKeyId, Tags, TopicName }, { call, generatedName }) => {
      const name = TopicName ?? generatedName(256);
      const attributes = {
        ...(DisplayName !== undefined && { DisplayName }),
        ...(KmsMasterKeyId !== undefined && { KmsMasterKeyId }),
      };
      const topic = { Name: name, Attributes: attributes, ...(Tags && { Tags }) };
      const created = TopicArn.parse(await call('sns', 'CreateTopic', topic));
      return { physicalId: created.TopicArn, attributes: { TopicArn: created.TopicArn, TopicName: name } };
    },
  ),
  'AWS::SNS::TopicPolicy': provider(
    { PolicyDocument: json, Topics: texts },
    async ({ PolicyDocument, Topics }, { call, generatedName }) => {
      for (const topic of Topics)
        await call('sns', 'SetTopicAttributes', {
          TopicArn: topic,
          AttributeName: 'Policy',
          AttributeValue: JSON.stringify(PolicyDocument),
        });
      return { physicalId: generatedName(), attributes: { Id: generatedName() } };
    },
  ),
  'AWS::SNS::Subscription': provider(
    { Endpoint: text, Protocol: text, TopicArn: text },
    async (properties, { call }) => {
      const subscription = { ...properties, ReturnSubscriptionArn: true };
      const created = SubscriptionArn.parse(await call('sns', 'Subscribe', subscription));
      return { physicalId: created.SubscriptionArn, attributes: { Arn: created.SubscriptionArn } };
    },
  ),
  'AWS::Logs::LogGroup': provider(
    {
      KmsKeyId: text.optional(),
      LogGroupClass: text.optional(),
      LogGroupName: text.optional(),
      RetentionInDays: number.optional(),
      Tags: tags.optional(),
    },
    ({ LogGroupName }, { context, generatedName }) => {
      const name = LogGroupName ?? generatedName(512);
      return { physicalId: name, attributes: { Arn: arn(context.account, 'logs', `log-group:${name}:*`) } };
    },
  ),
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
    },
    ({ AlarmName }, { context, generatedName }) => {
      const name = AlarmName ?? generatedName(255);
      return { physicalId: name, attributes: { Arn: arn(context.account, 'cloudwatch', `alarm:${name}`) } };
    },
  ),
  'AWS::Events::Rule': provider(
    {
      Description: text.optional(),
      EventBusName: text.optional(),
      EventPattern: json.optional(),
      Name: text.optional(),
      ScheduleExpression: text.optional(),
      State: text.optional(),
      Targets: z.array(json).optional(),
    },
    ({ Name }, { context, generatedName }) => {
      const name = Name ?? generatedName(64);
      return { physicalId: name, attributes: { Arn: arn(context.account, 'events', `rule/${name}`) } };
    },
  ),
  'AWS::Scheduler::Schedule': provider(
    {
      Description: text.optional(),
      EndDate: text.optional(),
      FlexibleTimeWindow: json,
      GroupName: text.optional(),
      Name: text.optional(),
      ScheduleExpression: text,
      ScheduleExpressionTimezone: text.optional(),
      StartDate: text.optional(),
      State: text.optional(),
      Target: json,
    },
    ({ GroupName, Name }, { context, generatedName }) => {
      const name = Name ?? generatedName(64);
      const resource = `schedule/${GroupName ?? 'default'}/${name}`;
      return { physicalId: name, attributes: { Arn: arn(context.account, 'scheduler', resource) } };
    },
  ),
  'AWS::SQS::Queue': provider(
    {
      KmsMasterKeyId: text.optional(),
      MessageRetentionPeriod: number.optional(),
      QueueName: text.optional(),
      SqsManagedSseEnabled: truth.optional(),
      Tags: tags.optional(),
      VisibilityTimeout: number.optional(),
    },
    ({ QueueName }, { context, generatedName }) => {
      const name = QueueName ?? generatedName(80);
      const { region, accountId } = context.account;
      const url = `https://sqs.${region}.amazonaws.com/${accountId}/${name}`;
      return {
        physicalId: url,
        attributes: { Arn: arn(context.account, 'sqs', name), QueueName: name, QueueUrl: url },
      };
    },
  ),
  'AWS::SQS::QueuePolicy': provider(
    { PolicyDocument: json, Queues: texts },
    (_properties, { generatedName }) => ({
      physicalId: generatedName(),
      attributes: { Id: generatedName() },
    }),
  ),
  'AWS::KMS::Key': provider(
    {
      Description: text.optional(),
      EnableKeyRotation: truth.optional(),
      KeyPolicy: json.optional(),
      PendingWindowInDays: number.optional(),
      Tags: tags.optional(),
    },
    (_properties, { context, generatedId }) => {
      const id = `${generatedId.slice(0, 8)}-0000-4000-8000-${generatedId.slice(0, 12)}`;
      return { physicalId: id, attributes: { Arn: arn(context.account, 'kms', `key/${id}`), KeyId: id } };
    },
  ),
  'AWS::KMS::Alias': provider({ AliasName: text, TargetKeyId: text }, ({ AliasName }) => ({
    physicalId: AliasName,
  })),
  // What the CDK tells AWS about itself.
  'AWS::CDK::Metadata': async (_properties, { generatedName }) => ({ physicalId: generatedName() }),
};
