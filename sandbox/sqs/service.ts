import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { arn } from '../core/account';
import { ApiError, NotInSandbox, type Operation, type RequestContext, type Service } from '../core/api';
import type { SandboxContext } from '../core/context';
import {
  attributesDigest,
  counts,
  DEFAULTS,
  forgetOld,
  md5,
  type MessageAttributes,
  type Queue,
  type QueueMessage,
} from './queue';

interface QueueUrl {
  readonly QueueUrl: string;
}

interface NewMessage {
  readonly MessageBody: string;
  readonly DelaySeconds?: number;
  readonly MessageAttributes?: MessageAttributes;
}

interface ReceiveRequest extends QueueUrl {
  readonly AttributeNames?: readonly string[];
  readonly MessageSystemAttributeNames?: readonly string[];
  readonly MessageAttributeNames?: readonly string[];
  readonly MaxNumberOfMessages?: number;
  readonly VisibilityTimeout?: number;
}

/** Attributes that can be set, with the least and the greatest value of those that are numbers. */
const SETTABLE: Readonly<Record<string, readonly [number, number] | undefined>> = {
  DelaySeconds: [0, 900],
  KmsDataKeyReusePeriodSeconds: [60, 86_400],
  KmsMasterKeyId: undefined,
  MaximumMessageSize: [1024, 1_048_576],
  MessageRetentionPeriod: [60, 1_209_600],
  Policy: undefined,
  ReceiveMessageWaitTimeSeconds: [0, 20],
  RedriveAllowPolicy: undefined,
  RedrivePolicy: undefined,
  SqsManagedSseEnabled: undefined,
  VisibilityTimeout: [0, 43_200],
};

const RedrivePolicy = z.object({
  deadLetterTargetArn: z.string(),
  maxReceiveCount: z.coerce.number().int().min(1).max(1000),
});

/** SQS: standard queues, enough for dead letters. A receive answers at once, whatever it would wait for. */
export class SqsService implements Service {
  readonly name = 'sqs';
  readonly operations: Readonly<Record<string, Operation>>;
  private queues = new Map<string, Queue>();
  private readonly listeners = new Set<(queueName: string) => void>();

  constructor(private readonly context: SandboxContext) {
    this.operations = {
      CreateQueue: this.create,
      DeleteQueue: this.delete,
      GetQueueUrl: this.url,
      ListQueues: this.list,
      GetQueueAttributes: this.getAttributes,
      SetQueueAttributes: this.setAttributes,
      SendMessage: this.send,
      SendMessageBatch: this.sendBatch,
      ReceiveMessage: this.receive,
      DeleteMessage: this.deleteMessage,
      DeleteMessageBatch: this.deleteBatch,
      ChangeMessageVisibility: this.changeVisibility,
      PurgeQueue: this.purge,
      TagQueue: this.tag,
      UntagQueue: this.untag,
      ListQueueTags: this.listTags,
    };
    context.keep('sqs', {
      save: () => this.queues,
      load: (queues: Map<string, Queue>) => {
        this.queues = queues;
      },
    });
  }

  /** The queues with their messages, oldest first, for inspection: looking at them receives nothing. */
  inspect(): readonly Readonly<Queue>[] {
    for (const queue of this.queues.values()) forgetOld(queue, this.now());
    return [...this.queues.values()];
  }

  /** Calls `listener` after a message came into a queue. Returns a function that ends it. */
  onSend(listener: (queueName: string) => void): () => void {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  }

  private readonly create = async (input: {
    QueueName: string;
    Attributes?: Readonly<Record<string, string>>;
    tags?: Readonly<Record<string, string>>;
  }): Promise<QueueUrl> => {
    const { QueueName: name, Attributes: attributes = {}, tags = {} } = input;
    if (name.endsWith('.fifo') || attributes['FifoQueue'] === 'true') throw new NotInSandbox('FIFO queues');
    if (!/^[A-Za-z0-9_-]{1,80}$/.test(name))
      throw new ApiError(
        'InvalidParameterValue',
        'Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length',
      );
    checkAttributes(attributes);
    const known = this.queues.get(name);
    for (const [attribute, value] of Object.entries(known ? attributes : {}))
      if (known?.attributes[attribute] !== value)
        throw new ApiError(
          'QueueNameExists',
          `A queue already exists with the same name and a different value for attribute ${attribute}`,
        );
    const now = this.now();
    if (!known)
      this.queues.set(name, {
        name,
        arn: arn(this.context.account, 'sqs', name),
        createdAt: now,
        changedAt: now,
        attributes: { ...attributes },
        tags: { ...tags },
        messages: [],
      });
    return { QueueUrl: this.urlOf(name) };
  };

