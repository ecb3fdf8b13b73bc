import { DeleteDBSnapshotCommand, type DBInstance, type RDSClient } from '@aws-sdk/client-rds';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { SFNClient } from '@aws-sdk/client-sfn';
import type * as z from 'zod/mini';
import type {
  CopyRules,
  DrillRules,
  EnvironmentName,
  ReapSnapshotsEvent,
  ReapSnapshotsResult,
  RetentionRules,
} from '../contract';
import { drillWarning } from '../drill-age';
import { RetentionWarning, isAwsError } from '../errors';
import { keptTooLong } from '../kept-instances';
import { findLiveInstance } from '../live-instance';
import { findRunningRecovery } from '../recovery-claim';
import { decide, good, type Decision } from '../retention';
import { unpinVersions } from '../secret-pins';
import { isBeingMade, listOwnSnapshots, type OwnSnapshot } from '../snapshot-catalogue';
import { snapshotQuota } from '../snapshot-quota';

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
  readonly now: () => Date;
}

/** One call deletes at most as many, so that it ends in time; the next one goes on. */
const MAX_DELETIONS = 200;

/**
 * Deletes the snapshots of this environment that are past their time, and says what it kept and why. Only what carries this
 * system's tags, an expiry among them, is ever deleted, and nothing while a recovery runs. The copies in another Region are kept
 * by a table of their own. With `failOnWarning` throws RetentionWarning, after the work, when somebody should look.
 */
export async function reapSnapshots(
  event: z.infer<typeof ReapSnapshotsEvent>,
  deps: ReapSnapshotsDeps,
): Promise<ReapSnapshotsResult> {
  const { rds, rules, environment, copies } = deps;
  const now = deps.now();
  const { instance, instances } = await findLiveInstance(rds, deps.secrets, deps.databaseUrlSecretId);
  const here = await listOwnSnapshots(rds, environment, instance);
  const there = copies && (await listOwnSnapshots(copies.elsewhere, environment, undefined));
  const recovery = await findRunningRecovery(deps);
  const turn = { event, recovery: recovery?.name };

  const reaped = await reap(rds, keptWhileCopied(here, there), rules, now, turn);
  const reapedCopies = copies && {
    ...(await reap(copies.elsewhere, keptWhileCopied(there ?? [], here), copies.rules, now, turn)),
    region: copies.rules.region,
  };

  // A copy that is brought back needs the versions of its day.
  const left = [...reaped.left, ...(reapedCopies?.left ?? [])];
  const released = event.dryRun ? [] : await releaseSecrets(left, deps);
  const { warning: quotaWarning } = await snapshotQuota(rds);
  const warnings = [
    ...newestWarning(reaped.left, instance, rules, now),
    ...(quotaWarning === undefined ? [] : [quotaWarning]),
    ...keptTooLong(instances, deps.environment, now),
    ...(copies && reapedCopies ? await copyWarnings(copies, reapedCopies.left, instance, now) : []),
    ...(deps.drills ? await drillWarning(deps.stepFunctions, deps.drills, now) : []),
  ];
  const all = [reaped, ...(reapedCopies ? [reapedCopies] : [])];
  const result: ReapSnapshotsResult = {
    dryRun: event.dryRun,
    deleted: all.flatMap((place) => place.deleted.map((decision) => reported(decision, place))),
    kept: all.flatMap((place) => place.kept.map((decision) => reported(decision, place))),
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

interface Reaped {
  /** Where it is not that of the database. */
  readonly region?: string;
  readonly deleted: readonly Decision[];
  readonly kept: readonly Decision[];
  readonly left: readonly OwnSnapshot[];
}

/** In one Region. */
async function reap(
  rds: RDSClient,
  candidates: readonly OwnSnapshot[],
  rules: RetentionRules,
  now: Date,
  { event, recovery }: { event: z.infer<typeof ReapSnapshotsEvent>; recovery: string | undefined },
): Promise<Reaped> {
  const decisions = decide(candidates, rules, now);
  const deleted: Decision[] = [];
  const kept: Decision[] = decisions.filter((decision) => !decision.delete);
  for (const decision of decisions.filter((one) => one.delete)) {
    const refuse =
      recovery !== undefined
        ? `recovery ${recovery} runs and may need it`
        : deleted.length >= MAX_DELETIONS
          ? 'the next run deletes it'
          : event.dryRun
            ? undefined
            : await remove(rds, decision.id);
    if (refuse === undefined) deleted.push(decision);
    else kept.push({ id: decision.id, delete: false, why: `${refuse} (${decision.why})` });
  }
  const gone = new Set(deleted.map(({ id }) => id));
  return { deleted, kept, left: candidates.filter(({ id }) => !gone.has(id)) };
}

function reported(
  { id, why }: Decision,
  { region }: { readonly region?: string },
): ReapSnapshotsResult['deleted'][number] {
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
  instance: DBInstance,
  now: Date,
): Promise<string[]> {
  const { warning } = await snapshotQuota(elsewhere);
  return [...newestWarning(left, instance, rules, now), ...(warning === undefined ? [] : [warning])].map(
    (text) => `In ${rules.region}: ${text}`,
  );
}

/** Deletes; answers why it could not, where somebody uses it. */
async function remove(rds: RDSClient, snapshotId: string): Promise<string | undefined> {
  try {
    await rds.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: snapshotId }));
    return undefined;
  } catch (error) {
    // The answer of an earlier call was lost, or somebody was faster.
    if (isAwsError(error, 'DBSnapshotNotFoundFault', 'DBSnapshotNotFound')) return undefined;
    if (isAwsError(error, 'InvalidDBSnapshotStateFault', 'InvalidDBSnapshotState')) return 'RDS uses it now';
    // It was put on hold, or its tags were edited, since it was listed: the role may not delete it any more.
    if (isAwsError(error, 'AccessDenied', 'AccessDeniedException'))
      return 'its tags do not allow it any more';
    throw error;
  }
}

async function releaseSecrets(left: readonly OwnSnapshot[], deps: ReapSnapshotsDeps): Promise<string[]> {
  const needed = new Set(left.flatMap(({ secretVersions }) => secretVersions));
  return [
    ...(await unpinVersions(deps.secrets, deps.databaseUrlSecretId, needed)),
    ...(await unpinVersions(deps.secrets, deps.masterSecretId, needed)),
  ];
}

function newestWarning(
  left: readonly OwnSnapshot[],
  { InstanceCreateTime: made }: DBInstance,
  rules: RetentionRules,
  now: Date,
): string[] {
  const [newest] = good(left);
  const hours = (now.getTime() - (newest?.takenAt ?? made ?? new Date(0)).getTime()) / 3_600_000;
  if (hours <= rules.newestAtMostHours) return [];
  return newest
    ? [
        `The newest good snapshot, ${newest.id}, is ${Math.floor(hours)} hours old; at most ${rules.newestAtMostHours} are allowed.`,
      ]
    : ['There is no good snapshot at all.'];
}
