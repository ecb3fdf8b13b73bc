import { Duration } from 'aws-cdk-lib';
import type { FunctionName, NOT_YET_ERRORS, PASSING_ERRORS } from '../../lambdas/contract';

/** The functions that are steps of the machine. */
export type StepName = Exclude<FunctionName, 'pre-migration-snapshot'>;

type NotYet = typeof NOT_YET_ERRORS;

/** How long a step that says "not yet" is asked again, and how often. */
export const WAITS: {
  readonly [Step in keyof NotYet]: {
    readonly error: NotYet[Step];
    readonly every: Duration;
    readonly limit: Duration;
  };
} = {
  // A restore copies nothing, yet takes from minutes to hours; Multi-AZ and the first backup come on top.
  'check-restored-instance': {
    error: 'InstanceNotReady',
    every: Duration.seconds(15),
    limit: Duration.hours(6),
  },
  // RDS takes no change during the first backup, which lasts for hours on a big database.
  'match-settings': { error: 'SettingsNotMatched', every: Duration.seconds(15), limit: Duration.hours(6) },
  'match-credentials': {
    error: 'CredentialsNotReady',
    every: Duration.seconds(10),
    limit: Duration.minutes(30),
  },
  // A session ends as soon as its server process sees that it must; one that waits for its disk does not.
  fence: { error: 'SessionsNotEnded', every: Duration.seconds(1), limit: Duration.minutes(5) },
  // Connection pools of old tasks hold on until the tasks are replaced.
  drain: { error: 'StillConnected', every: Duration.seconds(10), limit: Duration.minutes(30) },
  // The final snapshot of a big database is incremental, but not quick.
  retire: { error: 'RetirementNotFinished', every: Duration.seconds(15), limit: Duration.hours(4) },
  discard: { error: 'DiscardNotFinished', every: Duration.seconds(15), limit: Duration.hours(6) },
};

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
