import {
  ConfirmSubscriptionCommand,
  CreateTopicCommand,
  DeleteTopicCommand,
  GetSubscriptionAttributesCommand,
  GetTopicAttributesCommand,
  ListSubscriptionsByTopicCommand,
  ListTagsForResourceCommand,
  ListTopicsCommand,
  PublishCommand,
  SetSubscriptionAttributesCommand,
  SetTopicAttributesCommand,
  SNSClient,
  SubscribeCommand,
  TagResourceCommand,
  UnsubscribeCommand,
} from '@aws-sdk/client-sns';
import { z } from 'zod';
import { ApiError } from '../../../sandbox/core/api';
import { SnsService } from '../../../sandbox/sns/service';
import { SqsService } from '../../../sandbox/sqs/service';
import { anyOf } from '../wire/matching';
import { scripted, serve, type Served } from '../wire/served';

const ACCOUNT = 'eu-central-1:123456789012';
const FUNCTION = `arn:aws:lambda:${ACCOUNT}:function:notify`;
const Invocation = z.object({ Payload: z.instanceof(Uint8Array) });
const Notification = z.object({ Message: z.string() });

describe('SNS', () => {
  const lambda = scripted('lambda', {
    Invoke: () => {
      if (broken) throw new ApiError('AccessDeniedException', 'not you', 403);
      return { StatusCode: 202 };
    },
  });
  let broken = false;
  let served: Served<{ sns: SnsService; sqs: SqsService; lambda: typeof lambda }>;
  let client: SNSClient;

  beforeAll(async () => {
    served = await serve((context) => ({
      sns: new SnsService(context),
      sqs: new SqsService(context),
      lambda,
    }));
    client = new SNSClient(served.client);
    for (const QueueName of ['plain', 'raw', 'dead'])
      await served.context.api.call(
        'sqs',
        'CreateQueue',
        { QueueName },
        served.context.callers.administrator(),
      );
  });
  afterAll(async () => {
    client.destroy();
    await served.close();
  });

  async function topic(Name: string): Promise<string> {
    return (await client.send(new CreateTopicCommand({ Name }))).TopicArn ?? '';
  }
  async function subscribe(
    TopicArn: string,
    Protocol: string,
    Endpoint: string,
    Attributes: Record<string, string> = {},
  ): Promise<string> {
    const answer = await client.send(new SubscribeCommand({ TopicArn, Protocol, Endpoint, Attributes }));
    return answer.SubscriptionArn ?? '';
  }
  const inQueue = (name: string): readonly string[] =>
    served.services.sqs
      .inspect()
      .find((queue) => queue.name === name)
      ?.messages.map(({ body }) => body) ?? [];

  it('keeps what is published to a topic', async () => {
    const TopicArn = await topic('production-database-events');
    expect(TopicArn).toBe(`arn:aws:sns:${ACCOUNT}:production-database-events`);
    await client.send(new PublishCommand({ TopicArn, Subject: 'Recovered', Message: '{"a":"<b> & ü"}\n' }));
    expect(served.services.sns.messages).toEqual([
      {
        id: anyOf(String),
        topicArn: TopicArn,
        subject: 'Recovered',
        message: '{"a":"<b> & ü"}\n',
        attributes: {},
        at: anyOf(Date),
      },
    ]);
    const text = { DataType: 'String', StringValue: 'x'.repeat(10) };
    for (const bad of [
      { Message: '' },
      { Message: 'x', Subject: 'two\nlines' },
      { Message: 'x'.repeat(262_145) },
      { Message: 'x'.repeat(262_140), MessageAttributes: { text } },
      { Message: '{"email":"x"}', MessageStructure: 'json' },
    ])
      await expect(client.send(new PublishCommand({ TopicArn, ...bad }))).rejects.toMatchObject({
        name: 'InvalidParameterException',
      });
    await expect(
      client.send(
        new PublishCommand({
          TopicArn,
          Message: 'x',
          MessageAttributes: { a: { DataType: 'Text', StringValue: 'x' } },
        }),
      ),
    ).rejects.toMatchObject({ name: 'InvalidParameterValueException' });
    expect(served.services.sns.messages).toHaveLength(1);
  });

  it('mails people once they have agreed to it', async () => {
    const TopicArn = await topic('people');
    expect(await subscribe(TopicArn, 'email', 'oncall@example.com')).toBe('pending confirmation');
    const counted = async (): Promise<unknown> =>
      (await client.send(new GetTopicAttributesCommand({ TopicArn }))).Attributes;
    expect(await counted()).toMatchObject({ SubscriptionsConfirmed: '0', SubscriptionsPending: '1' });
    await client.send(new PublishCommand({ TopicArn, Message: 'nobody gets this' }));
    const [asked] = served.services.sns.inbox;
    expect(asked).toMatchObject({
      to: 'oncall@example.com',
      subject: 'AWS Notification - Subscription Confirmation',
    });
    await expect(client.send(new ConfirmSubscriptionCommand({ TopicArn, Token: 'guessed' }))).rejects.toThrow(
      'Invalid parameter: Token',
    );
    const { SubscriptionArn } = await client.send(
      new ConfirmSubscriptionCommand({ TopicArn, Token: asked?.confirmWith }),
    );
    expect(await counted()).toMatchObject({ SubscriptionsConfirmed: '1', SubscriptionsPending: '0' });
    await client.send(
      new PublishCommand({
        TopicArn,
        Subject: 'Recovery started',
        Message: JSON.stringify({ default: 'long', email: 'short' }),
        MessageStructure: 'json',
      }),
    );
    expect(served.services.sns.inbox.slice(1)).toMatchObject([
      { to: 'oncall@example.com', topicArn: TopicArn, subject: 'Recovery started', text: 'short' },
    ]);
    await client.send(new UnsubscribeCommand({ SubscriptionArn }));
    await client.send(new PublishCommand({ TopicArn, Message: 'gone' }));
    expect(served.services.sns.inbox).toHaveLength(2);
  });

  it('invokes functions and fills queues with what AWS sends them', async () => {
    const TopicArn = await topic('machines');
    const toFunction = await subscribe(TopicArn, 'lambda', FUNCTION);
    await subscribe(TopicArn, 'sqs', `arn:aws:sqs:${ACCOUNT}:plain`);
    await subscribe(TopicArn, 'sqs', `arn:aws:sqs:${ACCOUNT}:raw`, { RawMessageDelivery: 'true' });
    await client.send(
      new PublishCommand({
        TopicArn,
        Message: 'hello',
        MessageAttributes: { environment: { DataType: 'String', StringValue: 'production' } },
      }),
    );
    const { Payload } = Invocation.parse(lambda.inputs.at(-1));
    expect(JSON.parse(Buffer.from(Payload).toString())).toEqual({
      Records: [
        {
          EventSource: 'aws:sns',
          EventVersion: '1.0',
          EventSubscriptionArn: toFunction,
          Sns: {
            Type: 'Notification',
            MessageId: anyOf(String),
            TopicArn,
            Subject: null,
            Message: 'hello',
            Timestamp: anyOf(String),
            SignatureVersion: '1',
            Signature: anyOf(String),
            SigningCertUrl: anyOf(String),
            UnsubscribeUrl: anyOf(String),
            MessageAttributes: { environment: { Type: 'String', Value: 'production' } },
          },
        },
      ],
    });
    expect(inQueue('raw')).toEqual(['hello']);
    expect(inQueue('plain').map((body) => Notification.parse(JSON.parse(body)).Message)).toEqual(['hello']);
  });

  it('filters by attributes or by the message, and refuses filters that are none', async () => {
    const TopicArn = await topic('filtered');
    const before = inQueue('plain').length;
    const SubscriptionArn = await subscribe(TopicArn, 'sqs', `arn:aws:sqs:${ACCOUNT}:plain`, {
      FilterPolicy: '{"severity":[{"numeric":[">=",3]}],"team":["database"]}',
    });
    const publish = (Message: string, severity: string, team: string): Promise<object> =>
      client.send(
        new PublishCommand({
          TopicArn,
          Message,
          MessageAttributes: {
            severity: { DataType: 'Number', StringValue: severity },
            team: { DataType: 'String.Array', StringValue: team },
          },
        }),
      );
    await publish('{"kind":"a"}', '2', '["database"]');
    await publish('{"kind":"b"}', '3', '["web","database"]');
    await publish('{"kind":"c"}', '4', '["web"]');
    const set = (AttributeName: string, AttributeValue: string): Promise<object> =>
      client.send(new SetSubscriptionAttributesCommand({ SubscriptionArn, AttributeName, AttributeValue }));
    await set('FilterPolicyScope', 'MessageBody');
    await set('FilterPolicy', '{"kind":["c"]}');
    await publish('{"kind":"b"}', '3', '["database"]');
    await publish('{"kind":"c"}', '1', '["web"]');
    await publish('no JSON', '3', '["database"]');
    const got = inQueue('plain').slice(before);
    expect(got.map((body) => Notification.parse(JSON.parse(body)).Message)).toEqual([
      '{"kind":"b"}',
      '{"kind":"c"}',
    ]);
    await expect(set('FilterPolicy', '{"kind":"c"}')).rejects.toThrow(
      'Invalid parameter: FilterPolicy: "kind" must be an object or an array',
    );
    await expect(set('DeliveryPolicy', '{}')).rejects.toMatchObject({ name: 'NotImplementedInSandbox' });
    expect(
      (await client.send(new GetSubscriptionAttributesCommand({ SubscriptionArn }))).Attributes,
    ).toMatchObject({ FilterPolicy: '{"kind":["c"]}', PendingConfirmation: 'false', Protocol: 'sqs' });
  });

  it('leaves what an endpoint refuses in the dead-letter queue', async () => {
    const TopicArn = await topic('refused');
    await subscribe(TopicArn, 'lambda', FUNCTION, {
      RedrivePolicy: JSON.stringify({ deadLetterTargetArn: `arn:aws:sqs:${ACCOUNT}:dead` }),
    });
    broken = true;
    await client.send(new PublishCommand({ TopicArn, Message: 'lost and found' }));
    broken = false;
    expect(inQueue('dead').join()).toContain('lost and found');
  });

  it('refuses endpoints that do not fit their protocol', async () => {
    const TopicArn = await topic('endpoints');
    await expect(subscribe(TopicArn, 'email', 'nobody')).rejects.toThrow('Invalid parameter: Email address');
    await expect(subscribe(TopicArn, 'lambda', 'notify')).rejects.toThrow(
      'Invalid parameter: LAMBDA endpoint ARN',
    );
    await expect(subscribe(TopicArn, 'pigeon', 'x')).rejects.toThrow(
      'Does not support this protocol string: pigeon',
    );
    await expect(subscribe(TopicArn, 'https', 'https://example.com')).rejects.toMatchObject({
      name: 'NotImplementedInSandbox',
    });
    await expect(client.send(new CreateTopicCommand({ Name: 'x.fifo' }))).rejects.toMatchObject({
      name: 'NotImplementedInSandbox',
    });
  });

  it('keeps subscriptions, attributes and tags until the topic is deleted', async () => {
    const { TopicArn } = await client.send(
      new CreateTopicCommand({ Name: 'kept', Tags: [{ Key: 'a', Value: '1' }] }),
    );
    const subscription = new SubscribeCommand({ TopicArn, Protocol: 'lambda', Endpoint: FUNCTION });
    const { SubscriptionArn } = await client.send(subscription);
    expect((await client.send(subscription)).SubscriptionArn).toBe(SubscriptionArn);
    expect((await client.send(new ListSubscriptionsByTopicCommand({ TopicArn }))).Subscriptions).toEqual([
      expect.objectContaining({ SubscriptionArn, Protocol: 'lambda', Endpoint: FUNCTION, TopicArn }),
    ]);
    await client.send(
      new SetTopicAttributesCommand({ TopicArn, AttributeName: 'DisplayName', AttributeValue: 'DB' }),
    );
    expect((await client.send(new GetTopicAttributesCommand({ TopicArn }))).Attributes).toMatchObject({
      DisplayName: 'DB',
      SubscriptionsConfirmed: '1',
      Policy: expect.stringContaining('__default_policy_ID') as string,
    });
    await client.send(new TagResourceCommand({ ResourceArn: TopicArn, Tags: [{ Key: 'b', Value: '2' }] }));
    expect((await client.send(new ListTagsForResourceCommand({ ResourceArn: TopicArn }))).Tags).toEqual([
      { Key: 'a', Value: '1' },
      { Key: 'b', Value: '2' },
    ]);
    await client.send(new DeleteTopicCommand({ TopicArn }));
    expect((await client.send(new ListTopicsCommand({}))).Topics).not.toContainEqual({ TopicArn });
    await expect(client.send(new PublishCommand({ TopicArn, Message: 'x' }))).rejects.toMatchObject({
      name: 'NotFoundException',
      message: 'Topic does not exist',
      $metadata: { httpStatusCode: 404 },
    });
  });
});
