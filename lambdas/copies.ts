import type { Tag } from '@aws-sdk/client-rds';
import type { CopyRetention } from './contract/rules';
import { isAwsError } from './errors';
import { decide, type KnownSnapshot } from './retention';
import type { OwnSnapshot } from './snapshot-catalogue';
import { MAX_TAGS, customerTags, systemTags, tagKeys, writeMarks } from './tags';

/** What is copied to another Region or account, for how long, and under which tags (docs/decisions/0025-copies.md). */

const DAY = 86_400_000;

/** What a recovery goes back to. Safety and final snapshots are of the database that the recovery was to get away from. */
const COPIED: readonly string[] = ['pre-migration', 'scheduled'] satisfies KnownSnapshot['role'][];

export function isCopied({ role }: Pick<KnownSnapshot, 'role'>): boolean {
  return COPIED.includes(role);
}

/** Counted from when the snapshot was taken, not from when it was copied. */
export function copyExpiry(
  { takenAt, role }: Pick<KnownSnapshot, 'takenAt' | 'role'>,
  rules: CopyRetention,
): Date {
  const days = role === 'scheduled' ? Math.max(rules.dailyDays, rules.weeklyDays) : rules.preMigrationDays;
  return new Date(takenAt.getTime() + days * DAY);
}

/**
 * The snapshots whose copies are missing, newest first. One that the reaper would delete again is not made: the table of the
 * copies is asked what would stay if all of them were there.
 */
export function copiesToMake(
  snapshots: readonly OwnSnapshot[],
  copies: readonly OwnSnapshot[],
  rules: CopyRetention,
  now: Date,
): OwnSnapshot[] {
  const there = new Set(copies.map(({ id }) => id));
  const missing = snapshots.filter(
    (snapshot) => isCopied(snapshot) && snapshot.isAvailable && !there.has(snapshot.id),
  );
  const all: KnownSnapshot[] = [
    ...copies.map((copy) => ({ ...copy, isAvailable: copy.status !== 'failed' })),
    ...missing.map((snapshot) => ({
      ...snapshot,
      madeAt: snapshot.takenAt,
      expiresAt: copyExpiry(snapshot, rules),
      keptFor: undefined,
    })),
  ];
  const stays = new Set(
    decide(all, rules, now).flatMap((decision) => (decision.delete ? [] : [decision.id])),
  );
  return missing.filter(({ id }) => stays.has(id)).sort((a, b) => b.takenAt.getTime() - a.takenAt.getTime());
}

/**
 * The tags of a copy: those of the snapshot, with an expiry of its own and without a hold, which is on the snapshot alone. They
 * are given one by one, since CopyTags fails on those of AWS itself. Of too many the customer's last ones are left out.
 */
export function copyTags(tags: readonly Tag[] | undefined, expiresAt: Date): Tag[] {
  const replaced = tagKeys('expires-at', 'hold');
  const own = [
    ...systemTags(tags).filter(({ Key = '' }) => !replaced.includes(Key)),
    ...writeMarks({ 'expires-at': expiresAt.toISOString() }),
  ];
  return [...own, ...customerTags(tags).slice(0, Math.max(0, MAX_TAGS - own.length))];
}

/** What stands in the way of a copy, and not of this system: a quota, a key, a role. AWS's words say which. */
const IN_THE_WAY = [
  'SnapshotQuotaExceededFault',
  'SnapshotQuotaExceeded',
  'SharedSnapshotQuotaExceededFault',
  'SharedSnapshotQuotaExceeded',
  'KMSKeyNotAccessibleFault',
  'InvalidParameterValue',
] as const;

/** AWS's words, where it does not make a copy for a reason of that kind. */
export function inTheWay(error: unknown): string | undefined {
  return isAwsError(error, ...IN_THE_WAY) && error instanceof Error
    ? `${error.name}: ${error.message}.`
    : undefined;
}
