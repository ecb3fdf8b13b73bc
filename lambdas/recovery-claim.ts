import { DescribeExecutionCommand, type DescribeExecutionOutput, type SFNClient } from '@aws-sdk/client-sfn';
import { findClaim, runningRecovery, type Claim, type RunningRecovery, type SecretDeps } from './claim';
import type { Recovery } from './contract/recovery';
import { RecoveryAlreadyRunning, SecretMovedMeanwhile, isAwsError } from './errors';
import { currentSecret } from './secrets';

export interface ClaimDeps extends SecretDeps {
  readonly stepFunctions: SFNClient;
  readonly now: () => Date;
}

/** The recovery that has the claim, if its execution runs. Plans have none. */
export async function findRunningRecovery(deps: ClaimDeps): Promise<RunningRecovery | undefined> {
  const claim = await findClaim(deps);
  return claim && (await isRunning(claim, deps)) ? runningRecovery(claim) : undefined;
}

/**
 * From the claim on no other recovery moves the secret; one that ended since the plan may have. Throws SecretMovedMeanwhile
 * when another version is current than the plan was made for.
 */
export async function requirePlannedVersion(
  recovery: Recovery,
  { secrets, databaseUrlSecretId }: SecretDeps,
): Promise<void> {
  const { versionId } = await currentSecret(secrets, databaseUrlSecretId);
  if (versionId !== recovery.secretVersionId)
    throw new SecretMovedMeanwhile(
      `The plan was made for version ${recovery.secretVersionId} of the secret; ${versionId} is current now.`,
      'Somebody changed the secret since (another recovery, a rotation?). Start a new recovery.',
    );
}

/** For a step that must not get in the way of another recovery. Throws RecoveryAlreadyRunning while one runs. */
export async function refuseWhileAnotherRuns(recoveryId: string, deps: ClaimDeps): Promise<void> {
  const claim = await findClaim(deps);
  if (claim && claim.recoveryId !== recoveryId && (await isRunning(claim, deps))) throw alreadyRuns(claim);
}

/** Of a claim that counts. */
export function alreadyRuns(claim: Claim): RecoveryAlreadyRunning {
  const { name, requestedBy, since } = runningRecovery(claim);
  return new RecoveryAlreadyRunning(
    `Recovery ${name}, which ${requestedBy} started at ${since}, has claimed this database.`,
    'Wait for it to end, or stop it and see what it left (docs/runbook.md). At most one recovery of a database runs.',
  );
}

/** Step Functions may know an execution only some moments after its start, and forgets it 90 days after its end. */
const KNOWN_AFTER_MS = 10 * 60_000;

async function isRunning(claim: Claim, deps: ClaimDeps): Promise<boolean> {
  return (await executionOf(claim, deps))?.status === 'RUNNING';
}

/** Undefined where Step Functions has forgotten it. */
export async function executionOf(
  claim: Claim,
  { stepFunctions, now }: ClaimDeps,
): Promise<Pick<DescribeExecutionOutput, 'status' | 'stopDate' | 'redriveDate'> | undefined> {
  try {
    return await stepFunctions.send(new DescribeExecutionCommand({ executionArn: claim.execution }));
  } catch (error) {
    if (!isAwsError(error, 'ExecutionDoesNotExist')) throw error;
    const isNew = now().getTime() - Date.parse(claim.since) < KNOWN_AFTER_MS;
    return isNew ? { status: 'RUNNING' } : undefined;
  }
}
