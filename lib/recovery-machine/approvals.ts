import { Duration } from 'aws-cdk-lib';
import type * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import type { SnsPublish } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import {
  IS_UNDO,
  LIVE,
  RECOVERY_INSTANCE,
  REDRIVES,
  RESTORED_AS_OF,
  inWords,
  since,
  soakFound,
  someOf,
} from './expressions';
import type { MachineStates } from './states';

/** The restored instance is there, unused and paid for, and what it does not hold grows. */
const CUTOVER_WAITS_FOR = Duration.hours(12);
/** The cutover stands meanwhile, and deployments go on; but no other recovery can be started. */
const RETIREMENT_WAITS_FOR = Duration.hours(24);
/** Longer than the machine waits by itself between a yes and the deletion, unless RDS is very slow. */
const LEAVE_COUNTS_FOR = Duration.hours(6);

/** Nothing waits for the answer: neither deployments nor another recovery. */
const RENAME_WAITS_FOR = Duration.hours(12);

/** The questions to a person, each asked where the recovery is to ask it. */
export class RecoveryApprovals {
  constructor(private readonly states: MachineStates) {}

  /** Before anybody is locked out of the old database. */
  askForCutover(onError: sfn.IChainable): SnsPublish {
    return this.states.ask(
      {
        name: 'AskForCutover',
        about: 'cutover',
        subject: '"APPROVE THE CUTOVER?"',
        is: `${RECOVERY_INSTANCE} & (${IS_UNDO} ? " can be taken back" : " is restored and verified") & ". May it serve?"`,
        yes:
          `"everybody is locked out of " & ${LIVE} & ", DATABASE_URL moves, the application has to be restarted. ` +
          `What was written since " & ${inWords(RESTORED_AS_OF)} & " (" & ${since(RESTORED_AS_OF)} & " by now) is not in that one."`,
        no: '"both are kept, the application stays where it is."',
        waitsFor: CUTOVER_WAITS_FOR,
      },
      onError,
    );
  }

  /**
   * JSONata: a person has to be asked about the old instance, and has not said yes. Nothing that is kept needs leave to go; but a soak that
   * went wrong needs somebody who says that the recovery is over, whatever the table says. A yes of before a redrive, or of long ago, was
   * said about what was then.
   */
  readonly retirementIsOpen =
    '(($recovery.approveRetirement and $recovery.retire = "delete") or $count($soak.problems) > 0) and ' +
    `$not($leave != null and $leave.redrives = ${REDRIVES} and $millis() - $leave.at < ${LEAVE_COUNTS_FOR.toMilliseconds()})`;

  /** Before the old instance is deleted. */
  askForRetirement(onError: sfn.IChainable): SnsPublish {
    return this.states.ask(
      {
        name: 'AskForRetirement',
        about: 'retirement',
        // What is kept is asked about only where a soak found something.
        subject: '($recovery.retire = "delete" ? "DELETE THE OLD DATABASE?" : "LOOK AT THE NEW DATABASE")',
        is:
          `($count($soak.problems) > 0 ? ${soakFound(70)} & ` +
          `($recovery.retire = "delete" ? " May the old one go?" : " Is it over?") : ` +
          `${RECOVERY_INSTANCE} & " serves, nobody uses the old one. May that go?")`,
        yes:
          `($recovery.retire = "delete" ? ${LIVE} & " is deleted, with final snapshot " & $recovery.finalSnapshotId & "; its automated backups are kept." : ` +
          `${LIVE} & " is kept, the recovery is over.")`,
        no: '"it is kept, and can be gone back to at once. Until the answer no other recovery can begin; deployments can."',
        waitsFor: RETIREMENT_WAITS_FOR,
        assign: { leave: `{"at": $millis(), "redrives": ${REDRIVES}}` },
      },
      onError,
    );
  }

  /** Before the live instance is renamed: the outage is stated, and begins with the yes. */
  askForRename(onError: sfn.IChainable): SnsPublish {
    return this.states.ask(
      {
        name: 'AskForRename',
        about: 'rename',
        subject: '"RENAME THE LIVE DATABASE?"',
        is: `${LIVE} & " can be " & ${RECOVERY_INSTANCE} & " again. Now?"`,
        yes:
          `"NO DATABASE for about " & $string($plan.outageMinutes) & " min, at once: the address " & $plan.from.host & " goes, ` +
          `then DATABASE_URL moves to the new one" & ($count($plan.consumers) = 0 ? ", and you restart the application." : ". Restarted then: " & ${someOf('$plan.consumers.service')} & ".")`,
        no: '"nothing is changed."',
        waitsFor: RENAME_WAITS_FOR,
      },
      onError,
    );
  }
}
