import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { RecoveryApprovals } from './approvals';
import {
  LIVE,
  NOT_FOLLOWING,
  RECOVERY_INSTANCE,
  REDRIVES,
  RESULT,
  cut,
  inWords,
  jsonata,
  minutesInWords,
} from './expressions';
import type { RecoveryFailures } from './failures';
import { WITH_INSTANCE, WITH_RECOVERY, holds, type MachineStates, type Message } from './states';

/**
 * The live instance gets its old name back. Behind `Rename` it is a cutover without an old instance, up to the application on the new
 * address; then `FinishRename`.
 */
export function rename(
  scope: Construct,
  states: MachineStates,
  failures: RecoveryFailures,
  approvals: RecoveryApprovals,
) {
  const { overtaken, renameNotFinished } = failures;
  const begin = states.step(
    {
      name: 'Rename',
      event: { ...WITH_RECOVERY, redrives: jsonata(REDRIVES) },
      assign: { renamed: RESULT, instance: `${RESULT}.instance` },
      overtaken,
    },
    renameNotFinished.tell,
  );
  const notApproved = failures.renameNotApproved();
  const ask = approvals.askForRename(notApproved.tell);
  notApproved.end.next(ask);
  ask.next(
    states.mention(
      'NotifyOutage',
      {
        subject: '"the outage begins"',
        is: `"no database from now on, for about " & $string($plan.outageMinutes) & " min."`,
        then:
          `${LIVE} & " is renamed to " & ${RECOVERY_INSTANCE} & ", for " & ${cut('$recovery.requestedBy', 40)} & ": " & ${cut('$recovery.reason', 80)} & ` +
          `"\\nIf a migration runs, or RDS refuses, nothing changes and you are told."`,
      },
      begin,
    ),
  );
  const begun = new sfn.Choice(scope, 'RenameBegun?', {
    comment: 'what RDS has begun is finished, and nobody is asked',
  })
    .when(holds('$recovery.rename.begun'), begin)
    .otherwise(ask);
  return { begun, rename: begin, finishRename: finishRename(scope, states, failures) };
}

function finishRename(
  scope: Construct,
  states: MachineStates,
  { overtaken, renameNotFinished }: RecoveryFailures,
): sfn.TaskStateBase {
  const renamed: Message = {
    subject: '"renamed"',
    is: `"renamed. DATABASE_URL names " & ${RECOVERY_INSTANCE} & ", and works."`,
    then:
      `"It was " & ${LIVE} & ". Without a database: " & ${minutesInWords('$finished.outage.seconds / 60')} & ", from " & ${inWords('$finished.outage.from')} & ".\\n" & ` +
      `($finished.snapshot.taken ? "" : "Without a snapshot: " & ${cut('$finished.snapshot.reason', 100)} & " Until there is one a recovery cannot go without the instance: ask for one, or wait for the schedule.\\n") & ` +
      `"The stack owns it again: a deploy changes nothing." & ${NOT_FOLLOWING}`,
  };
  const finish = states.step(
    {
      name: 'FinishRename',
      event: { ...WITH_INSTANCE, askedAt: jsonata('$renamed.askedAt'), backAt: jsonata('$backAt') },
      assign: { finished: RESULT },
      overtaken,
    },
    renameNotFinished.tell,
  );
  finish.next(
    states.mention(
      'NotifyRenamed',
      renamed,
      sfn.Succeed.jsonata(scope, 'Renamed', {
        outputs: {
          recovery: jsonata('$recovery'),
          summary: states.summary(renamed),
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
      }),
    ),
  );
  return finish;
}
