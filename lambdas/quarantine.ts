import type { Tag } from '@aws-sdk/client-rds';
import { decode, encode, entryKeys, readEntries, shortChecksum, writeEntries, type Migration } from './tags';

/**
 * The quarantine: migrations that recoveries took away. It is in the tags of the live instance, where the gate sees it without
 * a further call: `quarantine`, `quarantine-2`, … hold `name:first digits of the checksum:id of the recovery`, newest first, and
 * `quarantine-reason` says why the newest recovery was done. A recovery gives its recovery instance these tags before it becomes
 * the live one, those of the instance before it included.
 */
export interface Quarantined {
  readonly name: string;
  /** First digits of the SHA-256 of its migration.sql; undefined: not known, and no content of that name passes. */
  readonly checksum: string | undefined;
  /** The recovery that took it away. */
  readonly recoveryId: string;
}

const NAME = 'quarantine';
/** Each holds three to five migrations. */
const MAX_QUARANTINE_TAGS = 8;

/** Newest first. */
export function readQuarantine(tags: readonly Tag[] | undefined): Quarantined[] {
  return readEntries(tags, NAME).map((entry) => {
    const [name = '', checksum = '', recoveryId = ''] = entry.split(':');
    return { name: decode(name), checksum: checksum === '' ? undefined : checksum, recoveryId };
  });
}

/** The tags for a quarantine; where they do not hold all, the oldest are let go. */
export function writeQuarantine(quarantine: readonly Quarantined[]): Tag[] {
  const entries = quarantine.map(
    ({ name, checksum = '', recoveryId }) => `${encode(name)}:${checksum}:${recoveryId}`,
  );
  return writeEntries(NAME, entries, MAX_QUARANTINE_TAGS);
}

/** Those that a recovery takes away, before those that are in quarantine already; a name is in it once. */
export function addToQuarantine(
  quarantine: readonly Quarantined[],
  takenAway: readonly Migration[],
  recoveryId: string,
): Quarantined[] {
  const added = [...takenAway].reverse().map(({ name, checksum }) => ({
    name,
    checksum: checksum === undefined ? undefined : shortChecksum(checksum),
    recoveryId,
  }));
  return [...added, ...quarantine.filter(({ name }) => !takenAway.some((one) => one.name === name))];
}

/** Keys of all tags of the quarantine, for RemoveTagsFromResource. */
export function quarantineKeys(tags: readonly Tag[] | undefined): string[] {
  return entryKeys(tags, NAME);
}

/** Of the pending migrations those in quarantine that are unchanged, and those that were changed since. */
export function judge(
  pending: readonly Migration[],
  quarantine: readonly Quarantined[],
): { refused: Quarantined[]; changed: Quarantined[] } {
  const refused: Quarantined[] = [];
  const changed: Quarantined[] = [];
  for (const { name, checksum } of pending) {
    const held = quarantine.find((one) => one.name === name);
    if (!held) continue;
    const isChanged =
      checksum !== undefined && held.checksum !== undefined && !checksum.startsWith(held.checksum);
    (isChanged ? changed : refused).push(held);
  }
  return { refused, changed };
}
