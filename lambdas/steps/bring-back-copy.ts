import { CopyDBSnapshotCommand, type DBSnapshot, type RDSClient } from '@aws-sdk/client-rds';
import type * as z from 'zod/mini';
import type { BringBackCopyEvent, BringBackCopyResult, CopyRules, EnvironmentName } from '../contract';
import { copyTags, isCopied } from '../copies';
import { RestorePointNotFound, SnapshotQuotaExceeded, SnapshotUnusable, isAwsError } from '../errors';
import { findSnapshot } from '../rds';
import { good } from '../retention';
import { listOwnSnapshots } from '../snapshot-catalogue';
import { QUOTA_HINT } from '../snapshot-quota';
import { readSettings } from '../stored-settings';
import { readMarks } from '../tags';

export interface BringBackCopyDeps {
  readonly rds: RDSClient;
  /** In the Region that the copies are in. */
  readonly elsewhere: RDSClient;
  readonly environment: EnvironmentName;
  readonly rules: CopyRules;
  readonly now: () => Date;
}

/** The reaper leaves it alone for so long, however old it is. */
const KEPT_DAYS = 7;
/** Under which the database was, where nobody says otherwise. */
const DEFAULT_KEY = 'alias/aws/rds';

/**
 * Copies a copy back into the Region of the database, under the name and with the tags of the snapshot that is gone, so that a
 * recovery takes it for what it is. It does not wait; asked again, it says how far it is. Throws RestorePointNotFound,
 * SnapshotUnusable, SnapshotQuotaExceeded.
 */
export async function bringBackCopy(
  event: z.infer<typeof BringBackCopyEvent>,
  deps: BringBackCopyDeps,
): Promise<BringBackCopyResult> {
  const { rds, elsewhere, environment, rules } = deps;
  const id = event.snapshotId ?? (await newestCopy(deps));
  const present = await findSnapshot(rds, id);
  if (present) return answer(present, id, deps);
  const copy = await findSnapshot(elsewhere, id);
  if (copy?.Status !== 'available' || readMarks(copy.TagList).environment !== environment)
    throw new RestorePointNotFound(
      copy
        ? `In ${rules.region} snapshot ${id} is "${copy.Status ?? 'unknown'}", of environment "${readMarks(copy.TagList).environment ?? 'none'}".`
        : `There is no snapshot "${id}", neither here nor in ${rules.region}.`,
      `Only an available copy of ${environment} can be brought back; ${environment}-restore-points lists them.`,
    );
  try {
    const { DBSnapshot } = await rds.send(
      new CopyDBSnapshotCommand({
        SourceDBSnapshotIdentifier: copy.DBSnapshotArn,
        TargetDBSnapshotIdentifier: id,
        ...(copy.Encrypted && {
          KmsKeyId: event.kmsKeyId ?? readSettings(copy.TagList)?.KmsKeyId ?? DEFAULT_KEY,
        }),
        Tags: copyTags(copy.TagList, expiry(copy, deps.now())),
      }),
    );
    return {
      status: 'copying',
      snapshotId: id,
      region: rules.region,
      progressPercent: DBSnapshot?.PercentProgress ?? 0,
    };
  } catch (error) {
    if (isAwsError(error, 'DBSnapshotAlreadyExistsFault', 'DBSnapshotAlreadyExists')) {
      const made = await findSnapshot(rds, id);
      if (made) return answer(made, id, deps);
    }
    if (isAwsError(error, 'SnapshotQuotaExceededFault', 'SnapshotQuotaExceeded'))
      throw new SnapshotQuotaExceeded(
        `RDS does not copy: ${error instanceof Error ? error.message : ''}.`,
        QUOTA_HINT,
        { cause: error },
      );
    if (isAwsError(error, 'KMSKeyNotAccessibleFault'))
      throw new SnapshotUnusable(
        `RDS cannot use the key that the database had, or that of the copy: ${error instanceof Error ? error.message : ''}`,
        `Enable the key, or name another one of this Region as "kmsKeyId"; ${DEFAULT_KEY} is always there.`,
        { cause: error },
      );
    throw error;
  }
}

async function newestCopy({ elsewhere, environment, rules }: BringBackCopyDeps): Promise<string> {
  const [newest] = good(await listOwnSnapshots(elsewhere, environment, undefined)).filter(isCopied);
  if (newest) return newest.id;
  throw new RestorePointNotFound(
    `There is no available copy of a snapshot of ${environment} in ${rules.region}.`,
    'Restore to a time instead, where the automated backups are still there.',
  );
}

function answer(
  snapshot: DBSnapshot,
  snapshotId: string,
  { environment, rules }: BringBackCopyDeps,
): BringBackCopyResult {
  const isOurs = readMarks(snapshot.TagList).environment === environment;
  if (isOurs && snapshot.Status === 'available')
    return { status: 'available', snapshotId, restore: { to: 'snapshot', snapshotId } };
  if (isOurs && (snapshot.Status === 'creating' || snapshot.Status === 'copying'))
    return {
      status: 'copying',
      snapshotId,
      region: rules.region,
      progressPercent: snapshot.PercentProgress ?? 0,
    };
  throw new SnapshotUnusable(
    `Snapshot ${snapshotId} is here already, "${snapshot.Status ?? 'unknown'}"${isOurs ? '' : ' and not one of this environment by its tags'}.`,
    'Look at it, and delete it; then ask again.',
  );
}

/** That of the copy, but not before somebody has had the time to recover from it. */
function expiry({ TagList }: DBSnapshot, now: Date): Date {
  const own = Date.parse(readMarks(TagList)['expires-at'] ?? '');
  const least = now.getTime() + KEPT_DAYS * 86_400_000;
  return new Date(Number.isNaN(own) ? least : Math.max(own, least));
}
