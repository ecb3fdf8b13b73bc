import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { z } from 'zod';
import type { Account } from './account';
import { PostgresError, PostgresNotUsable, errorCode } from './errors';

/** A program that the guardian is to run. */
export interface Program {
  readonly program: string;
  readonly parameters: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Who runs it; without it the one who runs the sandbox. */
  readonly account?: Account | undefined;
  /** Working directory. */
  readonly directory: string;
  /** File that is its standard input. */
  readonly input?: string;
  /** File that its output is appended to. */
  readonly log: string;
}

export type Order =
  | ({ readonly do: 'start'; readonly id: number } & Program)
  | { readonly do: 'signal'; readonly id: number; readonly signal: NodeJS.Signals };

const eventSchema = z.discriminatedUnion('event', [
  z.object({ event: z.literal('started'), id: z.number(), pid: z.number() }),
  z.object({ event: z.literal('failed'), id: z.number(), message: z.string() }),
  z.object({
    event: z.literal('ended'),
    id: z.number(),
    code: z.number().nullable(),
    signal: z.string().nullable(),
  }),
]);
export type Event = z.infer<typeof eventSchema>;

/** How a program ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A program that runs under the guardian. */
export interface GuardedProcess {
  readonly pid: number;
  readonly ended: Promise<Ending>;
  signal(signal: NodeJS.Signals): void;
}

interface Entry {
  pid?: number;
  readonly started: (pid: number) => void;
  readonly failed: (message: string) => void;
  readonly ended: (ending: Ending) => void;
}

/**
 * Runs programs under one small process that outlives the sandbox just long enough to stop them, however the sandbox ends,
 * and then removes `removeDirectoryOnExit` if it is given.
 */
export class Guardian {
  private readonly child: ChildProcess;
  private readonly entries = new Map<number, Entry>();
  private readonly exited: Promise<unknown>;
  private lastId = 0;

  /** `pidFile` holds the process id of the guardian as long as it lives. */
  constructor(options: { pidFile: string; removeDirectoryOnExit?: string | undefined }) {
    const { pidFile, removeDirectoryOnExit } = options;
    this.child = fork(
      join(__dirname, 'guardian-process.mjs'),
      [pidFile, ...(removeDirectoryOnExit === undefined ? [] : [removeDirectoryOnExit])],
      {
        // A session of its own: neither Ctrl-C nor a signal to the sandbox's process group reaches it.
        detached: true,
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
        cwd: '/',
        // Nothing that the sandbox was started with (loaders, inspectors) is loaded into it.
        execArgv: [],
        env: {},
      },
    );
    this.child.on('message', (message) => {
      this.hear(eventSchema.parse(message));
    });
    this.exited = once(this.child, 'exit').then(() => {
      this.lose();
    });
  }

  /** Starts a program. @throws PostgresNotUsable when it cannot be started at all. */
  async run(program: Program): Promise<GuardedProcess> {
    const id = ++this.lastId;
    let ended: (ending: Ending) => void = () => undefined;
    const ending = new Promise<Ending>((resolve) => {
      ended = resolve;
    });
    const pid = await new Promise<number>((resolve, reject) => {
      const failed = (message: string): void => {
        reject(new PostgresNotUsable(`Cannot start ${program.program}.`, { evidence: message }));
      };
      this.entries.set(id, { started: resolve, failed, ended });
      this.order({ do: 'start', id, ...program }, failed);
    });
    return {
      pid,
      ended: ending,
      signal: (signal) => {
        if (this.entries.has(id)) this.order({ do: 'signal', id, signal }, () => undefined);
      },
    };
  }

  /** Ends the guardian and whatever still runs under it; resolves when all that is gone, the directory included. */
  async stop(): Promise<void> {
    if (this.child.connected) this.child.disconnect();
    await this.exited;
  }

  private order(order: Order, failed: (message: string) => void): void {
    if (!this.child.connected) {
      failed('The guardian process has ended.');
      return;
    }
    this.child.send(order, (error) => {
      if (error) failed(error.message);
    });
  }

  private hear(event: Event): void {
    const entry = this.entries.get(event.id);
    if (!entry) return;
    if (event.event === 'started') {
      entry.pid = event.pid;
      entry.started(event.pid);
      return;
    }
    this.entries.delete(event.id);
    if (event.event === 'failed') entry.failed(event.message);
    else entry.ended(event);
  }

  /** Somebody killed the guardian: what it ran is stopped from here. */
  private lose(): void {
    for (const { pid, failed, ended } of this.entries.values()) {
      if (pid === undefined) failed('The guardian process has ended.');
      else {
        try {
          process.kill(pid, 'SIGQUIT');
        } catch (error) {
          if (errorCode(error) !== 'ESRCH') throw error;
        }
        ended({ code: null, signal: 'SIGQUIT' });
      }
    }
    this.entries.clear();
  }
}

/** Runs a program to its end. @throws PostgresError with what `evidence` finds when it does not end with 0. */
export async function runToEnd(
  guardian: Guardian,
  program: Program,
  evidence: () => Promise<string>,
): Promise<void> {
  const started = await guardian.run(program);
  const { code, signal } = await started.ended;
  if (code === 0) return;
  const how = signal === null ? `with ${code ?? 'no'} as its exit status` : `by ${signal}`;
  throw new PostgresError(`${program.program} ended ${how}.`, { evidence: await evidence() });
}
