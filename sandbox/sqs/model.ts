import type {
  $SchemaRef,
  StaticErrorSchema,
  StaticListSchema,
  StaticMapSchema,
  StaticOperationSchema,
  StaticStructureSchema,
} from '@smithy/types';

const NAMESPACE = 'com.amazonaws.sqs';

// How the SDK numbers built-in types, and lists and maps of text.
const TEXT = 0;
const NUMBER = 1;
const BLOB = 21;
const TEXTS = 64 | TEXT;
const TEXT_MAP = 128 | TEXT;

/** A structure; the first `required` members must be given. */
function structure(
  name: string,
  members: Readonly<Record<string, $SchemaRef>>,
  required = 0,
): StaticStructureSchema {
  return [3, NAMESPACE, name, 0, Object.keys(members), Object.values(members), required];
}

function list(name: string, item: $SchemaRef): StaticListSchema {
  return [1, NAMESPACE, name, 0, item];
}

function map(name: string, value: $SchemaRef): StaticMapSchema {
  return [2, NAMESPACE, name, 0, TEXT, value];
}

function operation(name: string, input: $SchemaRef, output: $SchemaRef = 'unit'): StaticOperationSchema {
  return [9, NAMESPACE, name, 0, input, output];
}

/** `queryCode`: what the service called the error before it spoke JSON, and what clients still show. */
function failure(name: string, queryCode: string, status = 400): StaticErrorSchema {
  const traits = { error: 'client', httpError: status, awsQueryError: [queryCode, status] } as const;
  return [-3, NAMESPACE, name, traits, ['message'], [TEXT]];
}

const MessageAttribute = structure(
  'MessageAttributeValue',
  { DataType: TEXT, StringValue: TEXT, BinaryValue: BLOB },
  1,
);
const MessageAttributes = map('MessageBodyAttributeMap', MessageAttribute);
const Message = structure('Message', {
  MessageId: TEXT,
  ReceiptHandle: TEXT,
  MD5OfBody: TEXT,
  Body: TEXT,
  Attributes: TEXT_MAP,
  MD5OfMessageAttributes: TEXT,
  MessageAttributes,
});
const sent = { MessageId: TEXT, MD5OfMessageBody: TEXT, MD5OfMessageAttributes: TEXT } as const;
const queueUrl = { QueueUrl: TEXT } as const;
const BatchFailure = structure(
  'BatchResultErrorEntry',
  { Id: TEXT, SenderFault: 2, Code: TEXT, Message: TEXT },
  3,
);
const failed = list('BatchResultErrorEntryList', BatchFailure);

/**
 * What the sandbox has of SQS, written as the SDK's clients carry their models: `@aws-sdk/client-sqs` is none of this
 * project's packages. Taken from botocore's model of 2012-11-05.
 */
