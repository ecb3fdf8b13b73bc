import { createHash } from 'node:crypto';
import { PutSecretValueCommand, UpdateSecretVersionStageCommand } from '@aws-sdk/client-secrets-manager';
import { GetExecutionHistoryCommand, type HistoryEvent } from '@aws-sdk/client-sfn';
import * as z from 'zod/mini';
import type { FunctionName, Recovery } from './contract';
import { AwsUnavailable, StoppedRecoveryAtWork, isAwsError } from './errors';
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

/** Longer than any task of the machine may take. */
export const LONGEST_TASK_MS = 20 * 60_000;

/** Neither the execution runs, nor a function of it. Lambda lets a function run on that was at work when its execution was stopped. */
async function requireOver(claim: Claim, deps: ClaimDeps): Promise<void> {
  const execution = await executionOf(claim, deps);
  if (execution?.status === 'RUNNING') throw alreadyRuns(claim);
  // One that ended by itself had its answer: every task waits for longer than its function can take.
  if (execution?.status !== 'ABORTED' && execution?.status !== 'TIMED_OUT') return;
  const now = deps.now().getTime();
  if (execution.stopDate && now - execution.stopDate.getTime() > LONGEST_TASK_MS) return;
  const left = await functionLeft(claim, deps);
  if (!left || left.until.getTime() <= now) return;
  const { name, requestedBy, since } = runningRecovery(claim);
  throw new StoppedRecoveryAtWork(
    `Recovery ${name}, which ${requestedBy} started at ${since}, was stopped; its function ${left.name} may be at work until ${left.until.toISOString()}.`,
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
] as const satisfies readonly FunctionName[];

const Called = z.object({ FunctionName: z.string() });
const ENDED: readonly HistoryEvent['type'][] = [
  'TaskSucceeded',
  'TaskFailed',
  'TaskTimedOut',
  'TaskStartFailed',
  'TaskSubmitFailed',
];

/** The function that was called and had not answered when its execution was stopped, and until when it may run. */
async function functionLeft(
  claim: Claim,
  { stepFunctions }: ClaimDeps,
): Promise<{ name: string; until: Date } | undefined> {
  const { events = [] } = await stepFunctions.send(
    new GetExecutionHistoryCommand({ executionArn: claim.execution, reverseOrder: true, maxResults: 100 }),
  );
  const [last] = events;
  if (last?.type !== 'ExecutionAborted' && last?.type !== 'ExecutionTimedOut')
    throw new AwsUnavailable(
      `Step Functions does not say yet how recovery ${runningRecovery(claim).name} ended.`,
      'Usually this passes: try again in a few minutes.',
    );
  let hasAnswered = false;
  for (const { type, timestamp, taskScheduledEventDetails: task } of events) {
    if (ENDED.includes(type)) hasAnswered = true;
    if (!task || !timestamp) continue;
    if (!hasAnswered && task.resourceType === 'lambda') {
      const { FunctionName: arn } = Called.parse(JSON.parse(task.parameters ?? '{}'));
      const name = arn.split(':')[6] ?? arn;
      if (!ONLY_READ.some((reader) => name.endsWith(`-${reader}`)))
        return { name, until: new Date(timestamp.getTime() + (task.timeoutInSeconds ?? 0) * 1000) };
    }
    // Before a redrive another one may have been cut off.
    hasAnswered = false;
  }
  return undefined;
}
