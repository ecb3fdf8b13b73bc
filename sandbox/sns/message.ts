import type { PublishInput } from '@aws-sdk/client-sns';
import { ApiError } from '../core/api';

/** A message as it was published. */
export interface PublishedMessage {
  readonly id: string;
  readonly topicArn: string;
  readonly subject: string | undefined;
  readonly message: string;
  readonly attributes: Readonly<Record<string, { readonly type: string; readonly value: string }>>;
  readonly at: Date;
}

/** A mail as a person who subscribed gets it. */
export interface Mail {
  readonly to: string;
  readonly topicArn: string;
  readonly subject: string;
  readonly text: string;
  /** Set in a mail that asks to confirm the subscription. */
  readonly confirmWith: string | undefined;
  readonly at: Date;
}

/** 256 KiB: the message, its subject and its attributes together. */
const MAX_BYTES = 262_144;

type Content = Pick<PublishedMessage, 'subject' | 'message' | 'attributes'>;

/** What is to be published. @throws {ApiError} InvalidParameterException */
export function contentOf(input: PublishInput): Content {
  const { Message: message = '', Subject: subject, MessageAttributes = {} } = input;
  if (message === '') throw invalid('Empty message');
  // Subjects become mail headers: short, one line, ASCII.
  if (subject !== undefined && !/^[\x20-\x7e]{1,100}$/.test(subject)) throw invalid('Subject');
  const attributes = Object.fromEntries(
    Object.entries(MessageAttributes).map(([name, { DataType = '', StringValue, BinaryValue }]) => {
      if (!/^(String|Number|Binary)(\.[\w.]+)?$/.test(DataType))
        throw valueInvalid(
          `The message attribute '${name}' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.`,
        );
      const value = StringValue ?? (BinaryValue && Buffer.from(BinaryValue).toString('base64'));
      if (value === undefined || value === '')
        throw valueInvalid(
          `The message attribute '${name}' must contain non-empty message attribute value for message attribute type '${DataType}'.`,
        );
      return [name, { type: DataType, value }];
    }),
  );
  const texts = [
    message,
    subject ?? '',
    ...Object.entries(attributes).flatMap(([name, each]) => [name, each.type, each.value]),
  ];
  if (texts.reduce((bytes, text) => bytes + Buffer.byteLength(text), 0) > MAX_BYTES)
    throw invalid('Message too long');
  if (input.MessageStructure === 'json') variants(message);
  else if (input.MessageStructure !== undefined) throw invalid('MessageStructure');
  return { subject, message, attributes };
}

/** The texts of a message for each protocol. */
function variants(message: string): Readonly<Record<string, unknown>> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(message);
  } catch {
    throw invalid('Message Structure - JSON message body failed to parse');
  }
  if (
    typeof parsed !== 'object' ||
    parsed === null ||
    !('default' in parsed) ||
    typeof parsed.default !== 'string'
  )
    throw invalid('Message Structure - No default entry in JSON message body');
  return { ...parsed };
}

/** What a subscription's protocol gets of a message with `MessageStructure: json`. */
export function textFor(message: string, structure: string | undefined, protocol: string): string {
  if (structure !== 'json') return message;
  const all = variants(message);
  const own = all[protocol] ?? all['default'];
  return typeof own === 'string' ? own : '';
}

function invalid(what: string): ApiError {
  return new ApiError('InvalidParameterException', `Invalid parameter: ${what}`);
}

function valueInvalid(text: string): ApiError {
  return new ApiError('InvalidParameterValueException', text);
}

/** What SNS sends: a notification's members, which are spelt a little differently for Lambda and for everyone else. */
export function notification(
  published: PublishedMessage,
  text: string,
  subscriptionArn: string,
): { readonly forLambda: object; readonly forOthers: object; readonly raw: object } {
  const { id, topicArn, subject, at, attributes } = published;
  const region = topicArn.split(':')[3] ?? '';
  const certificate = `https://sns.${region}.amazonaws.com/SimpleNotificationService-sandbox.pem`;
  const unsubscribe = `https://sns.${region}.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=${subscriptionArn}`;
  const common = { Type: 'Notification', MessageId: id, TopicArn: topicArn };
  const signed = {
    Timestamp: at.toISOString(),
    SignatureVersion: '1',
    Signature: 'not-signed-in-the-sandbox',
  };
  const typed = Object.fromEntries(
    Object.entries(attributes).map(([name, { type, value }]) => [name, { Type: type, Value: value }]),
  );
  return {
    forLambda: {
      Records: [
        {
          EventSource: 'aws:sns',
          EventVersion: '1.0',
          EventSubscriptionArn: subscriptionArn,
          Sns: {
            ...common,
            Subject: subject ?? null,
            Message: text,
            ...signed,
            SigningCertUrl: certificate,
            UnsubscribeUrl: unsubscribe,
            MessageAttributes: typed,
          },
        },
      ],
    },
    forOthers: {
      ...common,
      ...(subject !== undefined && { Subject: subject }),
      Message: text,
      ...signed,
      SigningCertURL: certificate,
      UnsubscribeURL: unsubscribe,
      ...(Object.keys(typed).length > 0 && { MessageAttributes: typed }),
    },
    raw: Object.fromEntries(
      Object.entries(attributes).map(([name, { type, value }]) => [
        name,
        { DataType: type, StringValue: value },
      ]),
    ),
  };
}
