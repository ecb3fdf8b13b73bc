/** How often it is looked whether the parent still lives, in milliseconds. */
const LOOK = 500;

/**
 * Calls `end` once when this process is asked to end: by a signal, or because whoever started it is gone. npm, told to end,
 * ends its shell and leaves what the shell started, so a signal alone does not reach us.
 */
export function whenAskedToEnd(end: () => void): void {
  const parent = process.ppid;
  let asked = false;
  const ask = (): void => {
    if (asked) return;
    asked = true;
    clearInterval(looking);
    process.stderr.write('\nStopping the sandbox …\n');
    end();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, ask);
  const looking = setInterval(() => {
    if (process.ppid !== parent) ask();
  }, LOOK).unref();
}
