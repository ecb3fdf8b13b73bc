import { CfnOutput, Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import type * as sns from 'aws-cdk-lib/aws-sns';
import type * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { InstancePrice } from '../lambdas/contract/rules';
import type { EnvironmentName } from '../lambdas/contract/settings';
import { DatabaseDashboard } from './database-dashboard';
import { DrillSchedule } from './drill-schedule';
import { environmentFunctions } from './environment-functions';
import type {
  DrillSchedule as DrillSettings,
  RecoverySettings,
  SnapshotCopies,
  SnapshotSchedule,
  SnapshotVault,
} from './environments';
import { eventsTopic } from './events-topic';
import { RecoveryRecords } from './recovery-records';
import { RecoveryMachine } from './recovery-machine/recovery-machine';
import type { RollbackFunction } from './rollback-function';
import { SnapshotSchedules } from './snapshot-schedules';

export interface MigrationRollbackProps {
  /** Prefix of all physical names. */
  readonly environment: EnvironmentName;
  /** The database: its security group lets the functions in, at its default port. Usually the `DatabaseInstance` itself. */
  readonly instance: ec2.IConnectable;
  /** The application's DATABASE_URL. A recovery moves it to another instance. */
  readonly databaseUrlSecret: ISecret;
  /** JSON with the master user's `username` and `password`. */
  readonly masterSecret: ISecret;
  readonly vpc: ec2.IVpc;
  /**
   * Subnets for the functions that talk to PostgreSQL.
   * @default - the isolated subnets of the VPC
   */
  readonly subnets?: readonly ec2.ISubnet[];
  /**
   * The endpoint through which Secrets Manager is reached; it is opened for the functions.
   * @default - Secrets Manager is reached in another way, so the functions may open connections to anywhere
   */
  readonly secretsManagerEndpoint?: ec2.IConnectable;
  /**
   * Days that a pre-migration snapshot is kept: 1 or more.
   * @default 90
   */
  readonly snapshotRetentionDays?: number;
  /**
   * When snapshots are taken by the clock, and how long they stay.
   * @default - as in production: daily at 03:00 UTC, kept for 7 days, one a week for 90
   */
  readonly scheduledSnapshots?: SnapshotSchedule;
  /**
   * Copies of the snapshots in another Region.
   * @default - none
   */
  readonly copies?: SnapshotCopies;
  /**
   * Copies of the snapshots in another account.
   * @default - none
   */
  readonly vault?: SnapshotVault;
  /**
   * How recoveries are carried out.
   * @default - as in production: a person approves before the old instance is deleted
   */
  readonly recovery?: RecoverySettings;
  /**
   * Name of the instance: a dashboard finds it by that, and what recoveries make of it.
   * @default - no dashboard
   */
  readonly instanceIdentifier?: string;
  /**
   * When a recovery is rehearsed.
   * @default - never by itself
   */
  readonly drills?: DrillSettings;
  /**
   * What the instance costs, so that a plan can say what a second one adds.
   * @default - a plan says that it is the double, without an amount
   */
  readonly instancePrice?: InstancePrice;
  /**
   * Days that logs are kept.
   * @default RetentionDays.ONE_YEAR
   */
  readonly logDays?: logs.RetentionDays;
  /**
   * Mail addresses that are told how recoveries end.
   * @default - nobody is told until somebody subscribes to the topic
   */
  readonly notify?: readonly string[];
}

const DEFAULT_SCHEDULE: SnapshotSchedule = {
  hour: 3,
  timeZone: 'UTC',
  dailyDays: 7,
  weeklyDays: 90,
  keepNewest: 3,
  newestAtMostHours: 36,
};

const DEFAULT_RECOVERY: RecoverySettings = {
  approveCutover: false,
  approveRetirement: true,
  consumers: [],
};

/** Everything that takes snapshots before migrations and brings a database back: functions, machine, topic, alarms. */
export class MigrationRollback extends Construct {
  /** CI calls it before every migration. */
  readonly preMigrationSnapshot: RollbackFunction;
  /** A person starts it. */
  readonly machine: sfn.StateMachine;
  /** A person answers with it what a recovery asks. */
  readonly decide: RollbackFunction;
  /** Tells people how recoveries ended. */
  readonly topic: sns.Topic;

  constructor(scope: Construct, id: string, props: MigrationRollbackProps) {
    super(scope, id);
    const { snapshotRetentionDays = 90 } = props;
    if (!Number.isInteger(snapshotRetentionDays) || snapshotRetentionDays < 1)
      throw new Error(
        `snapshotRetentionDays is ${snapshotRetentionDays}. Without snapshots there is nothing to go back to: write 1 or more.`,
      );
    const logDays = props.logDays ?? logs.RetentionDays.ONE_YEAR;
    const schedule = props.scheduledSnapshots ?? DEFAULT_SCHEDULE;
    const { functions, restorePointFunctions, copySnapshots, copyToVault } = environmentFunctions(this, {
      ...props,
      snapshotRetentionDays,
      scheduledSnapshots: schedule,
      recovery: props.recovery ?? DEFAULT_RECOVERY,
      logDays,
    });
    const { 'pre-migration-snapshot': preMigrationSnapshot, decide, ...steps } = functions;
    this.preMigrationSnapshot = preMigrationSnapshot;
    this.decide = decide;
    this.topic = eventsTopic(
      this,
      { topicName: `${props.environment}-database-events`, displayName: `${props.environment} database` },
      props.notify ?? [],
    );
    this.topic.applyRemovalPolicy(RemovalPolicy.DESTROY);
    const records = new RecoveryRecords(this, 'Records');
    this.machine = new RecoveryMachine(this, 'Recovery', {
      environment: props.environment,
      functions: steps,
      topic: this.topic,
      databaseUrlSecret: props.databaseUrlSecret,
      logDays,
    }).machine;
    this.alarms(props.environment);
    if (props.instanceIdentifier !== undefined)
      new DatabaseDashboard(this, 'Dashboard', {
        environment: props.environment,
        instanceIdentifier: props.instanceIdentifier,
        machine: this.machine,
      });
    const { deadLetters } = new SnapshotSchedules(this, 'SnapshotSchedules', {
      environment: props.environment,
      schedule,
      scheduledSnapshot: restorePointFunctions['scheduled-snapshot'],
      reapSnapshots: restorePointFunctions['reap-snapshots'],
      ...(copySnapshots && { copySnapshots }),
      ...(copyToVault && { copyToVault }),
      topic: this.topic,
    });
    if (props.drills)
      new DrillSchedule(this, 'DrillSchedule', {
        environment: props.environment,
        schedule: props.drills,
        machine: this.machine,
        deadLetters,
      });
    records.write({
      environment: props.environment,
      machine: this.machine,
      deadLetters,
      snapshotRetentionDays,
      logDays,
    });
    new CfnOutput(this, 'RecoveryMachineArn', { value: this.machine.stateMachineArn });
    new CfnOutput(this, 'PreMigrationSnapshotFunction', { value: preMigrationSnapshot.functionName });
    new CfnOutput(this, 'DatabaseUrlSecretArn', { value: props.databaseUrlSecret.secretArn });
    new CfnOutput(this, 'EventsTopicArn', { value: this.topic.topicArn });
  }

  /** Lets somebody (CI) take the snapshot before a migration. */
  grantSnapshot(grantee: iam.IGrantable): iam.Grant {
    return this.preMigrationSnapshot.grantInvoke(grantee);
  }

  /** Lets somebody start a recovery. */
  grantRecover(grantee: iam.IGrantable): iam.Grant {
    return this.machine.grantStartExecution(grantee);
  }

  /** Lets somebody approve or reject what a recovery asks. */
  grantDecide(grantee: iam.IGrantable): iam.Grant {
    return this.decide.grantInvoke(grantee);
  }

  /** Recoveries that ended FAILED. */
  metricRecoveriesFailed(): cloudwatch.Metric {
    return this.machine.metricFailed({ period: Duration.minutes(5) });
  }

  private alarms(environment: EnvironmentName): void {
    const notify = new SnsAction(this.topic);
    const recoveries = new cloudwatch.Alarm(this, 'RecoveryFailedAlarm', {
      alarmName: `${environment}-recovery-failed`,
      alarmDescription:
        'A recovery or a drill ended FAILED. Its cause says which, what is the case now and what to do.',
      metric: this.metricRecoveriesFailed(),
      threshold: 1,
      evaluationPeriods: 1,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    recoveries.addAlarmAction(notify);
    const snapshots = new cloudwatch.Alarm(this, 'PreMigrationSnapshotErrorsAlarm', {
      alarmName: `${environment}-pre-migration-snapshot-errors`,
      alarmDescription: 'A pre-migration snapshot failed, so a deployment was stopped. Its log says why.',
      metric: this.preMigrationSnapshot.metricErrors({ period: Duration.minutes(5) }),
      threshold: 1,
      evaluationPeriods: 1,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    snapshots.addAlarmAction(notify);
  }
}
