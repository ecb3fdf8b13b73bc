import { z } from 'zod';
import { json, provider, tags, text, texts, truth, type Provider } from '../resource';

const TopicArn = z.object({ TopicArn: z.string() });
const SubscriptionArn = z.object({ SubscriptionArn: z.string() });

export const SNS_PROVIDERS: Readonly<Record<string, Provider>> = {
  'AWS::SNS::Topic': provider(
    {
      DisplayName: text.optional(),
      KmsMasterKeyId: text.optional(),
      Tags: tags.optional(),
      TopicName: text.optional(),
    },
    async ({ DisplayName, KmsMasterKeyId, Tags, TopicName }, { call, generatedName }) => {
      const name = TopicName ?? generatedName(256);
      const attributes = {
        ...(DisplayName !== undefined && { DisplayName }),
        ...(KmsMasterKeyId !== undefined && { KmsMasterKeyId }),
      };
      const topic = { Name: name, Attributes: attributes, ...(Tags && { Tags }) };
      const created = TopicArn.parse(await call('sns', 'CreateTopic', topic));
      return { physicalId: created.TopicArn, attributes: { TopicArn: created.TopicArn, TopicName: name } };
    },
  ),
  'AWS::SNS::TopicPolicy': provider(
    { PolicyDocument: json, Topics: texts },
    async ({ PolicyDocument, Topics }, { call, generatedName }) => {
      for (const topic of Topics)
        await call('sns', 'SetTopicAttributes', {
          TopicArn: topic,
          AttributeName: 'Policy',
          AttributeValue: JSON.stringify(PolicyDocument),
        });
      return { physicalId: generatedName(), attributes: { Id: generatedName() } };
    },
  ),
  'AWS::SNS::Subscription': provider(
    {
      Endpoint: text,
      FilterPolicy: json.optional(),
      FilterPolicyScope: text.optional(),
      Protocol: text,
      RawMessageDelivery: truth.optional(),
      RedrivePolicy: json.optional(),
      Region: text.optional(),
      TopicArn: text,
    },
    async ({ Endpoint, Protocol, TopicArn: topic, Region: _region, ...settings }, { call }) => {
      const created = SubscriptionArn.parse(
        await call('sns', 'Subscribe', {
          TopicArn: topic,
          Protocol,
          Endpoint,
          ReturnSubscriptionArn: true,
          Attributes: attributeTexts(settings),
        }),
      );
      return { physicalId: created.SubscriptionArn, attributes: { Arn: created.SubscriptionArn } };
    },
  ),
};

/** Attributes are texts: documents as JSON. */
function attributeTexts(settings: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(settings)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
}
