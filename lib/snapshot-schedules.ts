import { Duration, RemovalPolicy, Validations } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { CfnSchedule } from 'aws-cdk-lib/aws-scheduler';
import type * as sns from 'aws-cdk-lib/aws-sns';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { EnvironmentName } from '../lambdas/contract/settings';
import type { SnapshotSchedule } from './environments';
import { allow } from './permissions/permission';
import type { RollbackFunction } from './rollback-function';

/** The schedule asks again in so many hours: RDS may be busy with its own backup at the first. */
const HOURS_OF_TRYING = 3;
/** The reaper comes this many hours after the first try, when the snapshot of the day is there. */
const REAPER_HOURS_LATER = 5;

/** The queue for what nobody waited for and failed. */
export function deadLettersName(environment: string): string {
  return `${environment}-snapshot-dead-letters`;
}

export interface SnapshotSchedulesProps {
  readonly environment: EnvironmentName;
  readonly schedule: SnapshotSchedule;
  readonly scheduledSnapshot: RollbackFunction;
  readonly reapSnapshots: RollbackFunction;
  /** @default - snapshots are not copied */
  readonly copySnapshots?: RollbackFunction;
  /** @default - snapshots are not copied to another account */
  readonly copyToVault?: RollbackFunction;
  /** Where people are told that something needs their attention. */
  readonly topic: sns.ITopic;
}

/** Takes a snapshot a day, reaps the expired ones, and tells people when one of the two did not work. */
export class SnapshotSchedules extends Construct {
  /** What failed for good: a call that could not be made, or a function that threw at every try. Rings the alarm. */
  readonly deadLetters: sqs.Queue;

  constructor(scope: Construct, id: string, props: SnapshotSchedulesProps) {
    super(scope, id);
    const { environment, schedule, scheduledSnapshot, reapSnapshots, copySnapshots, copyToVault, topic } =
      props;
    this.deadLetters = this.queue(environment);
    const role = this.role(environment, [
      scheduledSnapshot,
      reapSnapshots,
      ...(copySnapshots ? [copySnapshots] : []),
      ...(copyToVault ? [copyToVault] : []),
    ]);
    const { hour, timeZone } = schedule;
    const hours = Array.from({ length: HOURS_OF_TRYING }, (_, index) => (hour + index) % 24);
    this.schedule('ScheduledSnapshot', scheduledSnapshot, role, {
      name: `${environment}-scheduled-snapshot`,
      description: 'Takes the snapshot of the day; the later tries find it there',
      expression: `cron(0 ${hours.join(',')} * * ? *)`,
      timeZone,
      input: { scheduledTime: '<aws.scheduler.scheduled-time>', timeZone },
    });
    this.schedule('ReapSnapshots', reapSnapshots, role, {
      name: `${environment}-reap-snapshots`,
      description: 'Deletes the snapshots that are past their time',
      expression: `cron(30 ${(hour + REAPER_HOURS_LATER) % 24} * * ? *)`,
      timeZone,
      input: { failOnWarning: true },
    });
    if (copySnapshots)
      this.schedule('CopySnapshots', copySnapshots, role, {
        name: `${environment}-copy-snapshots`,
        description: 'Begins the copies in another Region that are missing',
        expression: 'cron(45 * * * ? *)',
        timeZone,
        input: { failOnWarning: true },
      });
    if (copyToVault)
      this.schedule('CopyToVault', copyToVault, role, {
        name: `${environment}-copy-to-vault`,
        description: 'Takes the snapshots that the vault lacks one step further',
        // A snapshot takes three steps, and its passing copy counts towards the quota meanwhile.
        expression: 'cron(10/15 * * * ? *)',
        timeZone,
        input: { failOnWarning: true },
      });
    this.alarm(environment, topic);
  }

  private queue(environment: EnvironmentName): sqs.Queue {
    const queue = new sqs.Queue(this, 'DeadLetters', {
      queueName: deadLettersName(environment),
      retentionPeriod: Duration.days(14),
      enforceSSL: true,
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    Validations.of(queue).acknowledge({ id: 'AwsSolutions-SQS3', reason: 'It is the dead-letter queue.' });
    return queue;
  }

  private role(environment: EnvironmentName, functions: readonly RollbackFunction[]): iam.Role {
    const role = new iam.Role(this, 'Role', {
      assumedBy: new iam.ServicePrincipal('scheduler.amazonaws.com'),
      description: `What the schedules of ${environment} may do`,
    });
    allow(role, [
      {
        sid: 'CallFunctions',
        actions: ['lambda:InvokeFunction'],
        resources: functions.map(({ functionArn }) => functionArn),
      },
      { sid: 'SendFailures', actions: ['sqs:SendMessage'], resources: [this.deadLetters.queueArn] },
    ]);
    return role;
  }

  private schedule(
    id: string,
    target: RollbackFunction,
    role: iam.Role,
    props: { name: string; description: string; expression: string; timeZone: string; input: object },
  ): void {
    const schedule = new CfnSchedule(this, id, {
      name: props.name,
      description: props.description,
      scheduleExpression: props.expression,
      scheduleExpressionTimezone: props.timeZone,
      flexibleTimeWindow: { mode: 'OFF' },
      target: {
        arn: target.functionArn,
        roleArn: role.roleArn,
        input: JSON.stringify(props.input),
        // Until Lambda has taken the call; what the function then does with it is the next lines' matter.
        retryPolicy: { maximumRetryAttempts: 10, maximumEventAgeInSeconds: 3600 },
        deadLetterConfig: { arn: this.deadLetters.queueArn },
      },
    });
    schedule.node.addDependency(role);
    new lambda.CfnEventInvokeConfig(this, `${id}Failures`, {
      functionName: target.functionName,
      qualifier: '$LATEST',
      maximumRetryAttempts: 2,
      maximumEventAgeInSeconds: 3600,
      destinationConfig: { onFailure: { destination: this.deadLetters.queueArn } },
    });
  }

  /** One alarm for both, since each costs: the message in the queue says what it was. */
  private alarm(environment: EnvironmentName, topic: sns.ITopic): void {
    const alarm = new cloudwatch.Alarm(this, 'AttentionAlarm', {
      alarmName: `${environment}-snapshots-need-attention`,
      alarmDescription:
        `A scheduled snapshot failed, the newest good snapshot is too old, the quota is nearly used up, snapshots could not be reaped, or ` +
        'no drill has succeeded for too long or could be started. ' +
        `The messages in the queue ${deadLettersName(environment)} say which; docs/pipeline.md says what to do.`,
      metric: this.deadLetters.metricApproximateNumberOfMessagesVisible({
        period: Duration.minutes(5),
        statistic: cloudwatch.Stats.MAXIMUM,
      }),
      threshold: 1,
      evaluationPeriods: 1,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    alarm.addAlarmAction(new SnsAction(topic));
  }
}
