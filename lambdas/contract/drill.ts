import * as z from 'zod/mini';
import { Recovery } from './recovery';

/**
 * The end of a drill: throws DiscardNotFinished until the recovery instance is gone (the machine asks again), then publishes
 * what was measured.
 */
export const EndDrillEvent = z.object({
  recovery: Recovery,
  /** When the instance was there, and when it was verified. ISO 8601. */
  restoredAt: z.string(),
  verifiedAt: z.string(),
  /** How many checks of Verify said yes, and how many did not. */
  checks: z.object({ passed: z.int(), notPassed: z.int() }),
});
export interface EndDrillResult {
  discarded: 'gone';
  instanceId: string;
  /** From the start to the restored instance. */
  restoreSeconds: number;
  /** From the start to the verified instance: a recovery would fence and swap now. */
  recoverySeconds: number;
  checks: { passed: number; notPassed: number };
}
