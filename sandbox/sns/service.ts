import { randomUUID } from 'node:crypto';
import type {
  ConfirmSubscriptionInput,
  ConfirmSubscriptionResponse,
  CreateTopicInput,
  CreateTopicResponse,
  DeleteTopicInput,
  GetSubscriptionAttributesInput,
  GetSubscriptionAttributesResponse,
  GetTopicAttributesInput,
  GetTopicAttributesResponse,
  ListSubscriptionsByTopicInput,
  ListSubscriptionsByTopicResponse,
  ListSubscriptionsResponse,
  ListTagsForResourceRequest,
  ListTagsForResourceResponse,
  ListTopicsResponse,
  PublishInput,
  PublishResponse,
  SetSubscriptionAttributesInput,
  SetTopicAttributesInput,
  SubscribeInput,
  SubscribeResponse,
  Subscription as ListedSubscription,
  TagResourceRequest,
  UnsubscribeInput,
  UntagResourceRequest,
} from '@aws-sdk/client-sns';
import { arn } from '../core/account';
import { ApiError, NotInSandbox, type Operation, type Service } from '../core/api';
import type { SandboxContext } from '../core/context';
import { isJson } from '../core/json';
import { tagsOf } from '../core/tags';
import { contentOf, notification, textFor, type Mail, type PublishedMessage } from './message';
import {
  checkAttribute,
  checkedProtocol,
  deadLetterQueue,
  needsConfirmation,
  wants,
  type Subscription,
} from './subscription';

interface Topic {
  readonly arn: string;
  attributes: Record<string, string>;
  tags: Record<string, string>;
}

interface State {
  readonly topics: Map<string, Topic>;
  subscriptions: Subscription[];
  readonly published: PublishedMessage[];
  readonly mails: Mail[];
}

/** Messages and mails that are kept for inspection. */
const KEPT = 1000;
const PENDING = 'pending confirmation';

/** SNS: standard topics; messages go to functions and queues, and to an inbox that stands for people's mail. */
export class SnsService implements Service {
  readonly name = 'sns';
  readonly operations: Readonly<Record<string, Operation>>;
  private state: State = { topics: new Map(), subscriptions: [], published: [], mails: [] };

  constructor(private readonly context: SandboxContext) {
    this.operations = {
      CreateTopic: async (input: CreateTopicInput) => this.createTopic(input),
      DeleteTopic: async (input: DeleteTopicInput) => this.deleteTopic(input),
      ListTopics: async (): Promise<ListTopicsResponse> => ({
        Topics: [...this.state.topics.keys()].map((TopicArn) => ({ TopicArn })),
      }),
      GetTopicAttributes: async (input: GetTopicAttributesInput) => this.attributesOf(input),
      SetTopicAttributes: async (input: SetTopicAttributesInput) => this.setAttribute(input),
      Publish: async (input: PublishInput) => this.publish(input),
      Subscribe: async (input: SubscribeInput) => this.subscribe(input),
      ConfirmSubscription: async (input: ConfirmSubscriptionInput) => this.confirm(input),
      Unsubscribe: async (input: UnsubscribeInput) => this.unsubscribe(input),
      GetSubscriptionAttributes: async (input: GetSubscriptionAttributesInput) => this.subscriptionOf(input),
      SetSubscriptionAttributes: async (input: SetSubscriptionAttributesInput) => this.setFilter(input),
      ListSubscriptions: async (): Promise<ListSubscriptionsResponse> => ({
        Subscriptions: this.state.subscriptions.map((each) => this.listed(each)),
      }),
      ListSubscriptionsByTopic: async (input: ListSubscriptionsByTopicInput) => this.listSubscriptions(input),
      TagResource: async (input: TagResourceRequest) => this.tag(input),
      UntagResource: async (input: UntagResourceRequest) => this.untag(input),
      ListTagsForResource: async (input: ListTagsForResourceRequest) => this.listTags(input),
    };
    context.keep('sns', {
      save: () => this.state,
      load: (state: State) => {
        this.state = state;
      },
    });
  }

  /** What was published, oldest first; of many the last. */
  get messages(): readonly PublishedMessage[] {
    return this.state.published;
  }

  /** The mails that people who subscribed got, oldest first; of many the last. */
  get inbox(): readonly Mail[] {
    return this.state.mails;
  }

  private createTopic(input: CreateTopicInput): CreateTopicResponse {
    const name = input.Name ?? '';
    if (name.endsWith('.fifo')) throw new NotInSandbox('FIFO topics');
    if (!/^[A-Za-z0-9_-]{1,256}$/.test(name))
      throw new ApiError('InvalidParameterException', 'Invalid parameter: Topic Name');
    const topicArn = arn(this.context.account, 'sns', name);
    // Creating a topic that exists answers with it.
    if (!this.state.topics.has(topicArn))
      this.state.topics.set(topicArn, {
        arn: topicArn,
        attributes: { Policy: this.defaultPolicy(topicArn), ...input.Attributes },
        tags: tagsOf(input.Tags),
      });
    return { TopicArn: topicArn };
  }

