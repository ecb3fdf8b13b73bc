import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import type { Destination } from '../network/network';
import { endWithThisProcess } from './watchdog';

/** What a handler that threw, or an environment that broke, answers: the payload of a FunctionError. */
export interface Failure {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly trace?: readonly string[];
}

export type Outcome = { readonly payload: string } | { readonly error: Failure };

/** A name that leads to the sandbox instead of the internet, for TLS connections of functions. */
export interface Route {
  readonly host: string;
  readonly port: number;
  readonly address: { readonly host: string; readonly port: number };
}

export interface EnvironmentOptions {
  /** Tells it from every other one. */
  readonly id: string;
  readonly codeDirectory: string;
  /** Tells its code from every other one. */
  readonly codeSha256: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly memoryMegabytes: number;
  /** Milliseconds between the machine's time and the sandbox's. */
  readonly clockOffset: () => number;
  readonly routes: readonly Route[];
  /** The sandbox's certificate authority in PEM, trusted for `routes`. */
  readonly certificates: string;
  /** Where all of AWS answers. */
  readonly endpoint: string;
  /** Whether a connection of the function is made. */
  readonly admits: (to: Destination) => boolean;
}

export interface Invocation {
  readonly requestId: string;
  /** JSON. */
  readonly event: string;
  /** What is left of the function's timeout. */
  readonly timeoutMilliseconds: number;
  readonly wholeTimeoutMilliseconds: number;
  readonly functionArn: string;
  readonly logGroup: string;
  readonly logStream: string;
  readonly clientContext: string | undefined;
}

const FailureMessage = z.object({
  errorType: z.string(),
  errorMessage: z.string(),
  trace: z.array(z.string()),
});
const Message = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ready') }),
  z.object({
    kind: z.literal('connect'),
    id: z.number(),
    to: z.union([z.object({ service: z.string() }), z.object({ host: z.string(), port: z.number() })]),
  }),
  z.object({ kind: z.literal('succeeded'), requestId: z.string(), payload: z.string(), rss: z.number() }),
  z.object({
    kind: z.literal('failed'),
    requestId: z.string(),
    error: FailureMessage,
    rss: z.number(),
    /** The process ends after this. */
    exits: z.boolean(),
  }),
]);
/** What answers a message of ours. */
type Message = Exclude<z.infer<typeof Message>, { kind: 'connect' }>;

const BOOTSTRAP = join(__dirname, 'bootstrap.cjs');
/** Where the compiled code of functions is kept from one environment to the next, and from one sandbox to the next. */
const COMPILED = join(__dirname, '../../node_modules/.cache/functions');
/** How often it is looked at a busy environment's memory, in milliseconds. */
const MEMORY_LOOK = 50;

/**
 * One execution environment: a Node.js process that runs one invocation of one function at a time. It ends with the sandbox.
 */
export class ExecutionEnvironment {
  private readonly child: ChildProcess;
  private readonly exited: Promise<void>;
  /** Outputs that have said that the lines of the invocation end. */
  private readonly linesEnded = new Set<Readable>();
  private received: Message | undefined;
  private answered: (() => void) | undefined;
  private outOfTime: (() => void) | undefined;
  /** On performance.now(): when the time for the present answer is up. */
  private deadline = 0;
  private exit: { code: number | null; signal: string | null } | undefined;
  /** Gets every line that the function writes. */
  onLine: (line: string) => void = () => undefined;
  /** Bytes of memory in use at the end of the last invocation. */
  memoryUsed = 0;
  /** How long loading took, in milliseconds; undefined until loaded. */
  initMilliseconds: number | undefined;