export const SQS_MODEL = {
  CreateQueue$: operation(
    'CreateQueue',
    structure('CreateQueueRequest', { QueueName: TEXT, Attributes: TEXT_MAP, tags: TEXT_MAP }, 1),
    structure('CreateQueueResult', queueUrl),
  ),
  DeleteQueue$: operation('DeleteQueue', structure('DeleteQueueRequest', queueUrl, 1)),
  GetQueueUrl$: operation(
    'GetQueueUrl',
    structure('GetQueueUrlRequest', { QueueName: TEXT, QueueOwnerAWSAccountId: TEXT }, 1),
    structure('GetQueueUrlResult', queueUrl),
  ),
  ListQueues$: operation(
    'ListQueues',
    structure('ListQueuesRequest', { QueueNamePrefix: TEXT, NextToken: TEXT, MaxResults: NUMBER }),
    structure('ListQueuesResult', { QueueUrls: TEXTS, NextToken: TEXT }),
  ),
  GetQueueAttributes$: operation(
    'GetQueueAttributes',
    structure('GetQueueAttributesRequest', { ...queueUrl, AttributeNames: TEXTS }, 1),
    structure('GetQueueAttributesResult', { Attributes: TEXT_MAP }),
  ),
  SetQueueAttributes$: operation(
    'SetQueueAttributes',
    structure('SetQueueAttributesRequest', { ...queueUrl, Attributes: TEXT_MAP }, 2),
  ),
  SendMessage$: operation(
    'SendMessage',
    structure(
      'SendMessageRequest',
      { ...queueUrl, MessageBody: TEXT, DelaySeconds: NUMBER, MessageAttributes },
      2,
    ),
    structure('SendMessageResult', sent),
  ),
  SendMessageBatch$: operation(
    'SendMessageBatch',
    structure(
      'SendMessageBatchRequest',
      {
        ...queueUrl,
        Entries: list(
          'SendMessageBatchRequestEntryList',
          structure(
            'SendMessageBatchRequestEntry',
            { Id: TEXT, MessageBody: TEXT, DelaySeconds: NUMBER, MessageAttributes },
            2,
          ),
        ),
      },
      2,
    ),
    structure(
      'SendMessageBatchResult',
      {
        Successful: list(
          'SendMessageBatchResultEntryList',
          structure('SendMessageBatchResultEntry', { Id: TEXT, ...sent }, 3),
        ),
        Failed: failed,
      },
      2,
    ),
  ),
  ReceiveMessage$: operation(
    'ReceiveMessage',
    structure(
      'ReceiveMessageRequest',
      {
        ...queueUrl,
        AttributeNames: TEXTS,
        MessageSystemAttributeNames: TEXTS,
        MessageAttributeNames: TEXTS,
        MaxNumberOfMessages: NUMBER,
        VisibilityTimeout: NUMBER,
        WaitTimeSeconds: NUMBER,
        ReceiveRequestAttemptId: TEXT,
      },
      1,
    ),
    structure('ReceiveMessageResult', { Messages: list('MessageList', Message) }),
  ),
  DeleteMessage$: operation(
    'DeleteMessage',
    structure('DeleteMessageRequest', { ...queueUrl, ReceiptHandle: TEXT }, 2),
  ),
  DeleteMessageBatch$: operation(
    'DeleteMessageBatch',
    structure(
      'DeleteMessageBatchRequest',
      {
        ...queueUrl,
        Entries: list(
          'DeleteMessageBatchRequestEntryList',
          structure('DeleteMessageBatchRequestEntry', { Id: TEXT, ReceiptHandle: TEXT }, 2),
        ),
      },
      2,
    ),
    structure(
      'DeleteMessageBatchResult',
      {
        Successful: list(
          'DeleteMessageBatchResultEntryList',
          structure('DeleteMessageBatchResultEntry', { Id: TEXT }, 1),
        ),
        Failed: failed,
      },
      2,
    ),
  ),
  ChangeMessageVisibility$: operation(
    'ChangeMessageVisibility',
    structure(
      'ChangeMessageVisibilityRequest',
      { ...queueUrl, ReceiptHandle: TEXT, VisibilityTimeout: NUMBER },
      3,
    ),
  ),
  PurgeQueue$: operation('PurgeQueue', structure('PurgeQueueRequest', queueUrl, 1)),
  TagQueue$: operation('TagQueue', structure('TagQueueRequest', { ...queueUrl, Tags: TEXT_MAP }, 2)),
  UntagQueue$: operation('UntagQueue', structure('UntagQueueRequest', { ...queueUrl, TagKeys: TEXTS }, 2)),
  ListQueueTags$: operation(
    'ListQueueTags',
    structure('ListQueueTagsRequest', queueUrl, 1),
    structure('ListQueueTagsResult', { Tags: TEXT_MAP }),
  ),
  QueueDoesNotExist$: failure('QueueDoesNotExist', 'AWS.SimpleQueueService.NonExistentQueue'),
  QueueNameExists$: failure('QueueNameExists', 'QueueAlreadyExists'),
  ReceiptHandleIsInvalid$: failure('ReceiptHandleIsInvalid', 'ReceiptHandleIsInvalid', 404),
  InvalidAttributeName$: failure('InvalidAttributeName', 'InvalidAttributeName'),
  InvalidAttributeValue$: failure('InvalidAttributeValue', 'InvalidAttributeValue'),
  InvalidMessageContents$: failure('InvalidMessageContents', 'InvalidMessageContents'),
  BatchEntryIdsNotDistinct$: failure(
    'BatchEntryIdsNotDistinct',
    'AWS.SimpleQueueService.BatchEntryIdsNotDistinct',
  ),
  EmptyBatchRequest$: failure('EmptyBatchRequest', 'AWS.SimpleQueueService.EmptyBatchRequest'),
  TooManyEntriesInBatchRequest$: failure(
    'TooManyEntriesInBatchRequest',
    'AWS.SimpleQueueService.TooManyEntriesInBatchRequest',
  ),
} as const;
