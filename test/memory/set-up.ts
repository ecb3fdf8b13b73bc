import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const MEMORY = '/dev/shm';
/** What the directory's name begins with; the process id of the run follows. */
export const PREFIX = join(MEMORY, 'migration-rollback-test-');
/** The tests of a whole run never have more than a quarter of it at a time. */
const NEEDED = 8 * 2 ** 30;

/**
 * Puts the temporary files of the tests into memory, where there is enough: every data directory is a thousand small files,
 * and on a disk's file system to make them takes ten times as long. TMPDIR, where it is set, is where they go.
 */
export default function setUp(): void {
  if (process.env['TMPDIR'] !== undefined || !hasRoom()) return;
  removeLeftovers();
  const directory = mkdtempSync(`${PREFIX}${process.pid}-`);
  // PostgreSQL runs as another user when this runs as root.
  chmodSync(directory, 0o755);
  if (runsPrograms(directory)) process.env['TMPDIR'] = directory;
  else rmSync(directory, { recursive: true });
}

/** Of runs that were killed. */
function removeLeftovers(): void {
  for (const name of readdirSync(MEMORY)) {
    const path = join(MEMORY, name);
    const [, pid] = path.startsWith(PREFIX) ? (/^(\d+)-/.exec(path.slice(PREFIX.length)) ?? []) : [];
    if (pid !== undefined && hasEnded(Number(pid))) rmSync(path, { recursive: true, force: true });
  }
}

/** False for what another user runs, which may not be asked. */
function hasEnded(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH';
  }
}

function hasRoom(): boolean {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    return Math.min(bavail * bsize, process.availableMemory()) >= NEEDED;
  } catch {
    return false;
  }
}

/** A copy of PostgreSQL may have to be run from there. */
function runsPrograms(directory: string): boolean {
  const program = join(directory, 'program');
  writeFileSync(program, '#!/bin/sh\n', { mode: 0o755 });
  try {
    execFileSync(program);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(program);
  }
}
