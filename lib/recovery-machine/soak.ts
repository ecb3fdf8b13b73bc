import { Duration } from 'aws-cdk-lib';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import * as tasks from 'aws-cdk-lib/aws-stepfunctions-tasks';
import type { Construct } from 'constructs';
import { ERROR_MESSAGE, RESULT, jsonata } from './expressions';
import { WITH_INSTANCE, holds, tryAgain, type MachineStates } from './states';

/** The way around the looks of a soak. */
export interface SoakWays {
  /** Something is wrong: a person is asked. */
  readonly problem: sfn.IChainable;
  /** The time is over and nothing was found. */
  readonly done: sfn.IChainable;
  /** No soak was asked for, or it is over. */
  readonly otherwise: sfn.IChainable;
  readonly onError: sfn.IChainable;
  readonly overtaken: sfn.IChainable;
}

/** JSONata: the time is over, or something was found. */
const IS_OVER = '($exists($soak.enough) and $soak.enough)';

/**
 * The soak: the machine asks CloudWatch for the alarms, which no function in the VPC can reach, has the function look at both databases
 * and judge, and waits until the next look (docs/decisions/0024-soak.md).
 */
export function soak(scope: Construct, states: MachineStates, ways: SoakWays): sfn.Choice {
  const look = states.step(
    {
      name: 'Soak',
      event: {
        ...WITH_INSTANCE,
        sessionsExpected: jsonata('$exists($consumersProof.sessions)'),
        alarms: jsonata('$alarms'),
        soak: jsonata('$soak'),
      },
      assign: { soak: RESULT },
      overtaken: ways.overtaken,
    },
    ways.onError,
  );
  const alarms = lookAtAlarms(scope, look);
  const isWanted = `$recovery.soakMinutes > 0 and $not(${IS_OVER})`;
  const next = new sfn.Choice(scope, 'Soak?', { comment: 'by default the recovery does not soak' })
    .when(holds(`${isWanted} and $count($recovery.soakAlarms) > 0`), alarms)
    .when(holds(isWanted), look)
    .otherwise(ways.otherwise);
  const wait = sfn.Wait.jsonata(scope, 'NextLook', {
    time: sfn.WaitTime.seconds(jsonata('$soak.pauseSeconds')),
  });
  wait.next(next);
  look.next(
    new sfn.Choice(scope, 'SoakedEnough?')
      .when(holds('$count($soak.problems) > 0'), ways.problem)
      .when(holds(IS_OVER), ways.done)
      .otherwise(wait),
  );
  return next;
}

/** That CloudWatch does not answer is for the look to judge, too. */
function lookAtAlarms(scope: Construct, look: sfn.TaskStateBase): sfn.TaskStateBase {
  const state = tasks.CallAwsService.jsonata(scope, 'LookAtAlarms', {
    service: 'cloudwatch',
    action: 'describeAlarms',
    // Left out, CloudWatch would leave out composite alarms, and all but the first 50.
    parameters: {
      AlarmNames: jsonata('$recovery.soakAlarms'),
      AlarmTypes: ['MetricAlarm', 'CompositeAlarm'],
      MaxRecords: 100,
    },
    iamResources: ['*'],
    taskTimeout: sfn.Timeout.duration(Duration.minutes(1)),
    assign: {
      alarms: {
        seen: jsonata(
          '[$append($states.result.MetricAlarms, $states.result.CompositeAlarms).' +
            '{"name": AlarmName, "state": StateValue, "since": StateTransitionedTimestamp}]',
        ),
      },
    },
  });
  tryAgain(state, 4);
  state.addCatch(look, { assign: { alarms: { problem: jsonata(ERROR_MESSAGE) } } });
  state.next(look);
  return state;
}
