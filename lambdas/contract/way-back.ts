import * as z from 'zod/mini';
import { RecoveryEvent, RedrivenEvent } from './recovery';

/** What takes back the steps of a recovery that is abandoned, and ends it. */

/** Undoes a swap as far as it went. Throws StoppedRecoveryAtWork while a Fence or Swap of before a redrive may be at work. */
export const SwapBackEvent = RedrivenEvent;
export interface SwapBackResult {
  /** True when AWSCURRENT had been moved (and is back now): the recovery instance may have taken writes, so it is kept. */
  wasSwapped: boolean;
}

/** Undoes Fence where the recovery is abandoned. */
export const LiftFenceEvent = RecoveryEvent;

export const LiftFenceResult = z.object({
  /** False where there was no fence (any more), or where it has to stay. */
  lifted: z.boolean(),
  reason: z.string(),
  /** Of an undo: why the instance that was taken back could not be fenced again; null: it is fenced. */
  stillOpen: z.nullable(z.string()),
});
export type LiftFenceResult = z.infer<typeof LiftFenceResult>;

/** Undoes TakeBack, and never deletes. */
export const GiveBackEvent = RecoveryEvent;
export interface GiveBackResult {
  instanceId: string;
  /** Whether it is marked retired now. */
  retired: boolean;
}

/** Throws DiscardNotFinished until the recovery instance is gone; the machine asks again. */
export const DiscardEvent = RecoveryEvent;
export interface DiscardResult {
  /** It is not there (any more): whether it was deleted or never made cannot be told from its absence. */
  discarded: 'gone';
  instanceId: string;
}

/**
 * The end of an execution that a redrive goes on from: it throws the first error, so that the execution ends FAILED with it,
 * unless the execution has been redriven since.
 */
export const FailEvent = z.object({
  error: z.string(),
  cause: z.string(),
  /** The state that a redrive goes on with. */
  goesOnWith: z.string(),
  /** How often the execution had been redriven when the error happened, and how often it has been by now. */
  redrives: z.object({ then: z.int(), now: z.int() }),
});
export interface FailResult {
  goesOnWith: string;
}