  private deleteTopic(input: DeleteTopicInput): object {
    this.state.topics.delete(input.TopicArn ?? '');
    this.state.subscriptions = this.state.subscriptions.filter(({ topicArn }) => topicArn !== input.TopicArn);
    return {};
  }

  private attributesOf(input: GetTopicAttributesInput): GetTopicAttributesResponse {
    const topic = this.find(input.TopicArn);
    const own = this.state.subscriptions.filter(({ topicArn }) => topicArn === topic.arn);
    const pending = own.filter(({ token }) => token !== undefined).length;
    return {
      Attributes: {
        TopicArn: topic.arn,
        Owner: this.context.account.accountId,
        DisplayName: '',
        SubscriptionsConfirmed: String(own.length - pending),
        SubscriptionsPending: String(pending),
        SubscriptionsDeleted: '0',
        ...topic.attributes,
      },
    };
  }

  private setAttribute(input: SetTopicAttributesInput): object {
    const topic = this.find(input.TopicArn);
    const { AttributeName: name = '', AttributeValue: value = '' } = input;
    if (name === 'Policy' && !isJson(value))
      throw new ApiError('InvalidParameterException', 'Invalid parameter: Policy Error: null');
    topic.attributes[name] = value;
    return {};
  }

  private async publish(input: PublishInput): Promise<PublishResponse> {
    if (input.PhoneNumber !== undefined) throw new NotInSandbox('sns:Publish to a phone number');
    const topic = this.find(input.TopicArn ?? input.TargetArn);
    const content = contentOf(input);
    const published = { id: randomUUID(), topicArn: topic.arn, ...content, at: this.context.clock.now() };
    keep(this.state.published, published);
    for (const subscription of this.state.subscriptions)
      if (
        subscription.topicArn === topic.arn &&
        subscription.token === undefined &&
        wants(subscription, published)
      )
        await this.send(
          subscription,
          published,
          textFor(content.message, input.MessageStructure, subscription.protocol),
        );
    return { MessageId: published.id };
  }

  /** Whoever publishes does not hear what becomes of it. */
  private async send(subscription: Subscription, published: PublishedMessage, text: string): Promise<void> {
    const { protocol, endpoint, topicArn, attributes } = subscription;
    const { forLambda, forOthers, raw } = notification(published, text, subscription.arn);
    const whole = JSON.stringify(protocol === 'lambda' ? forLambda : forOthers);
    const isRaw = protocol === 'sqs' && attributes['RawMessageDelivery']?.toLowerCase() === 'true';
    const body = isRaw ? text : whole;
    const service = 'sns.amazonaws.com';
    const caller = { arn: service, via: { service, sourceArn: topicArn } };
    const enqueue = (queue: string): Promise<object> =>
      this.context.api.call(
        'sqs',
        'SendMessage',
        { QueueUrl: queue, MessageBody: body, ...(isRaw && { MessageAttributes: raw }) },
        caller,
      );
    try {
      if (protocol === 'lambda')
        await this.context.api.call(
          'lambda',
          'Invoke',
          { FunctionName: endpoint, InvocationType: 'Event', Payload: Buffer.from(body) },
          caller,
        );
      else if (protocol === 'sqs') await enqueue(endpoint);
      else
        this.mail({
          to: endpoint,
          topicArn,
          subject: published.subject ?? 'AWS Notification Message',
          text: protocol === 'email-json' ? whole : text,
          confirmWith: undefined,
        });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.context.log(`sns: ${topicArn} did not reach ${endpoint}: ${error.code}: ${error.message}`);
      const queue = deadLetterQueue(attributes['RedrivePolicy'] ?? '');
      if (queue !== undefined)
        await enqueue(queue).catch((failure: unknown) => {
          this.context.log(`sns: a message of ${topicArn} is lost: ${queue} refused it: ${String(failure)}`);
        });
    }
  }

  private mail(mail: Omit<Mail, 'at'>): void {
    keep(this.state.mails, { ...mail, at: this.context.clock.now() });
  }

