import { beginBaseBackup } from './automated-backups';
import { applyPending } from './modify';
import type { Rds } from './rds';
import { isIdle, type InstanceRecord } from './state';

/** A third of the shortest window that RDS takes: what belongs in one begins there. */
const EVERY = 10 * 60 * 1000;
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/**
 * What RDS does by itself: a backup a day in the backup window, pending changes in the maintenance window. It looks every ten
 * minutes, in the background, so that it never pulls a virtual clock forward. Returns a function that ends it.
 */
export function startUpkeep(rds: Rds): () => void {
  const { clock } = rds.context;
  let cancel: () => void = () => undefined;
  const arm = (): void => {
    const { attendedAt: since, instances } = rds.state;
    cancel = clock.schedule(
      new Date(since.getTime() + EVERY),
      () => {
        const now = clock.now();
        for (const instance of instances.values()) attend(rds, instance, since, now);
        rds.state.attendedAt = now;
        arm();
      },
      { background: true },
    );
  };
  arm();
  return () => {
    cancel();
  };
}

function attend(rds: Rds, instance: InstanceRecord, since: Date, now: Date): void {
  if (!isIdle(instance)) return;
  const { preferredBackupWindow, preferredMaintenanceWindow } = instance.settings;
  const maintenance = /^(\w{3}):(\d\d):(\d\d)/.exec(preferredMaintenanceWindow.toLowerCase());
  if (maintenance) {
    const [, day = '', hour, minute] = maintenance;
    const begins = lastTime(now, Number(hour), Number(minute), DAYS.indexOf(day));
    if (begins > since) applyPending(rds, instance);
  }
  const backup = /^(\d\d):(\d\d)/.exec(preferredBackupWindow);
  if (backup && rds.state.automatedBackups.has(instance.dbiResourceId)) {
    const begins = lastTime(now, Number(backup[1]), Number(backup[2]));
    if (begins > since) {
      beginBaseBackup(rds, instance, 'dailyBackup');
    }
  }
}

/** The last time that it was this time of day (UTC), on this day of the week if one is given. */
function lastTime(now: Date, hour: number, minute: number, weekday?: number): Date {
  const time = new Date(now);
  time.setUTCHours(hour, minute, 0, 0);
  while (time > now || (weekday !== undefined && time.getUTCDay() !== weekday)) {
    time.setUTCDate(time.getUTCDate() - 1);
  }
  return time;
}
