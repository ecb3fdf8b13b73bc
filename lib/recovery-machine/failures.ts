import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import type { EnvironmentName } from '../../lambdas/contract/settings';
import {
  CAME_TOO_LATE,
  IS_DRILL,
  IS_RENAME,
  IS_UNDO,
  IT_IS_OVER,
  LIVE,
  RECOVERY_INSTANCE,
  REDRIVES,
  RESULT,
  TOO_LATE,
  UNDO_ERROR,
  cut,
  jsonata,
  soakFound,
} from './expressions';
import { OVERTAKEN, WITH_RECOVERY, holds, type MachineStates, type RedrivableEnd } from './states';

/** What it names is known only where nobody but this execution could have moved it. */
const DATABASE_URL_STAYS =
  `($firstError.error in ["${OVERTAKEN}", "RecoveryAlreadyRunning", "SecretMovedMeanwhile"] or ${REDRIVES} > 0 ? ` +
  `"This did not change DATABASE_URL." : "DATABASE_URL still names " & ${LIVE} & ".")`;

export interface RecoveryFailuresProps {
  readonly environment: EnvironmentName;
  /** Named in the text that says how to go back by hand. */
  readonly databaseUrlSecret: ISecret;
}

/** The ways back: each ends FAILED with the first error. */
export class RecoveryFailures {
  /** Whatever it was about to do or undo: what is live is for the other execution to say, and nothing is undone. */
  readonly overtaken: sfn.IChainable;
  /** Before the fence: what was made goes, what was taken back is given back. */
  readonly giveUp: sfn.IChainable;
  /** From the fence on: back to the old instance, if the swap got that far, which then is opened again. */
  readonly swapBack: sfn.IChainable;
  /** The same from the swap on, where a rename comes in: it has no old instance. */
  readonly swapBackOrForward: sfn.IChainable;
  /** After the proof: the cutover stands, whatever becomes of the old instance and of the settings that serving does not need. */
  readonly oldInstanceKept: RedrivableEnd;
  /** The same, or the end of a rename. */
  readonly keptOrRenamed: sfn.IChainable;
  /** A rename goes forward only: by its end RDS may have taken the old address away, and there is no way back to it. */
  readonly renameNotFinished: RedrivableEnd;

  constructor(
    private readonly scope: Construct,
    private readonly states: MachineStates,
    private readonly props: RecoveryFailuresProps,
  ) {
    this.overtaken = states.tellAndFail('NotifyOvertaken', 'Overtaken', {
      subject: '"given up, nothing to do"',
      is: '"given up: another execution has taken over. This one changes nothing any more."',
      then: '"Do nothing about this one. The other one says what is live; a plan, started with {}, what this one may have left."',
    });
    const discard = this.discard();
    const giveBack = this.giveBack();
    this.giveUp = new sfn.Choice(scope, 'WasItTakenBack?').when(holds(IS_UNDO), giveBack).otherwise(discard);
    this.swapBack = this.backToOldInstance(discard, giveBack);
    this.renameNotFinished = this.onlyForward();
    this.swapBackOrForward = new sfn.Choice(scope, 'IsThereAWayBack?')
      .when(holds(`${IS_RENAME} and $firstError.error = "${OVERTAKEN}"`), this.overtaken)
      .when(holds(IS_RENAME), this.renameNotFinished.tell)
      .otherwise(this.swapBack);
    this.oldInstanceKept = this.cutoverStands();
    this.keptOrRenamed = new sfn.Choice(scope, 'IsThereAnOldInstance?')
      .when(holds(IS_RENAME), this.renameNotFinished.tell)
      .otherwise(this.oldInstanceKept.tell);
  }

  planFailed(): RedrivableEnd {
    return this.states.tellAndStop(
      'NotifyPlanFailed',
      'PlanFailed',
      {
        subject: '"nothing was started"',
        is: `${CAME_TOO_LATE} ? ${TOO_LATE.is} : "nothing was started. Nothing was made and nothing was changed."`,
        then: `(${CAME_TOO_LATE} ? ${TOO_LATE.then} : "Where there is something to mend: mend it, then start again.")`,
        room: 170,
      },
      'Plan',
    );
  }

