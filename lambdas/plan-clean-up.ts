import type * as z from 'zod/mini';
import type { PlanCleanUpResult, PlanEvent } from './contract/plan';
import { findLeftovers } from './leftovers';
import { findLiveOrGone } from './live-instance';
import { askLive, fenceOf } from './plan-live';
import { leftoverLine } from './plan-summary';
import { plannedRecovery, readAsked } from './planned-recovery';
import type { PlanDeps } from './steps/plan';
import { requireClaimable } from './take-claim';

/**
 * Decides what is cleaned up, and changes nothing. Throws InvalidInput, RecoveryAlreadyRunning, StoppedRecoveryAtWork, LiveInstanceUnclear, SecretUnclear.
 */
export async function planCleanUp(
  event: z.infer<typeof PlanEvent>,
  deps: PlanDeps,
): Promise<PlanCleanUpResult> {
  const asked = readAsked(event);
  await requireClaimable(asked.id, deps);
  const { rds, secrets, environment, databaseUrlSecretId } = deps;
  const database = await findLiveOrGone(rds, secrets, databaseUrlSecretId, environment);
  const { live } = database;
  const fencedBy = live.state === 'there' ? fenceOf((await askLive(deps)).history) : undefined;
  const leftovers = await findLeftovers(
    { live, instances: database.instances, executionArn: asked.execution.arn, fencedBy },
    deps,
  );
  return {
    recovery: plannedRecovery(asked, environment, database),
    plan: {
      summary: leftovers.length === 0 ? ['Nothing was left behind.'] : leftovers.map(leftoverLine),
      leftovers,
    },
  };
}
