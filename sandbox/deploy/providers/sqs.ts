import { z } from 'zod';
import { arn } from '../../core/account';
import { json, number, provider, tags, text, texts, truth, type Provider } from '../resource';

const QueueUrl = z.object({ QueueUrl: z.string() });

export const SQS_PROVIDERS: Readonly<Record<string, Provider>> = {
  'AWS::SQS::Queue': provider(
    {
      DelaySeconds: number.optional(),
      KmsMasterKeyId: text.optional(),
      MaximumMessageSize: number.optional(),
      MessageRetentionPeriod: number.optional(),
      QueueName: text.optional(),
      ReceiveMessageWaitTimeSeconds: number.optional(),
      RedrivePolicy: json.optional(),
      SqsManagedSseEnabled: truth.optional(),
      Tags: tags.optional(),
      VisibilityTimeout: number.optional(),
    },
    async ({ QueueName, Tags = [], ...settings }, { call, context, generatedName }) => {
      const name = QueueName ?? generatedName(80);
      const created = QueueUrl.parse(
        await call('sqs', 'CreateQueue', {
          QueueName: name,
          Attributes: Object.fromEntries(
            Object.entries(settings).map(([attribute, value]) => [
              attribute,
              typeof value === 'string' ? value : JSON.stringify(value),
            ]),
          ),
          tags: Object.fromEntries(Tags.map(({ Key, Value }) => [Key, Value])),
        }),
      );
      return {
        physicalId: created.QueueUrl,
        attributes: {
          Arn: arn(context.account, 'sqs', name),
          QueueName: name,
          QueueUrl: created.QueueUrl,
        },
      };
    },
  ),
  'AWS::SQS::QueuePolicy': provider(
    { PolicyDocument: json, Queues: texts },
    async ({ PolicyDocument, Queues }, { call, generatedName }) => {
      for (const queue of Queues)
        await call('sqs', 'SetQueueAttributes', {
          QueueUrl: queue,
          Attributes: { Policy: JSON.stringify(PolicyDocument) },
        });
      return { physicalId: generatedName(), attributes: { Id: generatedName() } };
    },
  ),
};
