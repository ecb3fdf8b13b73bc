import { spawn, type ChildProcess } from 'node:child_process';

/**
 * Kills what it was told of as soon as its standard input ends, which is when the process ends that told it. A process
 * cannot see to this itself while it is kept busy.
 */
const WATCHDOG = `
  const pids = new Set();
  let rest = '';
  process.stdin.setEncoding('utf8').on('data', (text) => {
    const lines = (rest + text).split('\\n');
    rest = lines.pop();
    for (const line of lines) pids[line[0] === '+' ? 'add' : 'delete'](Number(line.slice(1)));
  });
  process.stdin.on('error', () => undefined).on('close', () => {
    for (const pid of pids) try { process.kill(pid, 'SIGKILL'); } catch { /* It has ended. */ }
  });`;

const watched = new Set<number>();
let watchdog: ReturnType<typeof start> | undefined;

/** Sees to it that a child process ends with this process, however that ends. It must not have been given work before. */
export function endWithThisProcess(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined) return;
  watched.add(pid);
  watchdog ??= start();
  watchdog.stdin.write(`+${pid}\n`);
  child.once('exit', () => {
    watched.delete(pid);
    watchdog?.stdin.write(`-${pid}\n`);
    if (watched.size > 0) return;
    watchdog?.stdin.end();
    watchdog = undefined;
  });
}

function start() {
  const started = spawn(process.execPath, ['-e', WATCHDOG], {
    // A session of its own: neither Ctrl-C nor a signal to this process's group reaches it.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
    env: {},
  });
  started.unref();
  started.stdin.on('error', () => undefined);
  return started;
}
