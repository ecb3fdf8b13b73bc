import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { RecoveryApprovals } from './approvals';
import {
  ERROR_MESSAGE,
  IS_UNDO,
  LIVE,
  NOT_FOLLOWING,
  RECOVERY_INSTANCE,
  REDRIVES,
  RESTORED_AS_OF,
  RESULT,
  inWords,
  jsonata,
  setByHand,
  since,
  someOf,
} from './expressions';
import type { RecoveryFailures } from './failures';
import { soak } from './soak';
import { WITH_INSTANCE, WITH_RECOVERY, holds, type MachineStates, type Message } from './states';

/** How often it is looked again who is connected, while RDS does not delete the old instance: some four hours. */
const DRAINS = 16;

/** Behind the cutover: what the new instance still lacks, is it good, and may the old one go? */
export function retirement(
  scope: Construct,
  states: MachineStates,
  { overtaken, oldInstanceKept: { tell: kept } }: RecoveryFailures,
  approvals: RecoveryApprovals,
) {
  const finishSettings = states.step(
    {
      name: 'FinishSettings',
      event: {
        ...WITH_INSTANCE,
        quarantine: jsonata('$exists($verification.quarantine) ? $verification.quarantine : null'),
      },
      assign: { settings: RESULT },
      overtaken,
    },
    kept,
  );
  const drain = states.step(
    {
      name: 'Drain',
      event: WITH_INSTANCE,
      assign: { drained: `{"at": ${RESULT}.at, "redrives": ${REDRIVES}}` },
      overtaken,
    },
    kept,
  );
  const askForRetirement = approvals.askForRetirement(kept);
  const retire = states.step(
    {
      name: 'Retire',
      event: {
        ...WITH_RECOVERY,
        // Nobody knows how long ago the execution ended that was redriven.
        drainedAt: jsonata(`$drained.redrives = ${REDRIVES} ? $drained.at : null`),
      },
      assign: { retirement: RESULT },
      overtaken,
      unless: {
        error: 'DrainOutdated',
        then: new sfn.Choice(scope, 'DrainAgain?').when(holds(`$drains <= ${DRAINS}`), drain).otherwise(kept),
        assign: { drains: jsonata('$drains + 1') },
      },
    },
    kept,
  );
  const soaking = soak(scope, states, {
    problem: askForRetirement,
    done: drain,
    otherwise: new sfn.Choice(scope, 'ApproveRetirement?')
      .when(holds(approvals.retirementIsOpen), askForRetirement)
      .otherwise(retire),
    onError: kept,
    overtaken,
  });

  finishSettings.next(drain).next(soaking);
  // Somebody may have come while the answer was waited for, or since the last look of the soak.
  askForRetirement.next(drain);
  retire.next(recovered(scope, states));
  return { finishSettings, drain, soaking, askForRetirement, retire };
}

function recovered(scope: Construct, states: MachineStates): sfn.IChainable {
  const untold = states.end(
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
      `${setByHand(`${IS_UNDO} ? "" : "\\nFor CloudFormation: npm run adopt, or {\\"mode\\":\\"rename\\"}."`)} & ${NOT_FOLLOWING}`,
  };
  const notify = states.notify('NotifyRecovered', recovered, untold, {
    firstError: {
      state: 'NotifyRecovered',
      error: 'NotificationFailed',
      message: jsonata(ERROR_MESSAGE),
    },
    redrives: jsonata(REDRIVES),
  });
  untold.next(notify);
  return notify.next(
    sfn.Succeed.jsonata(scope, 'Recovered', {
      outputs: {
        recovery: jsonata('$recovery'),
        summary: states.summary(recovered),
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
