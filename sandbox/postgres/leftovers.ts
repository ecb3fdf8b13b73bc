import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PostgresNotUsable, errorCode } from './errors';

/** What processes that are gone have left behind: a guardian that still ends its servers, a server that nobody ended. */

const POLL_MS = 20;
const PATIENCE_MS = 30_000;

/** A process of which this is part of the command line. A process id alone may be somebody else's by now. */
async function isRunning(pid: number, commandPart: string): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (errorCode(error) !== 'EPERM') return false;
  }
  if (process.platform !== 'linux') return true;
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return command.includes(commandPart);
}

async function isGone(pid: number, commandPart: string, milliseconds: number): Promise<boolean> {
  const deadline = Date.now() + milliseconds;
  while (await isRunning(pid, commandPart)) {
    if (Date.now() > deadline) return false;
    await delay(POLL_MS);
  }
  return true;
}

async function firstLineAsPid(file: string): Promise<number | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const pid = Number(text.split('\n')[0]);
  return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined;
}

/** Ends the server of an earlier process on this data directory, if it outlived its guardian. */
export async function endLeftoverServer(data: string): Promise<void> {
  const pid = await firstLineAsPid(join(data, 'postmaster.pid'));
  if (pid === undefined || !(await isRunning(pid, data))) return;
  // SIGQUIT is PostgreSQL's immediate shutdown.
  for (const signal of ['SIGQUIT', 'SIGKILL'] as const) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (errorCode(error) !== 'ESRCH') throw error;
    }
    if (await isGone(pid, data, PATIENCE_MS / 3)) return;
  }
}

/**
 * Waits for the guardian of an earlier process in the same directory: it lives until it has stopped its servers.
 * @throws PostgresNotUsable when it goes on, since a sandbox that runs has its guardian
 */
export async function guardianGone(pidFile: string): Promise<void> {
  const pid = await firstLineAsPid(pidFile);
  if (pid === undefined || (await isGone(pid, 'guardian-process', PATIENCE_MS))) return;
  throw new PostgresNotUsable('Another sandbox uses this directory.', {
    evidence: `${pidFile} names process ${pid}, which runs.`,
    hint: 'Stop that sandbox, or give this one a directory of its own.',
  });
}
