import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { DescribeExecutionCommand, type DescribeExecutionOutput, type SFNClient } from '@aws-sdk/client-sfn';
import * as z from 'zod/mini';
import type { Recovery } from './contract';
import { RecoveryAlreadyRunning, SecretMovedMeanwhile, isAwsError } from './errors';
import { currentSecret, findSecretVersion } from './secrets';

/**
 * At most one recovery of a database runs: the one whose claim has the label CLAIM_LABEL (docs/decisions/0016-claim.md). A
 * claim is a version of the DATABASE_URL secret that says whose it is, and is never current. The label moves by
 * compare-and-swap (take-claim.ts), and is never taken off: a claim counts as long as its execution runs.
 */
export const CLAIM_LABEL = 'migration-rollback-recovery';

const Claim = z.object({
  recoveryId: z.string(),
  /** ARN. */
  execution: z.string(),
  requestedBy: z.string(),
  /** When the execution started, ISO 8601. */
  since: z.string(),
});
export type Claim = z.infer<typeof Claim>;

export interface HeldClaim extends Claim {
  readonly versionId: string;
}

/** A recovery that is bringing the database back. */
export interface RunningRecovery {
  readonly recoveryId: string;
  /** Of the execution. */
  readonly name: string;
  readonly requestedBy: string;
  readonly since: string;
}

export interface ClaimDeps {
  readonly secrets: SecretsManagerClient;
  readonly stepFunctions: SFNClient;
  readonly databaseUrlSecretId: string;
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
  { secrets, databaseUrlSecretId }: Pick<ClaimDeps, 'secrets' | 'databaseUrlSecretId'>,
): Promise<void> {
  const { versionId } = await currentSecret(secrets, databaseUrlSecretId);
  if (versionId !== recovery.secretVersionId)
    throw new SecretMovedMeanwhile(
      `The plan was made for version ${recovery.secretVersionId} of the secret; ${versionId} is current now.`,
      'Somebody changed the secret since (another recovery, a rotation?). Start a new recovery.',
    );
}

/** Throws RecoveryAlreadyRunning unless the claim is this recovery's, also where the one that took it over has ended. */
export async function requireClaim(
  recovery: Recovery,
  deps: Pick<ClaimDeps, 'secrets' | 'databaseUrlSecretId'>,
): Promise<void> {
  const claim = await findClaim(deps);
  if (claim?.recoveryId === recovery.id) return;
  if (claim) throw refusal(runningRecovery(claim), TAKEN_OVER);
  throw new RecoveryAlreadyRunning(
    `This recovery has no claim on the database: no version of the secret has the label ${CLAIM_LABEL}.`,
    'Somebody took the label off. Start a new recovery.',
  );
}

/** For a step that must not get in the way of another recovery. Throws RecoveryAlreadyRunning while one runs. */
export async function refuseWhileAnotherRuns(recoveryId: string, deps: ClaimDeps): Promise<void> {
  const claim = await findClaim(deps);
  if (claim && claim.recoveryId !== recoveryId && (await isRunning(claim, deps))) throw alreadyRuns(claim);
}

/** Of a claim that counts. */
export function alreadyRuns(claim: Claim): RecoveryAlreadyRunning {
  return refusal(
    runningRecovery(claim),
    'Wait for it to end, or stop it and see what it left (docs/runbook.md). At most one recovery of a database runs.',
  );
}

const TAKEN_OVER =
  'It took over while this one did not run, so this one is given up. See how that one ended; then, if need be, start a new one.';

function refusal({ name, requestedBy, since }: RunningRecovery, hint: string): RecoveryAlreadyRunning {
  return new RecoveryAlreadyRunning(
    `Recovery ${name}, which ${requestedBy} started at ${since}, has claimed this database.`,
    hint,
  );
}

/** Whose the claim is, for people. */
export function runningRecovery({ recoveryId, execution, requestedBy, since }: Claim): RunningRecovery {
  return { recoveryId, name: execution.split(':').at(-1) ?? execution, requestedBy, since };
}

/** The newest claim, whether it counts or not. */
export async function findClaim({
  secrets,
  databaseUrlSecretId,
}: Pick<ClaimDeps, 'secrets' | 'databaseUrlSecretId'>): Promise<HeldClaim | undefined> {
  const version = await findSecretVersion(secrets, databaseUrlSecretId, { stage: CLAIM_LABEL });
  return version && { ...Claim.parse(JSON.parse(version.value)), versionId: version.versionId };
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
): Promise<Pick<DescribeExecutionOutput, 'status' | 'stopDate'> | undefined> {
  try {
    return await stepFunctions.send(new DescribeExecutionCommand({ executionArn: claim.execution }));
  } catch (error) {
    if (!isAwsError(error, 'ExecutionDoesNotExist')) throw error;
    const isNew = now().getTime() - Date.parse(claim.since) < KNOWN_AFTER_MS;
    return isNew ? { status: 'RUNNING' } : undefined;
  }
}
