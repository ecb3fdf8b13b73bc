import type * as z from 'zod/mini';
import type { PlanEvent, PlanUndoResult } from './contract/plan';
import type { Recovery } from './contract/recovery';
import { LiveInstanceUnclear } from './errors';
import { findLiveOrGone } from './live-instance';
import { findNamedBy } from './named-by';
import { namesOf } from './plan-live';
import { minutesBetween, minutesInWords } from './plan-loss';
import { approvalsFor, soakFor } from './plan-rules';
import { namedByLines } from './plan-summary';
import { plannedRecovery, readAsked } from './planned-recovery';
import { isUp } from './rds';
import type { PlanDeps } from './steps/plan';
import { requireClaimable } from './take-claim';
import { findUndoable } from './undoable';

/**
 * Decides how the newest recovery is undone, and changes nothing: the instance that it retired becomes live again. Throws
 * InvalidInput, RecoveryAlreadyRunning, StoppedRecoveryAtWork, LiveInstanceUnclear, SecretUnclear, NothingToUndo.
 */
export async function planUndo(event: z.infer<typeof PlanEvent>, deps: PlanDeps): Promise<PlanUndoResult> {
  const asked = readAsked(event);
  const { execution, input } = asked;
  const approvals = approvalsFor(input, deps);
  await requireClaimable(asked.id, deps);
  const { rds, secrets, environment, databaseUrlSecretId } = deps;
  const database = await findLiveOrGone(rds, secrets, databaseUrlSecretId, environment);
  const { live, status } = database;
  if (live.state === 'there' && !isUp(status))
    throw new LiveInstanceUnclear(
      `Instance ${live.instanceId}, which the secret names, is "${status}": it cannot be fenced, and may come back and be written to.`,
      'Wait until it is available, or delete it by hand, its automated backups kept; then start the undo again.',
    );
  const { recoveryId: undone, instance, cutover } = await findUndoable(database, deps);
  const { namedBy, notKnown } = await findNamedBy(namesOf(live), deps.cloudWatch);
  const since = cutover.toISOString();
  const recovery: Recovery = {
    ...plannedRecovery(asked, environment, database),
    // Whoever goes back and forth wants nothing deleted. RDS takes no final snapshot of what it cannot bring back.
    retire: live.state === 'there' ? (input.retire ?? 'keep') : 'keep',
    ...approvals,
    ...soakFor(input, deps),
    restorePoint: { kind: 'time', time: since, pendingMigrations: null },
    recoveryInstanceId: instance.instanceId,
    undoes: { recoveryId: undone, instance },
  };
  const lossWindowMinutes = minutesBetween(cutover, execution.startTime);
  return {
    recovery,
    plan: {
      summary: [
        `Live: ${live.instanceId} (${status}), ${live.host}:${live.port}, since recovery ${undone}.`,
        `Back to: ${instance.instanceId}, which that recovery retired, as it was at the cutover at ${since}.`,
        `Lost to the application: what was written since, now ${minutesInWords(lossWindowMinutes)}. ${leftIn(recovery)}`,
        'Its migrations and its quarantine are those of then, too: what that recovery took away or brought back is undone, and what was applied since is pending again.',
        afterwards(recovery),
        ...namedByLines(live.instanceId, namedBy),
        ...notKnown,
      ],
      why: `Recovery ${undone} is undone.`,
      lossWindowMinutes,
      namedBy,
    },
  };
}

function leftIn({ live }: Recovery): string {
  return live.state === 'there'
    ? `It stays in ${live.instanceId}.`
    : `${live.instanceId} is ${live.state}: what is in its snapshots and retained backups is all that is left.`;
}

function afterwards({ live, retire, finalSnapshotId: final }: Recovery): string {
  if (live.state === 'gone') return 'Nothing is deleted.';
  return retire === 'keep'
    ? `Afterwards ${live.instanceId} is kept, fenced.`
    : `Afterwards ${live.instanceId} is deleted, with final snapshot ${final}; its automated backups are kept.`;
}