  private readonly delete = async ({ QueueUrl }: QueueUrl): Promise<object> => {
    this.queues.delete(this.find(QueueUrl).name);
    return {};
  };

  private readonly url = async ({ QueueName }: { QueueName: string }): Promise<QueueUrl> => ({
    QueueUrl: this.urlOf(this.find(QueueName).name),
  });

  private readonly list = async ({ QueueNamePrefix = '' }: { QueueNamePrefix?: string }): Promise<object> => {
    const names = [...this.queues.keys()].filter((name) => name.startsWith(QueueNamePrefix));
    return names.length === 0 ? {} : { QueueUrls: names.map((name) => this.urlOf(name)) };
  };

  private readonly getAttributes = async (
    input: QueueUrl & { AttributeNames?: readonly string[] },
  ): Promise<object> => {
    const queue = this.find(input.QueueUrl);
    const now = this.now();
    const { visible, notVisible, delayed } = counts(queue, now);
    const all: Record<string, string> = {
      ...DEFAULTS,
      ...queue.attributes,
      QueueArn: queue.arn,
      ApproximateNumberOfMessages: String(visible),
      ApproximateNumberOfMessagesNotVisible: String(notVisible),
      ApproximateNumberOfMessagesDelayed: String(delayed),
      CreatedTimestamp: String(Math.floor(queue.createdAt / 1000)),
      LastModifiedTimestamp: String(Math.floor(queue.changedAt / 1000)),
    };
    const wanted = input.AttributeNames ?? [];
    for (const name of wanted)
      if (name !== 'All' && !(name in all) && !(name in SETTABLE))
        throw new ApiError('InvalidAttributeName', `Unknown Attribute ${name}.`);
    const attributes = Object.entries(all).filter(
      ([name]) => wanted.includes('All') || wanted.includes(name),
    );
    return attributes.length === 0 ? {} : { Attributes: Object.fromEntries(attributes) };
  };

  private readonly setAttributes = async (
    input: QueueUrl & { Attributes: Readonly<Record<string, string>> },
  ): Promise<object> => {
    const queue = this.find(input.QueueUrl);
    checkAttributes(input.Attributes);
    for (const [name, value] of Object.entries(input.Attributes))
      // An empty text takes the setting away.
      if (value === '')
        queue.attributes = Object.fromEntries(
          Object.entries(queue.attributes).filter(([other]) => other !== name),
        );
      else queue.attributes[name] = value;
    queue.changedAt = this.now();
    return {};
  };

  private readonly send = async (input: QueueUrl & NewMessage, request: RequestContext): Promise<object> =>
    this.add(this.find(input.QueueUrl), input, request);

  private readonly sendBatch = async (
    input: QueueUrl & { Entries: readonly (NewMessage & { Id: string })[] },
    request: RequestContext,
  ): Promise<object> => {
    const queue = this.find(input.QueueUrl);
    checkBatch(input.Entries);
    return batch(input.Entries, (entry) => this.add(queue, entry, request));
  };

  private readonly receive = async (input: ReceiveRequest): Promise<object> => {
    const queue = this.find(input.QueueUrl);
    const { MaxNumberOfMessages: most = 1, MessageAttributeNames: wanted = [] } = input;
    if (most < 1 || most > 10)
      throw new ApiError(
        'InvalidParameterValue',
        `Value ${most} for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.`,
      );
    const now = this.now();
    const timeout = input.VisibilityTimeout ?? Number(queue.attributes['VisibilityTimeout'] ?? 30);
    const system = [...(input.AttributeNames ?? []), ...(input.MessageSystemAttributeNames ?? [])];
    this.moveExhausted(queue, now);
    const messages = queue.messages.filter(({ visibleAt }) => visibleAt <= now).slice(0, most);
    for (const message of messages) {
      message.receives++;
      message.firstReceivedAt ??= now;
      message.visibleAt = now + timeout * 1000;
      message.receipt = randomUUID();
    }
    return messages.length === 0 ? {} : { Messages: messages.map((each) => received(each, system, wanted)) };
  };

