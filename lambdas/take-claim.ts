import { createHash } from 'node:crypto';
import { PutSecretValueCommand, UpdateSecretVersionStageCommand } from '@aws-sdk/client-secrets-manager';
import type { FunctionName } from './contract/functions';
import type { Recovery } from './contract/recovery';
import { AwsUnavailable, StoppedRecoveryAtWork, isAwsError } from './errors';
import { LONGEST_TASK_MS, findCutOff } from './cut-off';
import { CLAIM_LABEL, findClaim, runningRecovery, type Claim } from './claim';
import { alreadyRuns, executionOf, type ClaimDeps } from './recovery-claim';

/** A version needs a label to be written with; this one moves on with every claim. */
const WRITTEN_LABEL = 'migration-rollback-claim-written';

/**
 * Claims the database for a recovery; asked again, it finds its own claim. Of any number that try at the same moment one gets
 * it. Throws RecoveryAlreadyRunning, StoppedRecoveryAtWork.
 */
export async function takeClaim(recovery: Recovery, deps: ClaimDeps): Promise<void> {
  const { secrets, databaseUrlSecretId: secretId } = deps;
  for (;;) {
    const holder = await findClaim(deps);
    if (holder?.recoveryId === recovery.id) return;
    if (holder) await requireOver(holder, deps);
    const versionId = await writeClaim(recovery, deps);
    try {
      await secrets.send(
        new UpdateSecretVersionStageCommand({
          SecretId: secretId,
          VersionStage: CLAIM_LABEL,
          MoveToVersionId: versionId,
          RemoveFromVersionId: holder?.versionId,
        }),
      );
      return;
    } catch (error) {
      // Somebody was faster, or it is here already and the answer was lost: only the label itself can say.
      if (!isAwsError(error, 'InvalidParameterException')) throw error;
      const now = await findClaim(deps);
      if (now?.versionId === holder?.versionId)
        throw new AwsUnavailable(
          'The claim of the database was taken by somebody, and Secrets Manager does not say yet by whom.',
          'Usually this passes: try again in a few minutes.',
          { cause: error },
        );
    }
  }
}

/**
 * Whether the recovery could take the claim now, so that a plan is of what is there after the one before. Throws as takeClaim.
 */
export async function requireClaimable(recoveryId: string, deps: ClaimDeps): Promise<void> {
  const holder = await findClaim(deps);
  if (holder && holder.recoveryId !== recoveryId) await requireOver(holder, deps);
}

/** Answers the id of the version: the same at every try. */
async function writeClaim(recovery: Recovery, { secrets, databaseUrlSecretId }: ClaimDeps): Promise<string> {
  const versionId = createHash('sha256').update(`migration-rollback claim ${recovery.id}`).digest('hex');
  const claim: Claim = {
    recoveryId: recovery.id,
    execution: recovery.execution.arn,
    requestedBy: recovery.requestedBy ?? 'somebody',
    since: new Date(recovery.execution.startTime).toISOString(),
  };
  await secrets.send(
    new PutSecretValueCommand({
      SecretId: databaseUrlSecretId,
      ClientRequestToken: versionId,
      SecretString: JSON.stringify(claim),
      // Without a label of our own this would become the current version.
      VersionStages: [WRITTEN_LABEL],
    }),
  );
  return versionId;
}

/** Neither the execution runs, nor a function of it. Lambda lets a function run on that was at work when its execution was stopped. */
async function requireOver(claim: Claim, deps: ClaimDeps): Promise<void> {
  const execution = await executionOf(claim, deps);
  if (execution?.status === 'RUNNING') throw alreadyRuns(claim);
  const wasStopped = execution?.status === 'ABORTED' || execution?.status === 'TIMED_OUT';
  // One that was redriven was stopped before that.
  const last = wasStopped ? (execution.stopDate ?? deps.now()) : execution?.redriveDate;
  if (!last || deps.now().getTime() - last.getTime() > LONGEST_TASK_MS) return;
  const cutOff = await findCutOff(claim.execution, deps, changesSomething);
  if (!cutOff) return;
  const { name, requestedBy, since } = runningRecovery(claim);
  throw new StoppedRecoveryAtWork(
    `Recovery ${name}, which ${requestedBy} started at ${since}, was stopped; its function ${cutOff.name} may be at work until ${cutOff.until.toISOString()}.`,
    'Wait: AWS does not end it, and what it does must not meet what you start now.',
  );
}

/** These change nothing, so nothing can meet them. */
const ONLY_READ = [
  'plan',
  'check-restored-instance',
  'record-position',
  'verify',
  'warm',
  'hydrate',
  'prove',
  'prove-consumers',
  'drain',
  'soak',
  'fail',
] as const satisfies readonly FunctionName[];

function changesSomething(functionName: string): boolean {
  return !ONLY_READ.some((reader) => functionName.endsWith(`-${reader}`));
}
