import type { FunctionName } from './functions';

/** Errors that mean "not yet": the state machine waits and asks again. Every RollbackError but these, STOPPED_NOT_YET and PASSING_ERRORS is final. */
export const NOT_YET_ERRORS = {
  'check-restored-instance': 'InstanceNotReady',
  'match-settings': 'SettingsNotMatched',
  'match-credentials': 'CredentialsNotReady',
  'end-drill': 'DiscardNotFinished',
  hydrate: 'NotHydratedYet',
  fence: 'SessionsNotEnded',
  rename: 'NotRenamedYet',
  swap: 'NewAddressNotReached',
  'finish-settings': 'SettingsNotMatched',
  'prove-consumers': 'ConsumersNotConnected',
  'finish-rename': 'InstanceBusy',
  drain: 'StillConnected',
  retire: 'RetirementNotFinished',
  discard: 'DiscardNotFinished',
  'clean-up': 'DiscardNotFinished',
} as const satisfies Partial<Record<FunctionName, string>>;

/**
 * One more that means "not yet", whatever else they wait for: of all that claim the database or plan to (take-claim.ts), and of what goes
 * back behind a redrive (cut-off.ts).
 */
export const STOPPED_NOT_YET = {
  error: 'StoppedRecoveryAtWork',
  functions: ['plan', 'start-restore', 'take-back', 'clean-up', 'rename', 'swap-back'],
} as const satisfies { error: string; functions: readonly FunctionName[] };

/**
 * Errors that pass by themselves: the state machine asks again, with backoff. AWS is busy, a server restarts, a rotation is
 * half done.
 */
export const PASSING_ERRORS = ['AwsUnavailable', 'DatabaseUnreachable', 'OldInstanceUnreachable'] as const;
