import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import {
  ERROR_MESSAGE,
  IS_RENAME,
  LIVE,
  RECOVERY_INSTANCE,
  RESTORED_AS_OF,
  RESULT,
  inWords,
  jsonata,
  shortError,
  someOf,
} from './expressions';
import type { RecoveryFailures } from './failures';
import { WITH_INSTANCE, WITH_RECOVERY, holds, type MachineStates } from './states';

/** From the fence to the application on the new instance. A rename comes in at the swap. */
export function cutover(scope: Construct, states: MachineStates, failures: RecoveryFailures) {
  const { overtaken } = failures;
  const fence = states.step(
    { name: 'Fence', event: WITH_RECOVERY, assign: { fence: RESULT } },
    failures.swapBack,
  );
  const swap = states.step(
    {
      name: 'Swap',
      event: WITH_INSTANCE,
      // What is deployed from now on has the new value.
      assign: { swap: RESULT, swappedAt: '$now()' },
    },
    failures.swapBackOrForward,
  );
  const prove = states.step(
    {
      name: 'Prove',
      event: { ...WITH_INSTANCE, versionId: jsonata('$swap.versionId') },
      assign: { proof: RESULT },
      overtaken,
    },
    failures.swapBackOrForward,
  );
  const proveConsumers = states.step(
    {
      name: 'ProveConsumers',
      event: WITH_INSTANCE,
      assign: { consumersProof: RESULT, backAt: '$now()' },
      overtaken,
    },
    failures.keptOrRenamed,
  );
  fence
    .next(swap)
    .next(prove)
    .next(restartConsumers(states, overtaken, proveConsumers));
  return {
    fence,
    swap,
    proveConsumers,
    then: (ways: { readonly rename: sfn.IChainable; readonly otherwise: sfn.IChainable }): void => {
      proveConsumers.next(
        new sfn.Choice(scope, 'IsItARename?', { comment: 'it has no old instance' })
          .when(holds(IS_RENAME), ways.rename)
          .otherwise(ways.otherwise),
      );
    },
  };
}

/** Where they cannot be restarted people are told and the recovery goes on: the swap is good, and they may do it by hand. */
function restartConsumers(
  states: MachineStates,
  overtaken: sfn.IChainable,
  proveConsumers: sfn.IChainable,
): sfn.IChainable {
  const tell = states.mention(
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
  const cutOver = states.mention(
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
  const restart = states.step({
    name: 'RestartConsumers',
    event: { ...WITH_INSTANCE, versionId: jsonata('$swap.versionId'), swappedAt: jsonata('$swappedAt') },
    assign: { consumers: RESULT },
    overtaken,
  });
  restart.addCatch(tell, {
    assign: { consumers: { problem: jsonata(`$states.errorOutput.Error & ": " & ${ERROR_MESSAGE}`) } },
  });
  restart.next(cutOver);
  return restart;
}
