import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** Another sandbox, still alive, works in the directory. */
export class DirectoryInUse extends Error {
  override readonly name = 'DirectoryInUse';

  constructor(directory: string, pid: number) {
    super(
      `The state directory ${directory} is in use: the sandbox with process id ${pid} works in it. ` +
        `HINT: stop that one first (Ctrl-C, or kill ${pid}), or give another directory.`,
    );
  }
}

const Holder = z.object({
  pid: z.int(),
  /** Tells the process from a later one with the same id. */
  born: z.string(),
});
type Holder = z.infer<typeof Holder>;

/**
 * Takes a directory for this process alone. A dead process holds nothing, however it ended. Returns a function that lets go.
 *
 * @throws DirectoryInUse
 */
export function lockDirectory(directory: string): () => void {
  const lock = join(directory, 'lock');
  const own = join(directory, `lock.${process.pid}`);
  const me: Holder = { pid: process.pid, born: birthOf(process.pid) ?? '' };
  const written = JSON.stringify(me);
  writeFileSync(own, written);
  try {
    for (;;) {
      // A link is made whole or not at all, and never over another.
      if (tryLink(own, lock)) break;
      const found = readIfThere(lock);
      if (found === undefined) continue;
      const holder = parse(found);
      if (holder && birthOf(holder.pid) === holder.born) throw new DirectoryInUse(directory, holder.pid);
      takeAway(lock, found, `${own}.dead`);
    }
  } finally {
    rmSync(own, { force: true });
  }
  return () => {
    if (readIfThere(lock) === written) rmSync(lock, { force: true });
  };
}

/** Removes a dead process's lock; if meanwhile it has become another's, that one gets it back. */
function takeAway(lock: string, dead: string, aside: string): void {
  try {
    renameSync(lock, aside);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return;
    throw error;
  }
  if (readIfThere(aside) !== dead) tryLink(aside, lock);
  rmSync(aside, { force: true });
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function parse(text: string): Holder | undefined {
  try {
    return Holder.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/**
 * When a process was started, as far as the system tells (Linux: in ticks since the machine's start); undefined when there is
 * no such process. A zombie is none: it only waits for its parent to look at how it ended.
 */
function birthOf(pid: number): string | undefined {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it is there and another user's.
    if (!isCode(error, 'EPERM')) return undefined;
  }
  const stat = readStat(pid);
  if (stat === undefined) return '';
  // What follows the name, which may hold anything, in parentheses: state is the first field, start time the twentieth.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? undefined : fields[19];
}

function readStat(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
}

function isCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}
