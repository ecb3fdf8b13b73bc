import { ArnFormat, CfnOutput, Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import * as sns from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { FunctionName, RestorePointFunctionName } from '../lambdas/contract/functions';
import type {
  CopyRules,
  DrillRules,
  InstancePrice,
  RecoveryRules,
  RetentionRules,
} from '../lambdas/contract/rules';
import type { EnvironmentName } from '../lambdas/contract/settings';
import { DatabaseDashboard } from './database-dashboard';
import { DrillSchedule } from './drill-schedule';
import type {
  DrillSchedule as DrillSettings,
  RecoverySettings,
  SnapshotCopies,
  SnapshotSchedule,
  SnapshotVault,
} from './environments';
import {
  COPY_FUNCTION_RUNS_IN_VPC,
  RESTORE_POINT_FUNCTION_RUNS_IN_VPC,
  RUNS_IN_VPC,
  type AnyFunctionName,
} from './functions';
import { functionPermissions } from './permissions/function-permissions';
import { RecoveryRecords } from './recovery-records';
import { RecoveryMachine } from './recovery-machine/recovery-machine';
import { RollbackFunction } from './rollback-function';
import { SnapshotSchedules } from './snapshot-schedules';
import { homeRoleName, vaultRoleArn, vaultRoleOf, vaultRules, type VaultScope } from './vault';

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
/** The functions that know how recoveries are carried out. */
const NEED_RECOVERY_RULES: readonly AnyFunctionName[] = ['plan', 'restart-consumers', 'prove-consumers'];

/** The functions that know of the copies. */
const NEED_COPY_RULES: readonly AnyFunctionName[] = [
  'copy-snapshots',
  'bring-back-copy',
  'reap-snapshots',
  'restore-points',
];

/** The functions that know how long snapshots stay. */
const NEED_RULES: readonly AnyFunctionName[] = ['scheduled-snapshot', 'reap-snapshots', 'restore-points'];

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
    const { functions, restorePointFunctions, copySnapshots, copyToVault } = this.functions(
      props,
      snapshotRetentionDays,
      retentionRules(schedule),
      logDays,
    );
    const { 'pre-migration-snapshot': preMigrationSnapshot, decide, ...steps } = functions;
    this.preMigrationSnapshot = preMigrationSnapshot;
    this.decide = decide;
    this.topic = this.eventsTopic(props);
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

  private functions(
    props: MigrationRollbackProps,
    snapshotRetentionDays: number,
    rules: RetentionRules,
    logDays: logs.RetentionDays,
  ): {
    functions: Record<FunctionName, RollbackFunction>;
    restorePointFunctions: Record<RestorePointFunctionName, RollbackFunction>;
    copySnapshots: RollbackFunction | undefined;
    copyToVault: RollbackFunction | undefined;
  } {
    const { environment, vpc, databaseUrlSecret, masterSecret } = props;
    const machineName = `${environment}-recovery`;
    // By its name: the machine is made of these functions.
    const machineArn = Stack.of(this).formatArn({
      service: 'states',
      resource: 'stateMachine',
      resourceName: machineName,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    const recovery = props.recovery ?? DEFAULT_RECOVERY;
    const { consumers, soakAlarms = [], ...others } = recovery;
    const recoveryRules: RecoveryRules = {
      ...others,
      consumers: [...consumers],
      soakAlarms: [...soakAlarms],
    };
    const scope = {
      environment,
      databaseUrlSecret,
      masterSecret,
      machineName,
      consumers: recovery.consumers,
      ...(props.copies && { copyRegion: props.copies.region }),
      ...(props.vault && { vault: props.vault }),
    };
    const permissions = functionPermissions(this, scope);
    const runsInVpc = {
      ...RUNS_IN_VPC,
      ...RESTORE_POINT_FUNCTION_RUNS_IN_VPC,
      ...COPY_FUNCTION_RUNS_IN_VPC,
    };
    const database = {
      vpc,
      subnets: props.subnets ?? vpc.isolatedSubnets,
      securityGroup: this.securityGroup(props),
    };
    const make = (name: AnyFunctionName): RollbackFunction =>
      new RollbackFunction(this, constructId(name), {
        environment,
        functionName: name,
        settings: {
          ENVIRONMENT: environment,
          DATABASE_URL_SECRET_ID: databaseUrlSecret.secretArn,
          MASTER_SECRET_ID: masterSecret.secretArn,
          SNAPSHOT_RETENTION_DAYS: String(snapshotRetentionDays),
          ...(NEED_RULES.includes(name) && { RETENTION_RULES: JSON.stringify(rules) }),
          ...(NEED_COPY_RULES.includes(name) &&
            props.copies && { COPY_RULES: JSON.stringify(copyRules(props.copies)) }),
          ...(props.vault && vaultSettings(this, { environment, vault: props.vault }, name)),
          ...(NEED_RECOVERY_RULES.includes(name) && { RECOVERY_RULES: JSON.stringify(recoveryRules) }),
          ...(name === 'decide' && { RECOVERY_MACHINE_ARN: machineArn }),
          ...(name === 'reap-snapshots' &&
            props.drills && { DRILL_RULES: drillRules(this, machineArn, props.drills) }),
          ...(name === 'plan' &&
            props.instancePrice && { INSTANCE_PRICE: JSON.stringify(props.instancePrice) }),
        },
        permissions: permissions[name],
        ...(props.vault &&
          vaultRoleOf(name) && { roleName: homeRoleName({ environment, vault: props.vault }, name) }),
        logDays,
        ...(runsInVpc[name] && { database }),
      });
    const functions = {
      'pre-migration-snapshot': make('pre-migration-snapshot'),
      plan: make('plan'),
      'start-restore': make('start-restore'),
      'take-safety-snapshot': make('take-safety-snapshot'),
      'take-back': make('take-back'),
      'give-back': make('give-back'),
      'check-restored-instance': make('check-restored-instance'),
      'record-position': make('record-position'),
      'match-settings': make('match-settings'),
      'match-credentials': make('match-credentials'),
      verify: make('verify'),
      'end-drill': make('end-drill'),
      warm: make('warm'),
      hydrate: make('hydrate'),
      fence: make('fence'),
      swap: make('swap'),
      prove: make('prove'),
      'restart-consumers': make('restart-consumers'),
      'prove-consumers': make('prove-consumers'),
      'finish-settings': make('finish-settings'),
      'swap-back': make('swap-back'),
      'lift-fence': make('lift-fence'),
      drain: make('drain'),
      soak: make('soak'),
      retire: make('retire'),
      discard: make('discard'),
      'clean-up': make('clean-up'),
      rename: make('rename'),
      'finish-rename': make('finish-rename'),
      fail: make('fail'),
      decide: make('decide'),
    };
    const restorePointFunctions = {
      'check-migrations': make('check-migrations'),
      'scheduled-snapshot': make('scheduled-snapshot'),
      'reap-snapshots': make('reap-snapshots'),
      'restore-points': make('restore-points'),
      'lift-quarantine': make('lift-quarantine'),
    };
    const copySnapshots = props.copies && make('copy-snapshots');
    const copyToVault = props.vault && make('copy-to-vault');
    if (props.copies ?? props.vault) make('bring-back-copy');
    return { functions, restorePointFunctions, copySnapshots, copyToVault };
  }

  private securityGroup({
    vpc,
    instance,
    secretsManagerEndpoint,
  }: MigrationRollbackProps): ec2.SecurityGroup {
    const securityGroup = new ec2.SecurityGroup(this, 'FunctionsSecurityGroup', {
      vpc,
      description: 'Functions that talk to the database',
      allowAllOutbound: secretsManagerEndpoint === undefined,
    });
    securityGroup.connections.allowToDefaultPort(instance, 'PostgreSQL, also of recovery instances');
    if (secretsManagerEndpoint)
      securityGroup.connections.allowTo(secretsManagerEndpoint, ec2.Port.HTTPS, 'Secrets Manager');
    return securityGroup;
  }

  private eventsTopic({ environment, notify = [] }: MigrationRollbackProps): sns.Topic {
    const topic = new sns.Topic(this, 'Events', {
      topicName: `${environment}-database-events`,
      displayName: `${environment} database`,
      enforceSSL: true,
    });
    topic.applyRemovalPolicy(RemovalPolicy.DESTROY);
    // A policy of its own, such as that of enforceSSL, takes the place of the default one, which lets alarms of the account in.
    topic.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: 'AlarmsTell',
        principals: [new iam.ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [topic.topicArn],
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
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

/** `match-settings` → `MatchSettings`: the construct id is the state's name. */
function constructId(name: AnyFunctionName): string {
  return name.replace(/(^|-)([a-z])/g, (_, _dash, letter: string) => letter.toUpperCase());
}

function retentionRules({
  dailyDays,
  weeklyDays,
  keepNewest,
  newestAtMostHours,
}: SnapshotSchedule): RetentionRules {
  return { dailyDays, weeklyDays, keepNewest, newestAtMostHours };
}

function copyRules({ kmsKeyId = 'alias/aws/rds', ...rules }: SnapshotCopies): CopyRules {
  return { ...rules, kmsKeyId };
}

/** Of the functions that have business in the vault. */
function vaultSettings(
  scope: Construct,
  names: VaultScope,
  functionName: string,
): { VAULT_RULES?: string; VAULT_ROLE_ARN?: string } {
  const role = vaultRoleOf(functionName);
  return role
    ? { VAULT_RULES: vaultRules(scope, names), VAULT_ROLE_ARN: vaultRoleArn(scope, names, role) }
    : {};
}

function drillRules(scope: Construct, machine: string, { newestAtMostDays }: DrillSettings): string {
  const rules: DrillRules = { machine, newestAtMostDays };
  return Stack.of(scope).toJsonString(rules);
}
