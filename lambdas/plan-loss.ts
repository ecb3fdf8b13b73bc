import type { PlanResult } from './contract/plan';
import type { FoundRestorePoint, History } from './found-restore-point';

/** What is given up by going back: the writes since, and the migrations. */
export function lossOf(
  found: FoundRestorePoint,
  history: History,
  startTime: string,
): Pick<PlanResult['plan'], 'restorePointAgeMinutes' | 'lossWindowMinutes' | 'migrations'> {
  // The execution's start, not the function's clock: asked again, the plan says the same.
  const minutes = minutesBetween(found.time, startTime);
  return {
    restorePointAgeMinutes: minutes,
    // Nobody writes to what is gone.
    lossWindowMinutes: found.end ? minutesBetween(found.time, found.end.toISOString()) : minutes,
    migrations: migrationsOf(found, history),
  };
}

/** Those that began after the restore point, and those that were pending at it, go. */
function migrationsOf(
  { point, time }: FoundRestorePoint,
  history: History,
): PlanResult['plan']['migrations'] {
  const pending = point.pendingMigrations;
  if ('unknown' in history) return { goAway: pending, stay: null };
  const goes = ({ name, startedAt }: { name: string; startedAt: string | null }): boolean =>
    (pending?.includes(name) ?? false) || (startedAt !== null && new Date(startedAt) > time);
  const stay = history.filter((migration) => !goes(migration));
  return {
    goAway: history.filter(goes).map(({ name }) => name),
    stay: { count: stay.length, newest: stay.at(-1)?.name ?? null },
  };
}

/** From a moment to the start of the execution; 0 where it lies after it. */
export function minutesBetween(time: Date, startTime: string): number {
  return tenthsOf(Math.max(0, Date.parse(startTime) - time.getTime()) / 60_000);
}

/** For people: "7.3 minutes", "5 hours 12 minutes", "3 days 2 hours". */
export function minutesInWords(minutes: number): string {
  if (minutes < 120) return `${tenthsOf(minutes)} minutes`;
  const whole = Math.floor(minutes);
  return whole < 2 * 1440
    ? `${Math.floor(whole / 60)} hours${rest(whole % 60, 'minute')}`
    : `${Math.floor(whole / 1440)} days${rest(Math.floor((whole % 1440) / 60), 'hour')}`;
}

function rest(count: number, unit: string): string {
  return count === 0 ? '' : ` ${count} ${unit}${count === 1 ? '' : 's'}`;
}

/** Minutes as people are told them. */
export function tenthsOf(minutes: number): number {
  return Math.round(minutes * 10) / 10;
}
