import {
  DeleteDBSnapshotCommand,
  paginateDescribeDBSnapshots,
  type DBSnapshot,
  type RDSClient,
} from '@aws-sdk/client-rds';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { SFNClient } from '@aws-sdk/client-sfn';
import type * as z from 'zod/mini';
import type { EnvironmentName, ReapSnapshotsEvent, ReapSnapshotsResult, RetentionRules } from '../contract';
import { RetentionWarning, isAwsError } from '../errors';
import { findLiveInstance } from '../live-instance';
import { readQuarantine } from '../quarantine';
import { decide, good, type Decision, type KnownSnapshot } from '../retention';
import { findRunningRecovery } from '../running-recovery';
import { unpinVersions } from '../secret-pins';
import { snapshotQuota } from '../snapshot-quota';
import { readMarks, readMigrationEntries } from '../tags';

export interface ReapSnapshotsDeps {
  readonly rds: RDSClient;
  readonly secrets: SecretsManagerClient;
  readonly stepFunctions: SFNClient;
  readonly environment: EnvironmentName;
  readonly databaseUrlSecretId: string;
  readonly masterSecretId: string;
  readonly machineArn: string;
  readonly rules: RetentionRules;
  readonly now: () => Date;
}

/** So many are left free: a day of deployments, and what a recovery takes. */
const QUOTA_MARGIN = 10;
/** One call deletes at most as many, so that it ends in time; the next one goes on. */
const MAX_DELETIONS = 200;

/** What of a snapshot is remembered: thousands of them have to fit. */
interface Candidate extends KnownSnapshot {
  readonly arn: string;
  readonly secretVersions: readonly string[];
  readonly migrations: readonly string[];
}

/**
 * Deletes the snapshots of this environment that are past their time, and says what it kept and why. Only what carries this
 * system's tags, an expiry among them, is ever deleted, and nothing while a recovery runs. With `failOnWarning` throws
 * RetentionWarning, after the work, when somebody should look.
 */
export async function reapSnapshots(
  event: z.infer<typeof ReapSnapshotsEvent>,
  deps: ReapSnapshotsDeps,
): Promise<ReapSnapshotsResult> {
  const { rds, rules } = deps;
  const now = deps.now();
  const candidates = await listCandidates(deps);
  const decisions = decide(candidates, rules, now);
  const recovery = await findRunningRecovery(deps.stepFunctions, deps.machineArn);

  const deleted: Decision[] = [];
  const kept: Decision[] = decisions.filter((decision) => !decision.delete);
  for (const decision of decisions.filter((one) => one.delete)) {
    const refuse = recovery
      ? `recovery ${recovery.name} runs and may need it`
      : deleted.length >= MAX_DELETIONS
        ? 'the next run deletes it'
        : event.dryRun
          ? undefined
          : await remove(rds, decision.id);
    if (refuse === undefined) deleted.push(decision);
    else kept.push({ id: decision.id, delete: false, why: `${refuse} (${decision.why})` });
  }

  const gone = new Set(deleted.map(({ id }) => id));
  const left = candidates.filter(({ id }) => !gone.has(id));
  const released = event.dryRun ? [] : await releaseSecrets(left, deps);
  const warnings = [...newestWarning(left, rules, now), ...(await quotaWarning(rds))];
  const result: ReapSnapshotsResult = {
    dryRun: event.dryRun,
    deleted: deleted.map(({ id, why }) => ({ snapshotId: id, why })),
    kept: kept.map(({ id, why }) => ({ snapshotId: id, why })),
    secretVersionsReleased: released,
    warnings,
  };
  if (event.failOnWarning && warnings.length > 0)
    throw new RetentionWarning(
      warnings.join(' '),
      `${deleted.length} snapshots were deleted and ${kept.length} kept, as they should. See docs/pipeline.md.`,
    );
  return result;
}

