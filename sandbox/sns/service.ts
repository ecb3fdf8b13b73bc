import { randomUUID } from 'node:crypto';
import type {
  CreateTopicInput,
  CreateTopicResponse,
  DeleteTopicInput,
  GetTopicAttributesInput,
  GetTopicAttributesResponse,
  ListSubscriptionsByTopicInput,
  ListSubscriptionsByTopicResponse,
  ListTagsForResourceRequest,
  ListTagsForResourceResponse,
  ListTopicsResponse,
  PublishInput,
  PublishResponse,
  SetTopicAttributesInput,
  SubscribeInput,
  SubscribeResponse,
  TagResourceRequest,
  UnsubscribeInput,
  UntagResourceRequest,
} from '@aws-sdk/client-sns';
import { arn } from '../core/account';
import { ApiError, NotInSandbox, type Operation, type Service } from '../core/api';
import type { SandboxContext } from '../core/context';

/** A message as it was published; nobody outside the sandbox gets it. */
export interface PublishedMessage {
  readonly topicArn: string;
  readonly subject: string | undefined;
  readonly message: string;
  readonly at: Date;
}

interface Topic {
  readonly arn: string;
  attributes: Record<string, string>;
  tags: Record<string, string>;
}

interface Subscription {
  readonly arn: string;
  readonly topicArn: string;
  readonly protocol: string;
  readonly endpoint: string;
}

const MAX_MESSAGE_BYTES = 262_144;

/** SNS: topics, and what was published to them. Subscriptions are kept but nothing is delivered. */
export class SnsService implements Service {
  readonly name = 'sns';
  readonly operations: Readonly<Record<string, Operation>>;
  private readonly topics = new Map<string, Topic>();
  private subscriptions: Subscription[] = [];
  private readonly published: PublishedMessage[] = [];

  constructor(private readonly context: SandboxContext) {
    this.operations = {
      CreateTopic: async (input: CreateTopicInput) => this.createTopic(input),
      DeleteTopic: async (input: DeleteTopicInput) => this.deleteTopic(input),
      ListTopics: async (): Promise<ListTopicsResponse> => ({
        Topics: [...this.topics.keys()].map((TopicArn) => ({ TopicArn })),
      }),
      GetTopicAttributes: async (input: GetTopicAttributesInput) => this.attributesOf(input),
      SetTopicAttributes: async (input: SetTopicAttributesInput) => this.setAttribute(input),
      Publish: async (input: PublishInput) => this.publish(input),
      Subscribe: async (input: SubscribeInput) => this.subscribe(input),
      Unsubscribe: async (input: UnsubscribeInput) => this.unsubscribe(input),
      ListSubscriptionsByTopic: async (input: ListSubscriptionsByTopicInput) => this.listSubscriptions(input),
      TagResource: async (input: TagResourceRequest) => this.tag(input),
      UntagResource: async (input: UntagResourceRequest) => this.untag(input),
      ListTagsForResource: async (input: ListTagsForResourceRequest) => this.listTags(input),
    };
  }

  /** Everything that was published, oldest first. */
  get messages(): readonly PublishedMessage[] {
    return this.published;
  }

  private createTopic(input: CreateTopicInput): CreateTopicResponse {
    const name = input.Name ?? '';
    if (!/^[A-Za-z0-9_-]{1,256}$/.test(name))
      throw new ApiError('InvalidParameterException', 'Invalid parameter: Topic Name');
    const topicArn = arn(this.context.account, 'sns', name);
    // Creating a topic that exists answers with it.
    if (!this.topics.has(topicArn))
      this.topics.set(topicArn, {
        arn: topicArn,
        attributes: { ...input.Attributes },
        tags: tagsOf(input.Tags),
      });
    return { TopicArn: topicArn };
  }

  private deleteTopic(input: DeleteTopicInput): object {
    this.topics.delete(input.TopicArn ?? '');
    this.subscriptions = this.subscriptions.filter(({ topicArn }) => topicArn !== input.TopicArn);
    return {};
  }

