import { z } from 'zod';
import { ApiError, type Api, type ServiceName } from '../core/api';
import type { Caller } from '../core/api';
import type { Json } from '../deploy/json';
import type { Keys } from '../deploy/keys';

const Tags = z.array(z.object({ Key: z.string(), Value: z.string().default('') })).default([]);
const json = z.string().transform((value): Json => JSON.parse(value) as Json);

/** What a decision has to know about the resources of a call: asked of the services directly, past every interceptor. */
export class Lookup {
  constructor(
    private readonly api: Api,
    private readonly caller: Caller,
    readonly keys: Keys,
  ) {}

  /** Tags of a resource of RDS; none when it does not exist. */
  async rdsTags(arn: string): Promise<Readonly<Record<string, string>>> {
    if (arn.includes('*')) return {};
    const answer = await this.ask('rds', 'ListTagsForResource', { ResourceName: arn }, arn.split(':')[3]);
    return tagMap(z.object({ TagList: Tags }).parse(answer ?? {}).TagList);
  }

  async instance(id: string): Promise<InstanceFacts | undefined> {
    const answer = await this.ask('rds', 'DescribeDBInstances', { DBInstanceIdentifier: id });
    return Instances.parse(answer ?? {}).DBInstances[0];
  }

  /** A snapshot of the account, or one that is shared with it; undefined when there is none. */
  async snapshot(id: string, region?: string): Promise<SnapshotFacts | undefined> {
    const answer = await this.ask('rds', 'DescribeDBSnapshots', { DBSnapshotIdentifier: id }, region);
    return Snapshots.parse(answer ?? {}).DBSnapshots[0];
  }

  /** A secret by name, ARN or ARN without its suffix; undefined when it does not exist. */
  async secret(
    id: string,
  ): Promise<{ arn: string; tags: Readonly<Record<string, string>>; policy: Json | undefined } | undefined> {
    const described = await this.ask('secretsmanager', 'DescribeSecret', { SecretId: id });
    if (!described) return undefined;
    const secret = Secret.parse(described);
    const policy = await this.ask('secretsmanager', 'GetResourcePolicy', { SecretId: id });
    return {
      arn: secret.ARN,
      tags: tagMap(secret.Tags),
      policy: z.object({ ResourcePolicy: json.optional() }).parse(policy ?? {}).ResourcePolicy,
    };
  }

  async topicPolicy(arn: string): Promise<Json | undefined> {
    const answer = await this.ask('sns', 'GetTopicAttributes', { TopicArn: arn });
    return Topic.parse(answer ?? {}).Attributes.Policy;
  }

  async queuePolicy(name: string): Promise<Json | undefined> {
    const url = await this.ask('sqs', 'GetQueueUrl', { QueueName: name });
    if (!url) return undefined;
    const answer = await this.ask('sqs', 'GetQueueAttributes', { ...url, AttributeNames: ['Policy'] });
    return Topic.parse(answer ?? {}).Attributes.Policy;
  }

  async bucketPolicy(name: string): Promise<Json | undefined> {
    const answer = await this.ask('s3', 'GetBucketPolicy', { Bucket: name });
    return z.object({ Policy: json.optional() }).parse(answer ?? {}).Policy;
  }

  async functionPolicy(name: string): Promise<Json | undefined> {
    const answer = await this.ask('lambda', 'GetPolicy', { FunctionName: name });
    return z.object({ Policy: json.optional() }).parse(answer ?? {}).Policy;
  }

  /** Tags and policy, if any, of a resource that is not there do not matter: the call fails on its own. */
  private async ask(
    service: ServiceName,
    operation: string,
    input: object,
    region?: string,
  ): Promise<object | undefined> {
    try {
      return await this.api.ask(service, operation, input, this.caller, region);
    } catch (error) {
      if (error instanceof ApiError) return undefined;
      throw error;
    }
  }
}

const Instances = z.object({
  DBInstances: z
    .array(
      z.object({
        EngineVersion: z.string(),
        CopyTagsToSnapshot: z.boolean().default(false),
        DBSubnetGroup: z.object({ DBSubnetGroupName: z.string() }).optional(),
      }),
    )
    .default([]),
});
export type InstanceFacts = z.infer<typeof Instances>['DBInstances'][number];

const Snapshots = z.object({
  DBSnapshots: z.array(z.object({ EngineVersion: z.string(), KmsKeyId: z.string().optional() })).default([]),
});
export type SnapshotFacts = z.infer<typeof Snapshots>['DBSnapshots'][number];

const Secret = z.object({ ARN: z.string(), Tags });
const Topic = z.object({ Attributes: z.object({ Policy: json.optional() }).default({}) });

function tagMap(tags: z.infer<typeof Tags>): Record<string, string> {
  return Object.fromEntries(tags.map(({ Key, Value }) => [Key, Value]));
}
