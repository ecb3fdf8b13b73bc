import type { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import type { DBInstance, RDSClient } from '@aws-sdk/client-rds';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { SFNClient } from '@aws-sdk/client-sfn';
import type * as z from 'zod/mini';
import type { Leftover } from '../contract/clean-up';
import type { CheckMigrationsEvent, CheckMigrationsResult } from '../contract/gate';
import type { PlanResult } from '../contract/plan';
import { KEEP_DAYS, type Recovery } from '../contract/recovery';
import { RecoveryInput } from '../contract/recovery-input';
import type { InstancePrice, RecoveryRules } from '../contract/rules';
import type { EnvironmentName } from '../contract/settings';
import { DOCUMENTED_OUTAGE_MINUTES, INPUT_TO_RENAME, findBegunRename } from '../begun-rename';
import { earlierExecutions, type EarlierExecutions } from '../earlier-recoveries';
import {
  InstanceQuotaExceeded,
  InvalidInput,
  LiveInstanceUnclear,
  MigrationsNotChecked,
  NothingToUndo,
  RenameRefused,
  SnapshotQuotaExceeded,
  toRollbackError,
} from '../errors';
import { pricePerDay } from '../instance-price';
import { asInBackup, modifiedAfterRestore } from '../instance-settings';
import { keptTooLong } from '../kept-instances';
import { findLeftovers } from '../leftovers';
import { findLiveOrGone, settingsLost, type LiveOrGone } from '../live-instance';
import { findNamedBy } from '../named-by';
import { finalSnapshotId, recoveryId, recoveryInstanceId, safetySnapshotId } from '../names';
import { parse } from '../parse';
import { inputToCleanUp, leftoverLines, summaryOf, unfinishedRenameLine } from '../plan-summary';
import { readQuotas, type Quotas } from '../quotas';
import { isTerminal, isUp } from '../rds';
import { isRotating } from '../secrets';
import type { RunningRecovery } from '../claim';
import { findRunningRecovery, refuseWhileAnotherRuns } from '../recovery-claim';
import { nameBefore, refuseRename } from '../renaming';
import { asRequest, findRestorePoint, type FoundRestorePoint, type History } from '../restore-point';
import { requireClaimable } from '../take-claim';
import { findUndoable } from '../undoable';

interface Execution {
  readonly arn: string;
  readonly name: string;
  readonly startTime: string;
}

export interface PlanDeps {
  readonly rds: RDSClient;
  readonly secrets: SecretsManagerClient;
  readonly stepFunctions: SFNClient;
  readonly cloudWatch: CloudWatchClient;
  readonly environment: EnvironmentName;
  readonly databaseUrlSecretId: string;
  readonly recoveryRules: RecoveryRules;
  readonly now: () => Date;
  /** Asks the live database; it can be reached from inside the VPC only. Throws MigrationsNotChecked. */
  readonly checkMigrations: (event: z.infer<typeof CheckMigrationsEvent>) => Promise<CheckMigrationsResult>;
  readonly instancePrice: InstancePrice | undefined;
}

/**
 * Decides what a recovery will do, and changes nothing. What is only good to know and cannot be found out is said to be unknown.
 * Throws InvalidInput, RecoveryAlreadyRunning, StoppedRecoveryAtWork, LiveInstanceUnclear, SecretUnclear, RestorePointNotFound, SnapshotQuotaExceeded,
 * InstanceQuotaExceeded.
 */
export async function plan(
  event: { execution: Execution; input?: unknown },
  deps: PlanDeps,
): Promise<PlanResult> {
  const { execution } = event;
  const input = parse(RecoveryInput, event.input ?? {}, 'input of the recovery');
  const approvals = approvalsFor(input, deps);
  const id = recoveryId(execution);
  // So that nobody waits for StartRestore to be refused; what counts is the claim that is taken there. A drill gives way.
  if (input.mode === 'recover') await requireClaimable(id, deps);
  else if (input.mode === 'drill') await refuseWhileAnotherRuns(id, deps);
  const running = input.mode === 'plan' ? await findRunningRecovery(deps) : undefined;

  const { rds, secrets, environment, databaseUrlSecretId } = deps;
  const database = await findLiveOrGone(rds, secrets, databaseUrlSecretId, environment);
  const { live, status } = database;
  refuseWhatPasses(database);
  // Asked for beside everything else; it does not fail.
  const namedBy = input.mode === 'drill' ? undefined : findNamedBy(namesOf(live), deps.cloudWatch);
  const history: History =
    live.state === 'there'
      ? await historyOf(deps)
      : { unknown: `Instance ${live.instanceId} is ${live.state === 'gone' ? 'gone' : `"${status}"`}.` };
  const notKnown: string[] = [];
  const leftovers =
    input.mode === 'plan'
      ? await orNotKnown('What earlier recoveries left', notKnown, () =>
          findLeftovers(
            { live, instances: database.instances, executionArn: execution.arn, fencedBy: fenceOf(history) },
            deps,
          ),
        )
      : undefined;
  try {
    return await planFor(
      { execution, input, id, approvals, running, database, history, leftovers, namedBy, notKnown },
      deps,
    );
  } catch (error) {
    // Whoever is refused has to know all the more of a fence around the live database, or of an application that was not restarted.
    const rename = running ? undefined : findBegunRename(database.instances, live.host);
    const lines = [...(rename ? [unfinishedRenameLine(live)] : []), ...leftoverLines(leftovers ?? [])];
    throw lines.length === 0 ? error : toRollbackError(error).alsoSay(lines);
  }
}

/** What a plan is made of. */
interface Known {
  readonly execution: Execution;
  readonly input: RecoveryInput;
  readonly id: string;
  readonly approvals: Approvals;
  readonly running: RunningRecovery | undefined;
  readonly database: LiveOrGone;
  readonly history: History;
  readonly leftovers: Leftover[] | undefined;
  readonly namedBy: ReturnType<typeof findNamedBy> | undefined;
  readonly notKnown: string[];
}

async function planFor(
  { execution, input, id, approvals, running, database, history, leftovers, namedBy, notKnown }: Known,
  deps: PlanDeps,
): Promise<PlanResult> {
  const { rds, secrets, environment, databaseUrlSecretId } = deps;
  const { live, settings: instance, status, unfinished } = database;
  const wanted = unfinished?.settings ?? instance;
  const retire = input.retire ?? 'delete';
  const doubt = doubtOf(database, history);
  if (doubt !== undefined && input.mode === 'recover') throw new LiveInstanceUnclear(doubt.fact, doubt.hint);
  const found = await findRestorePoint(input.restore, {
    rds,
    environment,
    live,
    instance: live.state === 'gone' ? undefined : instance,
    history,
  });

  const recovery: Recovery = {
    id,
    execution: { arn: execution.arn, startTime: execution.startTime },
    environment,
    mode: input.mode,
    reason: input.reason ?? null,
    requestedBy: input.requestedBy ?? null,
    // RDS takes no final snapshot of an instance that it cannot bring back.
    retire: live.state === 'there' ? retire : 'keep',
    keepDays: input.keepDays ?? KEEP_DAYS,
    verify: input.verify,
    ...approvals,
    warm: input.warm ?? null,
    ...soakFor(input, deps),
    live,
    settingsSnapshotId: database.settingsSnapshotId,
    secretVersionId: database.secretVersionId,
    restorePoint: found.point,
    recoveryInstanceId: recoveryInstanceId(live.instanceId, id),
    safetySnapshotId: safetySnapshotId(live.instanceId, id),
    finalSnapshotId: finalSnapshotId(live.instanceId, id),
  };
  // The execution's start, not the function's clock: asked again, the plan says the same.
  const minutes = minutesBetween(found.time, execution.startTime);
  // Nobody writes to what is gone.
  const lossWindowMinutes = found.end ? minutesBetween(found.time, found.end.toISOString()) : minutes;
  if (doubt) notKnown.push(`It cannot be carried out yet. ${doubt.fact} ${doubt.hint}`);
  if (
    await orNotKnown('Whether the secret is being rotated', notKnown, () =>
      isRotating(secrets, databaseUrlSecretId),
    )
  )
    notKnown.push(
      'A rotation of DATABASE_URL is under way: a recovery waits for it before it sets passwords.',
    );
  const quotas = await orNotKnown('How much of the quotas is left', notKnown, () => readQuotas(rds));
  if (quotas) refuseWithoutRoom(quotas, instance, recovery);
  const earlier = await orNotKnown('How long it will take', notKnown, () =>
    earlierExecutions(deps.stepFunctions, execution.arn),
  );
  if ('unknown' in history)
    notKnown.push(`Which migrations the live database has is not known: ${history.unknown}`);
  const named = await namedBy;
  notKnown.push(...(named?.notKnown ?? []));
  const price = pricePerDay(wanted, deps.instancePrice);
  const result: Omit<PlanResult['plan'], 'summary'> = {
    live: { instanceId: live.instanceId, status },
    why: found.why.join(' '),
    restorePointAgeMinutes: minutes,
    lossWindowMinutes,
    alternatives: found.alternatives.map(({ restore, time, why }) => ({
      restore,
      time: time.toISOString(),
      why,
    })),
    migrations: migrationsOf(found, history),
    toBeMade: {
      instances: [recovery.recoveryInstanceId],
      snapshots: snapshotsOf(recovery),
    },
    quotas: quotas
      ? { instances: quotas.instances, snapshots: quotas.snapshots, storageGiB: quotas.storage }
      : null,
    expectedMinutes: earlier ? expected(earlier.recoveries) : null,
    modifiedAfterwards: modifiedAfterRestore(wanted, found.point.kind),
    asInBackup: found.snapshot
      ? asInBackup(wanted, {
          EngineVersion: found.snapshot.EngineVersion,
          StorageEncrypted: found.snapshot.Encrypted,
          KmsKeyId: found.snapshot.KmsKeyId,
        })
      : [],
    costPerDay:
      price === undefined || deps.instancePrice === undefined
        ? null
        : {
            amount: Math.round(price * 100) / 100,
            currency: deps.instancePrice.currency,
            priceOf: deps.instancePrice.priceOf,
          },
    keptTooLong: keptTooLong(database.instances, environment, {
      live: { DbiResourceId: live.resourceId },
      now: deps.now(),
    }),
    namedBy: named?.namedBy ?? null,
    leftovers: leftovers ?? null,
    unfinished: unfinished
      ? { recoveryId: unfinished.recoveryId, settingsFrom: settingsFrom(database) }
      : null,
    inputToCleanUp: inputToCleanUp(leftovers ?? []),
    undo:
      input.mode === 'plan'
        ? ((await orNotKnown('Whether a recovery can be undone', notKnown, () =>
            undoOf(database, execution, deps),
          )) ?? null)
        : null,
    rename: input.mode === 'plan' ? renameOf(database, earlier, deps) : null,
    notKnown,
    inputToRecover: {
      mode: 'recover',
      restore: asRequest(recovery.restorePoint),
      reason: input.reason ?? 'why the database goes back',
      requestedBy: input.requestedBy ?? 'your name',
      retire,
      ...(input.keepDays !== undefined && { keepDays: input.keepDays }),
      ...(input.warm && { warm: input.warm }),
      ...(input.soakMinutes !== undefined && { soakMinutes: input.soakMinutes }),
      ...(input.soakAlarms && { soakAlarms: input.soakAlarms }),
      ...(input.verify.amcheck || input.verify.accept.length > 0 ? { verify: input.verify } : {}),
      ...approvals,
    },
  };
  return {
    recovery,
    plan: { summary: summaryOf(recovery, found, wanted, result, running), ...result },
  };
}

/** By which CloudWatch may know an instance that something else takes the place of. */
export function namesOf({ instanceId, resourceId }: Recovery['live']): string[] {
  return [instanceId, resourceId].filter((name) => name !== '');
}

/** What an undo would do now, for a person to see beforehand. */
async function undoOf(
  database: LiveOrGone,
  { startTime }: Execution,
  deps: PlanDeps,
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
function renameOf(
  { live, settings: instance, instances }: LiveOrGone,
  earlier: EarlierExecutions | undefined,
  { environment }: PlanDeps,
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

/** How long a rename leaves the application without a database, and how that is known. */
export function outageOf(earlier: EarlierExecutions | undefined): { outageMinutes: number; why: string } {
  const measured = expected(earlier?.renames ?? []);
  return measured
    ? { outageMinutes: measured.median, why: `measured by ${measured.recoveries} earlier` }
    : { outageMinutes: DOCUMENTED_OUTAGE_MINUTES, why: 'as RDS documents; none was measured yet' };
}

type Approvals = Pick<RecoveryRules, 'approveCutover' | 'approveRetirement'>;

/**
 * Who may start a recovery may ask for more approval than the environment does, not waive any: the rule would be none. Throws
 * InvalidInput.
 */
export function approvalsFor(input: RecoveryInput, { recoveryRules, environment }: PlanDeps): Approvals {
  for (const field of ['approveCutover', 'approveRetirement'] as const)
    if (recoveryRules[field] && input[field] === false)
      throw new InvalidInput(
        `"${field}": false is refused: in ${environment} a person has to approve, whoever starts the recovery.`,
        `Leave "${field}" out and approve when you are asked, by the function ${environment}-decide; the rule is in lib/environments.ts.`,
      );
  return {
    approveCutover: input.approveCutover ?? recoveryRules.approveCutover,
    approveRetirement: input.approveRetirement ?? recoveryRules.approveRetirement,
  };
}

/** How long is for the operator to say; the alarms of the environment always count. */
export function soakFor(
  input: RecoveryInput,
  { recoveryRules }: PlanDeps,
): Pick<Recovery, 'soakMinutes' | 'soakAlarms'> {
  return {
    soakMinutes: input.soakMinutes ?? recoveryRules.soakMinutes ?? 0,
    soakAlarms: [...new Set([...(recoveryRules.soakAlarms ?? []), ...(input.soakAlarms ?? [])])],
  };
}

/** An instance that is changed, restarted, backed up or deleted is something else in a few minutes. */
function refuseWhatPasses({ live, status }: LiveOrGone): void {
  if (live.state !== 'there' || isUp(status)) return;
  if (isTerminal(status) && status !== 'deleting') return;
  if (status === 'stopped') return;
  throw new LiveInstanceUnclear(
    `Instance ${live.instanceId}, which the secret names, is "${status}".`,
    status === 'deleting'
      ? 'Wait until it is gone: then a recovery goes without it.'
      : 'Wait until it is available; a recovery takes its settings from it.',
  );
}

/**
 * Why a recovery could not fence the old instance. One that does not answer may come back, and be written to: its storage is made
 * bigger, its parameters are mended, its key is enabled, it is started. Better said now than after the restore.
 */
function doubtOf(
  { live, status, unfinished }: LiveOrGone,
  history: History,
): { fact: string; hint: string } | undefined {
  if (unfinished && !unfinished.settings) return settingsLost(live.instanceId, unfinished.recoveryId);
  if (live.state !== 'there' || isUp(status) || !('unknown' in history)) return undefined;
  return {
    fact: `Instance ${live.instanceId} is "${status}" and cannot be asked: nobody can say that it does not come back and is written to.`,
    hint: 'Bring it up (storage, parameter group, key, start), so that it can be fenced, or delete it by hand, its automated backups kept.',
  };
}

/** The instance, or the snapshot, that has the settings which an unfinished live instance lacks. */
function settingsFrom({ settingsSnapshotId, unfinished }: LiveOrGone): string | null {
  return settingsSnapshotId ?? unfinished?.settings?.DBInstanceIdentifier ?? null;
}

/** RDS takes one only of an instance that is there. */
function snapshotsOf(recovery: Recovery): string[] {
  const { mode, live, safetySnapshotId: safety, finalSnapshotId: final } = recovery;
  if (mode === 'drill' || live.state !== 'there') return [];
  return hasFinalSnapshot(recovery) ? [safety, final] : [safety];
}

function hasFinalSnapshot({ mode, retire }: Recovery): boolean {
  return mode !== 'drill' && retire === 'delete';
}

/** It is good to know, so that it cannot be had must not be in the way: the reason is. */
export async function historyOf(deps: PlanDeps): Promise<History> {
  try {
    return (await deps.checkMigrations({ migrations: null, schema: null })).history;
  } catch (error) {
    const { fact: unknown } = toRollbackError(error);
    const fencedBy = error instanceof MigrationsNotChecked ? error.fencedBy : undefined;
    return { unknown, ...(fencedBy !== undefined && { fencedBy }) };
  }
}

/** The recovery whose fence kept us from asking. */
export function fenceOf(history: History): string | undefined {
  return 'unknown' in history ? history.fencedBy : undefined;
}

async function orNotKnown<T>(
  what: string,
  notKnown: string[],
  ask: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    notKnown.push(`${what} is not known: ${toRollbackError(error).fact}`);
    return undefined;
  }
}

function refuseWithoutRoom(
  { instances, snapshots, storage }: Quotas,
  instance: DBInstance,
  recovery: Recovery,
): void {
  const gib = instance.AllocatedStorage ?? 0;
  if (instances.used >= instances.quota)
    throw new InstanceQuotaExceeded(
      `${instances.used} of ${instances.quota} instances are used, and a recovery makes one.`,
      'Delete an instance that nobody needs (mode "clean-up" deletes what stopped recoveries left), or ask AWS for a higher quota.',
    );
  if (storage.used + gib > storage.quota)
    throw new InstanceQuotaExceeded(
      `${storage.used} of ${storage.quota} GiB of storage are used by instances, and a recovery needs ${gib} more.`,
      'Delete an instance that nobody needs, or ask AWS for a higher quota.',
    );
  if (hasFinalSnapshot(recovery) && snapshots.used >= snapshots.quota)
    throw new SnapshotQuotaExceeded(
      `${snapshots.used} of ${snapshots.quota} manual snapshots are used, and the final snapshot of ${recovery.live.instanceId} needs one.`,
      'Delete snapshots that nobody needs, or recover with "retire": "keep".',
    );
}

/** Those that began after the restore point, and those that were pending at it, go. */
function migrationsOf(
  { point, time }: FoundRestorePoint,
  history: History,
): PlanResult['plan']['migrations'] {
  const pending = point.pendingMigrations;
  if ('unknown' in history) return { goAway: pending, stay: null };
  const goes = ({ name, startedAt }: { name: string; startedAt: string | null }): boolean =>
    (pending?.includes(name) ?? false) || (startedAt !== null && new Date(startedAt) > time);
  const stay = history.filter((migration) => !goes(migration));
  return {
    goAway: history.filter(goes).map(({ name }) => name),
    stay: { count: stay.length, newest: stay.at(-1)?.name ?? null },
  };
}

function expected(minutes: readonly number[]): PlanResult['plan']['expectedMinutes'] {
  const sorted = [...minutes].sort((a, b) => a - b);
  const [shortest, longest] = [sorted[0], sorted.at(-1)];
  const median = sorted[Math.floor(sorted.length / 2)];
  if (shortest === undefined || longest === undefined || median === undefined) return null;
  return {
    median: tenths(median),
    shortest: tenths(shortest),
    longest: tenths(longest),
    recoveries: sorted.length,
  };
}

/** From a moment to the start of the execution; 0 where it lies after it. */
export function minutesBetween(time: Date, startTime: string): number {
  return tenths(Math.max(0, Date.parse(startTime) - time.getTime()) / 60_000);
}

function tenths(minutes: number): number {
  return Math.round(minutes * 10) / 10;
}