  cleanUpFailed(): RedrivableEnd {
    return this.states.tellAndStop(
      'NotifyCleanUpFailed',
      'CleanUpFailed',
      {
        subject: '"not everything was cleaned up"',
        is: `"not everything was cleaned up. DATABASE_URL was not changed."`,
        then: '"What could be cleaned up is; a plan, started with {}, says what is left. Redrive once that is mended."',
      },
      'CleanUp',
    );
  }

  /** Nobody said yes: no claim was taken, nothing was asked of RDS. */
  renameNotApproved(): RedrivableEnd {
    return this.states.tellAndStop(
      'NotifyRenameNotApproved',
      'RenameNotApproved',
      {
        subject: '"not approved, nothing changed"',
        is: `"it was not approved. DATABASE_URL still names " & ${LIVE} & "."`,
        then: '"Redrive to be asked again."',
      },
      'AskForRename',
    );
  }

  private onlyForward(): RedrivableEnd {
    const failed = (...states: string[]): string =>
      `$firstError.state in [${states.map((name) => `"${name}"`).join(', ')}]`;
    const refused = `($firstError.error in ["RenameRefused", "SecretMovedMeanwhile", "RecoveryAlreadyRunning"] and ${failed('Rename')})`;
    return this.states.tellAndStop(
      'NotifyRenameNotFinished',
      'RenameNotFinished',
      {
        subject:
          `${refused} ? "not renamed" : ${failed('Rename', 'Swap', 'Prove')} ? "ACT NOW: no database" : ` +
          `${failed('ProveConsumers')} ? "ACT NOW: the application is not back" : "renamed, the end is missing"`,
        is:
          `${refused} ? "not renamed by this. Nothing was changed." : ` +
          `${failed('Rename')} ? "no database. " & ${LIVE} & " may have its new name already, DATABASE_URL has not." : ` +
          `${failed('Swap')} ? "no database. The instance is " & ${RECOVERY_INSTANCE} & " now, DATABASE_URL not." : ` +
          `"renamed. DATABASE_URL names " & ${RECOVERY_INSTANCE} & (${failed('ProveConsumers')} ? "; the application is not on it." : ".")`,
        then:
          `(${refused} ? "Redrive once that is mended, or start again." : ` +
          `${failed('ProveConsumers')} ? "Restart what uses DATABASE_URL, then redrive." : ` +
          `$firstError.error = "SecretMovedMeanwhile" ? "There is no way back. Start a rename again: it goes on from what is there." : ` +
          `"There is only forward: mend it and redrive, or start a rename again.")`,
      },
      jsonata(`${failed('ProveConsumers', 'FinishRename')} ? $firstError.state : "Rename"`),
    );
  }

  /** A person does not want the cutover, now or at all: nothing is undone, so that it can still be had. */
  cutoverNotApproved(): RedrivableEnd {
    return this.states.tellAndStop(
      'NotifyCutoverNotApproved',
      'CutoverNotApproved',
      {
        subject: '"not approved, nothing changed"',
        is: `"the cutover was not approved. DATABASE_URL still names " & ${LIVE} & "."`,
        then:
          `"Nobody is locked out. " & ${RECOVERY_INSTANCE} & (${IS_UNDO} ? " is kept, fenced: redrive to be asked again." : " is kept, too, and costs as much: ` +
          `redrive to be asked again, or delete it, as the runbook says.")`,
      },
      'AskForCutover',
    );
  }

