// @ts-check
/**
 * The small parent of every PostgreSQL process of one sandbox. It lives exactly as long as its channel to the sandbox: when
 * the sandbox ends, even by SIGKILL, it stops the processes, removes the sandbox's directory if that is its duty, and ends.
 * Orders and events are described in guardian.ts.
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, rmSync, writeFileSync } from 'node:fs';

/** @typedef {import('./guardian').Order} Order */
/** @typedef {import('./guardian').Event} Event */

const [, , pidFile = '', directoryToRemove] = process.argv;
writeFileSync(pidFile, `${process.pid}\n`);

/** @type {Map<number, import('node:child_process').ChildProcess>} */
const running = new Map();
let ending = false;

/** @param {Event} event */
function tell(event) {
  if (process.connected) process.send?.(event);
}

/** @param {Extract<Order, { do: 'start' }>} order */
function start({ id, program, parameters, environment, account, directory, input, log }) {
  const output = openSync(log, 'a', 0o600);
  const standardInput = input === undefined ? 'ignore' : openSync(input, 'r');
  const child = spawn(program, parameters, {
    cwd: directory,
    env: environment,
    stdio: [standardInput, output, output],
    windowsHide: true,
    ...account,
  });
  closeSync(output);
  if (typeof standardInput === 'number') closeSync(standardInput);
  child.on('error', (error) => {
    running.delete(id);
    tell({ event: 'failed', id, message: error.message });
  });
  child.on('exit', (code, signal) => {
    running.delete(id);
    tell({ event: 'ended', id, code, signal });
  });
  if (child.pid === undefined) return;
  running.set(id, child);
  tell({ event: 'started', id, pid: child.pid });
}

/** @param {Order} order */
function obey(order) {
  if (order.do === 'signal') {
    running.get(order.id)?.kill(order.signal);
    return;
  }
  try {
    start(order);
  } catch (error) {
    tell({ event: 'failed', id: order.id, message: error instanceof Error ? error.message : String(error) });
  }
}

/** @param {() => boolean} condition @param {number} milliseconds */
async function until(condition, milliseconds) {
  const deadline = Date.now() + milliseconds;
  while (!condition() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
  return condition();
}

async function end() {
  if (ending) return;
  ending = true;
  // SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one.
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGQUIT', 'SIGKILL'])) {
    for (const child of running.values()) child.kill(signal);
    if (await until(() => running.size === 0, 3_000)) break;
  }
  rmSync(pidFile, { force: true });
  // Other children of a killed sandbox may still write for a moment.
  if (directoryToRemove !== undefined) {
    await until(() => {
      try {
        rmSync(directoryToRemove, { recursive: true, force: true });
      } catch {
        return false;
      }
      return !existsSync(directoryToRemove);
    }, 20_000);
  }
  process.exit();
}

process.on('message', (message) => {
  obey(/** @type {Order} */ (message));
});
process.on('disconnect', () => void end());
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void end());
// Should the sandbox have died before the handlers stood.
if (!process.connected) void end();
