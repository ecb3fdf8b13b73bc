import { z } from 'zod';
import { VirtualClock } from '../../../sandbox/core/clock';
import { SqsService } from '../../../sandbox/sqs/service';
import { serve, type Served } from '../wire/served';

const Answer = z.record(z.string(), z.unknown());

describe('SQS', () => {
  const clock = new VirtualClock();
  let served: Served<{ sqs: SqsService }>;

  beforeAll(async () => {
    served = await serve((context) => ({ sqs: new SqsService(context) }), clock);
  });
  afterAll(() => served.close());

  /** A call as SDKs write it: no client of SQS is among this project's packages. */
  async function call(operation: string, input: object): Promise<Record<string, unknown>> {
    const response = await fetch(`${served.client.endpoint}/`, {
      method: 'POST',
      headers: { 'x-amz-target': `AmazonSQS.${operation}`, 'content-type': 'application/x-amz-json-1.0' },
      body: JSON.stringify(input),
    });
    const text = await response.text();
    const body = text === '' ? {} : Answer.parse(JSON.parse(text));
    return response.ok ? body : { ...body, queryError: response.headers.get('x-amzn-query-error') };
  }
  async function queue(name: string, attributes: Record<string, string> = {}): Promise<string> {
    return z
      .string()
      .parse((await call('CreateQueue', { QueueName: name, Attributes: attributes }))['QueueUrl']);
  }
  async function receive(QueueUrl: string, more: object = {}): Promise<Record<string, unknown>[]> {
    return z
      .array(Answer)
      .default([])
      .parse((await call('ReceiveMessage', { QueueUrl, ...more }))['Messages']);
  }

  it('hands a message out until it is deleted, and hides it meanwhile', async () => {
    const QueueUrl = await queue('letters', { VisibilityTimeout: '60' });
    expect(QueueUrl).toBe(`${served.client.endpoint}/123456789012/letters`);
    const sent = await call('SendMessage', {
      QueueUrl,
      MessageBody: 'ä',
      MessageAttributes: { timestamp: { DataType: 'Number', StringValue: '1493147359900' } },
    });
    // Digests that clients compare with their own; the second is what AWS answered in a public recording.
    expect(sent).toMatchObject({
      MD5OfMessageBody: '8419b71c87a225a2c70b50486fbee545',
      MD5OfMessageAttributes: '235c5c510d26fb653d073faed50ae77c',
    });
    const [first] = await receive(QueueUrl, { MessageAttributeNames: ['All'], AttributeNames: ['All'] });
    expect(first).toMatchObject({
      MessageId: sent['MessageId'],
      Body: 'ä',
      MessageAttributes: { timestamp: { DataType: 'Number', StringValue: '1493147359900' } },
      Attributes: { ApproximateReceiveCount: '1' },
    });
    expect(await receive(QueueUrl)).toEqual([]);
    expect(await call('GetQueueAttributes', { QueueUrl, AttributeNames: ['All'] })).toMatchObject({
      Attributes: { ApproximateNumberOfMessages: '0', ApproximateNumberOfMessagesNotVisible: '1' },
    });
    await clock.advance(61_000);
    const [second] = await receive(QueueUrl);
    expect(second).not.toHaveProperty('MessageAttributes');
    await call('DeleteMessage', { QueueUrl, ReceiptHandle: second?.['ReceiptHandle'] });
    await clock.advance(61_000);
    expect(await receive(QueueUrl)).toEqual([]);
  });

  it('forgets messages after the retention period, and delays those that are to be delayed', async () => {
    const QueueUrl = await queue('short', { MessageRetentionPeriod: '60' });
    await call('SendMessageBatch', {
      QueueUrl,
      Entries: [
        { Id: 'a', MessageBody: 'now' },
        { Id: 'b', MessageBody: 'later', DelaySeconds: 30 },
      ],
    });
    expect(
      (await receive(QueueUrl, { MaxNumberOfMessages: 10, VisibilityTimeout: 0 })).map((m) => m['Body']),
    ).toEqual(['now']);
    await clock.advance(31_000);
    expect(
      (await receive(QueueUrl, { MaxNumberOfMessages: 10, VisibilityTimeout: 0 })).map((m) => m['Body']),
    ).toEqual(['now', 'later']);
    await clock.advance(31_000);
    expect(served.services.sqs.inspect().find(({ name }) => name === 'short')?.messages).toEqual([]);
  });

  it('moves what was received too often to the dead-letter queue', async () => {
    const dead = await queue('dead');
    const QueueUrl = await queue('source', {
      VisibilityTimeout: '0',
      RedrivePolicy: JSON.stringify({
        deadLetterTargetArn: 'arn:aws:sqs:eu-central-1:123456789012:dead',
        maxReceiveCount: 2,
      }),
    });
    await call('SendMessage', { QueueUrl, MessageBody: 'poison' });
    const counts = [];
    for (let receives = 0; receives < 3; receives++) counts.push((await receive(QueueUrl)).length);
    expect(counts).toEqual([1, 1, 0]);
    expect(await receive(dead)).toMatchObject([{ Body: 'poison' }]);
  });

  it('refuses as SQS does', async () => {
    const QueueUrl = await queue('strict');
    expect(await call('GetQueueUrl', { QueueName: 'none' })).toEqual({
      __type: 'QueueDoesNotExist',
      message: 'The specified queue does not exist.',
      queryError: 'AWS.SimpleQueueService.NonExistentQueue;Sender',
    });
    expect(
      await call('CreateQueue', { QueueName: 'strict', Attributes: { DelaySeconds: '5' } }),
    ).toMatchObject({
      __type: 'QueueNameExists',
    });
    expect(await call('CreateQueue', { QueueName: 'x', Attributes: { DelaySeconds: '901' } })).toMatchObject({
      __type: 'InvalidAttributeValue',
      message: 'Invalid value for the parameter DelaySeconds.',
    });
    expect(await call('SendMessage', { QueueUrl, MessageBody: 'x'.repeat(1_048_577) })).toMatchObject({
      __type: 'InvalidParameterValue',
    });
    expect(await call('SendMessage', { QueueUrl, MessageBody: 'x', MessageGroupId: 'g' })).toMatchObject({
      __type: 'ValidationException',
    });
    expect(await call('DeleteMessage', { QueueUrl, ReceiptHandle: 'none' })).toMatchObject({
      __type: 'ReceiptHandleIsInvalid',
    });
    expect(await call('CreateQueue', { QueueName: 'x.fifo' })).toMatchObject({
      __type: 'NotImplementedInSandbox',
    });
  });

  it('keeps tags, and empties and deletes queues', async () => {
    const QueueUrl = await queue('tagged');
    await call('TagQueue', { QueueUrl, Tags: { a: '1', b: '2' } });
    await call('UntagQueue', { QueueUrl, TagKeys: ['a'] });
    expect(await call('ListQueueTags', { QueueUrl })).toEqual({ Tags: { b: '2' } });
    await call('SendMessage', { QueueUrl, MessageBody: 'x' });
    await call('PurgeQueue', { QueueUrl });
    expect(await receive(QueueUrl)).toEqual([]);
    await call('DeleteQueue', { QueueUrl });
    expect((await call('ListQueues', { QueueNamePrefix: 'tagged' }))['QueueUrls']).toBeUndefined();
  });
});