  /** Before the swap: the recovery instance goes, the application never saw it. */
  private discard(): sfn.TaskStateBase {
    const failed = this.states.tellAndFail('NotifyFailed', 'RecoveryFailed', {
      subject: `${CAME_TOO_LATE} ? ${TOO_LATE.subject} : "recovery failed, nothing changed"`,
      is: `${CAME_TOO_LATE} ? ${TOO_LATE.is} : "recovery failed, and was undone. " & ${DATABASE_URL_STAYS}`,
      then:
        `(${CAME_TOO_LATE} ? ${TOO_LATE.then} : "What was made is gone again. " & (${IS_DRILL} ? "Nothing is broken, but a recovery would fail like this: ` +
        `mend it, start another drill." : "${IT_IS_OVER}"))`,
      room: 95,
    });
    const discard = this.states.step({ name: 'Discard', event: WITH_RECOVERY });
    const liveWent = '$contains($undoError, /^LiveInstanceUnclear:/)';
    const discardFailed = this.states.tellAndStop(
      'NotifyDiscardFailed',
      'DiscardFailed',
      {
        subject: `${liveWent} ? "ACT NOW: the database is gone" : "recovery failed, an instance is left"`,
        is: `${liveWent} ? "recovery failed. " & ${LIVE} & ", which DATABASE_URL names, is lost." : "recovery failed. " & ${DATABASE_URL_STAYS}`,
        then:
          `${RECOVERY_INSTANCE} & (${liveWent} ? " is a copy of it, and kept: do not delete it. Start a recovery with {}: it says what to recover to." : ` +
          `" may still be there: redrive, or delete it by hand.")`,
        more: '"Deleting it failed with " & $undoError',
      },
      'Discard',
    );
    discard.addCatch(discardFailed.tell, { assign: UNDO_ERROR });
    discardFailed.end.next(discard);
    discard.next(failed);
    return discard;
  }

  /** Of an undo: the instance that was taken back is retired again, and never deleted. */
  private giveBack(): sfn.TaskStateBase {
    const failed = this.states.tellAndFail('NotifyNotUndone', 'NotUndone', {
      subject: `${CAME_TOO_LATE} ? ${TOO_LATE.subject} : "the recovery was not undone"`,
      is: `${CAME_TOO_LATE} ? ${TOO_LATE.is} : "not undone. " & ${DATABASE_URL_STAYS}`,
      then:
        `(${CAME_TOO_LATE} ? ${TOO_LATE.then} : ${RECOVERY_INSTANCE} & " is retired again, and kept." & ` +
        `($wasSwapped ? " DATABASE_URL named it for a while: restart what read it meanwhile, look in it for writes.") & ` +
        `($lift.stillOpen != null ? " It could not be fenced again: " & ${cut('$lift.stillOpen', 80)}) & " Start a new undo.")`,
    });
    const giveBack = this.states.step({ name: 'GiveBack', event: WITH_RECOVERY });
    const giveBackFailed = this.states.tellAndStop(
      'NotifyGiveBackFailed',
      'GiveBackFailed',
      {
        subject: '"not undone, an instance is left"',
        is: `"not undone. " & ${DATABASE_URL_STAYS}`,
        then: `${RECOVERY_INSTANCE} & " is kept, but could not be marked retired again: redrive."`,
        more: '"Marking it failed with " & $undoError',
      },
      'GiveBack',
    );
    giveBack.addCatch(giveBackFailed.tell, { assign: UNDO_ERROR });
    giveBackFailed.end.next(giveBack);
    giveBack.next(failed);
    return giveBack;
  }

  private backToOldInstance(discard: sfn.TaskStateBase, giveBack: sfn.TaskStateBase): sfn.TaskStateBase {
    const back = this.states.step({
      name: 'SwapBack',
      event: { ...WITH_RECOVERY, redrives: jsonata(REDRIVES) },
      assign: { wasSwapped: `${RESULT}.wasSwapped` },
      overtaken: this.overtaken,
    });
    const failed = this.swapBackFailed();
    back.addCatch(failed.tell, { assign: UNDO_ERROR });
    failed.end.next(back);
    const lift = this.liftFence();
    back.next(lift);
    lift.next(
      new sfn.Choice(this.scope, 'WasItSwapped?')
        // What was taken back is retired again in either case.
        .when(holds(IS_UNDO), giveBack)
        .when(holds('$wasSwapped'), this.swappedBack())
        .otherwise(discard),
    );
    return back;
  }

  private liftFence(): sfn.TaskStateBase {
    const { environment } = this.props;
    const lift = this.states.step({
      name: 'LiftFence',
      event: WITH_RECOVERY,
      assign: { lift: RESULT },
    });
    const failed = this.states.tellAndStop(
      'NotifyLiftFenceFailed',
      'LiftFenceFailed',
      {
        subject: '"ACT NOW: nobody can use the database"',
        is: `"recovery failed, and nobody can connect to " & ${LIVE} & "."`,
        then:
          `($contains($undoError, /^DatabaseUnreachable:/) ? "If it is stopped: aws rds start-db-instance --db-instance-identifier " & ${LIVE} & ` +
          `"\\nOnce it answers, redrive: it is opened, and that is all." : ` +
          `"DATABASE_URL names it, but it could not be opened again. Redrive now, or call the function ${environment}-lift-fence.")`,
        more: '"Opening it failed with " & $undoError',
      },
      'LiftFence',
    );
    lift.addCatch(failed.tell, { assign: UNDO_ERROR });
    failed.end.next(lift);
    return lift;
  }

