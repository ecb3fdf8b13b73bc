import type { RetentionRules } from './contract/rules';

/** A snapshot of this system, as far as it matters for whether it stays. */
export interface KnownSnapshot {
  readonly id: string;
  readonly role: 'pre-migration' | 'scheduled' | 'safety' | 'final';
  readonly takenAt: Date;
  /** When it came to where it is: of a copy later than `takenAt`. */
  readonly madeAt: Date;
  /** Undefined where its tag is missing or unreadable. */
  readonly expiresAt: Date | undefined;
  readonly isAvailable: boolean;
  /** Something that somebody else decided and that keeps it: a hold, a quarantine, a copy under way. */
  readonly keptFor: string | undefined;
}

export interface Decision {
  readonly id: string;
  readonly delete: boolean;
  readonly why: string;
}

const DAY = 86_400_000;

/**
 * What stays and what goes, with the reason. Pure: the same snapshots, rules and moment give the same answer, and what stays
 * today is not needed for what stays tomorrow.
 */
export function decide(snapshots: readonly KnownSnapshot[], rules: RetentionRules, now: Date): Decision[] {
  const newest = new Set(
    good(snapshots)
      .slice(0, rules.keepNewest)
      .map(({ id }) => id),
  );
  const ofTheirWeek = firstOfEachWeek(snapshots);
  return snapshots.map((snapshot) => {
    const keep = (why: string): Decision => ({ id: snapshot.id, delete: false, why });
    const drop = (why: string): Decision => ({ id: snapshot.id, delete: true, why });
    const { expiresAt } = snapshot;
    if (snapshot.keptFor !== undefined) return keep(snapshot.keptFor);
    if (newest.has(snapshot.id)) return keep(`one of the newest ${rules.keepNewest} good ones`);
    if (expiresAt === undefined) return keep('has no readable expiry');
    if (expiresAt <= now) return drop(`expired at ${expiresAt.toISOString()}`);
    if (snapshot.role !== 'scheduled') return keep(`until ${expiresAt.toISOString()}`);
    // One that was brought back, however old it is, is not thinned out the day after.
    if (now.getTime() - snapshot.madeAt.getTime() < rules.dailyDays * DAY)
      return keep(`younger than ${rules.dailyDays} days`);
    if (ofTheirWeek.has(snapshot.id)) return keep(`the one of its week, until ${expiresAt.toISOString()}`);
    return drop(`older than ${rules.dailyDays} days, and its week has another one`);
  });
}

/** Those that one can go back to, newest first. */
export function good<T extends KnownSnapshot>(snapshots: readonly T[]): T[] {
  return snapshots
    .filter(({ isAvailable }) => isAvailable)
    .sort((a, b) => b.takenAt.getTime() - a.takenAt.getTime());
}

/** The oldest good scheduled one of each week: the one that stays the oldest, whatever is added later. */
function firstOfEachWeek(snapshots: readonly KnownSnapshot[]): Set<string> {
  const first = new Map<number, string>();
  for (const { id, role, takenAt } of good(snapshots))
    if (role === 'scheduled') first.set(Math.floor(takenAt.getTime() / (7 * DAY)), id);
  return new Set(first.values());
}
