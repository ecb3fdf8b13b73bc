import { Duration, RemovalPolicy, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import type * as sns from 'aws-cdk-lib/aws-sns';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import * as tasks from 'aws-cdk-lib/aws-stepfunctions-tasks';
import { Construct } from 'constructs';
import type { EnvironmentName, FunctionName, NOT_YET_ERRORS, PASSING_ERRORS } from '../lambdas/contract';
import { allow } from './permission';
import type { RollbackFunction } from './rollback-function';

/** The functions that are steps of the machine. */
export type StepName = Exclude<FunctionName, 'pre-migration-snapshot'>;

export interface RecoveryMachineProps {
  readonly environment: EnvironmentName;
  readonly functions: Readonly<Record<StepName, RollbackFunction>>;
  /** Where people are told how a recovery ended. */
  readonly topic: sns.ITopic;
  /** Named in the text that says how to go back by hand. */
  readonly databaseUrlSecret: ISecret;
  /** Days that the machine's log is kept. */
  readonly logDays: logs.RetentionDays;
}

type NotYet = typeof NOT_YET_ERRORS;

/** How long a step that says "not yet" is asked again, and how often. */
const WAITS: {
  readonly [Step in keyof NotYet]: {
    readonly error: NotYet[Step];
    readonly every: Duration;
    readonly limit: Duration;
  };
} = {
  // A restore copies nothing, yet takes from minutes to hours; Multi-AZ and the first backup come on top.
  'check-restored-instance': {
    error: 'InstanceNotReady',
    every: Duration.seconds(15),
    limit: Duration.hours(6),
  },
  // RDS takes no change during the first backup, which lasts for hours on a big database.
  'match-settings': { error: 'SettingsNotMatched', every: Duration.seconds(15), limit: Duration.hours(6) },
  'match-credentials': {
    error: 'CredentialsNotReady',
    every: Duration.seconds(10),
    limit: Duration.minutes(30),
  },
  // A session ends as soon as its server process sees that it must; one that waits for its disk does not.
  fence: { error: 'SessionsNotEnded', every: Duration.seconds(1), limit: Duration.minutes(5) },
  // Connection pools of old tasks hold on until the tasks are replaced.
  drain: { error: 'StillConnected', every: Duration.seconds(10), limit: Duration.minutes(30) },
  // The final snapshot of a big database is incremental, but not quick.
  retire: { error: 'RetirementNotFinished', every: Duration.seconds(15), limit: Duration.hours(4) },
  discard: { error: 'DiscardNotFinished', every: Duration.seconds(15), limit: Duration.hours(6) },
};

/** The call did not get as far as an answer: every step can be run twice, so it is asked again. */
const NO_ANSWER = [
  'Lambda.ServiceException',
  'Lambda.AWSLambdaException',
  'Lambda.SdkClientException',
  'Lambda.ClientExecutionTimeoutException',
  'Lambda.TooManyRequestsException',
  // The network interfaces of a function that nobody called for weeks are made anew.
  'Lambda.ResourceNotReadyException',
  'Lambda.ResourceConflictException',
  'Lambda.EC2ThrottledException',
  'Lambda.EC2UnexpectedException',
  'Lambda.ENILimitReachedException',
  // The function was killed or ran out of time.
  'Lambda.Unknown',
  'Sandbox.Timedout',
  'Runtime.ExitError',
  'States.Timeout',
];

/** What a step could not ask for the moment: AWS, or a database that restarts. Functions give errors these names. */
const PASSING: typeof PASSING_ERRORS = ['AwsUnavailable', 'DatabaseUnreachable', 'OldInstanceUnreachable'];

/**
 * A machine-level timeout cannot be caught and would leave a recovery half done, so it is longer than every limit together;
 * it only ends what would hang for ever.
 */
const MACHINE_TIMEOUT = Duration.days(14);

/** What a failed step leaves in `$states.errorOutput`, as one sentence: the message of the error, or else the whole cause. */
const ERROR_MESSAGE =
  '($cause := $states.errorOutput.Cause; ' +
  '$message := $substring($cause, 0, 1) = "{" and $substring($cause, -1) = "}" ? $parse($cause).errorMessage; ' +
  '$exists($message) ? $message : $exists($cause) ? $cause : "no cause was given")';

const LIVE = '$recovery.live.instanceId';
const RECOVERY_INSTANCE = '$recovery.recoveryInstanceId';
const FIRST_ERROR = '$firstError.state & " failed with " & $firstError.error & ": " & $firstError.message';

const IT_IS_OVER = 'This recovery is over: start a new one, a redrive would only end like this again.';

/** Marks a JSONata expression. */
const jsonata = (expression: string): string => `{% ${expression} %}`;
/** How often this execution has been redriven. */
const REDRIVES =
  '($exists($states.context.Execution.RedriveCount) ? $states.context.Execution.RedriveCount : 0)';
/** What went wrong while a failed recovery was being undone; the first error stays the error of the execution. */
const UNDO_ERROR = {
  undoError: jsonata(`$states.errorOutput.Error & ": " & ${ERROR_MESSAGE}`),
  redrives: jsonata(REDRIVES),
};
/** The result of the step's function. */
const RESULT = '$states.result.Payload';

/** An end that a redrive goes on from: what leads to it, and the state that is followed by what goes on. */
interface RedrivableEnd {
  readonly tell: sfn.IChainable;
  readonly end: sfn.TaskStateBase;
}

interface Step {
  /** State name; the function is the same name in kebab case. */
  readonly name: string;
  readonly event: Record<string, unknown>;
  /** The variables that keep the result. */
  readonly assign?: Record<string, string>;
}

/**
 * The recovery machine. Its states, their order and its failure paths are described in docs/state-machine.md.
 *
 * Written in JSONata with variables: `$recovery` is what Plan decided, `$instance` the recovery instance's address,
 * `$firstError` the error that ended the way forward. State data holds identifiers only.
 */
export class RecoveryMachine extends Construct {
  readonly machine: sfn.StateMachine;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: RecoveryMachineProps,
  ) {
    super(scope, id);

    const planFailed = this.planFailed();
    const discard = this.discard();
    const swapBack = this.swapBack(discard);
    const oldInstanceKept = this.oldInstanceKept();

    const drain = this.drain(oldInstanceKept.tell);
    const retire = this.retire(oldInstanceKept.tell);
    oldInstanceKept.end.next(
      new sfn.Choice(this, 'GoOnWithRetire?')
        .when(sfn.Condition.jsonata(jsonata('$firstError.state = "Retire"')), retire)
        .otherwise(drain),
    );

    const recover = this.startRestore(discard)
      .next(this.checkRestoredInstance(discard))
      .next(this.recordPosition(discard))
      .next(this.matchSettings(discard))
      .next(this.matchCredentials(discard))
      .next(this.verify(discard))
      .next(this.fence(swapBack))
      .next(this.swap(swapBack))
      .next(this.prove(swapBack))
      .next(drain)
      .next(retire)
      .next(this.recovered());

    const plan = this.plan(planFailed.tell);
    planFailed.end.next(plan);
    const runbook = plan.next(
      new sfn.Choice(this, 'PlanOnly?', { comment: 'mode "plan", the default, changes nothing' })
        .when(sfn.Condition.jsonata(jsonata('$recovery.mode = "plan"')), this.planned())
        .otherwise(recover),
    );
    this.machine = this.stateMachine(runbook);
  }

  // --- the way forward ---

  private plan(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.step(
      {
        name: 'Plan',
        event: {
          execution: {
            arn: jsonata('$states.context.Execution.Id'),
            name: jsonata('$states.context.Execution.Name'),
            startTime: jsonata('$states.context.Execution.StartTime'),
          },
          input: jsonata('$states.context.Execution.Input'),
        },
        assign: { recovery: `${RESULT}.recovery`, plan: `${RESULT}.plan` },
      },
      onError,
    );
  }

  private planned(): sfn.Succeed {
    return sfn.Succeed.jsonata(this, 'Planned', {
      comment: 'Nothing was changed',
      outputs: { recovery: jsonata('$recovery'), plan: jsonata('$plan') },
    });
  }

  private startRestore(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.step({ name: 'StartRestore', event: { recovery: jsonata('$recovery') } }, onError);
  }

  private checkRestoredInstance(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.step(
      {
        name: 'CheckRestoredInstance',
        event: { recovery: jsonata('$recovery') },
        assign: { instance: RESULT },
      },
      onError,
    );
  }

  private recordPosition(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.onRecoveryInstance('RecordPosition', 'position', onError);
  }

  private matchSettings(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.onRecoveryInstance('MatchSettings', 'settings', onError);
  }

  private matchCredentials(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.onRecoveryInstance('MatchCredentials', 'credentials', onError);
  }

  private verify(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.onRecoveryInstance('Verify', 'verification', onError);
  }

  private fence(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.step(
      { name: 'Fence', event: { recovery: jsonata('$recovery') }, assign: { fence: RESULT } },
      onError,
    );
  }

  private swap(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.onRecoveryInstance('Swap', 'swap', onError);
  }

  private prove(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.step(
      {
        name: 'Prove',
        event: {
          recovery: jsonata('$recovery'),
          instance: jsonata('$instance'),
          versionId: jsonata('$swap.versionId'),
        },
        assign: { proof: RESULT },
      },
      onError,
    );
  }

  private drain(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.step({ name: 'Drain', event: { recovery: jsonata('$recovery') } }, onError);
  }

  private retire(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.step(
      { name: 'Retire', event: { recovery: jsonata('$recovery') }, assign: { retirement: RESULT } },
      onError,
    );
  }

  private recovered(): sfn.IChainable {
    const untold = this.end(
      'RecoveredButNotTold',
      `"The recovery is complete: DATABASE_URL names " & ${RECOVERY_INSTANCE} & ". Only telling people about it failed: " & $firstError.message`,
      'NotifyRecovered',
    );
    const notify = this.notify(
      'NotifyRecovered',
      'recovered',
      `"DATABASE_URL names " & ${RECOVERY_INSTANCE} & " now, restored from " & ` +
        '($recovery.restorePoint.kind = "snapshot" ? "snapshot " & $recovery.restorePoint.snapshotId : "the automated backups, as of " & $recovery.restorePoint.time) & ' +
        `". The old instance " & ${LIVE} & ` +
        '($retirement.retired = "deleted" ? " was deleted. What was written since is in its final snapshot " & $retirement.finalSnapshotId ' +
        ': " is kept. What was written since is in it") & ". " & ' +
        '($verification.migrationsTakenAway = null ? "Which migrations were taken away is not known, the old database could not be read: look before the next deployment." : ' +
        '$count($verification.migrationsTakenAway) = 0 ? "No migration was taken away." : ' +
        '"Taken away, and pending again: " & $join($verification.migrationsTakenAway, ", ") & ". Mend them before the next deployment.")',
      untold,
      {
        firstError: {
          state: 'NotifyRecovered',
          error: 'NotificationFailed',
          message: jsonata(ERROR_MESSAGE),
        },
        redrives: jsonata(REDRIVES),
      },
    );
    untold.next(notify);
    return notify.next(
      sfn.Succeed.jsonata(this, 'Recovered', {
        outputs: {
          recovery: jsonata('$recovery'),
          instance: jsonata('$instance'),
          position: jsonata('$position'),
          settings: jsonata('$settings.settings'),
          credentials: jsonata('$credentials'),
          verification: jsonata('$verification'),
          swap: jsonata('$swap'),
          proof: jsonata('$proof.checks'),
          retirement: jsonata('$retirement'),
        },
      }),
    );
  }

  // --- the ways back: each ends FAILED with the first error ---

  private planFailed(): RedrivableEnd {
    return this.tellAndStop(
      'NotifyPlanFailed',
      'PlanFailed',
      'no recovery was started',
      `${FIRST_ERROR} & "\\nNothing was made and nothing was changed."`,
      'Plan',
    );
  }

  /** Before the swap: the recovery instance goes, the application never saw it. */
  private discard(): sfn.TaskStateBase {
    const failed = this.tellAndFail(
      'NotifyFailed',
      'RecoveryFailed',
      'recovery failed, DATABASE_URL is unchanged',
      `${FIRST_ERROR} & "\\nDATABASE_URL was not changed: it names " & ${LIVE} & ". The recovery instance " & ${RECOVERY_INSTANCE} & ` +
        `" is gone. ${IT_IS_OVER}"`,
    );
    const discard = this.step({ name: 'Discard', event: { recovery: jsonata('$recovery') } });
    const discardFailed = this.tellAndStop(
      'NotifyDiscardFailed',
      'DiscardFailed',
      'recovery failed, DATABASE_URL is unchanged, an instance is left',
      `${FIRST_ERROR} & "\\nDATABASE_URL was not changed: it names " & ${LIVE} & ". The recovery instance " & ${RECOVERY_INSTANCE} & ` +
        `" could not be deleted and may still be there (" & $undoError & "): delete it by hand, or redrive."`,
      'Discard',
    );
    discard.addCatch(discardFailed.tell, { assign: UNDO_ERROR });
    discardFailed.end.next(discard);
    discard.next(failed);
    return discard;
  }

  /** From the fence on: back to the old instance, if the swap got that far, which then is opened again. */
  private swapBack(discard: sfn.TaskStateBase): sfn.TaskStateBase {
    const back = this.step({
      name: 'SwapBack',
      event: { recovery: jsonata('$recovery') },
      assign: { wasSwapped: `${RESULT}.wasSwapped` },
    });
    const failed = this.swapBackFailed();
    back.addCatch(failed.tell, { assign: UNDO_ERROR });
    failed.end.next(back);
    const lift = this.liftFence();
    back.next(lift);
    lift.next(
      new sfn.Choice(this, 'WasItSwapped?')
        .when(sfn.Condition.jsonata(jsonata('$wasSwapped')), this.swappedBack())
        .otherwise(discard),
    );
    return back;
  }

  private liftFence(): sfn.TaskStateBase {
    const { environment } = this.props;
    const lift = this.step({ name: 'LiftFence', event: { recovery: jsonata('$recovery') } });
    const failed = this.tellAndStop(
      'NotifyLiftFenceFailed',
      'LiftFenceFailed',
      'ACT NOW: the old database is fenced',
      `${FIRST_ERROR} & "\\nDATABASE_URL names the old instance " & ${LIVE} & ", but opening it again failed with " & $undoError & ` +
        `"\\nNobody can connect to it. Redrive this execution, or call the function ${environment}-lift-fence, as docs/runbook.md says. ` +
        `The recovery instance " & ${RECOVERY_INSTANCE} & " is still there."`,
      'LiftFence',
    );
    lift.addCatch(failed.tell, { assign: UNDO_ERROR });
    failed.end.next(lift);
    return lift;
  }

  private swappedBack(): sfn.IChainable {
    return this.tellAndFail(
      'NotifySwappedBack',
      'SwappedBack',
      'recovery failed, swapped back',
      `${FIRST_ERROR} & "\\nDATABASE_URL names the old instance " & ${LIVE} & " again: restart what read it meanwhile. " & ` +
        `"The recovery instance " & ${RECOVERY_INSTANCE} & " is kept, since it may have taken writes: look, switch its deletion protection off, then delete it. ${IT_IS_OVER}"`,
    );
  }

  private swapBackFailed(): RedrivableEnd {
    const { databaseUrlSecret } = this.props;
    return this.tellAndStop(
      'NotifySwapBackFailed',
      'SwapBackFailed',
      'ACT NOW: swapping back failed',
      `${FIRST_ERROR} & "\\nThen swapping back failed with " & $undoError & ` +
        `"\\nDATABASE_URL may name either instance; both are kept, and the old one is fenced. To go back to " & ${LIVE} & " by hand, ask for the current version: ` +
        `aws secretsmanager get-secret-value --secret-id ${databaseUrlSecret.secretArn} --query VersionId --output text ; if it is not " & ` +
        `$recovery.secretVersionId & ", run: aws secretsmanager update-secret-version-stage ` +
        `--secret-id ${databaseUrlSecret.secretArn} --version-stage AWSCURRENT --move-to-version-id " & ` +
        '$recovery.secretVersionId & " --remove-from-version-id <the current version> ; then lift the fence, as docs/runbook.md says, and restart what uses the database."',
      'SwapBack',
    );
  }

  /** After the proof: the cutover stands, whatever becomes of the old instance. */
  private oldInstanceKept(): RedrivableEnd {
    return this.tellAndStop(
      'NotifyOldInstanceKept',
      'OldInstanceKept',
      'recovered, but the old instance is kept',
      `${FIRST_ERROR} & "\\nThe cutover stands: DATABASE_URL names " & ${RECOVERY_INSTANCE} & ". The old instance " & ${LIVE} & ` +
        `" was not retired: once nothing uses it, delete it by hand with a final snapshot, as docs/runbook.md says."`,
      jsonata('$firstError.state'),
    );
  }

  // --- what the states are made of ---

  private onRecoveryInstance(name: string, variable: string, onError: sfn.IChainable): sfn.TaskStateBase {
    return this.step(
      {
        name,
        event: { recovery: jsonata('$recovery'), instance: jsonata('$instance') },
        assign: { [variable]: RESULT },
      },
      onError,
    );
  }

  /** A call of the function of the same name. A failure, if a way for it is given, is kept as the first error. */
  private step({ name, event, assign }: Step, onError?: sfn.IChainable): sfn.TaskStateBase {
    const stepName = this.stepName(name);
    const lambdaFunction = this.props.functions[stepName];
    const state = tasks.LambdaInvoke.jsonata(this, name, {
      lambdaFunction,
      payload: sfn.TaskInput.fromObject(event),
      outputs: jsonata(RESULT),
      taskTimeout: sfn.Timeout.duration(lambdaFunction.callTimeout.plus(Duration.seconds(30))),
      // Said here in full, with jitter, next to the errors that mean "not yet".
      retryOnServiceExceptions: false,
      ...(assign && {
        assign: Object.fromEntries(Object.entries(assign).map(([key, value]) => [key, jsonata(value)])),
      }),
    });
    this.askAgain(state, stepName);
    if (onError)
      state.addCatch(onError, {
        assign: {
          firstError: {
            state: name,
            error: jsonata('$states.errorOutput.Error'),
            message: jsonata(ERROR_MESSAGE),
          },
          redrives: jsonata(REDRIVES),
        },
      });
    return state;
  }

  private stepName(stateName: string): StepName {
    const kebab = stateName.replace(/(?!^)([A-Z])/g, '-$1').toLowerCase();
    const isStep = (name: string): name is StepName => Object.hasOwn(this.props.functions, name);
    if (!isStep(kebab)) throw new Error(`The state ${stateName} has no function "${kebab}".`);
    return kebab;
  }

  private askAgain(state: sfn.TaskStateBase, stepName: StepName): void {
    if (isWait(stepName)) {
      const { error, every, limit } = WAITS[stepName];
      state.addRetry({
        errors: [error],
        interval: every,
        backoffRate: 1,
        maxAttempts: limit.toSeconds() / every.toSeconds(),
      });
    }
    state.addRetry({
      errors: [...PASSING],
      interval: Duration.seconds(2),
      backoffRate: 2,
      maxDelay: Duration.minutes(1),
      maxAttempts: 8,
      jitterStrategy: sfn.JitterType.FULL,
    });
    this.askAgainWithoutAnswer(state);
  }

  private askAgainWithoutAnswer(state: sfn.TaskStateBase): void {
    state.addRetry({
      errors: NO_ANSWER,
      interval: Duration.seconds(2),
      backoffRate: 2,
      maxDelay: Duration.minutes(1),
      maxAttempts: 5,
      jitterStrategy: sfn.JitterType.FULL,
    });
  }

  /** Tells people, then ends for good: a redrive only ends the same way again. */
  private tellAndFail(
    notifyName: string,
    failName: string,
    subject: string,
    cause: string,
  ): tasks.SnsPublish {
    const fail = sfn.Fail.jsonata(this, failName, {
      error: jsonata('$firstError.error'),
      cause: jsonata(cause),
    });
    const notify = this.notify(notifyName, subject, cause, fail);
    notify.next(fail);
    return notify;
  }

  /** Tells people, then ends in a state that a redrive goes on from. */
  private tellAndStop(
    notifyName: string,
    endName: string,
    subject: string,
    cause: string,
    goesOnWith: string,
  ): RedrivableEnd {
    const end = this.end(endName, cause, goesOnWith);
    const tell = this.notify(notifyName, subject, cause, end);
    tell.next(end);
    return { tell, end };
  }

  /**
   * Ends the execution FAILED with the first error, which the function `fail` throws: uncaught on purpose. Redriven, that
   * function answers, and the machine goes on with what comes next (docs/decisions/0013-redrive.md).
   */
  private end(name: string, cause: string, goesOnWith: string): sfn.TaskStateBase {
    const lambdaFunction = this.props.functions.fail;
    const state = tasks.LambdaInvoke.jsonata(this, name, {
      lambdaFunction,
      payload: sfn.TaskInput.fromObject({
        error: jsonata('$firstError.error'),
        cause: jsonata(cause),
        goesOnWith,
        redrives: { then: jsonata('$redrives'), now: jsonata(REDRIVES) },
      }),
      outputs: jsonata(RESULT),
      taskTimeout: sfn.Timeout.duration(lambdaFunction.callTimeout.plus(Duration.seconds(30))),
      retryOnServiceExceptions: false,
    });
    this.askAgainWithoutAnswer(state);
    return state;
  }

  private notify(
    name: string,
    subject: string,
    message: string,
    onError: sfn.IChainable,
    assignOnError?: Record<string, unknown>,
  ): tasks.SnsPublish {
    const { environment, topic } = this.props;
    const publish = tasks.SnsPublish.jsonata(this, name, {
      topic,
      subject: `${environment}: ${subject}`,
      message: sfn.TaskInput.fromText(
        jsonata(`"Recovery " & $states.context.Execution.Name & " of ${environment}: " & ${message}`),
      ),
      taskTimeout: sfn.Timeout.duration(Duration.minutes(1)),
    });
    publish.addRetry({
      errors: ['States.ALL'],
      interval: Duration.seconds(2),
      backoffRate: 2,
      maxAttempts: 4,
      jitterStrategy: sfn.JitterType.FULL,
    });
    // Telling must not stand in the way of ending as it should.
    publish.addCatch(onError, { ...(assignOnError && { assign: assignOnError }) });
    return publish;
  }

  private stateMachine(runbook: sfn.IChainable): sfn.StateMachine {
    const { environment, functions, topic, logDays } = this.props;
    const name = `${environment}-recovery`;
    const logGroup = new logs.LogGroup(this, 'Log', {
      logGroupName: `/aws/vendedlogs/states/${name}`,
      retention: logDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = new iam.Role(this, 'Role', {
      assumedBy: new iam.ServicePrincipal('states.amazonaws.com'),
      description: `What the machine ${name} may do`,
    });
    allow(role, [
      {
        sid: 'CallSteps',
        actions: ['lambda:InvokeFunction'],
        resources: Object.values(functions).map((step) => step.functionArn),
      },
      { sid: 'Notify', actions: ['sns:Publish'], resources: [topic.topicArn] },
      {
        sid: 'WriteLog',
        actions: [
          'logs:CreateLogDelivery',
          'logs:GetLogDelivery',
          'logs:UpdateLogDelivery',
          'logs:DeleteLogDelivery',
          'logs:ListLogDeliveries',
          'logs:PutResourcePolicy',
          'logs:DescribeResourcePolicies',
          'logs:DescribeLogGroups',
        ],
        resources: ['*'],
        wildcardReason: 'CloudWatch Logs knows no resources for the delivery of logs.',
      },
    ]);
    const machine = new sfn.StateMachine(this, 'Machine', {
      stateMachineName: name,
      comment:
        'Brings the database back to a restore point. Start it with {} to see a plan; docs/state-machine.md.',
      definitionBody: sfn.DefinitionBody.fromChainable(runbook),
      queryLanguage: sfn.QueryLanguage.JSONATA,
      timeout: MACHINE_TIMEOUT,
      // The tasks would add themselves with wildcards; the statements above name each function.
      role: role.withoutPolicyUpdates(),
      // Without execution data: the history has it, for those who may read executions.
      logs: { destination: logGroup, level: sfn.LogLevel.ALL, includeExecutionData: false },
      tracingEnabled: false,
    });
    machine.node.addDependency(role);
    Validations.of(machine).acknowledge({
      id: 'AwsSolutions-SF2',
      reason:
        'A recovery is one execution whose history shows every call with its times; X-Ray would add cost and permissions only.',
    });
    return machine;
  }
}

function isWait(stepName: StepName): stepName is keyof NotYet {
  return Object.hasOwn(WAITS, stepName);
}