  private swappedBack(): sfn.IChainable {
    return this.states.tellAndFail('NotifySwappedBack', 'SwappedBack', {
      subject: '"recovery failed, swapped back"',
      is: `"recovery failed. DATABASE_URL names " & ${LIVE} & " again."`,
      then:
        `"Restart what read it meanwhile. " & ${RECOVERY_INSTANCE} & " is kept, it may have taken writes: ` +
        `look, then delete it."`,
    });
  }

  private swapBackFailed(): RedrivableEnd {
    const { databaseUrlSecret } = this.props;
    const movedBySomebody = '$contains($undoError, /^SecretMovedMeanwhile:/)';
    const anotherRuns = '$contains($undoError, /^RecoveryAlreadyRunning:/)';
    return this.states.tellAndStop(
      'NotifySwapBackFailed',
      'SwapBackFailed',
      {
        subject: '"ACT NOW: swapping back failed"',
        is: `"recovery failed, and so did swapping back to " & ${LIVE} & "."`,
        then:
          `(${movedBySomebody} ? "DATABASE_URL names neither what this swapped in nor the old instance, which is closed: decide which database is right." : ` +
          `${anotherRuns} ? "Leave DATABASE_URL to the execution that runs. Once it has ended, redrive." : ` +
          `"DATABASE_URL may name either instance; the old one is closed. Redrive now, or go back by hand, with the commands in the ` +
          `cause of the execution.")`,
        more:
          `"Swapping back failed with " & $undoError & (${movedBySomebody} or ${anotherRuns} ? "" : "\\nTo go back to " & ${LIVE} & " by hand, ask for the current version: ` +
          `aws secretsmanager get-secret-value --secret-id ${databaseUrlSecret.secretArn} --query VersionId --output text ; if it is not " & ` +
          `$recovery.secretVersionId & ", run: aws secretsmanager update-secret-version-stage ` +
          `--secret-id ${databaseUrlSecret.secretArn} --version-stage AWSCURRENT --move-to-version-id " & ` +
          '$recovery.secretVersionId & " --remove-from-version-id <the current version> ; then lift the fence, as docs/runbook.md says, and restart what uses the database.")',
      },
      'SwapBack',
    );
  }

  private cutoverStands(): RedrivableEnd {
    return this.states.tellAndStop(
      'NotifyOldInstanceKept',
      'OldInstanceKept',
      {
        subject:
          '$firstError.state = "ProveConsumers" ? "ACT NOW: the application is not back" : "recovered, but the old instance is kept"',
        is:
          `$firstError.error = "RetirementRefused" ? "cut over to " & ${RECOVERY_INSTANCE} & "; " & ${LIVE} & " stays." : ` +
          `"DATABASE_URL names " & ${RECOVERY_INSTANCE} & ($count($soak.problems) > 0 ? ". " & ${soakFound(55)} : ` +
          '$firstError.state = "ProveConsumers" ? ", which works; the application is not on it." : ", which works.")',
        then:
          `($firstError.error = "RetirementRefused" ? "Look what DATABASE_URL names before you delete anything. Redrive once that is mended." : ` +
          `"The cutover stands; " & ${LIVE} & " is kept. " & ` +
          '($firstError.state = "ProveConsumers" ? "Restart what uses DATABASE_URL, then redrive." : ' +
          '$firstError.state = "FinishSettings" ? "Set by hand what the new one lacks, deletion protection above all, then redrive." : ' +
          '$firstError.state = "Drain" ? "Restart or end what still uses it, then redrive." : ' +
          '$firstError.state = "AskForRetirement" ? ($count($soak.problems) > 0 ? "Redrive to be asked again, or go back to it, by the runbook." : "Redrive to be asked again, or keep it.") : ' +
          '"Redrive once that is mended, or delete it by hand, with a final snapshot."))',
      },
      jsonata('$firstError.state'),
      { drains: 0 },
    );
  }
}
