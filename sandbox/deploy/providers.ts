import { NotInSandbox } from '../core/api';
import { CLOUDWATCH_PROVIDERS } from './providers/cloudwatch';
import { customResource } from './providers/custom-resource';
import { EVENTS_PROVIDERS } from './providers/events';
import { IAM_PROVIDERS } from './providers/iam';
import { LAMBDA_PROVIDERS } from './providers/lambda';
import { NETWORK_PROVIDERS } from './providers/network';
import { OTHER_PROVIDERS } from './providers/others';
import { RDS_IMPORTERS, RDS_PROVIDERS } from './providers/rds';
import { S3_PROVIDERS } from './providers/s3';
import { SCHEDULER_PROVIDERS } from './providers/scheduler';
import { SECRETS_MANAGER_PROVIDERS } from './providers/secrets-manager';
import { SNS_PROVIDERS } from './providers/sns';
import { SQS_PROVIDERS } from './providers/sqs';
import { STEP_FUNCTIONS_PROVIDERS } from './providers/step-functions';
import type { Importer, Provider } from './resource';

const PROVIDERS: Readonly<Record<string, Provider>> = {
  ...RDS_PROVIDERS,
  ...SECRETS_MANAGER_PROVIDERS,
  ...LAMBDA_PROVIDERS,
  ...IAM_PROVIDERS,
  ...NETWORK_PROVIDERS,
  ...STEP_FUNCTIONS_PROVIDERS,
  ...SNS_PROVIDERS,
  ...SQS_PROVIDERS,
  ...EVENTS_PROVIDERS,
  ...S3_PROVIDERS,
  ...SCHEDULER_PROVIDERS,
  ...CLOUDWATCH_PROVIDERS,
  ...OTHER_PROVIDERS,
};

/** Whether it is a custom resource: what happens to it is a function's business. */
export function isCustom(type: string): boolean {
  return type.startsWith('Custom::') || type === 'AWS::CloudFormation::CustomResource';
}

/** What adopts resources of a type; undefined where nothing does. */
export function importerOf(type: string): Importer | undefined {
  return RDS_IMPORTERS[type];
}

/** Whether making such a resource leaves nothing but what its stack knows of it. */
export function isRecordedOnly(type: string): boolean {
  return type in OTHER_PROVIDERS;
}

/** What makes resources of a type. @throws NotInSandbox when nothing does */
export function providerOf(type: string): Provider {
  if (isCustom(type)) return customResource;
  const provider = PROVIDERS[type];
  if (!provider) throw new NotInSandbox(`the resource type ${type}`);
  return provider;
}
