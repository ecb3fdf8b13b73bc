import { Duration, RemovalPolicy, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { allow } from '../permission';
import { RecoveryApprovals } from './approvals';
import { ERROR_MESSAGE, IS_UNDO, LIVE, RECOVERY_INSTANCE, REDRIVES, RESULT, jsonata } from './expressions';
import { RecoveryFailures } from './failures';
import { MachineStates, type MachineStatesProps } from './states';

export interface RecoveryMachineProps extends MachineStatesProps {
  /** Named in the text that says how to go back by hand. */
  readonly databaseUrlSecret: ISecret;
  /** Days that the machine's log is kept. */
  readonly logDays: logs.RetentionDays;
}

/**
 * A machine-level timeout cannot be caught and would leave a recovery half done, so it is longer than every limit together;
 * it only ends what would hang for ever.
 */
const MACHINE_TIMEOUT = Duration.days(21);

/** How often it is looked again who is connected, while RDS does not delete the old instance: some four hours. */
const DRAINS = 16;

/**
 * The recovery machine. Its states, their order and its failure paths are described in docs/state-machine.md.
 *
 * Written in JSONata with variables: `$recovery` is what Plan decided, `$instance` the recovery instance's address,
 * `$firstError` the error that ended the way forward. State data holds identifiers only.
 */
export class RecoveryMachine extends Construct {
  readonly machine: sfn.StateMachine;
  private readonly states: MachineStates;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: RecoveryMachineProps,
  ) {
    super(scope, id);
    this.states = new MachineStates(this, props);

    const failures = new RecoveryFailures(this, this.states, props);
    const planFailed = failures.planFailed();
    const discard = failures.discard();
    const giveBack = failures.giveBack();
    const giveUp = failures.giveUp(discard, giveBack);
    const swapBack = failures.swapBack(discard, giveBack);
    const oldInstanceKept = failures.oldInstanceKept();

    const proveConsumers = this.states.onRecoveryInstance(
      'ProveConsumers',
      'consumersProof',
      oldInstanceKept.tell,
    );
    const finishSettings = this.finishSettings(oldInstanceKept.tell);
    const cutoverNotApproved = failures.cutoverNotApproved();

    const approvals = new RecoveryApprovals(this, this.states, props.environment);
    const askForCutover = approvals.askForCutover(cutoverNotApproved.tell);
    cutoverNotApproved.end.next(askForCutover);
    const fence = this.fence(swapBack);
    const approveCutover = approvals.where(
      'ApproveCutover?',
      '$recovery.approveCutover',
      askForCutover,
      fence,
    );

    const drain = this.drain(oldInstanceKept.tell);
    const askForRetirement = approvals.askForRetirement(oldInstanceKept.tell);
    const retire = this.retire(drain, oldInstanceKept.tell);
    const approveRetirement = new sfn.Choice(this, 'ApproveRetirement?')
      .when(sfn.Condition.jsonata(jsonata(approvals.retirementIsOpen)), askForRetirement)
      .otherwise(retire);
    // Somebody may have come while the answer was waited for.
    askForRetirement.next(drain);
    const failedIn = (state: string): sfn.Condition =>
      sfn.Condition.jsonata(jsonata(`$firstError.state = "${state}"`));
    oldInstanceKept.end.next(
      new sfn.Choice(this, 'GoOnWith?', { comment: 'redriven: the state that failed' })
        .when(failedIn('Retire'), retire)
        .when(failedIn('AskForRetirement'), askForRetirement)
        .when(failedIn('Drain'), drain)
        .when(failedIn('ProveConsumers'), proveConsumers)
        .otherwise(finishSettings),
    );

    fence
      .next(this.swap(swapBack))
      .next(this.prove(swapBack))
      .next(this.restartConsumers(proveConsumers))
      .next(proveConsumers)
      .next(finishSettings)
      .next(drain)
      .next(approveRetirement);
    retire.next(this.recovered());
    const verify = this.verify(giveUp);
    verify.next(
      new sfn.Choice(this, 'IsItADrill?', {
        comment: 'mode "drill" ends before anything is touched that serves',
      })
        .when(sfn.Condition.jsonata(jsonata('$recovery.mode = "drill"')), this.endDrill(giveUp))
        .otherwise(this.warmUp(giveUp, approveCutover)),
    );
    const checkRestoredInstance = this.checkRestoredInstance(giveUp);
    checkRestoredInstance
      .next(this.recordPosition(giveUp))
      .next(this.matchSettings(giveUp))
      .next(this.matchCredentials(giveUp))
      .next(
        new sfn.Choice(this, 'IsItAnUndo?', {
          comment: 'what is taken back is what it was, not a copy to be verified',
        })
          .when(sfn.Condition.jsonata(jsonata(IS_UNDO)), approveCutover)
          .otherwise(verify),
      );
    const safetySnapshot = this.takeSafetySnapshot(checkRestoredInstance);
    safetySnapshot.next(checkRestoredInstance);
    const restore = this.startRestore(giveUp).next(safetySnapshot);
    const takeBack = this.takeBack(giveUp).next(safetySnapshot);

    const plan = this.plan(planFailed.tell);
    planFailed.end.next(plan);
    const runbook = plan.next(
      new sfn.Choice(this, 'PlanOnly?', { comment: 'mode "plan", the default, changes nothing' })
        .when(sfn.Condition.jsonata(jsonata('$recovery.mode = "plan"')), this.planned())
        .when(sfn.Condition.jsonata(jsonata(IS_UNDO)), takeBack)
        .otherwise(restore),
    );
    this.machine = this.stateMachine(runbook);
  }

  private plan(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.states.step(
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
        assign: {
          recovery: `${RESULT}.recovery`,
          plan: `${RESULT}.plan`,
          approvals: '[]',
          drains: '0',
          warmth: 'null',
          hydration: 'null',
          wasSwapped: 'false',
          lift: 'null',
        },
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
    return this.states.step({ name: 'StartRestore', event: { recovery: jsonata('$recovery') } }, onError);
  }

  /** Whatever becomes of it, the recovery goes on: an outage is no time to insist. */
  private takeSafetySnapshot(goOn: sfn.IChainable): sfn.TaskStateBase {
    const state = this.states.step({
      name: 'TakeSafetySnapshot',
      event: { recovery: jsonata('$recovery') },
      assign: { safety: RESULT },
    });
    state.addCatch(goOn, { assign: { safety: { taken: false, reason: jsonata(ERROR_MESSAGE) } } });
    return state;
  }

  private takeBack(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.states.step(
      {
        name: 'TakeBack',
        event: { recovery: jsonata('$recovery') },
        // It is what it was, not a copy: nothing of it is verified.
        assign: { verification: 'null' },
      },
      onError,
    );
  }

  private checkRestoredInstance(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.states.step(
      {
        name: 'CheckRestoredInstance',
        event: { recovery: jsonata('$recovery') },
        assign: { instance: RESULT },
      },
      onError,
    );
  }

  private recordPosition(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.states.step(
      {
        name: 'RecordPosition',
        event: { recovery: jsonata('$recovery'), instance: jsonata('$instance') },
        assign: { position: RESULT, restoredAt: '$states.context.State.EnteredTime' },
      },
      onError,
    );
  }

  private matchSettings(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.states.step(
      {
        name: 'MatchSettings',
        event: {
          recovery: jsonata('$recovery'),
          instance: jsonata('$instance'),
          masterUserKnown: jsonata('$position.masterUserKnown'),
        },
        assign: { settings: RESULT },
      },
      onError,
    );
  }

  private matchCredentials(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.states.onRecoveryInstance('MatchCredentials', 'credentials', onError);
  }

  private verify(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.states.onRecoveryInstance('Verify', 'verification', onError);
  }

  /** Instead of a cutover: what was made goes, and what was measured is published. */
  private endDrill(onError: sfn.IChainable): sfn.IChainable {
    const end = this.states.step(
      {
        name: 'EndDrill',
        event: {
          recovery: jsonata('$recovery'),
          restoredAt: jsonata('$restoredAt'),
          verifiedAt: jsonata('$states.context.State.EnteredTime'),
          checks: {
            passed: jsonata('$count($verification.checks[ok])'),
            notPassed: jsonata('$count($verification.checks[$not(ok)])'),
          },
        },
        assign: { drill: RESULT },
      },
      onError,
    );
    return end.next(
      sfn.Succeed.jsonata(this, 'Drilled', {
        outputs: {
          recovery: jsonata('$recovery'),
          instance: jsonata('$instance'),
          position: jsonata('$position'),
          settings: jsonata('$settings'),
          credentials: jsonata('$credentials'),
          verification: jsonata('$verification'),
          drill: jsonata('$drill'),
        },
      }),
    );
  }

  /** Only where the operator asked for it; then as many calls as it takes. */
  private warmUp(onError: sfn.IChainable, then: sfn.IChainable): sfn.Choice {
    const warm = this.states.step(
      {
        name: 'Warm',
        event: {
          recovery: jsonata('$recovery'),
          instance: jsonata('$instance'),
          warmth: jsonata('$warmth'),
        },
        assign: { warmth: RESULT },
      },
      onError,
    );
    const hydrate = this.states.step(
      { name: 'Hydrate', event: { recovery: jsonata('$recovery') }, assign: { hydration: RESULT } },
      onError,
    );
    warm.next(
      new sfn.Choice(this, 'WarmEnough?')
        .when(sfn.Condition.jsonata(jsonata('$not($warmth.enough)')), warm)
        .otherwise(hydrate),
    );
    hydrate.next(then);
    return new sfn.Choice(this, 'Warm?', { comment: 'by default the cutover does not wait' })
      .when(sfn.Condition.jsonata(jsonata('$exists($recovery.warm.percent)')), warm)
      .otherwise(then);
  }

  private fence(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.states.step(
      { name: 'Fence', event: { recovery: jsonata('$recovery') }, assign: { fence: RESULT } },
      onError,
    );
  }

  private swap(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.states.step(
      {
        name: 'Swap',
        event: { recovery: jsonata('$recovery'), instance: jsonata('$instance') },
        // What is deployed from now on has the new value.
        assign: { swap: RESULT, swappedAt: '$now()' },
      },
      onError,
    );
  }

  private prove(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.states.step(
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

  /** Where they cannot be restarted people are told and the recovery goes on: the swap is good, and they may do it by hand. */
  private restartConsumers(goOn: sfn.IChainable): sfn.TaskStateBase {
    const tell = this.states.notify(
      'NotifyNotRestarted',
      'ACT NOW: restart the application',
      `"DATABASE_URL names " & ${RECOVERY_INSTANCE} & " and works, but restarting its consumers failed with " & $consumers.problem & ` +
        `"\\nThey have no database until they are restarted. The recovery goes on and waits for them."`,
      goOn,
    );
    tell.next(goOn);
    const restart = this.states.step({
      name: 'RestartConsumers',
      event: {
        recovery: jsonata('$recovery'),
        versionId: jsonata('$swap.versionId'),
        swappedAt: jsonata('$swappedAt'),
      },
      assign: { consumers: RESULT },
    });
    restart.addCatch(tell, {
      assign: { consumers: { problem: jsonata(`$states.errorOutput.Error & ": " & ${ERROR_MESSAGE}`) } },
    });
    return restart;
  }

  private finishSettings(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.states.step(
      {
        name: 'FinishSettings',
        event: {
          recovery: jsonata('$recovery'),
          instance: jsonata('$instance'),
          quarantine: jsonata('$exists($verification.quarantine) ? $verification.quarantine : null'),
        },
        assign: { settings: RESULT },
      },
      onError,
    );
  }

  private drain(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.states.step(
      { name: 'Drain', event: { recovery: jsonata('$recovery') }, assign: { drainedAt: `${RESULT}.at` } },
      onError,
    );
  }

  /** Goes back to Drain where that has looked too long ago. */
  private retire(drain: sfn.IChainable, onError: sfn.IChainable): sfn.TaskStateBase {
    const again = new sfn.Choice(this, 'DrainAgain?')
      .when(sfn.Condition.jsonata(jsonata(`$drains <= ${DRAINS}`)), drain)
      .otherwise(onError);
    return this.states.step(
      {
        name: 'Retire',
        event: { recovery: jsonata('$recovery'), drainedAt: jsonata('$drainedAt') },
        assign: { retirement: RESULT },
        unless: { error: 'DrainOutdated', then: again, assign: { drains: jsonata('$drains + 1') } },
      },
      onError,
    );
  }

  private recovered(): sfn.IChainable {
    const untold = this.states.end(
      'RecoveredButNotTold',
      `"The recovery is complete: DATABASE_URL names " & ${RECOVERY_INSTANCE} & ". Only telling people about it failed: " & $firstError.message`,
      'NotifyRecovered',
    );
    const notify = this.states.notify(
      'NotifyRecovered',
      'recovered',
      `"DATABASE_URL names " & ${RECOVERY_INSTANCE} & " now, " & (${IS_UNDO} ? "which recovery " & $recovery.undoes.recoveryId & " had retired" : "restored from " & ` +
        '($recovery.restorePoint.kind = "snapshot" ? "snapshot " & $recovery.restorePoint.snapshotId : "the automated backups, as of " & $recovery.restorePoint.time)) & ' +
        `". The old instance " & ${LIVE} & ` +
        '($retirement.retired = "deleted" ? " was deleted. What was written since is in its final snapshot " & $retirement.finalSnapshotId ' +
        ': $retirement.retired = "gone" ? " was gone already" : " is kept" & ($retirement.keepUntil != null ? " until " & $substring($retirement.keepUntil, 0, 10)) & ". What was written since is in it") & ". " & ' +
        `(${IS_UNDO} ? "The migrations that the recovery took away are there again; those applied since are pending again." : ` +
        '$verification.migrationsTakenAway = null ? "Which migrations were taken away is not known, the old database could not be read: look before the next deployment." : ' +
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
          safety: jsonata('$safety'),
          settings: jsonata('$settings.settings'),
          credentials: jsonata('$credentials'),
          verification: jsonata('$verification'),
          warmth: jsonata('$warmth'),
          hydration: jsonata('$hydration'),
          swap: jsonata('$swap'),
          proof: jsonata('$proof.checks'),
          consumers: jsonata('$merge([$consumers, $consumersProof])'),
          retirement: jsonata('$retirement'),
          approvals: jsonata('$approvals'),
        },
      }),
    );
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