  private readonly deleteMessage = async (input: QueueUrl & { ReceiptHandle: string }): Promise<object> => {
    const queue = this.find(input.QueueUrl);
    checkReceipt(input.ReceiptHandle);
    // A message that is gone, or that somebody else has received since, is no error.
    queue.messages = queue.messages.filter(({ receipt }) => receipt !== input.ReceiptHandle);
    return {};
  };

  private readonly deleteBatch = async (
    input: QueueUrl & { Entries: readonly { Id: string; ReceiptHandle: string }[] },
  ): Promise<object> => {
    const queue = this.find(input.QueueUrl);
    checkBatch(input.Entries);
    return batch(input.Entries, ({ ReceiptHandle }) => {
      checkReceipt(ReceiptHandle);
      queue.messages = queue.messages.filter(({ receipt }) => receipt !== ReceiptHandle);
      return {};
    });
  };

  private readonly changeVisibility = async (
    input: QueueUrl & { ReceiptHandle: string; VisibilityTimeout: number },
  ): Promise<object> => {
    const queue = this.find(input.QueueUrl);
    checkReceipt(input.ReceiptHandle);
    const message = queue.messages.find(({ receipt }) => receipt === input.ReceiptHandle);
    if (message) message.visibleAt = this.now() + input.VisibilityTimeout * 1000;
    return {};
  };

  private readonly purge = async ({ QueueUrl }: QueueUrl): Promise<object> => {
    this.find(QueueUrl).messages = [];
    return {};
  };

  private readonly tag = async (
    input: QueueUrl & { Tags: Readonly<Record<string, string>> },
  ): Promise<object> => {
    Object.assign(this.find(input.QueueUrl).tags, input.Tags);
    return {};
  };

  private readonly untag = async (input: QueueUrl & { TagKeys: readonly string[] }): Promise<object> => {
    const queue = this.find(input.QueueUrl);
    queue.tags = Object.fromEntries(
      Object.entries(queue.tags).filter(([key]) => !input.TagKeys.includes(key)),
    );
    return {};
  };

  private readonly listTags = async ({ QueueUrl }: QueueUrl): Promise<object> => {
    const { tags } = this.find(QueueUrl);
    return Object.keys(tags).length === 0 ? {} : { Tags: tags };
  };

  private add(queue: Queue, message: NewMessage, request: RequestContext): object {
    const { MessageBody: body, MessageAttributes: attributes = {} } = message;
    if (body === '')
      throw new ApiError('MissingParameter', 'The request must contain the parameter MessageBody.');
    const most = Number(queue.attributes['MaximumMessageSize'] ?? DEFAULTS.MaximumMessageSize);
    if (Buffer.byteLength(body) > most)
      throw new ApiError(
        'InvalidParameterValue',
        `One or more parameters are invalid. Reason: Message must be shorter than ${most} bytes.`,
      );
    if (Object.keys(attributes).length > 10)
      throw new ApiError(
        'InvalidParameterValue',
        `Number of message attributes [${Object.keys(attributes).length}] exceeds the allowed maximum [10].`,
      );
    const now = this.now();
    const delay = message.DelaySeconds ?? Number(queue.attributes['DelaySeconds'] ?? 0);
    const added: QueueMessage = {
      id: randomUUID(),
      body,
      attributes,
      sentAt: now,
      senderId: request.caller.arn,
      visibleAt: now + delay * 1000,
      receives: 0,
      firstReceivedAt: undefined,
      receipt: undefined,
    };
    queue.messages.push(added);
    for (const listener of this.listeners) listener(queue.name);
    const digest = attributesDigest(attributes);
    return {
      MessageId: added.id,
      MD5OfMessageBody: md5(body),
      ...(digest !== undefined && { MD5OfMessageAttributes: digest }),
    };
  }

