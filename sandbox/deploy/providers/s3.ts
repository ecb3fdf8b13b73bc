import { z } from 'zod';
import { json, provider, tags, text, truth, type Provider } from '../resource';

export const S3_PROVIDERS: Readonly<Record<string, Provider>> = {
  'AWS::S3::Bucket': provider(
    {
      BucketName: text.optional(),
      // What every bucket has on AWS unless told otherwise, and the only kind of encryption here.
      BucketEncryption: z
        .strictObject({
          ServerSideEncryptionConfiguration: z.array(
            z.strictObject({
              ServerSideEncryptionByDefault: z.strictObject({ SSEAlgorithm: z.literal('AES256') }),
            }),
          ),
        })
        .optional(),
      OwnershipControls: json.optional(),
      // Nobody outside of the account reaches the sandbox.
      PublicAccessBlockConfiguration: z
        .strictObject({
          BlockPublicAcls: truth,
          BlockPublicPolicy: truth,
          IgnorePublicAcls: truth,
          RestrictPublicBuckets: truth,
        })
        .optional(),
      Tags: tags.optional(),
      VersioningConfiguration: z.strictObject({ Status: z.enum(['Enabled', 'Suspended']) }).optional(),
    },
    async ({ BucketName, VersioningConfiguration }, { call, context, generatedName }) => {
      const { partition, region } = context.account;
      const name = BucketName ?? generatedName(63).toLowerCase();
      await call('s3', 'CreateBucket', { Bucket: name });
      if (VersioningConfiguration)
        await call('s3', 'PutBucketVersioning', { Bucket: name, VersioningConfiguration });
      return {
        physicalId: name,
        attributes: {
          Arn: `arn:${partition}:s3:::${name}`,
          DomainName: `${name}.s3.amazonaws.com`,
          RegionalDomainName: `${name}.s3.${region}.amazonaws.com`,
        },
      };
    },
  ),
  'AWS::S3::BucketPolicy': provider(
    { Bucket: text, PolicyDocument: json },
    async ({ Bucket, PolicyDocument }, { call }) => {
      await call('s3', 'PutBucketPolicy', { Bucket, Policy: JSON.stringify(PolicyDocument) });
      return { physicalId: Bucket };
    },
  ),
};
