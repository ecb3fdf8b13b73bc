import { createHash } from 'node:crypto';

/** An attribute that a sender gave a message. */
export interface MessageAttribute {
  readonly DataType: string;
  readonly StringValue?: string | undefined;
  readonly BinaryValue?: Uint8Array | undefined;
}

export type MessageAttributes = Readonly<Record<string, MessageAttribute>>;

/** A message in a queue. Times are milliseconds of the sandbox's clock. */
export interface QueueMessage {
  readonly id: string;
  readonly body: string;
  readonly attributes: MessageAttributes;
  readonly sentAt: number;
  readonly senderId: string;
  /** Nobody receives it before. */
  visibleAt: number;
  receives: number;
  firstReceivedAt: number | undefined;
  /** Of the last receive. */
  receipt: string | undefined;
}

/** A standard queue. */
export interface Queue {
  readonly name: string;
  readonly arn: string;
  readonly createdAt: number;
  changedAt: number;
  /** As they were set; defaults are not in it. */
  attributes: Record<string, string>;
  tags: Record<string, string>;
  messages: QueueMessage[];
}

export function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}

/** The digest by which clients check that a message's attributes arrived whole; undefined when it has none. */
export function attributesDigest(attributes: MessageAttributes): string | undefined {
  const names = Object.keys(attributes).sort();
  if (names.length === 0) return undefined;
  const hash = createHash('md5');
  const add = (bytes: Uint8Array): void => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    hash.update(length).update(bytes);
  };
  for (const name of names) {
    const { DataType: type = '', StringValue: text, BinaryValue: bytes } = attributes[name] ?? {};
    add(Buffer.from(name));
    add(Buffer.from(type));
    hash.update(Uint8Array.of(text === undefined ? 2 : 1));
    add(text === undefined ? (bytes ?? new Uint8Array()) : Buffer.from(text));
  }
  return hash.digest('hex');
}

/** Drops what the queue has kept for as long as it keeps messages. */
export function forgetOld(queue: Queue, now: number): void {
  const kept = Number(queue.attributes['MessageRetentionPeriod'] ?? DEFAULTS.MessageRetentionPeriod) * 1000;
  if (queue.messages.some(({ sentAt }) => now - sentAt > kept))
    queue.messages = queue.messages.filter(({ sentAt }) => now - sentAt <= kept);
}

/** How many messages can be received, are with a receiver, or are held back by their delay. */
export function counts(
  queue: Queue,
  now: number,
): { readonly visible: number; readonly notVisible: number; readonly delayed: number } {
  const waiting = queue.messages.filter(({ visibleAt }) => visibleAt > now);
  const delayed = waiting.filter(({ receives }) => receives === 0).length;
  return {
    visible: queue.messages.length - waiting.length,
    notVisible: waiting.length - delayed,
    delayed,
  };
}

/** What a queue has where nothing else was asked for. */
export const DEFAULTS = {
  DelaySeconds: '0',
  MaximumMessageSize: '1048576',
  MessageRetentionPeriod: '345600',
  ReceiveMessageWaitTimeSeconds: '0',
  SqsManagedSseEnabled: 'true',
  VisibilityTimeout: '30',
} as const;
