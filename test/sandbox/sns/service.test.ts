import {
  CreateTopicCommand,
  DeleteTopicCommand,
  GetTopicAttributesCommand,
  ListSubscriptionsByTopicCommand,
  ListTagsForResourceCommand,
  ListTopicsCommand,
  PublishCommand,
  SetTopicAttributesCommand,
  SNSClient,
  SubscribeCommand,
  TagResourceCommand,
} from '@aws-sdk/client-sns';
import { SnsService } from '../../../sandbox/sns/service';
import { anyOf } from '../wire/matching';
import { serve, type Served } from '../wire/served';

describe('SNS', () => {
  let served: Served<{ sns: SnsService }>;
  let client: SNSClient;

  beforeAll(async () => {
    served = await serve((context) => ({ sns: new SnsService(context) }));
    client = new SNSClient(served.client);
  });
  afterAll(async () => {
    client.destroy();
    await served.close();
  });

  it('keeps what is published to a topic', async () => {
    const { TopicArn } = await client.send(new CreateTopicCommand({ Name: 'production-database-events' }));
    expect(TopicArn).toBe('arn:aws:sns:eu-central-1:123456789012:production-database-events');
    await client.send(new PublishCommand({ TopicArn, Subject: 'Recovered', Message: '{"a":"<b> & ü"}\n' }));
    expect(served.services.sns.messages).toEqual([
      { topicArn: TopicArn, subject: 'Recovered', message: '{"a":"<b> & ü"}\n', at: anyOf(Date) },
    ]);
    for (const bad of [
      { Message: '' },
      { Message: 'x', Subject: 'two\nlines' },
      { Message: 'x'.repeat(262_145) },
    ])
      await expect(client.send(new PublishCommand({ TopicArn, ...bad }))).rejects.toMatchObject({
        name: 'InvalidParameterException',
      });
    expect(served.services.sns.messages).toHaveLength(1);
  });

  it('keeps subscriptions, attributes and tags until the topic is deleted', async () => {
    const { TopicArn } = await client.send(
      new CreateTopicCommand({ Name: 'kept', Tags: [{ Key: 'a', Value: '1' }] }),
    );
    const subscribe = new SubscribeCommand({ TopicArn, Protocol: 'email', Endpoint: 'oncall@example.com' });
    const { SubscriptionArn } = await client.send(subscribe);
    expect((await client.send(subscribe)).SubscriptionArn).toBe(SubscriptionArn);
    expect((await client.send(new ListSubscriptionsByTopicCommand({ TopicArn }))).Subscriptions).toEqual([
      expect.objectContaining({
        SubscriptionArn,
        Protocol: 'email',
        Endpoint: 'oncall@example.com',
        TopicArn,
      }),
    ]);
    await client.send(
      new SetTopicAttributesCommand({ TopicArn, AttributeName: 'DisplayName', AttributeValue: 'DB' }),
    );
    expect((await client.send(new GetTopicAttributesCommand({ TopicArn }))).Attributes).toMatchObject({
      DisplayName: 'DB',
      SubscriptionsConfirmed: '1',
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
