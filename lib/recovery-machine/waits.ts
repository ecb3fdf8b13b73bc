import { Duration } from 'aws-cdk-lib';
import type { NOT_YET_ERRORS, PASSING_ERRORS, STOPPED_NOT_YET } from '../../lambdas/contract/asking-again';
import type { FunctionName } from '../../lambdas/contract/functions';

/** The functions that are steps of the machine. */
export type StepName = Exclude<FunctionName, 'pre-migration-snapshot' | 'decide'>;

type NotYet = typeof NOT_YET_ERRORS;

export interface Wait<Name extends string = string> {
  readonly error: Name;
  /** The first pause. Step Functions takes whole seconds. */
  readonly first: Duration;
  /** So much of the time waited so far the next pause is longer; 0: every pause is as long as the first one. */
  readonly share: number;
  readonly limit: Duration;
}

/**
 * Of what has taken a while it is known that it may take as long again, so the pause grows with the time waited: what is late is
 * noticed at most this share late, and six hours take some 360 questions instead of 1,440.
 */
const SHARE = 0.01;

/** How long a step that says "not yet" is asked again, and how often. */
export const WAITS: { readonly [Step in keyof NotYet]: Wait<NotYet[Step]> } = {
  // A restore copies nothing, yet takes from minutes to hours; Multi-AZ comes on top.
  'check-restored-instance': growing('InstanceNotReady', Duration.hours(6)),
  // Mostly there is nothing to wait for. If there is, RDS takes no change during the first backup, which lasts for hours on a big
  // database.
  'match-settings': growing('SettingsNotMatched', Duration.hours(6)),
  'match-credentials': growing('CredentialsNotReady', Duration.minutes(30)),
  // What it could not delete in time Discard deletes.
  'end-drill': unhurried('DiscardNotFinished', Duration.hours(1)),
  // Loading the storage takes hours on a big database.
  hydrate: unhurried('NotHydratedYet', Duration.hours(12)),
  // A session ends as soon as its server process sees that it must; one that waits for its disk does not.
  fence: steady('SessionsNotEnded', Duration.seconds(1), Duration.minutes(5)),
  // RDS needs about ten minutes, and the application has no database meanwhile.
  rename: growing('NotRenamedYet', Duration.hours(1)),
  // Names of DNS come late, and what was asked for too early is remembered as missing for a while.
  swap: growing('NewAddressNotReached', Duration.minutes(30)),
  // The first backup.
  'finish-settings': unhurried('SettingsNotMatched', Duration.hours(12)),
  // Tasks are placed, started and let through by the load balancer; somebody may have to see to it.
  'prove-consumers': steady('ConsumersNotConnected', Duration.seconds(5), Duration.minutes(30)),
  // The application is back, and RDS is at a backup, or at what comes behind a rename.
  'finish-rename': unhurried('InstanceBusy', Duration.hours(4)),
  // Connection pools of old tasks hold on until the tasks are replaced.
  drain: steady('StillConnected', Duration.seconds(10), Duration.minutes(30)),
  // The final snapshot of a big database is incremental, but not quick.
  retire: unhurried('RetirementNotFinished', Duration.hours(4)),
  discard: unhurried('DiscardNotFinished', Duration.hours(6)),
  'clean-up': unhurried('DiscardNotFinished', Duration.hours(6)),
};

/** The steps that wait for the function of a recovery that was stopped, too: they claim the database, plan to, or go back. */
export const STOPPED_WAIT: { readonly functions: (typeof STOPPED_NOT_YET)['functions'] } & Wait<
  (typeof STOPPED_NOT_YET)['error']
> = {
  functions: ['plan', 'start-restore', 'take-back', 'clean-up', 'rename', 'swap-back'],
  // As long as the longest function may take.
  ...steady('StoppedRecoveryAtWork', Duration.seconds(10), Duration.minutes(20)),
};

function growing<Name extends string>(error: Name, limit: Duration): Wait<Name> {
  return { error, first: Duration.seconds(6), share: SHARE, limit };
}

/** Nobody waits for its end: half as many questions. */
function unhurried<Name extends string>(error: Name, limit: Duration): Wait<Name> {
  return { error, first: Duration.seconds(15), share: 2 * SHARE, limit };
}

function steady<Name extends string>(error: Name, first: Duration, limit: Duration): Wait<Name> {
  return { error, first, share: 0, limit };
}

/** How often a step is asked again until its limit is reached: the pauses are a geometric series. */
export function attempts({ first, share, limit }: Wait): number {
  const pauses = limit.toSeconds() / first.toSeconds();
  return Math.ceil(share === 0 ? pauses : Math.log1p(share * pauses) / Math.log1p(share));
}

export function waitsForStopped(stepName: StepName): boolean {
  return STOPPED_WAIT.functions.some((name) => name === stepName);
}

export function isWait(stepName: StepName): stepName is keyof NotYet {
  return Object.hasOwn(WAITS, stepName);
}

/** The call did not get as far as an answer: every step can be run twice, so it is asked again. */
export const NO_ANSWER = [
  'Lambda.ServiceException',
  'Lambda.AWSLambdaException',
  'Lambda.SdkClientException',
  'Lambda.ClientExecutionTimeoutException',
  'Lambda.TooManyRequestsException',
  // The network interfaces of a function that nobody called for weeks are made anew.
  'Lambda.ResourceNotReadyException',
  'Lambda.ResourceConflictException',
  'Lambda.EC2ThrottledException',
  'Lambda.EC2UnexpectedException',
  'Lambda.ENILimitReachedException',
  // The function was killed or ran out of time.
  'Lambda.Unknown',
  'Sandbox.Timedout',
  'Runtime.ExitError',
  'States.Timeout',
];

/** What a step could not ask for the moment: AWS, or a database that restarts. Functions give errors these names. */
export const PASSING: typeof PASSING_ERRORS = [
  'AwsUnavailable',
  'DatabaseUnreachable',
  'OldInstanceUnreachable',
];
