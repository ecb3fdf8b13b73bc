import { INPUT_TO_RENAME, findBegunRename } from './begun-rename';
import type { PlanResult } from './contract/plan';
import type { Recovery } from './contract/recovery';
import type { RecoveryInput } from './contract/recovery-input';
import type { EnvironmentName } from './contract/settings';
import type { EarlierExecutions } from './earlier-recoveries';
import { NothingToUndo, RenameRefused } from './errors';
import type { LiveOrGone } from './live-instance';
import { outageOf } from './plan-effort';
import { minutesBetween } from './plan-loss';
import { retireFor } from './plan-rules';
import { nameBefore, refuseRename } from './renaming';
import { asRequest } from './found-restore-point';
import { findUndoable, type UndoableDeps } from './undoable';

/** The exact input that carries the plan out; what nobody has said yet is for the operator to write over. */
export function inputToRecover(
  input: RecoveryInput,
  { restorePoint, approveCutover, approveRetirement }: Recovery,
): PlanResult['plan']['inputToRecover'] {
  return {
    mode: 'recover',
    restore: asRequest(restorePoint),
    reason: input.reason ?? 'why the database goes back',
    requestedBy: input.requestedBy ?? 'your name',
    retire: retireFor(input),
    ...(input.keepDays !== undefined && { keepDays: input.keepDays }),
    ...(input.warm && { warm: input.warm }),
    ...(input.soakMinutes !== undefined && { soakMinutes: input.soakMinutes }),
    ...(input.soakAlarms && { soakAlarms: input.soakAlarms }),
    ...(input.verify.amcheck || input.verify.accept.length > 0 ? { verify: input.verify } : {}),
    approveCutover,
    approveRetirement,
  };
}

/** What an undo would do now, for a person to see beforehand. */
export async function undoOf(
  database: LiveOrGone,
  startTime: string,
  deps: UndoableDeps,
): Promise<PlanResult['plan']['undo']> {
  try {
    const { recoveryId: undone, instance, cutover } = await findUndoable(database, deps);
    return {
      recoveryId: undone,
      instanceId: instance.instanceId,
      asOf: cutover.toISOString(),
      lossWindowMinutes: minutesBetween(cutover, startTime),
      inputToUndo: { mode: 'undo', reason: 'why the recovery is undone', requestedBy: 'your name' },
    };
  } catch (error) {
    if (error instanceof NothingToUndo) return null;
    throw error;
  }
}

/** Whether the live instance can get the name back that it had before any recovery. */
export function renameOf(
  { live, settings: instance, instances }: LiveOrGone,
  earlier: EarlierExecutions | undefined,
  environment: EnvironmentName,
): PlanResult['plan']['rename'] {
  if (live.state !== 'there') return null;
  const { outageMinutes } = outageOf(earlier);
  const way = { begun: false, outageMinutes, inputToRename: INPUT_TO_RENAME };
  if (findBegunRename(instances, live.host))
    return { to: live.instanceId, notNow: null, ...way, begun: true };
  try {
    const to = nameBefore(instance);
    if (to === undefined) return null;
    try {
      refuseRename(instance, to, instances, environment);
      return { to, notNow: null, ...way };
    } catch (error) {
      if (!(error instanceof RenameRefused)) throw error;
      return { to, notNow: `${error.fact} ${error.hint}`, ...way };
    }
  } catch (error) {
    // What it was called before is not certain: there is nothing to offer.
    if (error instanceof RenameRefused) return null;
    throw error;
  }
}