  private attributesOf(input: GetTopicAttributesInput): GetTopicAttributesResponse {
    const topic = this.find(input.TopicArn);
    const confirmed = this.subscriptions.filter(({ topicArn }) => topicArn === topic.arn).length;
    return {
      Attributes: {
        TopicArn: topic.arn,
        Owner: this.context.account.accountId,
        DisplayName: '',
        SubscriptionsConfirmed: String(confirmed),
        SubscriptionsPending: '0',
        SubscriptionsDeleted: '0',
        ...topic.attributes,
      },
    };
  }

  private setAttribute(input: SetTopicAttributesInput): object {
    this.find(input.TopicArn).attributes[input.AttributeName ?? ''] = input.AttributeValue ?? '';
    return {};
  }

  private publish(input: PublishInput): PublishResponse {
    if (input.PhoneNumber !== undefined) throw new NotInSandbox('sns:Publish to a phone number');
    const topic = this.find(input.TopicArn ?? input.TargetArn);
    const { Message: message = '', Subject: subject } = input;
    if (message === '') throw new ApiError('InvalidParameterException', 'Invalid parameter: Empty message');
    if (Buffer.byteLength(message) > MAX_MESSAGE_BYTES)
      throw new ApiError('InvalidParameterException', 'Invalid parameter: Message too long');
    // Subjects become mail headers: short, one line, ASCII.
    if (subject !== undefined && !/^[\x20-\x7e]{1,100}$/.test(subject))
      throw new ApiError('InvalidParameterException', 'Invalid parameter: Subject');
    this.published.push({ topicArn: topic.arn, subject, message, at: this.context.clock.now() });
    return { MessageId: randomUUID() };
  }

  private subscribe(input: SubscribeInput): SubscribeResponse {
    const topic = this.find(input.TopicArn);
    const protocol = input.Protocol ?? '';
    const endpoint = input.Endpoint ?? '';
    const same = this.subscriptions.find(
      (each) => each.topicArn === topic.arn && each.protocol === protocol && each.endpoint === endpoint,
    );
    if (same) return { SubscriptionArn: same.arn };
    const subscription = { arn: `${topic.arn}:${randomUUID()}`, topicArn: topic.arn, protocol, endpoint };
    this.subscriptions.push(subscription);
    return { SubscriptionArn: subscription.arn };
  }

  private unsubscribe(input: UnsubscribeInput): object {
    this.subscriptions = this.subscriptions.filter((each) => each.arn !== input.SubscriptionArn);
    return {};
  }

  private listSubscriptions(input: ListSubscriptionsByTopicInput): ListSubscriptionsByTopicResponse {
    const topic = this.find(input.TopicArn);
    return {
      Subscriptions: this.subscriptions
        .filter(({ topicArn }) => topicArn === topic.arn)
        .map((each) => ({
          SubscriptionArn: each.arn,
          Owner: this.context.account.accountId,
          Protocol: each.protocol,
          Endpoint: each.endpoint,
          TopicArn: each.topicArn,
        })),
    };
  }

  private tag(input: TagResourceRequest): object {
    Object.assign(this.find(input.ResourceArn).tags, tagsOf(input.Tags));
    return {};
  }

  private untag(input: UntagResourceRequest): object {
    const topic = this.find(input.ResourceArn);
    topic.tags = Object.fromEntries(
      Object.entries(topic.tags).filter(([key]) => !(input.TagKeys ?? []).includes(key)),
    );
    return {};
  }

  private listTags(input: ListTagsForResourceRequest): ListTagsForResourceResponse {
    return {
      Tags: Object.entries(this.find(input.ResourceArn).tags).map(([Key, Value]) => ({ Key, Value })),
    };
  }

  private find(topicArn: string | undefined): Topic {
    const topic = this.topics.get(topicArn ?? '');
    if (!topic) throw new ApiError('NotFoundException', 'Topic does not exist');
    return topic;
  }
}

function tagsOf(
  tags: readonly { Key: string | undefined; Value: string | undefined }[] = [],
): Record<string, string> {
  return Object.fromEntries(tags.map(({ Key, Value }) => [Key ?? '', Value ?? '']));
}
