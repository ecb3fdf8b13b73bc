import { cp, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CreateFunctionRequest } from '@aws-sdk/client-lambda';
import { z } from 'zod';
import { NotInSandbox } from '../../core/api';
import { unzip } from '../../lambda/zip';
import { number, provider, tags, text, texts, truth, type Provider, type ResourceRequest } from '../resource';

const Code = z.strictObject({
  S3Bucket: text.optional(),
  S3Key: text.optional(),
  ZipFile: text.optional(),
});

const Uploaded = z.object({ Body: z.instanceof(Uint8Array) });

/**
 * A directory of the sandbox with a function's code: a copy of its asset, since the assembly may go; unpacked from
 * the bucket where the asset was uploaded; or made for code that stands in the template.
 */
async function codeDirectory(code: z.infer<typeof Code>, request: ResourceRequest): Promise<string> {
  const own = join(request.context.directory, 'deploy', `${request.stackName}-${request.logicalId}`);
  if (code.ZipFile !== undefined) {
    await mkdir(own, { recursive: true });
    await writeFile(join(own, 'index.js'), code.ZipFile);
    return own;
  }
  const asset = request.assets.get(code.S3Key ?? '');
  if (asset === undefined) {
    const { Body } = Uploaded.parse(
      await request.call('s3', 'GetObject', { Bucket: code.S3Bucket, Key: code.S3Key }),
    );
    await unzip(Body, own);
  } else if ((await stat(asset)).isDirectory()) await cp(asset, own, { recursive: true });
  else await unzip(await readFile(asset), own);
  return own;
}

export const LAMBDA_PROVIDERS: Readonly<Record<string, Provider>> = {
  'AWS::Lambda::Function': provider(
    {
      Architectures: z.array(z.enum(['arm64', 'x86_64'])).optional(),
      Code,
      DeadLetterConfig: z.strictObject({ TargetArn: text.optional() }).optional(),
      Description: text.optional(),
      Environment: z.strictObject({ Variables: z.record(z.string(), text).optional() }).optional(),
      EphemeralStorage: z.strictObject({ Size: number }).optional(),
      FunctionName: text.optional(),
      Handler: text,
      KmsKeyArn: text.optional(),
      LoggingConfig: z
        .strictObject({
          ApplicationLogLevel: text.optional(),
          LogFormat: z.enum(['JSON', 'Text']).optional(),
          LogGroup: text.optional(),
        })
        .optional(),
      MemorySize: number.optional(),
      ReservedConcurrentExecutions: number.optional(),
      Role: text,
      Runtime: text,
      Tags: tags.optional(),
      Timeout: number.optional(),
      TracingConfig: z.strictObject({ Mode: z.enum(['Active', 'PassThrough']) }).optional(),
      VpcConfig: z
        .strictObject({
          Ipv6AllowedForDualStack: truth.optional(),
          SecurityGroupIds: texts.optional(),
          SubnetIds: texts.optional(),
        })
        .optional(),
    },
    async (properties, request) => {
      const { Code: code, FunctionName, KmsKeyArn, ReservedConcurrentExecutions, Tags, ...rest } = properties;
      const name = FunctionName ?? request.generatedName(64);
      const settings = {
        ...rest,
        FunctionName: name,
        ...(KmsKeyArn !== undefined && { KMSKeyArn: KmsKeyArn }),
        ...(Tags && { Tags: Object.fromEntries(Tags.map(({ Key, Value }) => [Key, Value])) }),
      } as Omit<CreateFunctionRequest, 'Code'>;
      const { FunctionArn = '' } = await request.lambda.deployFunction(
        settings,
        await codeDirectory(code, request),
      );
      if (ReservedConcurrentExecutions !== undefined)
        await request.call('lambda', 'PutFunctionConcurrency', {
          FunctionName: name,
          ReservedConcurrentExecutions,
        });
      return { physicalId: name, attributes: { Arn: FunctionArn } };
    },
  ),
  'AWS::Lambda::Permission': provider(
    {
      Action: text,
      FunctionName: text,
      Principal: text,
      SourceAccount: text.optional(),
      SourceArn: text.optional(),
    },
    async (properties, { call, generatedName }) => {
      const id = generatedName(100);
      await call('lambda', 'AddPermission', { ...properties, StatementId: id });
      return { physicalId: id, attributes: { Id: id } };
    },
  ),
  'AWS::Lambda::EventInvokeConfig': provider(
    {
      DestinationConfig: z
        .strictObject({
          OnFailure: z.strictObject({ Destination: text }).optional(),
          OnSuccess: z.strictObject({ Destination: text }).optional(),
        })
        .optional(),
      FunctionName: text,
      MaximumEventAgeInSeconds: number.optional(),
      MaximumRetryAttempts: number.optional(),
      Qualifier: text,
    },
    async (properties, { call, generatedName }) => {
      await call('lambda', 'PutFunctionEventInvokeConfig', properties);
      return { physicalId: generatedName() };
    },
  ),
  'AWS::Lambda::Version': () => Promise.reject(new NotInSandbox('AWS::Lambda::Version')),
};
