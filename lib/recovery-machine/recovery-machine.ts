import { Duration, RemovalPolicy, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { allow } from '../permissions/permission';
import { RecoveryApprovals } from './approvals';
import {
  ERROR_MESSAGE,
  IS_RENAME,
  IS_UNDO,
  LIVE,
  NOT_FOLLOWING,
  RECOVERY_INSTANCE,
  REDRIVES,
  RESTORED_AS_OF,
  RESULT,
  cut,
  inWords,
  jsonata,
  minutesInWords,
  shortError,
  since,
  someOf,
} from './expressions';
import { RecoveryFailures } from './failures';
import { soak } from './soak';
import { MachineStates, type MachineStatesProps, type Message, type RedrivableEnd } from './states';

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

/**
 * Right before the fence settings are as they were compared at most so long ago. Nobody changes one and sees RDS apply it in less, and
 * a recovery whose verification is quick is not slowed down.
 */
const COMPARED_AT_MOST = Duration.minutes(1);

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
  private readonly overtaken: sfn.IChainable;

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
    this.overtaken = failures.overtaken();
    const swapBack = failures.swapBack(discard, giveBack, this.overtaken);
    const oldInstanceKept = failures.oldInstanceKept();
    const renameNotFinished = failures.renameNotFinished();
    const backOrForward = failures.swapBackOrForward(swapBack, renameNotFinished.tell, this.overtaken);

    const proveConsumers = this.proveConsumers(
      failures.keptOrRenamed(oldInstanceKept.tell, renameNotFinished.tell),
    );
    const finishSettings = this.finishSettings(oldInstanceKept.tell);
    const cutoverNotApproved = failures.cutoverNotApproved();

    const approvals = new RecoveryApprovals(this.states);
    const askForCutover = approvals.askForCutover(cutoverNotApproved.tell);
    cutoverNotApproved.end.next(askForCutover);
    const fence = this.fence(swapBack);
    const matchSettings = this.matchSettings(giveUp);
    // What was compared a while ago may differ by now: settings and passwords are matched once more.
    askForCutover.next(matchSettings);
    const isLongAgo = `$waited or $millis() - $matchedAt > ${COMPARED_AT_MOST.toMilliseconds()}`;
    const approveCutover = new sfn.Choice(this, 'ApproveCutover?')
      .when(sfn.Condition.jsonata(jsonata('$recovery.approveCutover')), askForCutover)
      .when(sfn.Condition.jsonata(jsonata(isLongAgo)), matchSettings, { assign: { waited: true } })
      .otherwise(fence);

    const drain = this.drain(oldInstanceKept.tell);
    const askForRetirement = approvals.askForRetirement(oldInstanceKept.tell);
    const retire = this.retire(drain, oldInstanceKept.tell);
    const approveRetirement = new sfn.Choice(this, 'ApproveRetirement?')
      .when(sfn.Condition.jsonata(jsonata(approvals.retirementIsOpen)), askForRetirement)
      .otherwise(retire);
    // Somebody may have come while the answer was waited for, or since the last look of the soak.
    askForRetirement.next(drain);
    const soaking = soak(this, this.states, {
      problem: askForRetirement,
      done: drain,
      otherwise: approveRetirement,
      onError: oldInstanceKept.tell,
      overtaken: this.overtaken,
    });
    const failedIn = (state: string): sfn.Condition =>
      sfn.Condition.jsonata(jsonata(`$firstError.state = "${state}"`));
    const swap = this.swap(backOrForward);
    const rename = this.rename(renameNotFinished.tell);
    rename.next(swap);
    const finishRename = this.finishRename(renameNotFinished.tell);
    const isRename = sfn.Condition.jsonata(jsonata(IS_RENAME));
    const goOn = new sfn.Choice(this, 'GoOnWith?', { comment: 'redriven: the state that failed' })
      .when(failedIn('Retire'), retire)
      .when(failedIn('AskForRetirement'), askForRetirement)
      .when(failedIn('Drain'), drain)
      .when(failedIn('Soak'), soaking)
      .when(failedIn('ProveConsumers'), proveConsumers)
      .when(failedIn('FinishRename'), finishRename)
      .when(isRename, rename)
      .otherwise(finishSettings);
    oldInstanceKept.end.next(goOn);
    renameNotFinished.end.next(goOn);

    fence.next(swap).next(this.prove(backOrForward)).next(this.restartConsumers(proveConsumers));
    proveConsumers.next(
      new sfn.Choice(this, 'IsItARename?', { comment: 'it has no old instance' })
        .when(isRename, finishRename)
        .otherwise(finishSettings),
    );
    finishSettings.next(drain).next(soaking);
    retire.next(this.recovered());
    const checkRestoredInstance = this.checkRestoredInstance(giveUp);
    const safetySnapshot = this.takeSafetySnapshot(checkRestoredInstance);
    const restore = this.startRestore(giveUp).next(safetySnapshot);
    const takeBack = this.takeBack(giveUp).next(safetySnapshot);
    const verify = this.verify(giveUp);
    verify.next(
      new sfn.Choice(this, 'IsItADrill?', {
        comment: 'mode "drill" ends before anything is touched that serves',
      })
        .when(sfn.Condition.jsonata(jsonata('$recovery.mode = "drill"')), this.endDrill(giveUp))
        .otherwise(this.warmUp(giveUp, approveCutover)),
    );
    checkRestoredInstance
      .next(this.recordPosition(giveUp))
      .next(matchSettings)
      .next(this.matchCredentials(giveUp))
      .next(
        new sfn.Choice(this, 'CutOverNow?', { comment: 'matched once more, after a long wait' })
          .when(sfn.Condition.jsonata(jsonata('$waited')), fence)
          .otherwise(
            new sfn.Choice(this, 'IsItAnUndo?', {
              comment: 'what is taken back is what it was, not a copy to be verified',
            })
              .when(sfn.Condition.jsonata(jsonata(IS_UNDO)), approveCutover)
              .otherwise(verify),
          ),
      );

    const plan = this.plan(planFailed.tell);
    planFailed.end.next(plan);
    const runbook = plan.next(
      new sfn.Choice(this, 'PlanOnly?', { comment: 'mode "plan", the default, changes nothing' })
        .when(sfn.Condition.jsonata(jsonata('$recovery.mode = "plan"')), this.planned())
        .when(sfn.Condition.jsonata(jsonata(IS_UNDO)), takeBack)
        .when(
          sfn.Condition.jsonata(jsonata('$recovery.mode = "clean-up"')),
          this.cleanUp(failures.cleanUpFailed()),
        )
        .when(isRename, this.askToRename(rename, approvals, failures.renameNotApproved()))
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
          leave: 'null',
          alarms: '{"seen": []}',
          soak: 'null',
          warmth: 'null',
          hydration: 'null',
          waited: 'false',
          renamed: 'null',
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

  /** What stopped recoveries left is given up by one function: each thing by the step that would have done it. */
  private cleanUp(failed: RedrivableEnd): sfn.IChainable {
    const cleanUp = this.states.step(
      { name: 'CleanUp', event: { recovery: jsonata('$recovery') }, assign: { cleanedUp: RESULT } },
      failed.tell,
    );
    failed.end.next(cleanUp);
    return cleanUp.next(
      sfn.Succeed.jsonata(this, 'CleanedUp', {
        outputs: {
          recovery: jsonata('$recovery'),
          summary: this.states.summary({
            is:
              '($done := $plan.leftovers[cleanUp != "leaves"]; $exists($done) ? "done: " & ' +
              '$join($done.(instanceId & " is " & $lookup({"deletes": "deleted", "retires": "retired again", "opens": "open again"}, cleanUp)), ", ") & "." ' +
              ': "there was nothing to clean up.")',
            then:
              '($exists($cleanedUp.left[0]) ? $join($cleanedUp.left.("Left alone: " & what & " " & instanceId & ". " & why), "\\n") ' +
              ': "Nothing else is left.")',
          }),
          left: jsonata('$cleanedUp.left'),
        },
      }),
    );
  }

  /** Up to the instance under its old name; from there on it is a cutover without an old instance. */
  private rename(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.states.step(
      {
        name: 'Rename',
        event: { recovery: jsonata('$recovery'), redrives: jsonata(REDRIVES) },
        assign: { renamed: RESULT, instance: `${RESULT}.instance` },
        overtaken: this.overtaken,
      },
      onError,
    );
  }

  private askToRename(
    rename: sfn.IChainable,
    approvals: RecoveryApprovals,
    notApproved: RedrivableEnd,
  ): sfn.IChainable {
    const begins = this.states.mention(
      'NotifyOutage',
      {
        subject: '"the outage begins"',
        is: `"no database from now on, for about " & $string($plan.outageMinutes) & " min."`,
        then:
          `${LIVE} & " is renamed to " & ${RECOVERY_INSTANCE} & ", for " & ${cut('$recovery.requestedBy', 40)} & ": " & ${cut('$recovery.reason', 80)} & ` +
          `"\\nIf a migration runs, or RDS refuses, nothing changes and you are told."`,
      },
      rename,
    );
    const ask = approvals.askForRename(notApproved.tell);
    notApproved.end.next(ask);
    ask.next(begins);
    return new sfn.Choice(this, 'RenameBegun?', {
      comment: 'what RDS has begun is finished, and nobody is asked',
    })
      .when(sfn.Condition.jsonata(jsonata('$recovery.rename.begun')), rename)
      .otherwise(ask);
  }

  private finishRename(onError: sfn.IChainable): sfn.IChainable {
    const renamed: Message = {
      subject: '"renamed"',
      is: `"renamed. DATABASE_URL names " & ${RECOVERY_INSTANCE} & ", and works."`,
      then:
        `"It was " & ${LIVE} & ". Without a database: " & ${minutesInWords('$finished.outage.seconds / 60')} & ", from " & ${inWords('$finished.outage.from')} & ".\\n" & ` +
        `($finished.snapshot.taken ? "" : "Without a snapshot: " & ${cut('$finished.snapshot.reason', 100)} & " Until there is one a recovery cannot go without the instance: ask for one, or wait for the schedule.\\n") & ` +
        `"The stack owns it again: a deploy changes nothing." & ${NOT_FOLLOWING}`,
    };
    const succeed = sfn.Succeed.jsonata(this, 'Renamed', {
      outputs: {
        recovery: jsonata('$recovery'),
        summary: this.states.summary(renamed),
        from: jsonata('$plan.from'),
        instance: jsonata('$instance'),
        swap: jsonata('$swap'),
        proof: jsonata('$proof.checks'),
        consumers: jsonata('$merge([$consumers, $consumersProof])'),
        outage: jsonata('$finished.outage'),
        snapshot: jsonata('$finished.snapshot'),
        approvals: jsonata('$approvals'),
        namedBy: jsonata('$plan.namedBy'),
      },
    });
    return this.states
      .step(
        {
          name: 'FinishRename',
          event: {
            recovery: jsonata('$recovery'),
            instance: jsonata('$instance'),
            askedAt: jsonata('$renamed.askedAt'),
            backAt: jsonata('$backAt'),
          },
          assign: { finished: RESULT },
          overtaken: this.overtaken,
        },
        onError,
      )
      .next(this.states.mention('NotifyRenamed', renamed, succeed));
  }

  private startRestore(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.states.step({ name: 'StartRestore', event: { recovery: jsonata('$recovery') } }, onError);
  }

  /** Whatever becomes of it, the recovery goes on: an outage is no time to insist. */
  private takeSafetySnapshot(checkRestoredInstance: sfn.IChainable): sfn.TaskStateBase {
    // Nobody waits for a drill, and its schedule started it.
    const goOn = new sfn.Choice(this, 'TellPeople?')
      .when(
        sfn.Condition.jsonata(jsonata('$recovery.mode != "drill"')),
        this.notifyStarted(checkRestoredInstance),
      )
      .otherwise(checkRestoredInstance);
    const state = this.states.step({
      name: 'TakeSafetySnapshot',
      event: { recovery: jsonata('$recovery') },
      assign: { safety: RESULT },
    });
    state.addCatch(goOn, { assign: { safety: { taken: false, reason: jsonata(ERROR_MESSAGE) } } });
    state.next(goOn);
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

  /** While RDS restores, so that nothing waits for it; and not before the claim is had. */
  private notifyStarted(next: sfn.IChainable): sfn.IChainable {
    return this.states.mention(
      'NotifyStarted',
      {
        subject: `${IS_UNDO} ? "started" : "recovery started"`,
        is: `(${IS_UNDO} ? "started by " : "recovery started by ") & ${cut('$recovery.requestedBy', 40)} & ": " & ${cut('$recovery.reason', 80)}`,
        then:
          `"Back to " & ${inWords(RESTORED_AS_OF)} & " (" & ` +
          `(${IS_UNDO} ? ${RECOVERY_INSTANCE} & ", as it was" : $recovery.restorePoint.kind = "snapshot" ? "snapshot " & ${cut('$recovery.restorePoint.snapshotId', 70)} : "automated backups") & ` +
          `"). Writes since are lost, " & ${since(RESTORED_AS_OF)} & " by now: stop the pipeline and the writers.\\n" & ` +
          `(${IS_UNDO} ? "Its migrations are those of then." : $plan.migrations.goAway = null ? "Which migrations go is not known." : ` +
          `$count($plan.migrations.goAway) = 0 ? "No migration goes." : "Migrations that go: " & ${someOf('$plan.migrations.goAway')} & ".") & "\\n" & ` +
          `(${IS_UNDO} ? "Until the cutover nothing changes." : $plan.expectedMinutes = null ? "No earlier recovery says how long it takes." : ` +
          `"It takes about " & ${minutesInWords('$plan.expectedMinutes.median')} & "; until the cutover nothing changes.")`,
      },
      next,
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
        assign: { settings: RESULT, matchedAt: '$millis()' },
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
          summary: this.states.summary({
            is: `"went well. A recovery would cut over now, after " & ${minutesInWords('$drill.recoverySeconds / 60')} & ", the restore in it " & ${minutesInWords('$drill.restoreSeconds / 60')} & "."`,
            then:
              '$string($drill.checks.passed) & " checks passed" & ($drill.checks.notPassed = 0 ? "" : ", " & $string($drill.checks.notPassed) & " did not: warnings, or accepted") & ' +
              '". " & $drill.instanceId & " is deleted again."',
          }),
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
      {
        name: 'Hydrate',
        event: { recovery: jsonata('$recovery') },
        assign: { hydration: RESULT, waited: 'true' },
      },
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
        overtaken: this.overtaken,
      },
      onError,
    );
  }

  /** Where they cannot be restarted people are told and the recovery goes on: the swap is good, and they may do it by hand. */
  private restartConsumers(proveConsumers: sfn.IChainable): sfn.IChainable {
    const tell = this.states.mention(
      'NotifyNotRestarted',
      {
        subject: '"ACT NOW: restart the application"',
        is: `"restart the application, now: it has no database until then."`,
        then:
          `"RestartConsumers: " & ${shortError('$consumers.problem')} & "\\nDATABASE_URL names " & ${RECOVERY_INSTANCE} & ` +
          `" and works. This goes on and waits for the application."`,
      },
      proveConsumers,
    );
    const cutOver = this.states.mention(
      'NotifyCutover',
      {
        subject: '$count($consumers.services) = 0 ? "ACT NOW: restart the application" : "cutover done"',
        is: `"DATABASE_URL names " & ${RECOVERY_INSTANCE} & " now, and works."`,
        then:
          `($count($consumers.services) = 0 ? "Restart everything that uses it, now: it has no database until then." : ` +
          `"Being restarted: " & ${someOf('$consumers.services.service')} & ". Restart what else uses it.") & ` +
          `(${IS_RENAME} ? "\\nIt is the same database as before." : ` +
          `"\\nNobody can connect to " & ${LIVE} & " any more. What was written there since " & ${inWords(RESTORED_AS_OF)} & " is in it only.")`,
      },
      proveConsumers,
    );
    const restart = this.states.step({
      name: 'RestartConsumers',
      event: {
        recovery: jsonata('$recovery'),
        instance: jsonata('$instance'),
        versionId: jsonata('$swap.versionId'),
        swappedAt: jsonata('$swappedAt'),
      },
      assign: { consumers: RESULT },
      overtaken: this.overtaken,
    });
    restart.addCatch(tell, {
      assign: { consumers: { problem: jsonata(`$states.errorOutput.Error & ": " & ${ERROR_MESSAGE}`) } },
    });
    restart.next(cutOver);
    return restart;
  }

  private proveConsumers(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.states.step(
      {
        name: 'ProveConsumers',
        event: { recovery: jsonata('$recovery'), instance: jsonata('$instance') },
        assign: { consumersProof: RESULT, backAt: '$now()' },
        overtaken: this.overtaken,
      },
      onError,
    );
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
        overtaken: this.overtaken,
      },
      onError,
    );
  }

  private drain(onError: sfn.IChainable): sfn.TaskStateBase {
    return this.states.step(
      {
        name: 'Drain',
        event: { recovery: jsonata('$recovery'), instance: jsonata('$instance') },
        assign: { drained: `{"at": ${RESULT}.at, "redrives": ${REDRIVES}}` },
        overtaken: this.overtaken,
      },
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
        event: {
          recovery: jsonata('$recovery'),
          // Nobody knows how long ago the execution ended that was redriven.
          drainedAt: jsonata(`$drained.redrives = ${REDRIVES} ? $drained.at : null`),
        },
        assign: { retirement: RESULT },
        overtaken: this.overtaken,
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
    const recovered: Message = {
      subject: '"recovered"',
      is: `"recovered in " & ${since('$states.context.Execution.StartTime')} & ". DATABASE_URL names " & ${RECOVERY_INSTANCE} & "."`,
      then:
        `"Its data is that of " & ${inWords(RESTORED_AS_OF)} & ". The old " & ${LIVE} & ` +
        '($retirement.retired = "deleted" ? " was deleted; what was written since is in its final snapshot " & $retirement.finalSnapshotId ' +
        ': $retirement.retired = "gone" ? " was gone already" : " is kept" & ($retirement.keepUntil != null ? " until " & $substring($retirement.keepUntil, 0, 10)) & "; what was written since is in it") & ".\\n" & ' +
        `(${IS_UNDO} ? "Its migrations are those of then, too: what was applied since is pending again." : ` +
        '$verification.migrationsTakenAway = null ? "Which migrations were taken away is not known: look before the next deployment." : ' +
        '$count($verification.migrationsTakenAway) = 0 ? "No migration was taken away." : ' +
        `"Taken away, and pending again: " & ${someOf('$verification.migrationsTakenAway')} & ". Mend them before the next deployment.") & ` +
        `(${IS_UNDO} ? "" : "\\nFor CloudFormation: npm run adopt, or {\\"mode\\":\\"rename\\"}.") & ${NOT_FOLLOWING}`,
    };
    const notify = this.states.notify('NotifyRecovered', recovered, untold, {
      firstError: {
        state: 'NotifyRecovered',
        error: 'NotificationFailed',
        message: jsonata(ERROR_MESSAGE),
      },
      redrives: jsonata(REDRIVES),
    });
    untold.next(notify);
    return notify.next(
      sfn.Succeed.jsonata(this, 'Recovered', {
        outputs: {
          recovery: jsonata('$recovery'),
          summary: this.states.summary(recovered),
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
          soak: jsonata('$soak'),
          retirement: jsonata('$retirement'),
          approvals: jsonata('$approvals'),
          namedBy: jsonata('$plan.namedBy'),
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
        sid: 'LookAtAlarms',
        actions: ['cloudwatch:DescribeAlarms'],
        resources: ['*'],
        wildcardReason:
          'The input names alarms, too, and composite alarms are seen by those only who may see all. Reading them changes nothing.',
      },
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
