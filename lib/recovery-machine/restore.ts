import { Duration } from 'aws-cdk-lib';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { RecoveryApprovals } from './approvals';
import {
  ERROR_MESSAGE,
  IS_UNDO,
  RECOVERY_INSTANCE,
  RESTORED_AS_OF,
  RESULT,
  cut,
  inWords,
  jsonata,
  minutesInWords,
  since,
  someOf,
} from './expressions';
import type { RecoveryFailures } from './failures';
import { WITH_INSTANCE, WITH_RECOVERY, holds, type MachineStates } from './states';

/**
 * Right before the fence settings are as they were compared at most so long ago. Nobody changes one and sees RDS apply it in less, and
 * a recovery whose verification is quick is not slowed down.
 */
const COMPARED_AT_MOST = Duration.minutes(1);

/** From the restore, or the instance that an undo takes back, to one that may serve: nothing that serves is touched. */
export function restore(
  scope: Construct,
  states: MachineStates,
  failures: RecoveryFailures,
  approvals: RecoveryApprovals,
) {
  const { giveUp } = failures;
  const startRestore = states.step({ name: 'StartRestore', event: WITH_RECOVERY }, giveUp);
  const takeBack = states.step(
    {
      name: 'TakeBack',
      event: WITH_RECOVERY,
      // It is what it was, not a copy: nothing of it is verified.
      assign: { verification: 'null' },
    },
    giveUp,
  );
  const checkRestoredInstance = states.step(
    { name: 'CheckRestoredInstance', event: WITH_RECOVERY, assign: { instance: RESULT } },
    giveUp,
  );
  const safetySnapshot = takeSafetySnapshot(scope, states, checkRestoredInstance);
  const recordPosition = states.step(
    {
      name: 'RecordPosition',
      event: WITH_INSTANCE,
      assign: { position: RESULT, restoredAt: '$states.context.State.EnteredTime' },
    },
    giveUp,
  );
  const matchSettings = states.step(
    {
      name: 'MatchSettings',
      event: { ...WITH_INSTANCE, masterUserKnown: jsonata('$position.masterUserKnown') },
      assign: { settings: RESULT, matchedAt: '$millis()' },
    },
    giveUp,
  );
  const matchCredentials = states.step(
    { name: 'MatchCredentials', event: WITH_INSTANCE, assign: { credentials: RESULT } },
    giveUp,
  );
  const verify = states.step(
    { name: 'Verify', event: WITH_INSTANCE, assign: { verification: RESULT } },
    giveUp,
  );
  const notApproved = failures.cutoverNotApproved();
  const askForCutover = approvals.askForCutover(notApproved.tell);
  notApproved.end.next(askForCutover);
  const isLongAgo = `$waited or $millis() - $matchedAt > ${COMPARED_AT_MOST.toMilliseconds()}`;
  const approveCutover = new sfn.Choice(scope, 'ApproveCutover?')
    .when(holds('$recovery.approveCutover'), askForCutover)
    .when(holds(isLongAgo), matchSettings, { assign: { waited: true } });
  const cutOverNow = new sfn.Choice(scope, 'CutOverNow?', {
    comment: 'matched once more, after a long wait',
  });

  startRestore.next(safetySnapshot);
  takeBack.next(safetySnapshot);
  checkRestoredInstance.next(recordPosition).next(matchSettings).next(matchCredentials).next(cutOverNow);
  cutOverNow.otherwise(
    new sfn.Choice(scope, 'IsItAnUndo?', {
      comment: 'what is taken back is what it was, not a copy to be verified',
    })
      .when(holds(IS_UNDO), approveCutover)
      .otherwise(verify),
  );
  verify.next(
    new sfn.Choice(scope, 'IsItADrill?', {
      comment: 'mode "drill" ends before anything is touched that serves',
    })
      .when(holds('$recovery.mode = "drill"'), endDrill(scope, states, giveUp))
      .otherwise(warmUp(scope, states, giveUp, approveCutover)),
  );
  // What was compared a while ago may differ by now: settings and passwords are matched once more.
  askForCutover.next(matchSettings);
  return {
    startRestore,
    takeBack,
    then: (fence: sfn.IChainable): void => {
      approveCutover.otherwise(fence);
      cutOverNow.when(holds('$waited'), fence);
    },
  };
}

/** Whatever becomes of it, the recovery goes on: an outage is no time to insist. */
function takeSafetySnapshot(
  scope: Construct,
  states: MachineStates,
  then: sfn.IChainable,
): sfn.TaskStateBase {
  // While RDS restores, so that nothing waits for it; and not before the claim is had.
  const notifyStarted = states.mention(
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
    then,
  );
  // Nobody waits for a drill, and its schedule started it.
  const goOn = new sfn.Choice(scope, 'TellPeople?')
    .when(holds('$recovery.mode != "drill"'), notifyStarted)
    .otherwise(then);
  const state = states.step({ name: 'TakeSafetySnapshot', event: WITH_RECOVERY, assign: { safety: RESULT } });
  state.addCatch(goOn, { assign: { safety: { taken: false, reason: jsonata(ERROR_MESSAGE) } } });
  state.next(goOn);
  return state;
}

/** Instead of a cutover: what was made goes, and what was measured is published. */
function endDrill(scope: Construct, states: MachineStates, onError: sfn.IChainable): sfn.IChainable {
  const end = states.step(
    {
      name: 'EndDrill',
      event: {
        ...WITH_RECOVERY,
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
    sfn.Succeed.jsonata(scope, 'Drilled', {
      outputs: {
        recovery: jsonata('$recovery'),
        summary: states.summary({
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
function warmUp(
  scope: Construct,
  states: MachineStates,
  onError: sfn.IChainable,
  then: sfn.IChainable,
): sfn.Choice {
  const warm = states.step(
    {
      name: 'Warm',
      event: { ...WITH_INSTANCE, warmth: jsonata('$warmth') },
      assign: { warmth: RESULT },
    },
    onError,
  );
  const hydrate = states.step(
    { name: 'Hydrate', event: WITH_RECOVERY, assign: { hydration: RESULT, waited: 'true' } },
    onError,
  );
  warm.next(
    new sfn.Choice(scope, 'WarmEnough?').when(holds('$not($warmth.enough)'), warm).otherwise(hydrate),
  );
  hydrate.next(then);
  return new sfn.Choice(scope, 'Warm?', { comment: 'by default the cutover does not wait' })
    .when(holds('$exists($recovery.warm.percent)'), warm)
    .otherwise(then);
}