/** Every snapshot that this system made for this environment, with what keeps it whatever its age. */
async function listCandidates(deps: ReapSnapshotsDeps): Promise<Candidate[]> {
  const { rds, secrets, environment, databaseUrlSecretId } = deps;
  const { instance } = await findLiveInstance(rds, secrets, databaseUrlSecretId);
  const quarantined = new Set(readQuarantine(instance.TagList).map(({ name }) => name));
  const found: Candidate[] = [];
  const copied = new Set<string>();
  const pages = paginateDescribeDBSnapshots({ client: rds, pageSize: 100 }, { SnapshotType: 'manual' });
  for await (const page of pages)
    for (const snapshot of page.DBSnapshots ?? []) {
      if (snapshot.Status !== 'available' && snapshot.SourceDBSnapshotIdentifier)
        copied.add(snapshot.SourceDBSnapshotIdentifier);
      const candidate = candidateOf(snapshot, environment);
      if (candidate) found.push(candidate);
    }
  return found.map((candidate) => {
    const { arn, id, migrations } = candidate;
    if (candidate.keptFor !== undefined) return candidate;
    if (copied.has(arn) || copied.has(id)) return { ...candidate, keptFor: 'is being copied' };
    const held = migrations.find((name) => quarantined.has(name));
    return held === undefined ? candidate : { ...candidate, keptFor: `${held} is in quarantine` };
  });
}

function candidateOf(snapshot: DBSnapshot, environment: EnvironmentName): Candidate | undefined {
  const marks = readMarks(snapshot.TagList);
  const { role } = marks;
  if (marks.environment !== environment) return undefined;
  if (role !== 'pre-migration' && role !== 'scheduled' && role !== 'safety' && role !== 'final')
    return undefined;
  const expiry = Date.parse(marks['expires-at'] ?? '');
  const takenAt = snapshot.OriginalSnapshotCreateTime ?? snapshot.SnapshotCreateTime;
  return {
    id: snapshot.DBSnapshotIdentifier ?? '',
    arn: snapshot.DBSnapshotArn ?? '',
    role,
    takenAt: takenAt ?? new Date(0),
    expiresAt: Number.isNaN(expiry) ? undefined : new Date(expiry),
    isAvailable: snapshot.Status === 'available',
    keptFor:
      marks.hold !== undefined
        ? `on hold: ${marks.hold}`
        : takenAt === undefined || snapshot.Status === 'creating'
          ? 'is being made'
          : undefined,
    secretVersions: [marks['database-url-version'], marks['master-version']].flatMap(
      (version) => version ?? [],
    ),
    migrations: readMigrationEntries(snapshot.TagList).map(({ name }) => name),
  };
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

async function releaseSecrets(left: readonly Candidate[], deps: ReapSnapshotsDeps): Promise<string[]> {
  const needed = new Set(left.flatMap(({ secretVersions }) => secretVersions));
  return [
    ...(await unpinVersions(deps.secrets, deps.databaseUrlSecretId, needed)),
    ...(await unpinVersions(deps.secrets, deps.masterSecretId, needed)),
  ];
}

function newestWarning(left: readonly Candidate[], rules: RetentionRules, now: Date): string[] {
  const [newest] = good(left);
  if (!newest) return ['There is no good snapshot at all.'];
  const hours = (now.getTime() - newest.takenAt.getTime()) / 3_600_000;
  return hours <= rules.newestAtMostHours
    ? []
    : [
        `The newest good snapshot, ${newest.id}, is ${Math.floor(hours)} hours old; at most ${rules.newestAtMostHours} are allowed.`,
      ];
}

async function quotaWarning(rds: RDSClient): Promise<string[]> {
  const { used, quota } = await snapshotQuota(rds);
  return used + QUOTA_MARGIN <= quota
    ? []
    : [
        `${used} of ${quota} manual snapshots of this account and Region are used: delete some, ask AWS for a higher quota, or deploy with restorePoint "point-in-time".`,
      ];
}
