import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import * as z from 'zod/mini';
import { findSecretVersion } from './secrets';

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

/** What it takes to read a claim. */
export interface SecretDeps {
  readonly secrets: SecretsManagerClient;
  readonly databaseUrlSecretId: string;
}

/** Whose the claim is, for people. */
export function runningRecovery({ recoveryId, execution, requestedBy, since }: Claim): RunningRecovery {
  return { recoveryId, name: execution.split(':').at(-1) ?? execution, requestedBy, since };
}

/** The newest claim, whether it counts or not. */
export async function findClaim({
  secrets,
  databaseUrlSecretId,
}: SecretDeps): Promise<HeldClaim | undefined> {
  const version = await findSecretVersion(secrets, databaseUrlSecretId, { stage: CLAIM_LABEL });
  return version && { ...Claim.parse(JSON.parse(version.value)), versionId: version.versionId };
}
