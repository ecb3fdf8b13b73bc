import { DeleteDBSnapshotCommand, type RDSClient } from '@aws-sdk/client-rds';
import type { RetentionRules } from './contract/rules';
import { isAwsError } from './errors';
import { decide, good, type Decision, type KnownSnapshot } from './retention';

/** One call deletes at most as many, so that it ends in time; the next one goes on. */
const MAX_DELETIONS = 200;

export interface Reaped<T> {
  readonly deleted: readonly Decision[];
  readonly kept: readonly Decision[];
  readonly left: readonly T[];
}

/** Deletes what goes of the snapshots of one place, unless it is a dry run. */
export async function reap<T extends KnownSnapshot>(
  rds: RDSClient,
  candidates: readonly T[],
  rules: RetentionRules,
  now: Date,
  { dryRun, recovery }: { readonly dryRun: boolean; readonly recovery: string | undefined },
): Promise<Reaped<T>> {
  const decisions = decide(candidates, rules, now);
  const deleted: Decision[] = [];
  const kept: Decision[] = decisions.filter((decision) => !decision.delete);
  for (const decision of decisions.filter((one) => one.delete)) {
    const refuse =
      recovery !== undefined
        ? `recovery ${recovery} runs and may need it`
        : deleted.length >= MAX_DELETIONS
          ? 'the next run deletes it'
          : dryRun
            ? undefined
            : await removeSnapshot(rds, decision.id);
    if (refuse === undefined) deleted.push(decision);
    else kept.push({ id: decision.id, delete: false, why: `${refuse} (${decision.why})` });
  }
  const gone = new Set(deleted.map(({ id }) => id));
  return { deleted, kept, left: candidates.filter(({ id }) => !gone.has(id)) };
}

/** Deletes; answers why it could not, where somebody uses it. */
export async function removeSnapshot(rds: RDSClient, snapshotId: string): Promise<string | undefined> {
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

/** @param since from when on there should be one: when the instance was made, where that is known */
export function newestWarning(
  left: readonly KnownSnapshot[],
  since: Date | undefined,
  rules: RetentionRules,
  now: Date,
): string[] {
  const [newest] = good(left);
  const hours = (now.getTime() - (newest?.takenAt ?? since ?? new Date(0)).getTime()) / 3_600_000;
  if (hours <= rules.newestAtMostHours) return [];
  return newest
    ? [
        `The newest good snapshot, ${newest.id}, is ${Math.floor(hours)} hours old; at most ${rules.newestAtMostHours} are allowed.`,
      ]
    : ['There is no good snapshot at all.'];
}
