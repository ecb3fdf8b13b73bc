import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { RESULT, jsonata } from './expressions';
import type { RecoveryFailures } from './failures';
import { WITH_RECOVERY, type MachineStates } from './states';

/** What stopped recoveries left is given up by one function: each thing by the step that would have done it. */
export function cleanUp(
  scope: Construct,
  states: MachineStates,
  failures: RecoveryFailures,
): sfn.TaskStateBase {
  const failed = failures.cleanUpFailed();
  const clean = states.step(
    { name: 'CleanUp', event: WITH_RECOVERY, assign: { cleanedUp: RESULT } },
    failed.tell,
  );
  failed.end.next(clean);
  clean.next(
    sfn.Succeed.jsonata(scope, 'CleanedUp', {
      outputs: {
        recovery: jsonata('$recovery'),
        summary: states.summary({
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
  return clean;
}
