import * as iam from 'aws-cdk-lib/aws-iam';
import { CfnSchedule } from 'aws-cdk-lib/aws-scheduler';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import type * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { RecoveryInput } from '../lambdas/contract/recovery-input';
import type { EnvironmentName } from '../lambdas/contract/settings';
import type { DrillSchedule as Settings } from './environments';
import { allow } from './permissions/permission';

export interface DrillScheduleProps {
  readonly environment: EnvironmentName;
  readonly schedule: Settings;
  readonly machine: sfn.IStateMachine;
  /** For a drill that could not be started. */
  readonly deadLetters: sqs.IQueue;
}

/** Starts the recovery machine once a week in mode "drill". */
export class DrillSchedule extends Construct {
  constructor(scope: Construct, id: string, props: DrillScheduleProps) {
    super(scope, id);
    const { environment, schedule, machine, deadLetters } = props;
    const role = new iam.Role(this, 'Role', {
      assumedBy: new iam.ServicePrincipal('scheduler.amazonaws.com'),
      description: `What the schedule of the drills of ${environment} may do`,
    });
    allow(role, [
      { sid: 'StartDrill', actions: ['states:StartExecution'], resources: [machine.stateMachineArn] },
      { sid: 'SendFailures', actions: ['sqs:SendMessage'], resources: [deadLetters.queueArn] },
    ]);
    // The newest snapshot: where nobody deployed for months there is none from before a migration.
    const input: Pick<RecoveryInput, 'mode' | 'restore' | 'requestedBy' | 'reason'> = {
      mode: 'drill',
      restore: { to: 'latest-snapshot' },
      requestedBy: `the schedule ${environment}-weekly-drill`,
      reason: 'to know that a recovery would work',
    };
    const weekly = new CfnSchedule(this, 'Weekly', {
      name: `${environment}-weekly-drill`,
      description: 'Rehearses a recovery up to the fence, and removes what it made',
      scheduleExpression: `cron(0 ${schedule.hour} ? * ${schedule.dayOfWeek} *)`,
      scheduleExpressionTimezone: schedule.timeZone,
      flexibleTimeWindow: { mode: 'OFF' },
      target: {
        arn: machine.stateMachineArn,
        roleArn: role.roleArn,
        input: JSON.stringify(input),
        retryPolicy: { maximumRetryAttempts: 10, maximumEventAgeInSeconds: 3600 },
        deadLetterConfig: { arn: deadLetters.queueArn },
      },
    });
    weekly.node.addDependency(role);
  }
}
