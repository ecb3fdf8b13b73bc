/** The JSONata of the machine. `$recovery` is what Plan decided, `$firstError` what ended the way forward. */

/** What a failed step leaves in `$states.errorOutput`, as one sentence: the message of the error, or else the whole cause. */
export const ERROR_MESSAGE =
  '($cause := $states.errorOutput.Cause; ' +
  '$message := $substring($cause, 0, 1) = "{" and $substring($cause, -1) = "}" ? $parse($cause).errorMessage; ' +
  '$exists($message) ? $message : $exists($cause) ? $cause : "no cause was given")';

export const LIVE = '$recovery.live.instanceId';
export const RECOVERY_INSTANCE = '$recovery.recoveryInstanceId';
export const FIRST_ERROR =
  '$firstError.state & " failed with " & $firstError.error & ": " & $firstError.message';

const MODE = '$states.context.Execution.Input.mode';
/** Whether the execution was started for a drill, also where Plan could not tell. */
export const IS_DRILL = `${MODE} = "drill"`;

/** What messages call the execution: by what it was started for, also where Plan could not tell. */
export const KIND = `(${IS_DRILL} ? "Drill" : ${MODE} = "undo" ? "Undo" : "Recovery")`;

/** Whether Plan found a recovery to undo. */
export const IS_UNDO = '$exists($recovery.undoes)';

export const IT_IS_OVER = 'This recovery is over: start a new one, a redrive would only end like this again.';

/** Marks a JSONata expression. */
export const jsonata = (expression: string): string => `{% ${expression} %}`;
/** How often this execution has been redriven. */
export const REDRIVES =
  '($exists($states.context.Execution.RedriveCount) ? $states.context.Execution.RedriveCount : 0)';
/** What went wrong while a failed recovery was being undone; the first error stays the error of the execution. */
export const UNDO_ERROR = {
  undoError: jsonata(`$states.errorOutput.Error & ": " & ${ERROR_MESSAGE}`),
  redrives: jsonata(REDRIVES),
};
/** The result of the step's function. */
export const RESULT = '$states.result.Payload';
