import type * as z from 'zod/mini';
import type { PlanCleanUpResult, PlanEvent } from './contract/plan';
import { KEEP_DAYS } from './contract/recovery';
import { RecoveryInput } from './contract/recovery-input';
import { InvalidInput } from './errors';
import { findLeftovers } from './leftovers';
import { findLiveOrGone } from './live-instance';
import { finalSnapshotId, recoveryId, recoveryInstanceId, safetySnapshotId } from './names';
import { parse } from './parse';
import { askLive, fenceOf } from './plan-live';
import { leftoverLine } from './plan-summary';
import type { PlanDeps } from './steps/plan';
import { requireClaimable } from './take-claim';

/**
 * Decides what is cleaned up, and changes nothing. Throws InvalidInput, RecoveryAlreadyRunning, StoppedRecoveryAtWork, LiveInstanceUnclear, SecretUnclear.
 */
export async function planCleanUp(
  event: z.infer<typeof PlanEvent>,
  deps: PlanDeps,
): Promise<PlanCleanUpResult> {
  const { execution } = event;
  const input = parse(RecoveryInput, event.input, 'input of the recovery');
  if (input.mode !== 'clean-up')
    throw new InvalidInput(`Mode "${input.mode}" cleans nothing up.`, 'Write "clean-up".');
  const id = recoveryId(execution);
  await requireClaimable(id, deps);
  const { rds, secrets, environment, databaseUrlSecretId } = deps;
  const database = await findLiveOrGone(rds, secrets, databaseUrlSecretId, environment);
  const { live } = database;
  const fencedBy = live.state === 'there' ? fenceOf((await askLive(deps)).history) : undefined;
  const leftovers = await findLeftovers(
    { live, instances: database.instances, executionArn: execution.arn, fencedBy },
    deps,
  );
  return {
    recovery: {
      id,
      execution: { arn: execution.arn, startTime: execution.startTime },
      environment,
      mode: 'clean-up',
      reason: input.reason ?? null,
      requestedBy: input.requestedBy ?? null,
      retire: 'keep',
      keepDays: KEEP_DAYS,
      verify: input.verify,
      approveCutover: false,
      approveRetirement: false,
      soakMinutes: 0,
      soakAlarms: [],
      warm: null,
      live,
      settingsSnapshotId: database.settingsSnapshotId,
      secretVersionId: database.secretVersionId,
      restorePoint: { kind: 'time', time: execution.startTime, pendingMigrations: null },
      // Names of what a recovery of this id would make: none of them exists.
      recoveryInstanceId: recoveryInstanceId(live.instanceId, id),
      safetySnapshotId: safetySnapshotId(live.instanceId, id),
      finalSnapshotId: finalSnapshotId(live.instanceId, id),
    },
    plan: {
      summary: leftovers.length === 0 ? ['Nothing was left behind.'] : leftovers.map(leftoverLine),
      leftovers,
    },
  };
}
