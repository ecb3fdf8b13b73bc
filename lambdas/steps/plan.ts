import type { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import type { RDSClient } from '@aws-sdk/client-rds';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { SFNClient } from '@aws-sdk/client-sfn';
import type * as z from 'zod/mini';
import { findBegunRename } from '../begun-rename';
import type { RunningRecovery } from '../claim';
import type { Leftover } from '../contract/clean-up';
import type { CheckMigrationsEvent, CheckMigrationsResult } from '../contract/gate';
import type { PlanResult } from '../contract/plan';
import type { Recovery } from '../contract/recovery';
import type { LogicalReplication } from '../contract/replication';
import type { InstancePrice, RecoveryRules } from '../contract/rules';
import type { EnvironmentName } from '../contract/settings';
import { earlierExecutions } from '../earlier-recoveries';
import { LiveInstanceUnclear, toRollbackError } from '../errors';
import { asInBackup, modifiedAfterRestore } from '../instance-settings';
import { keptTooLong } from '../kept-instances';
import type { FoundRestorePoint, History } from '../found-restore-point';
import { findLeftovers } from '../leftovers';
import { findLiveOrGone, type LiveOrGone } from '../live-instance';
import { findNamedBy } from '../named-by';
import { costOf, expectedMinutes, madeBy, refuseWithoutRoom } from '../plan-effort';
import { askLive, doubtOf, fenceOf, namesOf, refuseWhatPasses, settingsFrom } from '../plan-live';
import { lossOf } from '../plan-loss';
import { inputToRecover, renameOf, undoOf } from '../plan-next';
import { approvalsFor, retireFor, soakFor, type Approvals } from '../plan-rules';
import { inputToCleanUp, leftoverLines, summaryOf, unfinishedRenameLine } from '../plan-summary';
import { plannedRecovery, readAsked, type Asked } from '../planned-recovery';
import { readQuotas } from '../quotas';
import { findRunningRecovery, refuseWhileAnotherRuns } from '../recovery-claim';
import { findRestorePoint } from '../restore-point';
import { isRotating } from '../secrets';
import { requireClaimable } from '../take-claim';

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
  const asked = readAsked(event);
  const { execution, input, id } = asked;
  const approvals = approvalsFor(input, deps);
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
  const { history, replication } =
    live.state === 'there'
      ? await askLive(deps)
      : {
          history: {
            unknown: `Instance ${live.instanceId} is ${live.state === 'gone' ? 'gone' : `"${status}"`}.`,
          },
          replication: undefined,
        };
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
      {
        asked,
        approvals,
        running,
        database,
        history,
        replication,
        leftovers,
        namedBy,
        notKnown,
      },
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
  readonly asked: Asked;
  readonly approvals: Approvals;
  readonly running: RunningRecovery | undefined;
  readonly database: LiveOrGone;
  readonly history: History;
  readonly replication: LogicalReplication | undefined;
  readonly leftovers: Leftover[] | undefined;
  readonly namedBy: ReturnType<typeof findNamedBy> | undefined;
  readonly notKnown: string[];
}

/** What was found out, question by question. What is refused is refused as early as it is known. */
async function planFor(known: Known, deps: PlanDeps): Promise<PlanResult> {
  const { running, database, history, leftovers, notKnown } = known;
  const { execution, input } = known.asked;
  const { rds, environment } = deps;
  const { live, status, settings, unfinished } = database;

  const doubt = doubtOf(database, history);
  if (doubt && input.mode === 'recover') throw new LiveInstanceUnclear(doubt.fact, doubt.hint);
  const found = await findRestorePoint(input.restore, {
    rds,
    environment,
    live,
    instance: live.state === 'gone' ? undefined : settings,
    history,
  });
  const recovery = recoveryTo(found, known, deps);

  if (doubt) notKnown.push(`It cannot be carried out yet. ${doubt.fact} ${doubt.hint}`);
  if (
    await orNotKnown('Whether the secret is being rotated', notKnown, () =>
      isRotating(deps.secrets, deps.databaseUrlSecretId),
    )
  )
    notKnown.push(
      'A rotation of DATABASE_URL is under way: a recovery waits for it before it sets passwords.',
    );
  const quotas = await orNotKnown('How much of the quotas is left', notKnown, () => readQuotas(rds));
  if (quotas) refuseWithoutRoom(quotas, settings, recovery);
  const earlier = await orNotKnown('How long it will take', notKnown, () =>
    earlierExecutions(deps.stepFunctions, execution.arn),
  );
  if ('unknown' in history)
    notKnown.push(`Which migrations the live database has is not known: ${history.unknown}`);
  const named = await known.namedBy;
  notKnown.push(...(named?.notKnown ?? []));
  const undo =
    input.mode === 'plan'
      ? await orNotKnown('Whether a recovery can be undone', notKnown, () =>
          undoOf(database, execution.startTime, deps),
        )
      : undefined;

  // What the new instance will be like: an unfinished one is not what it is to be itself.
  const wanted = unfinished?.settings ?? settings;
  const result: Omit<PlanResult['plan'], 'summary'> = {
    live: { instanceId: live.instanceId, status },
    why: found.why.join(' '),
    ...lossOf(found, history, execution.startTime),
    alternatives: found.alternatives.map(({ restore, time, why }) => ({
      restore,
      time: time.toISOString(),
      why,
    })),
    toBeMade: madeBy(recovery),
    quotas: quotas
      ? { instances: quotas.instances, snapshots: quotas.snapshots, storageGiB: quotas.storage }
      : null,
    expectedMinutes: earlier ? expectedMinutes(earlier.recoveries) : null,
    modifiedAfterwards: modifiedAfterRestore(wanted, found.point.kind),
    asInBackup: found.snapshot
      ? asInBackup(wanted, {
          EngineVersion: found.snapshot.EngineVersion,
          StorageEncrypted: found.snapshot.Encrypted,
          KmsKeyId: found.snapshot.KmsKeyId,
        })
      : [],
    costPerDay: costOf(wanted, deps.instancePrice),
    keptTooLong: keptTooLong(database.instances, environment, {
      live: { DbiResourceId: live.resourceId },
      now: deps.now(),
    }),
    namedBy: named?.namedBy ?? null,
    replication: known.replication ?? null,
    leftovers: leftovers ?? null,
    unfinished: unfinished
      ? { recoveryId: unfinished.recoveryId, settingsFrom: settingsFrom(database) }
      : null,
    inputToCleanUp: inputToCleanUp(leftovers ?? []),
    undo: undo ?? null,
    rename: input.mode === 'plan' ? renameOf(database, earlier, environment) : null,
    notKnown,
    inputToRecover: inputToRecover(input, recovery),
  };
  return {
    recovery,
    plan: { summary: summaryOf(recovery, found, wanted, result, running), ...result },
  };
}

/** The recovery to that restore point, as every state behind Plan gets it. */
function recoveryTo(
  { point }: FoundRestorePoint,
  { asked, approvals, database }: Known,
  deps: PlanDeps,
): Recovery {
  const { input } = asked;
  return {
    ...plannedRecovery(asked, deps.environment, database),
    // RDS takes no final snapshot of an instance that it cannot bring back.
    retire: database.live.state === 'there' ? retireFor(input) : 'keep',
    ...approvals,
    warm: input.warm ?? null,
    ...soakFor(input, deps),
    restorePoint: point,
  };
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
