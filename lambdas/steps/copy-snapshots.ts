import { CopyDBSnapshotCommand, DeleteDBSnapshotCommand, type RDSClient } from '@aws-sdk/client-rds';
import type * as z from 'zod/mini';
import type { CopySnapshotsEvent, CopySnapshotsResult } from '../contract/copies';
import type { CopyRules } from '../contract/rules';
import type { EnvironmentName } from '../contract/settings';
import { copiesToMake, copyExpiry, copyTags, inTheWay } from '../copies';
import { SnapshotsNotCopied, isAwsError } from '../errors';
import { findSnapshot } from '../rds';
import { isBeingMade, listOwnSnapshots, type OwnSnapshot } from '../snapshot-catalogue';
import { readMarks } from '../tags';

export interface CopySnapshotsDeps {
  readonly rds: RDSClient;
  /** In the Region that the copies go to. */
  readonly elsewhere: RDSClient;
  readonly environment: EnvironmentName;
  readonly rules: CopyRules;
  readonly now: () => Date;
}

/** RDS makes 20 at a time for an account and Region, and those of one instance one after the other: others want some, too. */
const MAX_UNDER_WAY = 5;

/**
 * Begins the copies that are missing in the other Region, newest first, and does not wait for them: the next call sees how they
 * came out, and makes one that failed again. A copy has the id of its snapshot, so that a call that is repeated finds it. With
 * `failOnWarning` throws SnapshotsNotCopied, after the work, when one could not be begun.
 */
export async function copySnapshots(
  event: z.infer<typeof CopySnapshotsEvent>,
  deps: CopySnapshotsDeps,
): Promise<CopySnapshotsResult> {
  const { rds, elsewhere, environment, rules } = deps;
  const [snapshots, copies] = await Promise.all([
    listOwnSnapshots(rds, environment, undefined),
    listOwnSnapshots(elsewhere, environment, undefined),
  ]);
  const notCopied: CopySnapshotsResult['notCopied'] = [];
  for (const { id } of copies.filter(({ status }) => status === 'failed')) {
    // The name is in the way of another try, which the next call makes.
    await elsewhere.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: id })).catch(ignoreGone);
    notCopied.push({ snapshotId: id, why: 'RDS could not finish the copy; it is made again.' });
  }
  const underWay = copies.filter(({ status }) => isBeingMade(status)).map(({ id }) => id);
  const wanted = copiesToMake(snapshots, copies, rules, deps.now());
  const now = wanted.slice(0, Math.max(0, MAX_UNDER_WAY - underWay.length));
  const begun: string[] = [];
  for (const snapshot of now) {
    const why = await begin(snapshot, deps);
    if (why === undefined) begun.push(snapshot.id);
    else notCopied.push({ snapshotId: snapshot.id, why });
  }
  if (event.failOnWarning && notCopied.length > 0)
    throw new SnapshotsNotCopied(
      `In ${rules.region}: ${notCopied.map(({ snapshotId, why }) => `${snapshotId}: ${why}`).join(' ')}`,
      `${begun.length} other copies were begun. See docs/pipeline.md.`,
    );
  return {
    region: rules.region,
    begun,
    underWay,
    available: copies.filter(({ isAvailable }) => isAvailable).length,
    waiting: wanted.length - now.length,
    notCopied,
  };
}

/** Asks for one copy; answers why RDS does not make it. */
async function begin(
  { id, takenAt, role }: OwnSnapshot,
  { rds, elsewhere, environment, rules }: CopySnapshotsDeps,
): Promise<string | undefined> {
  // As it is now: since it was listed its tags may have changed, or it may be gone.
  const snapshot = await findSnapshot(rds, id);
  if (snapshot?.Status !== 'available') return undefined;
  try {
    await elsewhere.send(
      new CopyDBSnapshotCommand({
        SourceDBSnapshotIdentifier: snapshot.DBSnapshotArn,
        TargetDBSnapshotIdentifier: id,
        ...(snapshot.Encrypted && { KmsKeyId: rules.kmsKeyId }),
        Tags: copyTags(snapshot.TagList, copyExpiry({ takenAt, role }, rules)),
      }),
    );
    return undefined;
  } catch (error) {
    if (isAwsError(error, 'DBSnapshotAlreadyExistsFault', 'DBSnapshotAlreadyExists')) {
      const taken = await findSnapshot(elsewhere, id);
      // The answer of an earlier call was lost, or another call was faster.
      const marks = readMarks(taken?.TagList);
      if (!taken || (marks.environment === environment && marks.role === role)) return undefined;
      return 'A snapshot of that name is there and is not a copy of this system.';
    }
    if (isAwsError(error, 'DBSnapshotNotFoundFault', 'InvalidDBSnapshotStateFault', 'InvalidDBSnapshotState'))
      return undefined;
    const why = inTheWay(error);
    if (why !== undefined) return why;
    throw error;
  }
}

function ignoreGone(error: unknown): void {
  if (!isAwsError(error, 'DBSnapshotNotFoundFault', 'DBSnapshotNotFound')) throw error;
}
