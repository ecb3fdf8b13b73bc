import { RecoveryEvent } from './recovery';

/** What a recovery left that does not run any more. */
export interface Leftover {
  what: 'recovery instance' | 'instance taken back' | 'instance that was live' | 'fence';
  instanceId: string;
  recoveryId: string;
  /** Name of its execution, and how it ended; null: Step Functions does not know it (any more). */
  execution: { name: string; status: string } | null;
  /** When the recovery began, or the instance was made. ISO 8601; null: not known. */
  since: string | null;
  /** What mode clean-up does with it. */
  cleanUp: 'deletes' | 'retires' | 'opens' | 'leaves';
  /** Why that, and what a person can do. */
  why: string;
}

/** Of mode clean-up: throws DiscardNotFinished until what is to be deleted is gone; the machine asks again. */
export const CleanUpEvent = RecoveryEvent;
export interface CleanUpResult {
  /** What is left alone, and why. */
  left: Leftover[];
}