  constructor(private readonly options: EnvironmentOptions) {
    // As AWS's runtime does: nine tenths of the memory for the old generation.
    const heap = Math.floor(options.memoryMegabytes * 0.9);
    this.child = spawn(process.execPath, [`--max-old-space-size=${heap}`, BOOTSTRAP], {
      cwd: options.codeDirectory,
      env: { ...options.variables },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    endWithThisProcess(this.child);
    this.child.on('message', (message) => {
      const received = Message.parse(message);
      if (received.kind === 'connect') {
        const admitted = options.admits(received.to);
        this.child.send({ kind: 'connect', id: received.id, admitted }, () => undefined);
        return;
      }
      this.received = received;
      this.checkAnswered();
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      if (!stream) continue;
      createInterface({ input: stream, crlfDelay: Infinity }).on('line', (line) => {
        this.read(stream, line);
      });
    }
    this.exited = this.untilExit();
  }

  get alive(): boolean {
    return this.exit === undefined;
  }

  get id(): string {
    return this.options.id;
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Loads the handler; answers the failure where it cannot be loaded (the environment has ended then). */
  async start(requestId: string, timeoutMilliseconds: number): Promise<Failure | undefined> {
    const started = performance.now();
    const { clockOffset, certificates, routes, endpoint, codeSha256 } = this.options;
    const compiled = join(COMPILED, codeSha256.replaceAll(/\W/g, '_'));
    const message = await this.ask(
      { kind: 'init', clockOffset: clockOffset(), certificates, routes, endpoint, compiled },
      timeoutMilliseconds,
    );
    this.initMilliseconds = performance.now() - started;
    if (message === 'timeout') return this.timedOut(requestId, timeoutMilliseconds);
    if (message === 'exit') return this.exitedEarly(requestId);
    return message.kind === 'failed' ? message.error : undefined;
  }

  /** Runs the handler once. The environment may have ended afterwards: ask `alive`. */
  async invoke(invocation: Invocation): Promise<Outcome> {
    const { requestId, timeoutMilliseconds, wholeTimeoutMilliseconds } = invocation;
    const message = await this.ask(
      { kind: 'invoke', clockOffset: this.options.clockOffset(), ...invocation },
      timeoutMilliseconds,
    );
    if (message === 'timeout') return { error: await this.timedOut(requestId, wholeTimeoutMilliseconds) };
    if (message === 'exit') return { error: this.exitedEarly(requestId) };
    if (message.kind === 'ready') throw new Error('The bootstrap answered an invocation with "ready".');
    this.memoryUsed = message.rss;
    return message.kind === 'succeeded' ? { payload: message.payload } : { error: message.error };
  }

  /** How much of its timeout is left for the present invocation. */
  get millisecondsLeft(): number {
    return Math.max(0, this.deadline - performance.now());
  }

  /** Ends it as it ends when its time is up. */
  async timeOut(): Promise<void> {
    this.outOfTime?.();
    await this.exited;
  }

  async end(): Promise<void> {
    if (this.alive) this.child.kill('SIGKILL');
    await this.exited;
  }

  private async untilExit(): Promise<void> {
    const { child } = this;
    // `close` comes after the last line of output, `disconnect` after the last message.
    const disconnected = new Promise<void>((resolve) => child.once('disconnect', resolve));
    const started = await new Promise<boolean>((resolve) => {
      child.once('spawn', () => {
        resolve(true);
      });
      child.once('error', () => {
        resolve(false);
      });
    });
    if (!started) {
      this.exit = { code: null, signal: null };
      return;
    }
    const [code, signal] = ExitArguments.parse(await once(child, 'close'));
    await disconnected;
    this.exit = { code, signal };
  }

  private async timedOut(requestId: string, milliseconds: number): Promise<Failure> {
    await this.end();
    const seconds = (milliseconds / 1000).toFixed(2);
    const errorMessage = `RequestId: ${requestId} Error: Task timed out after ${seconds} seconds`;
    return { errorType: 'Sandbox.Timedout', errorMessage };
  }

  private exitedEarly(requestId: string): Failure {
    const { code = null, signal = null } = this.exit ?? {};
    let reason = 'Runtime exited without providing a reason';
    if (signal !== null) reason = `Runtime exited with error: signal: ${SIGNALS[signal] ?? signal}`;
    else if (code !== 0 && code !== null) reason = `Runtime exited with error: exit status ${code}`;
    return { errorType: 'Runtime.ExitError', errorMessage: `RequestId: ${requestId} Error: ${reason}` };
  }

  /** Sends a message and waits for the answer, with all lines that were written before it. */
  private async ask(message: object, timeoutMilliseconds: number): Promise<Message | 'timeout' | 'exit'> {
    this.linesEnded.clear();
    this.received = undefined;
    const answered = new Promise<void>((resolve) => {
      this.answered = resolve;
    });
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<'timeout'>((resolve) => {
      this.deadline = performance.now() + timeoutMilliseconds;
      this.outOfTime = () => {
        resolve('timeout');
      };
      timer = setTimeout(this.outOfTime, timeoutMilliseconds);
    });
    const looking = setInterval(() => {
      this.limitMemory();
    }, MEMORY_LOOK);
    this.child.send(message, () => undefined);
    const first = await Promise.race([answered, this.exited, timeout]);
    clearTimeout(timer);
    clearInterval(looking);
    const answer = this.latest();
    if (answer?.kind === 'failed' && answer.exits) await this.exited;
    return answer ?? first ?? 'exit';
  }

  /** Kills the process when it has more memory than the function, as the machine on Lambda does. Linux only. */
  private limitMemory(): void {
    const limit = this.options.memoryMegabytes * 2 ** 20;
    if (ownMemory(this.child.pid ?? 0) <= limit) return;
    this.memoryUsed = limit;
    this.child.kill('SIGKILL');
  }

  private latest(): Message | undefined {
    return this.received;
  }

  private read(stream: Readable, line: string): void {
    const end = line.indexOf(END_OF_LINES);
    const text = end < 0 ? line : line.slice(0, end);
    if (end < 0 || text !== '') this.onLine(text);
    if (end < 0) return;
    this.linesEnded.add(stream);
    this.checkAnswered();
  }

  private checkAnswered(): void {
    if (this.received?.kind === 'ready' || (this.received && this.linesEnded.size === 2)) this.answered?.();
  }
}

/** Bytes of memory that a process shares with nobody; 0 where the system does not tell. */
function ownMemory(pid: number): number {
  try {
    return (
      1024 * Number(/^RssAnon:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
    );
  } catch {
    return 0;
  }
}

const END_OF_LINES = '\0end ';
const ExitArguments = z.tuple([z.number().nullable(), z.string().nullable()]);
const SIGNALS: Readonly<Record<string, string>> = {
  SIGKILL: 'killed',
  SIGABRT: 'aborted',
  SIGTERM: 'terminated',
};
