import { Stack, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as sns from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { Construct } from 'constructs';

/** The topic `Events` of a scope, through which its alarms tell people. */
export function eventsTopic(
  scope: Construct,
  names: Required<Pick<sns.TopicProps, 'topicName' | 'displayName'>>,
  /** Mail addresses. */
  notify: readonly string[],
): sns.Topic {
  const topic = new sns.Topic(scope, 'Events', { ...names, enforceSSL: true });
  // A policy of its own, such as that of enforceSSL, takes the place of the default one, which lets alarms of the account in.
  topic.addToResourcePolicy(
    new iam.PolicyStatement({
      sid: 'AlarmsTell',
      principals: [new iam.ServicePrincipal('cloudwatch.amazonaws.com')],
      actions: ['sns:Publish'],
      resources: [topic.topicArn],
      conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(scope).account } },
    }),
  );
  for (const address of notify) topic.addSubscription(new EmailSubscription(address));
  Validations.of(topic).acknowledge({
    id: 'AwsSolutions-SNS2',
    reason:
      'Messages hold names of instances and snapshots, no secrets. Alarms cannot publish to a topic under the AWS managed key, ' +
      'and a key of our own costs a dollar a month.',
  });
  return topic;
}
