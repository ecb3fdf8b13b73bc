import type { RDSClient } from '@aws-sdk/client-rds';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { SFNClient } from '@aws-sdk/client-sfn';
import type * as z from 'zod/mini';
import type { ReapSnapshotsEvent, ReapSnapshotsResult } from '../contract/restore-points';
import type { CopyRules, DrillRules, RetentionRules } from '../contract/rules';
import type { EnvironmentName } from '../contract/settings';
import { drillWarning } from '../drill-age';
import { RetentionWarning } from '../errors';
import { keptTooLong } from '../kept-instances';
import { findLiveInstance } from '../live-instance';
import { findRunningRecovery } from '../recovery-claim';
import { newestWarning, reap, removeSnapshot } from '../reaping';
import type { Decision } from '../retention';
import { unpinVersions } from '../secret-pins';
import {
  isBeingMade,
  listAllSnapshots,
  listOwnSnapshots,
  type OwnSnapshot,
  type PassingCopy,
} from '../snapshot-catalogue';
import { snapshotQuota } from '../snapshot-quota';
import { lookIntoVault, type Vault, type VaultContent } from '../vault';

export interface ReapSnapshotsDeps {
  readonly rds: RDSClient;
  readonly secrets: SecretsManagerClient;
  readonly stepFunctions: SFNClient;
  readonly environment: EnvironmentName;
  readonly databaseUrlSecretId: string;
  readonly masterSecretId: string;
  readonly rules: RetentionRules;
  /** Undefined where there are no drills. */
  readonly drills?: DrillRules | undefined;
  /** The copies in another Region; undefined where there are none. */
  readonly copies?: { readonly elsewhere: RDSClient; readonly rules: CopyRules } | undefined;
  /** The copies in another account: they are looked at, and kept over there. Undefined where there are none. */
  readonly vault?: Vault | undefined;
  readonly now: () => Date;
}

/**
 * Deletes the snapshots of this environment that are past their time, and says what it kept and why. Only what carries this
 * system's tags, an expiry among them, is ever deleted, and nothing while a recovery runs. The copies in another Region are kept
 * by a table of their own; those in another account are kept over there. With `failOnWarning` throws RetentionWarning, after the work, when somebody should look.
 */
export async function reapSnapshots(
  event: z.infer<typeof ReapSnapshotsEvent>,
  deps: ReapSnapshotsDeps,
): Promise<ReapSnapshotsResult> {
  const { rds, rules, environment, copies, vault } = deps;
  const now = deps.now();
  const { instance, instances } = await findLiveInstance(
    rds,
    deps.secrets,
    deps.databaseUrlSecretId,
    environment,
  );
  const { own: here, passing } = await listAllSnapshots(rds, environment, instance);
  const there = copies && (await listOwnSnapshots(copies.elsewhere, environment, undefined));
  const recovery = await findRunningRecovery(deps);
  const turn = { dryRun: event.dryRun, recovery: recovery?.name };

  const reaped = await reap(rds, keptWhileCopied(here, there), rules, now, turn);
  const reapedCopies =
    copies && (await reap(copies.elsewhere, keptWhileCopied(there ?? [], here), copies.rules, now, turn));

  const inVault = vault && (await lookIntoVault(vault, environment));
  const forgotten = await clearForgotten(rds, passing, inVault, now, event.dryRun);

  // A copy that is brought back needs the versions of its day.
  const left = [...reaped.left, ...(reapedCopies?.left ?? []), ...(inVault?.copies ?? [])];
  const released = event.dryRun || inVault?.closed !== undefined ? [] : await releaseSecrets(left, deps);
  const { warning: quotaWarning } = await snapshotQuota(rds);
  const warnings = [
    ...newestWarning(reaped.left, instance.InstanceCreateTime, rules, now),
    ...(quotaWarning === undefined ? [] : [quotaWarning]),
    ...keptTooLong(instances, deps.environment, { live: instance, now }),
    ...(copies && reapedCopies
      ? await copyWarnings(copies, reapedCopies.left, instance.InstanceCreateTime, now)
      : []),
    ...(vault && inVault ? vaultWarnings(vault, inVault, instance.InstanceCreateTime, now) : []),
    ...(deps.drills ? await drillWarning(deps.stepFunctions, deps.drills, now) : []),
  ];
  const result: ReapSnapshotsResult = {
    dryRun: event.dryRun,
    deleted: [
      ...reaped.deleted.map((decision) => reported(decision)),
      ...(reapedCopies?.deleted ?? []).map((decision) => reported(decision, copies?.rules.region)),
      ...forgotten,
    ],
    kept: [
      ...reaped.kept.map((decision) => reported(decision)),
      ...(reapedCopies?.kept ?? []).map((decision) => reported(decision, copies?.rules.region)),
    ],
    secretVersionsReleased: released,
    warnings,
  };
  if (event.failOnWarning && warnings.length > 0)
    throw new RetentionWarning(
      warnings.join(' '),
      `${result.deleted.length} snapshots were deleted and ${result.kept.length} kept, as they should. See docs/pipeline.md.`,
    );
  return result;
}