  /** Messages that were received as often as the queue allows go to its own dead-letter queue. */
  private moveExhausted(queue: Queue, now: number): void {
    const text = queue.attributes['RedrivePolicy'];
    if (text === undefined) return;
    const { deadLetterTargetArn, maxReceiveCount } = RedrivePolicy.parse(JSON.parse(text));
    const target = this.queues.get(deadLetterTargetArn.split(':').at(-1) ?? '');
    if (!target) return;
    const exhausted = queue.messages.filter(
      ({ receives, visibleAt }) => receives >= maxReceiveCount && visibleAt <= now,
    );
    queue.messages = queue.messages.filter((message) => !exhausted.includes(message));
    target.messages.push(...exhausted);
  }

  /** The queue that a name, URL or ARN names. */
  private find(reference: string): Queue {
    const name = reference.split(/[/:]/).at(-1) ?? '';
    const queue = this.queues.get(name);
    if (!queue) throw new ApiError('QueueDoesNotExist', 'The specified queue does not exist.');
    forgetOld(queue, this.now());
    return queue;
  }

  /** SDKs send what is for a queue to the queue's URL, so it leads here. */
  private urlOf(name: string): string {
    return `${this.context.endpoint}/${this.context.account.accountId}/${name}`;
  }

  private now(): number {
    return this.context.clock.now().getTime();
  }
}

function received(
  message: QueueMessage,
  system: readonly string[],
  wanted: readonly string[],
): Readonly<Record<string, unknown>> {
  const systemAttributes = Object.entries({
    SenderId: message.senderId,
    SentTimestamp: String(message.sentAt),
    ApproximateReceiveCount: String(message.receives),
    ApproximateFirstReceiveTimestamp: String(message.firstReceivedAt),
  }).filter(([name]) => system.includes('All') || system.includes(name));
  const asked = (name: string): boolean =>
    wanted.some(
      (each) =>
        each === 'All' || each === name || (each.endsWith('.*') && name.startsWith(each.slice(0, -1))),
    );
  const attributes = Object.fromEntries(Object.entries(message.attributes).filter(([name]) => asked(name)));
  const digest = attributesDigest(attributes);
  return {
    MessageId: message.id,
    ReceiptHandle: message.receipt,
    MD5OfBody: md5(message.body),
    Body: message.body,
    ...(systemAttributes.length > 0 && { Attributes: Object.fromEntries(systemAttributes) }),
    ...(digest !== undefined && { MessageAttributes: attributes, MD5OfMessageAttributes: digest }),
  };
}

function checkAttributes(attributes: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (!(name in SETTABLE)) throw new ApiError('InvalidAttributeName', `Unknown Attribute ${name}.`);
    const range = SETTABLE[name];
    const invalid = (): ApiError =>
      new ApiError('InvalidAttributeValue', `Invalid value for the parameter ${name}.`);
    if (range && !(/^\d+$/.test(value) && Number(value) >= range[0] && Number(value) <= range[1]))
      throw invalid();
    if ((name === 'Policy' || name === 'RedrivePolicy') && value !== '') {
      const parsed = z.json().safeParse(parseJson(value));
      if (!parsed.success) throw invalid();
      if (name === 'RedrivePolicy' && !RedrivePolicy.safeParse(parsed.data).success) throw invalid();
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function checkReceipt(handle: string): void {
  if (!/^[0-9a-f-]{36}$/.test(handle))
    throw new ApiError(
      'ReceiptHandleIsInvalid',
      `The input receipt handle "${handle}" is not a valid receipt handle.`,
      404,
    );
}

function checkBatch(entries: readonly { readonly Id: string }[]): void {
  if (entries.length === 0)
    throw new ApiError('EmptyBatchRequest', 'There should be at least one entry in the request.');
  if (entries.length > 10)
    throw new ApiError(
      'TooManyEntriesInBatchRequest',
      `Maximum number of entries per request are 10. You have sent ${entries.length}.`,
    );
  if (new Set(entries.map(({ Id }) => Id)).size < entries.length)
    throw new ApiError('BatchEntryIdsNotDistinct', 'Id of the entries are not distinct.');
}

/** Each entry by itself: one that fails does not hold the others up. */
function batch<Entry extends { readonly Id: string }>(
  entries: readonly Entry[],
  run: (entry: Entry) => object,
): object {
  const successful: object[] = [];
  const failures: object[] = [];
  for (const entry of entries)
    try {
      successful.push({ Id: entry.Id, ...run(entry) });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      failures.push({ Id: entry.Id, SenderFault: true, Code: error.code, Message: error.message });
    }
  return { Successful: successful, Failed: failures };
}