  private subscribe(input: SubscribeInput): SubscribeResponse {
    const topic = this.find(input.TopicArn);
    const endpoint = input.Endpoint ?? '';
    const protocol = checkedProtocol(input.Protocol ?? '', endpoint);
    const attributes = { ...input.Attributes };
    for (const [name, value] of Object.entries(attributes)) checkAttribute(name, value);
    const same = this.state.subscriptions.find(
      (each) => each.topicArn === topic.arn && each.protocol === protocol && each.endpoint === endpoint,
    );
    if (same && Object.entries(attributes).some(([name, value]) => same.attributes[name] !== value))
      throw new ApiError(
        'InvalidParameterException',
        'Invalid parameter: Attributes Reason: Subscription already exists with different attributes',
      );
    const subscription = same ?? {
      arn: `${topic.arn}:${randomUUID()}`,
      topicArn: topic.arn,
      protocol,
      endpoint,
      token: needsConfirmation(protocol) ? randomUUID() : undefined,
      attributes,
    };
    if (!same) this.state.subscriptions.push(subscription);
    if (subscription.token !== undefined)
      this.mail({
        to: endpoint,
        topicArn: topic.arn,
        subject: 'AWS Notification - Subscription Confirmation',
        text: `You have chosen to subscribe to the topic: ${topic.arn}`,
        confirmWith: subscription.token,
      });
    const shown = subscription.token === undefined || input.ReturnSubscriptionArn === true;
    return { SubscriptionArn: shown ? subscription.arn : PENDING };
  }

  private confirm(input: ConfirmSubscriptionInput): ConfirmSubscriptionResponse {
    this.find(input.TopicArn);
    const subscription = this.state.subscriptions.find(
      ({ topicArn, token }) => topicArn === input.TopicArn && token !== undefined && token === input.Token,
    );
    if (!subscription) throw new ApiError('InvalidParameterException', 'Invalid parameter: Token');
    subscription.token = undefined;
    return { SubscriptionArn: subscription.arn };
  }

  private unsubscribe(input: UnsubscribeInput): object {
    this.state.subscriptions = this.state.subscriptions.filter((each) => each.arn !== input.SubscriptionArn);
    return {};
  }

  private subscriptionOf(input: GetSubscriptionAttributesInput): GetSubscriptionAttributesResponse {
    const subscription = this.findSubscription(input.SubscriptionArn);
    return {
      Attributes: {
        SubscriptionArn: subscription.arn,
        TopicArn: subscription.topicArn,
        Owner: this.context.account.accountId,
        Protocol: subscription.protocol,
        Endpoint: subscription.endpoint,
        PendingConfirmation: String(subscription.token !== undefined),
        ConfirmationWasAuthenticated: String(subscription.token === undefined),
        RawMessageDelivery: 'false',
        ...subscription.attributes,
      },
    };
  }

  private setFilter(input: SetSubscriptionAttributesInput): object {
    const { AttributeName: name = '', AttributeValue: value = '' } = input;
    const subscription = this.findSubscription(input.SubscriptionArn);
    checkAttribute(name, value);
    subscription.attributes[name] = value;
    return {};
  }

  private listSubscriptions(input: ListSubscriptionsByTopicInput): ListSubscriptionsByTopicResponse {
    const topic = this.find(input.TopicArn);
    return {
      Subscriptions: this.state.subscriptions
        .filter(({ topicArn }) => topicArn === topic.arn)
        .map((each) => this.listed(each)),
    };
  }

  private listed(subscription: Subscription): ListedSubscription {
    return {
      SubscriptionArn: subscription.token === undefined ? subscription.arn : 'PendingConfirmation',
      Owner: this.context.account.accountId,
      Protocol: subscription.protocol,
      Endpoint: subscription.endpoint,
      TopicArn: subscription.topicArn,
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

  /** The policy that SNS gives a topic: whoever acts for the owner may use it. It is gone once another is set. */
  private defaultPolicy(topicArn: string): string {
    return JSON.stringify({
      Version: '2008-10-17',
      Id: '__default_policy_ID',
      Statement: [
        {
          Sid: '__default_statement_ID',
          Effect: 'Allow',
          Principal: { AWS: '*' },
          Action: [
            'SNS:GetTopicAttributes',
            'SNS:SetTopicAttributes',
            'SNS:AddPermission',
            'SNS:RemovePermission',
            'SNS:DeleteTopic',
            'SNS:Subscribe',
            'SNS:ListSubscriptionsByTopic',
            'SNS:Publish',
          ],
          Resource: topicArn,
          Condition: { StringEquals: { 'AWS:SourceOwner': this.context.account.accountId } },
        },
      ],
    });
  }

  private find(topicArn: string | undefined): Topic {
    const topic = this.state.topics.get(topicArn ?? '');
    if (!topic) throw new ApiError('NotFoundException', 'Topic does not exist', 404);
    return topic;
  }

  private findSubscription(subscriptionArn: string | undefined): Subscription {
    const found = this.state.subscriptions.find((each) => each.arn === subscriptionArn);
    if (!found) throw new ApiError('NotFoundException', 'Subscription does not exist', 404);
    return found;
  }
}

/** Keeps the last ones only. */
function keep<T>(list: T[], item: T): void {
  list.push(item);
  if (list.length > KEPT) list.shift();
}