/** @param region where it is not that of the database */
function reported({ id, why }: Decision, region?: string): ReapSnapshotsResult['deleted'][number] {
  return { snapshotId: id, ...(region !== undefined && { region }), why };
}

/** A copy that is being made, there or back, fails when what it is made of goes. Both have the same id. */
function keptWhileCopied(
  snapshots: readonly OwnSnapshot[],
  elsewhere: readonly OwnSnapshot[] | undefined,
): readonly OwnSnapshot[] {
  const made = new Set((elsewhere ?? []).filter(({ status }) => isBeingMade(status)).map(({ id }) => id));
  return snapshots.map((snapshot) =>
    snapshot.keptFor === undefined && made.has(snapshot.id)
      ? { ...snapshot, keptFor: 'is being copied to or from another Region' }
      : snapshot,
  );
}

async function copyWarnings(
  { elsewhere, rules }: { readonly elsewhere: RDSClient; readonly rules: CopyRules },
  left: readonly OwnSnapshot[],
  since: Date | undefined,
  now: Date,
): Promise<string[]> {
  const { warning } = await snapshotQuota(elsewhere);
  return [...newestWarning(left, since, rules, now), ...(warning === undefined ? [] : [warning])].map(
    (text) => `In ${rules.region}: ${text}`,
  );
}

function vaultWarnings(
  { rules }: Vault,
  { copies, closed }: VaultContent,
  since: Date | undefined,
  now: Date,
): string[] {
  const texts =
    closed === undefined
      ? newestWarning(copies, since, rules, now)
      : [`Nobody knows what is there: ${closed}`];
  return texts.map((text) => `In account ${rules.account}: ${text}`);
}

/** Passing copies that `copy-to-vault` forgot, because it died for good or there is no vault any more. */
async function clearForgotten(
  rds: RDSClient,
  passing: readonly PassingCopy[],
  inVault: VaultContent | undefined,
  now: Date,
  dryRun: boolean,
): Promise<ReapSnapshotsResult['deleted']> {
  // The copies over there may be being made of them.
  if (inVault?.closed !== undefined) return [];
  const copying = new Set(
    (inVault?.copies ?? []).filter(({ status }) => isBeingMade(status)).map(({ id }) => id),
  );
  const cleared: ReapSnapshotsResult['deleted'] = [];
  for (const { id, copyOf, expiresAt } of passing)
    if (expiresAt <= now && !copying.has(copyOf) && (dryRun || (await removeSnapshot(rds, id)) === undefined))
      cleared.push({ snapshotId: id, why: `a passing copy of ${copyOf} that was forgotten` });
  return cleared;
}

async function releaseSecrets(left: readonly OwnSnapshot[], deps: ReapSnapshotsDeps): Promise<string[]> {
  const needed = new Set(left.flatMap(({ secretVersions }) => secretVersions));
  return [
    ...(await unpinVersions(deps.secrets, deps.databaseUrlSecretId, needed)),
    ...(await unpinVersions(deps.secrets, deps.masterSecretId, needed)),
  ];
}
