import type { Tag } from '@aws-sdk/client-rds';
import { digestOf } from './names';
import {
  allowed,
  cut,
  decode,
  encode,
  entryKeys,
  heldName,
  readEntries,
  shortChecksum,
  writeEntries,
  type Migration,
} from './tags';

/**
 * The quarantine: migrations that recoveries took away. It is in the tags of the live instance, where the gate sees it without
 * a further call: `quarantine`, `quarantine-2`, … hold `name:first digits of the checksum:id of the recovery`, newest first, and
 * `quarantine-reason` says why the newest recovery was done. A recovery gives its recovery instance these tags before it becomes
 * the live one, those of the instance before it included.
 *
 * A person lifts it for one migration by a tag beside it, `lifted-<digest of the name>` = `time recovery who reason`. The entry
 * stays, so two persons who lift two migrations at the same moment do not undo each other; the next recovery leaves both out.
 */
export interface Quarantined {
  /** As `heldName` writes it. */
  readonly name: string;
  /** First digits of the SHA-256 of its migration.sql; undefined: not known, and no content of that name passes. */
  readonly checksum: string | undefined;
  /** The recovery that took it away. */
  readonly recoveryId: string;
  /** Who let it pass again; only for the recovery that it was taken away by. */
  readonly lift?: Lift;
}

export interface Lift {
  readonly by: string;
  /** ISO 8601. */
  readonly at: string;
  readonly reason: string;
}

const NAME = 'quarantine';
/** Each holds three to five migrations. */
const MAX_QUARANTINE_TAGS = 8;

/** Newest first, the lifted ones among them. */
export function readQuarantine(tags: readonly Tag[] | undefined): Quarantined[] {
  return readEntries(tags, NAME).map((entry) => {
    const [encoded = '', checksum = '', recoveryId = ''] = entry.split(':');
    const name = decode(encoded);
    const lift = readLift(tags, { name, recoveryId });
    return { name, checksum: checksum === '' ? undefined : checksum, recoveryId, ...(lift && { lift }) };
  });
}

/** The tags for a quarantine; where they do not hold all, the oldest are let go. */
export function writeQuarantine(
  quarantine: readonly Quarantined[],
  maxTags: number = MAX_QUARANTINE_TAGS,
): Tag[] {
  const entries = quarantine.map(
    ({ name, checksum = '', recoveryId }) => `${encode(name)}:${checksum}:${recoveryId}`,
  );
  return writeEntries(NAME, entries, Math.min(maxTags, MAX_QUARANTINE_TAGS));
}

/**
 * Those that a recovery is expected to take away, before those that are in quarantine already. A name may be in it twice until it is
 * known what was taken away: the earlier recovery's entry stands, if this one takes that migration away no more.
 */
export function addToQuarantine(
  quarantine: readonly Quarantined[],
  takenAway: readonly Migration[],
  recoveryId: string,
): Quarantined[] {
  const added = [...takenAway].reverse().map(({ name, checksum }) => ({
    name: heldName(name),
    checksum: checksum === undefined ? undefined : shortChecksum(checksum),
    recoveryId,
  }));
  return [...added, ...quarantine.filter(({ lift }) => lift === undefined)];
}

/**
 * The quarantine once it is known what a recovery took away: that, and no more, instead of what the restore points let expect; then
 * those of earlier recoveries, each name once. Where the database does not know a checksum, that of the restore point stays.
 * @param takenAway undefined: not known, and what the restore points say stands
 */
export function correctQuarantine(
  quarantine: readonly Quarantined[],
  takenAway: readonly Migration[] | undefined,
  recoveryId: string,
): Quarantined[] {
  const known = takenAway?.map(({ name, checksum }) => ({
    name,
    checksum: checksum ?? quarantine.find((held) => held.name === heldName(name))?.checksum,
  }));
  const all = known
    ? addToQuarantine(
        quarantine.filter((held) => held.recoveryId !== recoveryId),
        known,
        recoveryId,
      )
    : quarantine;
  return all.filter(({ name }, index) => all.findIndex((one) => one.name === name) === index);
}

/** Keys of all tags of the quarantine, for RemoveTagsFromResource. */
export function quarantineKeys(tags: readonly Tag[] | undefined): string[] {
  return entryKeys(tags, NAME);
}

/** The tag that lifts the quarantine for one migration. */
export function writeLift(held: Pick<Quarantined, 'name' | 'recoveryId'>, { by, at, reason }: Lift): Tag[] {
  const who = encode(cut(by, 80));
  return writeEntries(liftName(held.name), [allowed(`${at} ${held.recoveryId} ${who} ${reason}`)], 1);
}

function readLift(
  tags: readonly Tag[] | undefined,
  held: Pick<Quarantined, 'name' | 'recoveryId'>,
): Lift | undefined {
  const [at, recoveryId, who, ...reason] = readEntries(tags, liftName(held.name));
  if (at === undefined || who === undefined || recoveryId !== held.recoveryId) return undefined;
  return { at, by: decode(who), reason: reason.join(' ') };
}

function liftName(name: string): string {
  return `lifted-${digestOf(name)}`;
}

/**
 * Of the pending migrations those in quarantine: unchanged, changed since, and those that somebody lifted it for.
 */
export function judge(
  pending: readonly Migration[],
  quarantine: readonly Quarantined[],
): { refused: Quarantined[]; changed: Quarantined[]; lifted: (Quarantined & { lift: Lift })[] } {
  const refused: Quarantined[] = [];
  const changed: Quarantined[] = [];
  const lifted: (Quarantined & { lift: Lift })[] = [];
  for (const { name, checksum } of pending) {
    const isChanged = (held: Quarantined): boolean =>
      checksum !== undefined && held.checksum !== undefined && !checksum.startsWith(held.checksum);
    // Twice in it while the newest recovery has not come to its end: then each content counts. Whoever lifts it means the name.
    const [held, ...earlier] = quarantine.filter((one) => one.name === heldName(name));
    if (!held) continue;
    const unchanged = [held, ...earlier].find((one) => !isChanged(one));
    if (held.lift) lifted.push({ ...held, lift: held.lift });
    else if (unchanged) refused.push(unchanged);
    else changed.push(held);
  }
  return { refused, changed, lifted };
}
