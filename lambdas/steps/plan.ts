import { DescribeAccountAttributesCommand, type RDSClient } from '@aws-sdk/client-rds';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { SFNClient } from '@aws-sdk/client-sfn';
import {
  RecoveryInput,
  type EnvironmentName,
  type PlanResult,
  type Recovery,
  type RecoveryRules,
} from '../contract';
import { InvalidInput, LiveInstanceUnclear, SnapshotQuotaExceeded } from '../errors';
import { findLiveInstance } from '../live-instance';
import { finalSnapshotId, recoveryId, recoveryInstanceId, safetySnapshotId } from '../names';
import { parse } from '../parse';
import { isUp } from '../rds';
import { findRunningRecovery, refuseWhileAnotherRuns, type RunningRecovery } from '../recovery-claim';
import { findRestorePoint, type FoundRestorePoint } from '../restore-point';

interface Execution {
  readonly arn: string;
  readonly name: string;
  readonly startTime: string;
}

export interface PlanDeps {
  readonly rds: RDSClient;
  readonly secrets: SecretsManagerClient;
  readonly stepFunctions: SFNClient;
  readonly environment: EnvironmentName;
  readonly databaseUrlSecretId: string;
  readonly recoveryRules: RecoveryRules;
  readonly now: () => Date;
}

/**
 * Decides what a recovery will do, and changes nothing. Throws InvalidInput, RecoveryAlreadyRunning, LiveInstanceUnclear,
 * SecretUnclear, RestorePointNotFound, SnapshotQuotaExceeded.
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
  if (input.mode !== 'plan') await refuseWhileAnotherRuns(id, deps);
  const running = input.mode === 'plan' ? await findRunningRecovery(deps) : undefined;

  const { rds, secrets, environment, databaseUrlSecretId } = deps;
  const {
    instance,
    address: live,
    secretVersionId,
  } = await findLiveInstance(rds, secrets, databaseUrlSecretId);
  if (!isUp(instance.DBInstanceStatus))
    throw new LiveInstanceUnclear(
      `Instance ${live.instanceId}, which the secret names, is "${instance.DBInstanceStatus ?? 'unknown'}".`,
      'Wait until it is available; a recovery takes its settings from it.',
    );
  const found = await findRestorePoint(input.restore, { rds, environment, live });
  const snapshots = await snapshotQuota(rds);
  if (input.mode !== 'drill' && input.retire === 'delete' && snapshots.used >= snapshots.quota)
    throw new SnapshotQuotaExceeded(
      `${snapshots.used} of ${snapshots.quota} manual snapshots are used, and the final snapshot of ${live.instanceId} needs one.`,
      'Delete snapshots that nobody needs, or recover with "retire": "keep".',
    );

  const recovery: Recovery = {
    id,
    execution: { arn: execution.arn, startTime: execution.startTime },
    environment,
    mode: input.mode,
    reason: input.reason ?? null,
    requestedBy: input.requestedBy ?? null,
    retire: input.retire,
    verify: input.verify,
    ...approvals,
    live,
    secretVersionId,
    restorePoint: found.point,
    recoveryInstanceId: recoveryInstanceId(live.instanceId, id),
    safetySnapshotId: safetySnapshotId(live.instanceId, id),
    finalSnapshotId: finalSnapshotId(live.instanceId, id),
  };
  // The execution's start, not the function's clock: asked again, the plan says the same.
  const minutes = Math.max(0, (new Date(execution.startTime).getTime() - found.time.getTime()) / 60_000);
  const age = Math.round(minutes * 10) / 10;
  return {
    recovery,
    plan: {
      summary: summaryOf(recovery, found, age, snapshots, running),
      why: found.why,
      restorePointAgeMinutes: age,
      lossWindowMinutes: age,
      snapshots,
      inputToRecover: {
        mode: 'recover',
        restore: pinned(recovery),
        reason: input.reason ?? 'why the database goes back',
        requestedBy: input.requestedBy ?? 'your name',
        retire: input.retire,
        ...(input.verify.amcheck || input.verify.accept.length > 0 ? { verify: input.verify } : {}),
        ...approvals,
      },
    },
  };
}

type Approvals = Pick<RecoveryRules, 'approveCutover' | 'approveRetirement'>;

/** Who may start a recovery may ask for more approval than the environment does, not waive any: the rule would be none. */
function approvalsFor(input: RecoveryInput, { recoveryRules, environment }: PlanDeps): Approvals {
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

function approvalSteps(recovery: Recovery): string[] {
  const asked = [
    ...(recovery.approveCutover ? ['before the cutover'] : []),
    ...(recovery.approveRetirement && recovery.retire === 'delete'
      ? [`before ${recovery.live.instanceId} is deleted`]
      : []),
  ];
  return asked.length === 0
    ? []
    : [`A person is asked ${asked.join(' and ')}, and answers with ${recovery.environment}-decide.`];
}

async function snapshotQuota(rds: RDSClient): Promise<{ used: number; quota: number }> {
  const { AccountQuotas } = await rds.send(new DescribeAccountAttributesCommand({}));
  const manual = AccountQuotas?.find(({ AccountQuotaName }) => AccountQuotaName === 'ManualSnapshots');
  return { used: manual?.Used ?? 0, quota: manual?.Max ?? DEFAULT_SNAPSHOT_QUOTA };
}

/** What RDS grants an account that never asked for more. */
const DEFAULT_SNAPSHOT_QUOTA = 100;

/** The same restore point by name, so that a newer snapshot does not slip in between plan and recovery. */
function pinned({ restorePoint }: Recovery): RecoveryInput['restore'] {
  return restorePoint.kind === 'time'
    ? { to: 'time', time: restorePoint.time }
    : { to: 'snapshot', snapshotId: restorePoint.snapshotId };
}

function summaryOf(
  recovery: Recovery,
  { point, time, why }: FoundRestorePoint,
  age: number,
  snapshots: { used: number; quota: number },
  running: RunningRecovery | undefined,
): string[] {
  const { live } = recovery;
  const from = point.kind === 'snapshot' ? `snapshot ${point.snapshotId}` : 'the automated backups';
  const pending = point.kind === 'snapshot' ? point.pendingMigrations : null;
  return [
    ...(running
      ? [
          `Recovery ${running.name}, which ${running.requestedBy} started at ${running.since}, runs: until it has ended no other one can be started, and what is said here may change.`,
        ]
      : []),
    `Live is ${live.instanceId} (${live.host}:${live.port}).`,
    `Restore from ${from}, as of ${time.toISOString()}, ${age} minutes before the start. ${why}`,
    `Writes of those ${age} minutes are not in it.`,
    pending === null
      ? 'It is not recorded which migrations go.'
      : `Migrations that go: ${pending.join(', ') || 'none'}.`,
    `The restored instance will be ${recovery.recoveryInstanceId}.`,
    recovery.mode === 'drill'
      ? 'It is a drill: the instance is deleted once it is verified, and nothing else is changed.'
      : recovery.retire === 'delete'
        ? `Afterwards ${live.instanceId} is deleted with final snapshot ${recovery.finalSnapshotId}; its automated backups are kept.`
        : `Afterwards ${live.instanceId} is kept.`,
    ...(recovery.mode === 'drill' ? [] : approvalSteps(recovery)),
    `Manual snapshots: ${snapshots.used} of ${snapshots.quota} used.`,
    ...(recovery.mode === 'plan'
      ? ['Nothing was changed. To do it, start the machine with inputToRecover.']
      : []),
  ];
}
