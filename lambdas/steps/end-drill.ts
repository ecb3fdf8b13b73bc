import type * as z from 'zod/mini';
import type { EndDrillEvent, EndDrillResult } from '../contract/drill';
import { discard, type DiscardDeps } from './discard';

/** What a drill measured, for a graph over the weeks. */
export type DrillMetrics = Pick<EndDrillResult, 'restoreSeconds' | 'recoverySeconds' | 'checks'>;

export interface EndDrillDeps extends DiscardDeps {
  readonly publish: (metrics: DrillMetrics) => void;
}

/**
 * Deletes what a drill made, as Discard does and by the same proofs, and publishes what it measured once that is gone.
 * Throws DiscardNotFinished until then, DiscardRefused, LiveInstanceUnclear.
 */
export async function endDrill(
  { recovery, restoredAt, verifiedAt, checks }: z.infer<typeof EndDrillEvent>,
  deps: EndDrillDeps,
): Promise<EndDrillResult> {
  const gone = await discard({ recovery }, deps);
  const secondsUntil = (time: string): number =>
    Math.round((Date.parse(time) - Date.parse(recovery.execution.startTime)) / 1000);
  const metrics: DrillMetrics = {
    restoreSeconds: secondsUntil(restoredAt),
    recoverySeconds: secondsUntil(verifiedAt),
    checks,
  };
  deps.publish(metrics);
  return { ...gone, ...metrics };
}
