import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import type { EnvironmentName } from '../../lambdas/contract';
import {
  FIRST_ERROR,
  IS_DRILL,
  IS_UNDO,
  IT_IS_OVER,
  LIVE,
  RECOVERY_INSTANCE,
  RESULT,
  UNDO_ERROR,
  jsonata,
} from './expressions';
import type { MachineStates, RedrivableEnd } from './states';

export interface RecoveryFailuresProps {
  readonly environment: EnvironmentName;
  /** Named in the text that says how to go back by hand. */
  readonly databaseUrlSecret: ISecret;
}

/** The ways back: each ends FAILED with the first error. */
export class RecoveryFailures {
  constructor(
    private readonly scope: Construct,
    private readonly states: MachineStates,
    private readonly props: RecoveryFailuresProps,
  ) {}

  planFailed(): RedrivableEnd {
    return this.states.tellAndStop(
      'NotifyPlanFailed',
      'PlanFailed',
      'no recovery was started',
      `${FIRST_ERROR} & "\\nNothing was made and nothing was changed."`,
      'Plan',
    );
  }

  /** A person does not want the cutover, now or at all: nothing is undone, so that it can still be had. */
  cutoverNotApproved(): RedrivableEnd {
    return this.states.tellAndStop(
      'NotifyCutoverNotApproved',
      'CutoverNotApproved',
      'not cut over, DATABASE_URL is unchanged',
      `${FIRST_ERROR} & "\\nDATABASE_URL was not changed: it names " & ${LIVE} & ", and nobody is locked out of it. " & (${IS_UNDO} ? "The instance " & ` +
        `${RECOVERY_INSTANCE} & ", which was to be taken back, is kept, fenced." : "The recovery instance " & ` +
        `${RECOVERY_INSTANCE} & " is kept, too, and costs as much. If nobody wants it, delete it, as docs/runbook.md says.")`,
      'AskForCutover',
    );
  }

  /** Before the swap: the recovery instance goes, the application never saw it. */
  discard(): sfn.TaskStateBase {
    const failed = this.states.tellAndFail(
      'NotifyFailed',
      'RecoveryFailed',
      'recovery failed, DATABASE_URL is unchanged',
      `${FIRST_ERROR} & "\\nDATABASE_URL was not changed: it names " & ${LIVE} & ". The recovery instance " & ${RECOVERY_INSTANCE} & ` +
        // It may never have been made: another recovery was faster.
        `" does not exist. " & (${IS_DRILL} ? "This was a drill: nothing is broken, but a recovery would fail like this. ` +
        `Mend it and start another drill." : "${IT_IS_OVER}")`,
    );
    const discard = this.states.step({ name: 'Discard', event: { recovery: jsonata('$recovery') } });
    const discardFailed = this.states.tellAndStop(
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

  /** Of an undo: the instance that was taken back is retired again, and never deleted. */
  giveBack(): sfn.TaskStateBase {
    const failed = this.states.tellAndFail(
      'NotifyNotUndone',
      'NotUndone',
      'the recovery was not undone',
      `${FIRST_ERROR} & "\\nDATABASE_URL names " & ${LIVE} & ", as before. The instance " & ${RECOVERY_INSTANCE} & " is retired again, and kept." & ` +
        `($wasSwapped ? " DATABASE_URL named it for a while: restart what read it meanwhile, and look in it for writes." : "") & ` +
        `($lift.stillOpen != null ? " It could not be fenced again: " & $lift.stillOpen : "") & " ${IT_IS_OVER}"`,
    );
    const giveBack = this.states.step({ name: 'GiveBack', event: { recovery: jsonata('$recovery') } });
    const giveBackFailed = this.states.tellAndStop(
      'NotifyGiveBackFailed',
      'GiveBackFailed',
      'the recovery was not undone, an instance is left',
      `${FIRST_ERROR} & "\\nDATABASE_URL names " & ${LIVE} & ", as before. The instance " & ${RECOVERY_INSTANCE} & ` +
        `" could not be marked retired again (" & $undoError & "). It is kept: redrive."`,
      'GiveBack',
    );
    giveBack.addCatch(giveBackFailed.tell, { assign: UNDO_ERROR });
    giveBackFailed.end.next(giveBack);
    giveBack.next(failed);
    return giveBack;
  }

  /** Before the fence: what was made goes, what was taken back is given back. */
  giveUp(discard: sfn.TaskStateBase, giveBack: sfn.TaskStateBase): sfn.Choice {
    return new sfn.Choice(this.scope, 'WasItTakenBack?')
      .when(sfn.Condition.jsonata(jsonata(IS_UNDO)), giveBack)
      .otherwise(discard);
  }

  /** From the fence on: back to the old instance, if the swap got that far, which then is opened again. */
  swapBack(discard: sfn.TaskStateBase, giveBack: sfn.TaskStateBase): sfn.TaskStateBase {
    const back = this.states.step({
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
      new sfn.Choice(this.scope, 'WasItSwapped?')
        // What was taken back is retired again in either case.
        .when(sfn.Condition.jsonata(jsonata(IS_UNDO)), giveBack)
        .when(sfn.Condition.jsonata(jsonata('$wasSwapped')), this.swappedBack())
        .otherwise(discard),
    );
    return back;
  }

  private liftFence(): sfn.TaskStateBase {
    const { environment } = this.props;
    const lift = this.states.step({
      name: 'LiftFence',
      event: { recovery: jsonata('$recovery') },
      assign: { lift: RESULT },
    });
    const failed = this.states.tellAndStop(
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
    return this.states.tellAndFail(
      'NotifySwappedBack',
      'SwappedBack',
      'recovery failed, swapped back',
      `${FIRST_ERROR} & "\\nDATABASE_URL names the old instance " & ${LIVE} & " again: restart what read it meanwhile. " & ` +
        `"The recovery instance " & ${RECOVERY_INSTANCE} & " is kept, since it may have taken writes: look, switch its deletion protection off, then delete it. ${IT_IS_OVER}"`,
    );
  }

  private swapBackFailed(): RedrivableEnd {
    const { databaseUrlSecret } = this.props;
    return this.states.tellAndStop(
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

  /** After the proof: the cutover stands, whatever becomes of the old instance and of the settings that serving does not need. */
  oldInstanceKept(): RedrivableEnd {
    return this.states.tellAndStop(
      'NotifyOldInstanceKept',
      'OldInstanceKept',
      'recovered, but the old instance is kept',
      `${FIRST_ERROR} & "\\nThe cutover stands: DATABASE_URL names " & ${RECOVERY_INSTANCE} & ". The old instance " & ${LIVE} & ` +
        `" was not retired: " & ` +
        `($firstError.state = "FinishSettings" ? "set by hand on the new one what is missing there, deletion protection above all, and redrive" : ` +
        `"once nothing uses it, delete it by hand with a final snapshot, as docs/runbook.md says") & "."`,
      jsonata('$firstError.state'),
      { drains: 0 },
    );
  }
}
