import {
  CopyDBSnapshotCommand,
  ModifyDBSnapshotAttributeCommand,
  type DBSnapshot,
  type RDSClient,
} from '@aws-sdk/client-rds';
import type * as z from 'zod/mini';
import type { BringBackCopyEvent, BringBackCopyResult } from '../contract/copies';
import type { CopyRules } from '../contract/rules';
import type { EnvironmentName } from '../contract/settings';
import { copyTags, isCopied } from '../copies';
import { RestorePointNotFound, SnapshotQuotaExceeded, SnapshotUnusable, isAwsError } from '../errors';
import { findSnapshot } from '../rds';
import { good } from '../retention';
import { listOwnSnapshots, type OwnSnapshot } from '../snapshot-catalogue';
import { QUOTA_HINT } from '../snapshot-quota';
import { readSettings } from '../stored-settings';
import { readMarks } from '../tags';
import type { Vault } from '../vault';

export interface BringBackCopyDeps {
  readonly rds: RDSClient;
  /** The copies in another Region; undefined where there are none. */
  readonly copies?: { readonly elsewhere: RDSClient; readonly rules: CopyRules } | undefined;
  /** Those in another account; undefined where there are none. */
  readonly vault?: Vault | undefined;
  readonly environment: EnvironmentName;
  readonly now: () => Date;
}

/** Where copies are. */
interface Place {
  readonly name: string;
  readonly rds: RDSClient;
  /** Lets the account of the database have a copy. */
  readonly share: (snapshotId: string) => Promise<void>;
}

/** The reaper leaves it alone for so long, however old it is. */
const KEPT_DAYS = 7;
/** Under which the database was, where nobody says otherwise. */
const DEFAULT_KEY = 'alias/aws/rds';

/**
 * Copies a copy back to where the database is, under the name and with the tags of the snapshot that is gone, so that a recovery
 * takes it for what it is. It does not wait; asked again, it says how far it is. Throws RestorePointNotFound, SnapshotUnusable,
 * SnapshotQuotaExceeded.
 */
export async function bringBackCopy(
  event: z.infer<typeof BringBackCopyEvent>,
  deps: BringBackCopyDeps,
): Promise<BringBackCopyResult> {
  const { rds, environment } = deps;
  const places = placesOf(event.from, deps);
  const id = event.snapshotId ?? (await newestCopy(places, environment));
  const present = await findSnapshot(rds, id);
  if (present) return answer(present, id, deps);
  const { copy, place } = await findCopy(id, places, environment);
  await place.share(id);
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
      source: copy.DBSnapshotArn ?? null,
      progressPercent: DBSnapshot?.PercentProgress ?? 0,
    };
  } catch (error) {
    if (isAwsError(error, 'DBSnapshotAlreadyExistsFault', 'DBSnapshotAlreadyExists')) {
      const made = await findSnapshot(rds, id);
      if (made) return answer(made, id, deps);
    }
    // That it is shared is not known here yet: the next call finds it.
    if (isAwsError(error, 'DBSnapshotNotFoundFault', 'DBSnapshotNotFound'))
      return { status: 'copying', snapshotId: id, source: copy.DBSnapshotArn ?? null, progressPercent: 0 };
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

function placesOf(from: 'region' | 'vault' | undefined, { copies, vault }: BringBackCopyDeps): Place[] {
  const region: Place[] = copies
    ? [{ name: copies.rules.region, rds: copies.elsewhere, share: () => Promise.resolve() }]
    : [];
  const account: Place[] = vault
    ? [
        {
          name: `account ${vault.rules.account}`,
          rds: vault.rds,
          share: async (snapshotId) => {
            await vault.rds.send(
              new ModifyDBSnapshotAttributeCommand({
                DBSnapshotIdentifier: snapshotId,
                AttributeName: 'restore',
                ValuesToAdd: [vault.rules.homeAccount],
              }),
            );
          },
        },
      ]
    : [];
  const places = from === undefined ? [...region, ...account] : from === 'region' ? region : account;
  if (places.length > 0) return places;
  throw new RestorePointNotFound(
    from === 'region' ? 'Nothing is copied to another Region.' : 'Nothing is copied to another account.',
    'Leave "from" out, to have the copy from wherever it is.',
  );
}

async function newestCopy(places: readonly Place[], environment: EnvironmentName): Promise<string> {
  const found: OwnSnapshot[] = [];
  for (const { rds } of places) found.push(...(await listOwnSnapshots(rds, environment, undefined)));
  const [newest] = good(found).filter(isCopied);
  if (newest) return newest.id;
  throw new RestorePointNotFound(
    `There is no available copy of a snapshot of ${environment} in ${nameAll(places)}.`,
    'Restore to a time instead, where the automated backups are still there.',
  );
}

/** In the first place that has it. */
async function findCopy(
  id: string,
  places: readonly Place[],
  environment: EnvironmentName,
): Promise<{ copy: DBSnapshot; place: Place }> {
  const unusable: string[] = [];
  for (const place of places) {
    const copy = await findSnapshot(place.rds, id);
    const marked = readMarks(copy?.TagList).environment;
    if (copy?.Status === 'available' && marked === environment) return { copy, place };
    if (copy)
      unusable.push(
        `In ${place.name} snapshot ${id} is "${copy.Status ?? 'unknown'}", of environment "${marked ?? 'none'}".`,
      );
  }
  throw new RestorePointNotFound(
    unusable.length > 0
      ? unusable.join(' ')
      : `There is no snapshot "${id}", neither here nor in ${nameAll(places)}.`,
    `Only an available copy of ${environment} can be brought back; ${environment}-restore-points lists them.`,
  );
}

function nameAll(places: readonly Place[]): string {
  return places.map(({ name }) => name).join(' and ');
}

function answer(
  snapshot: DBSnapshot,
  snapshotId: string,
  { environment }: BringBackCopyDeps,
): BringBackCopyResult {
  const isOurs = readMarks(snapshot.TagList).environment === environment;
  if (isOurs && snapshot.Status === 'available')
    return { status: 'available', snapshotId, restore: { to: 'snapshot', snapshotId } };
  if (isOurs && (snapshot.Status === 'creating' || snapshot.Status === 'copying'))
    return {
      status: 'copying',
      snapshotId,
      source: snapshot.SourceDBSnapshotIdentifier ?? null,
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
