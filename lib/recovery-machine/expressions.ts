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
/** What the new database holds: everything up to this moment, ISO 8601. */
export const RESTORED_AS_OF =
  '($recovery.restorePoint.kind = "snapshot" ? $recovery.restorePoint.databaseTime : $recovery.restorePoint.time)';

const MODE = '$states.context.Execution.Input.mode';
/** Whether the execution was started for a drill, also where Plan could not tell. */
export const IS_DRILL = `${MODE} = "drill"`;

/** Whether Plan found a recovery to undo. */
export const IS_UNDO = '$exists($recovery.undoes)';

/** Whether the live instance gets its old name back, and nothing is recovered. */
export const IS_RENAME = '$exists($recovery.rename)';

/** How messages begin: with what the execution was started for where it is no recovery, also where Plan could not tell. */
export const KIND = `(${IS_DRILL} ? "drill: " : ${MODE} = "undo" ? "undo: " : ${MODE} = "clean-up" ? "clean-up: " : ${MODE} = "rename" ? "rename: ")`;

export const IT_IS_OVER = 'This recovery is over: start a new one.';

/** Another recovery has the database. Nothing was made, and there is nothing to mend. */
export const CAME_TOO_LATE = '$firstError.error = "RecoveryAlreadyRunning"';
export const TOO_LATE = {
  subject: '"nothing was started"',
  is: '"nothing was started: another recovery of this database runs."',
  then: '"Nothing is to be done but to follow it."',
};

/** At most `length` characters of a text, on one line. Plain dots: an ellipsis would halve what a text message holds. */
export const cut = (text: string, length: number): string =>
  `($text := $replace(${text}, /\\s+/, " "); $length($text) > ${length} ? $substring($text, 0, ${length - 3}) & "..." : $text)`;

/** Of an error's message the fact and the hint, each short: `room` is that of the fact. */
export const shortError = (message: string, room = 85): string =>
  `${cut(`$substringBefore(${message}, " Hint: ")`, room)} & ` +
  `($contains(${message}, " Hint: ") ? "\\nHint: " & ${cut(`$substringAfter(${message}, " Hint: ")`, 75)})`;

/** A time in words, of an ISO 8601 text. */
export const inWords = (time: string): string =>
  `$fromMillis($toMillis(${time}), "[Y0001]-[M01]-[D01] [H01]:[m01]") & " UTC"`;

/** How long ago that is, for instance "7 min". */
export const since = (time: string): string => minutesInWords(`($millis() - $toMillis(${time})) / 60000`);

export const minutesInWords = (minutes: string): string =>
  `($minutes := ${minutes}; $minutes < 120 ? $round($minutes) & " min" : $minutes < 2880 ? $round($minutes / 60) & " h" : ` +
  `$floor($minutes / 1440) & " days " & $floor($minutes % 1440 / 60) & " h")`;

/** The first few of a list of names. */
export const someOf = (names: string): string =>
  `($names := ${names}; $join($names[[0..2]], ", ") & ($count($names) > 3 ? " and " & $string($count($names) - 3) & " more"))`;

/** A line about alarms and dashboards that know the instance that was live by its name; nothing where Plan found none. */
export const NOT_FOLLOWING =
  '($byName := [$plan.namedBy.alarms, $plan.namedBy.dashboards][$ != null]; ' +
  `$count($byName) = 0 ? "" : "\\nStill look at the old name: " & ${cut(someOf('$byName'), 60)})`;

/** A line about settings of the new instance that are left to a person, by their notes; where there are none another line. */
export const setByHand = (otherwise: string): string =>
  '($byHand := [$settings.settings[equal = false and $contains(note, "by hand")].name]; ' +
  `$count($byHand) > 0 ? "\\nSet by hand: " & ${cut(someOf('$byHand'), 45)} : ${otherwise})`;

/** Where the console shows the execution. */
export const CONSOLE =
  '($region := $split($states.context.Execution.Id, ":")[3]; "https://" & $region & ' +
  '".console.aws.amazon.com/states/home?region=" & $region & "#/v2/executions/details/" & $states.context.Execution.Id)';

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
/** JSONata: what a soak found, where it found something. */
export const soakFound = (length: number): string =>
  `"LOOK: " & ${cut('$join($soak.problems, " ")', length)}`;
