import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** How long a task may take to end after SIGTERM before it is killed, in milliseconds of real time: ECS's default. */
const STOP_TIMEOUT = 30_000;

/** The process of a running task: the command of its container. */
export class TaskProcess {
  private readonly child: ChildProcess;
  readonly ended: Promise<number>;

  constructor(
    command: readonly string[],
    environment: Readonly<Record<string, string>>,
    onLine: (line: string) => void,
  ) {
    this.child = spawn(process.execPath, [join(__dirname, 'task-process.cjs'), ...command], {
      env: { PATH: process.env['PATH'] ?? '', ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.child.stdin?.on('error', () => undefined);
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        for (const line of text.split('\n')) if (line !== '') onLine(line);
      });
    this.ended = once(this.child, 'exit').then(([code]: unknown[]) =>
      typeof code === 'number' ? code : 137,
    );
  }

  /** Asks the process to end, and kills it if it does not. */
  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => {
      this.kill();
    }, STOP_TIMEOUT);
    await this.ended;
    clearTimeout(timer);
  }

  /** Ends the process at once: its guardian kills it when its input closes. */
  kill(): void {
    this.child.stdin?.end();
  }
}
