import { readFileSync } from 'node:fs';

/** How often it is looked whether those who started us still live, in milliseconds. */
const LOOK = 500;

/**
 * Calls `end` once when this process is asked to end: by a signal, or because whoever started it is gone. npm starts a shell
 * which starts us; told to end, npm ends its shell and leaves us, and when npm is killed its shell stays too. So both the
 * parent and, where the system tells, its parent are looked at.
 */
export function whenAskedToEnd(end: () => void): void {
  const ancestors = livingAncestors();
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
    if (livingAncestors() !== ancestors) ask();
  }, LOOK).unref();
}

/** Parent and grandparent; an orphan gets another parent. */
function livingAncestors(): string {
  return `${process.ppid} ${parentOf(process.ppid)}`;
}

/** Linux only; elsewhere the answer is always the same. */
function parentOf(pid: number): string {
  try {
    return /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';
  } catch {
    return '';
  }
}
