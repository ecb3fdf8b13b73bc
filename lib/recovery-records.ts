import { ArnFormat, CfnOutput, Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type * as logs from 'aws-cdk-lib/aws-logs';
import * as s3 from 'aws-cdk-lib/aws-s3';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import type * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { EnvironmentName } from '../lambdas/contract/settings';
import { RollbackFunction } from './rollback-function';

export interface RecordWriterProps {
  readonly environment: EnvironmentName;
  readonly machine: sfn.StateMachine;
  /** Where calls go that failed for good; somebody is told of what is in it. */
  readonly deadLetters: sqs.IQueue;
  readonly snapshotRetentionDays: number;
  readonly logDays: logs.RetentionDays;
}

/** The documents that recoveries leave (docs/decisions/0022-record.md). They outlive the stack. */
export class RecoveryRecords extends Construct {
  readonly bucket: s3.Bucket;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    this.bucket = new s3.Bucket(this, 'Bucket', {
      encryption: s3.BucketEncryption.S3_MANAGED,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      enforceSSL: true,
      // A redriven execution writes its record again.
      versioned: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    Validations.of(this.bucket).acknowledge({
      id: 'AwsSolutions-S1',
      reason:
        'A few small documents a year, without secrets: a second bucket for the log of who read them would be larger than the first.',
    });
    new CfnOutput(this, 'RecordsBucket', { value: this.bucket.bucketName });
  }

  /** However an execution ends, its record is written: nothing of a recovery waits for it, or fails with it. */
  write({ environment, machine, deadLetters, snapshotRetentionDays, logDays }: RecordWriterProps): void {
    const writeRecord = new RollbackFunction(this, 'WriteRecord', {
      environment,
      functionName: 'write-record',
      settings: {
        ENVIRONMENT: environment,
        DATABASE_URL_SECRET_ID: undefined,
        MASTER_SECRET_ID: undefined,
        SNAPSHOT_RETENTION_DAYS: String(snapshotRetentionDays),
        RECORDS_BUCKET: this.bucket.bucketName,
      },
      permissions: [
        {
          sid: 'ReadRecoveries',
          actions: ['states:DescribeExecution', 'states:GetExecutionHistory'],
          resources: [executionsOf(machine)],
          wildcardReason: 'Recoveries get their names when they are started. Reading them changes nothing.',
        },
        {
          sid: 'WriteRecord',
          actions: ['s3:PutObject'],
          resources: [this.bucket.arnForObjects('*')],
          wildcardReason:
            'Records are named after recoveries. Nothing can be read or deleted; what was there stays as a version.',
        },
        { sid: 'SendFailures', actions: ['sqs:SendMessage'], resources: [deadLetters.queueArn] },
      ],
      logDays,
    });
    new lambda.CfnEventInvokeConfig(this, 'WriteRecordFailures', {
      functionName: writeRecord.functionName,
      qualifier: '$LATEST',
      maximumRetryAttempts: 2,
      maximumEventAgeInSeconds: 6 * 3600,
      destinationConfig: { onFailure: { destination: deadLetters.queueArn } },
    });
    new events.Rule(this, 'Ended', {
      ruleName: `${environment}-recovery-ended`,
      description: 'Has the record of a recovery written when it has ended',
      eventPattern: {
        source: ['aws.states'],
        detailType: ['Step Functions Execution Status Change'],
        detail: {
          stateMachineArn: [machine.stateMachineArn],
          status: ['SUCCEEDED', 'FAILED', 'TIMED_OUT', 'ABORTED'],
        },
      },
      targets: [
        new LambdaFunction(writeRecord, {
          event: events.RuleTargetInput.fromEventPath('$.detail'),
          deadLetterQueue: deadLetters,
          retryAttempts: 10,
          maxEventAge: Duration.hours(6),
        }),
      ],
    });
  }
}

function executionsOf(machine: sfn.StateMachine): string {
  return Stack.of(machine).formatArn({
    service: 'states',
    resource: 'execution',
    resourceName: `${machine.stateMachineName}:*`,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
}
