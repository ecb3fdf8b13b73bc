import { restoreCommand } from './wal-commands';

/** Settings that end with the recovery they are for: given on the command line, so that no file has to forget them. */
export function recoveryParameters(target: {
  /** Directories to fetch WAL from; the first that has a file wins. */
  wal: readonly string[];
  /** Commits up to the end of this millisecond are replayed; without it replay ends where the backup is consistent. */
  time?: Date;
}): string[] {
  const settings = {
    restore_command: restoreCommand(target.wal),
    recovery_target_action: 'promote',
    // Nobody logs in before the target is reached, and settings may be smaller than those of the source.
    hot_standby: 'off',
    ...(target.time ? { recovery_target_time: recoveryTime(target.time) } : { recovery_target: 'immediate' }),
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** PostgreSQL counts microseconds, a Date milliseconds: all of the millisecond is meant. */
function recoveryTime(time: Date): string {
  return time.toISOString().replace('T', ' ').replace(/Z$/, '999+00');
}
