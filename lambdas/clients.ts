import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { ECSClient } from '@aws-sdk/client-ecs';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { RDSClient } from '@aws-sdk/client-rds';
import { S3Client } from '@aws-sdk/client-s3';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SFNClient } from '@aws-sdk/client-sfn';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { InvalidInput } from './errors';

/**
 * The one place where SDK clients are made. Throttling and passing faults are retried by the SDK (exponential, with
 * jitter); a connection that hangs is given up well before the function's own timeout. Every call that is made here may
 * therefore have taken effect more than once: steps are written for that.
 */
const CONFIGURATION = {
  maxAttempts: 6,
  retryMode: 'standard',
  requestHandler: { connectionTimeout: 3000, requestTimeout: 15_000 },
};

export function rdsClient(): RDSClient {
  return new RDSClient(CONFIGURATION);
}

/**
 * In the Region that the copies go to.
 * @throws InvalidInput where that is the function's own: every snapshot would be taken for its copy, and thinned as one
 */
export function rdsClientElsewhere(region: string): RDSClient {
  if (region === process.env.AWS_REGION)
    throw new InvalidInput(
      `copies.region is ${region}, the Region of the database itself: there are no copies.`,
      'Name another Region in lib/environments.ts, and deploy.',
    );
  return new RDSClient({ ...CONFIGURATION, region });
}

/** Of another account, under a role over there that lets this function in. The SDK asks for new credentials before they end. */
export function rdsClientUnder(roleArn: string): RDSClient {
  const sts = new STSClient(CONFIGURATION);
  return new RDSClient({
    ...CONFIGURATION,
    credentials: async () => {
      const { Credentials } = await sts.send(
        new AssumeRoleCommand({ RoleArn: roleArn, RoleSessionName: 'migration-rollback' }),
      );
      return {
        accessKeyId: Credentials?.AccessKeyId ?? '',
        secretAccessKey: Credentials?.SecretAccessKey ?? '',
        ...(Credentials?.SessionToken !== undefined && { sessionToken: Credentials.SessionToken }),
        ...(Credentials?.Expiration && { expiration: Credentials.Expiration }),
      };
    },
  });
}

export function secretsManagerClient(): SecretsManagerClient {
  return new SecretsManagerClient(CONFIGURATION);
}

export function ecsClient(): ECSClient {
  return new ECSClient(CONFIGURATION);
}

export function eventBridgeClient(): EventBridgeClient {
  return new EventBridgeClient(CONFIGURATION);
}

export function cloudWatchClient(): CloudWatchClient {
  return new CloudWatchClient(CONFIGURATION);
}

export function stepFunctionsClient(): SFNClient {
  return new SFNClient(CONFIGURATION);
}

export function s3Client(): S3Client {
  // Where another endpoint stands in for S3, buckets have no names of their own in its DNS.
  return new S3Client({ ...CONFIGURATION, forcePathStyle: process.env.AWS_ENDPOINT_URL !== undefined });
}

/** Waits for functions that look at a database; with both tries it answers within the minute that an AWS CLI waits. */
export function lambdaClient(): LambdaClient {
  return new LambdaClient({
    ...CONFIGURATION,
    maxAttempts: 2,
    requestHandler: { connectionTimeout: 3000, requestTimeout: 25_000 },
  });
}
