import { randomUUID } from 'node:crypto';
import { ApiError } from '../core/api';
import { VirtualClock } from '../core/clock';
import type { SandboxContext } from '../core/context';
import type { Destination, Network } from '../network/network';
import type { EnvironmentOptions, Failure, Outcome, Route } from './environment';
import type { FunctionSettings, LambdaFunction } from './function';
import { FunctionLog } from './log';
import { EnvironmentPool, type Lease } from './pool';

/** What came of one invocation: one that was throttled did not run. */
export interface InvocationRecord {
  readonly functionName: string;
  /** The handler or its environment failed. */
  readonly error: boolean;
  readonly durationMs: number;
  readonly throttled: boolean;
  /** Of the sandbox's clock. */
  readonly at: Date;
}

/** A line of a function's log stream. */
export interface LogLine {
  readonly functionName: string;
  readonly logGroup: string;
  readonly logStream: string;
  /** Of the sandbox's clock. */
  readonly at: Date;
  readonly message: string;
}

export interface InvocationsOptions {
  /** Where the sandbox keeps what functions see of their machine. */
  readonly directory: string;
  /** The sandbox's certificate authority, as a file and as PEM. */
  readonly caFile: string;
  readonly certificates: string;
  readonly maxIdleEnvironments: number;
  /** Invocations of all functions at a time. */
  readonly concurrency: number;
  readonly network: Pick<Network, 'admits'> | undefined;
}

/** An invocation that is over. */
export interface Invoked {
  readonly outcome: Outcome;
  /** What was written into the log. */
  readonly lines: readonly string[];
}

/** Where Lambda's Node.js runtime keeps Amazon's certificate authorities. */
const RUNTIME_CERTIFICATES = '/var/runtime/ca-cert.pem';
const MAX_PAYLOAD_BYTES = 6 * 1024 * 1024;
/** What Lambda allows above the limit for a response. */
const MAX_RESPONSE_BYTES = MAX_PAYLOAD_BYTES + 100;
/** Lambda gives a function this long to load before its first invocation; then it loads it within the invocation. */
const INIT_TIMEOUT_MILLISECONDS = 10_000;

/** Runs functions in their execution environments, as many at a time as they may. */
export class Invocations {
  private readonly pool: EnvironmentPool;
  private readonly logs = new Map<string, FunctionLog>();
  private readonly running = new Map<string, number>();
  private readonly invocationListeners = new Set<(invocation: InvocationRecord) => void>();
  private readonly logListeners = new Set<(line: LogLine) => void>();
  private routes: readonly Route[] = [];

  constructor(
    private readonly context: SandboxContext,
    private readonly functions: ReadonlyMap<string, LambdaFunction>,
    private readonly options: InvocationsOptions,
  ) {
    this.pool = new EnvironmentPool(options.maxIdleEnvironments);
  }

  onInvocation(listener: (invocation: InvocationRecord) => void): () => void {
    this.invocationListeners.add(listener);
    return () => {
      this.invocationListeners.delete(listener);
    };
  }

  onLog(listener: (line: LogLine) => void): () => void {
    this.logListeners.add(listener);
    return () => {
      this.logListeners.delete(listener);
    };
  }

  logOf(name: string): FunctionLog {
    let log = this.logs.get(name);
    if (!log) this.logs.set(name, (log = new FunctionLog()));
    return log;
  }

  /** Ends the environments of a function whose code or settings have changed; busy ones finish their invocation first. */
  async retire(name: string): Promise<void> {
    await this.pool.retire(name);
  }

  /** See LambdaService.route. */
  async route(route: Route): Promise<void> {
    const { host, port } = route;
    this.routes = [...this.routes.filter((other) => other.host !== host || other.port !== port), route];
    // Warm environments know only the routes that were there when they started.
    await Promise.all([...this.functions.keys()].map((name) => this.pool.retire(name)));
  }

  /** See LambdaService.killEnvironment. */
  async killEnvironment(id: string): Promise<void> {
    await this.pool.find(id)?.end();
  }

  /** See LambdaService.timeOutEnvironment. */
  async timeOutEnvironment(id: string): Promise<void> {
    const environment = this.pool.find(id);
    if (!environment) return;
    const { clock } = this.context;
    const { millisecondsLeft } = environment;
    if (clock instanceof VirtualClock) await clock.advance(millisecondsLeft);
    else await clock.sleep(millisecondsLeft);
    await environment.timeOut();
  }

  async stop(): Promise<void> {
    await this.pool.stop();
  }

  /** @throws ApiError TooManyRequestsException when as many invocations run as may */
  async run(
    lambda: LambdaFunction,
    invocation: { readonly requestId: string; readonly event: string; readonly clientContext?: string },
  ): Promise<Invoked> {
    this.checkConcurrency(lambda);
    const { name } = lambda;
    this.running.set(name, (this.running.get(name) ?? 0) + 1);
    try {
      return await new Run(lambda, invocation, {
        lease: () => this.pool.take(name, () => this.environmentOptions(lambda)),
        write: (line) => {
          this.write(lambda, line);
        },
        report: (error, durationMs) => {
          this.report({ functionName: name, error, durationMs, throttled: false });
        },
        now: () => this.context.clock.now(),
      }).run();
    } finally {
      this.running.set(name, (this.running.get(name) ?? 1) - 1);
    }
  }

  private write(lambda: LambdaFunction, message: string): void {
    const { name, settings } = lambda;
    this.logOf(name).append(message);
    const at = this.context.clock.now();
    const line = {
      functionName: name,
      logGroup: settings.logGroup,
      logStream: logStream(lambda),
      at,
      message,
    };
    for (const listener of this.logListeners) listener(line);
  }

  private report(invocation: Omit<InvocationRecord, 'at'>): void {
    const at = this.context.clock.now();
    for (const listener of this.invocationListeners) listener({ ...invocation, at });
  }

  private checkConcurrency({ name, reservedConcurrency }: LambdaFunction): void {
    const reserved = [...this.functions.values()].filter((each) => each.reservedConcurrency !== undefined);
    let busy = this.running.get(name) ?? 0;
    let limit = reservedConcurrency;
    if (limit === undefined) {
      const own = new Set(reserved.map((each) => each.name));
      limit = reserved.reduce(
        (left, each) => left - (each.reservedConcurrency ?? 0),
        this.options.concurrency,
      );
      busy = [...this.running].reduce((sum, [each, count]) => (own.has(each) ? sum : sum + count), 0);
    }
    if (busy < limit) return;
    this.report({ functionName: name, error: false, durationMs: 0, throttled: true });
    throw new ApiError('TooManyRequestsException', 'Rate Exceeded.', 429, {
      Reason:
        reservedConcurrency === undefined
          ? 'ConcurrentInvocationLimitExceeded'
          : 'ReservedFunctionConcurrentInvocationLimitExceeded',
      Type: 'User',
    });
  }

  private environmentOptions(lambda: LambdaFunction): EnvironmentOptions {
    const { settings, name } = lambda;
    const { account, callers, clock, endpoint } = this.context;
    const { directory, caFile } = this.options;
    const id = randomUUID();
    const credentials = callers.credentialsFor({ arn: settings.role, functionName: name, environment: id });
    const { NODE_EXTRA_CA_CERTS: certificates, ...environment } = settings.environment;
    return {
      id,
      codeDirectory: lambda.codeDirectory,
      codeSha256: lambda.codeSha256,
      memoryMegabytes: settings.memoryMegabytes,
      clockOffset: () => clock.now().getTime() - Date.now(),
      routes: this.routes,
      certificates: this.options.certificates,
      endpoint,
      admits: (to) => this.admits(lambda, settings.network, to),
      variables: {
        AWS_ENDPOINT_URL: endpoint,
        // Where the SDK would look for settings of the person at this machine.
        HOME: `${directory}/home`,
        TMPDIR: `${directory}/tmp`,
        // Lambda's runtime has the SDK for functions that do not bundle it, and nothing else.
        NODE_PATH: `${directory}/runtime/node_modules`,
        ...environment,
        ...(certificates !== undefined && {
          NODE_EXTRA_CA_CERTS: certificates === RUNTIME_CERTIFICATES ? caFile : certificates,
        }),
        ...(process.env['PATH'] !== undefined && { PATH: process.env['PATH'] }),
        _HANDLER: settings.handler,
        AWS_ACCESS_KEY_ID: credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
        AWS_SESSION_TOKEN: credentials.sessionToken,
        AWS_REGION: account.region,
        AWS_DEFAULT_REGION: account.region,
        AWS_EXECUTION_ENV: `AWS_Lambda_${settings.runtime}`,
        AWS_LAMBDA_FUNCTION_NAME: name,
        AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(settings.memoryMegabytes),
        AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
        AWS_LAMBDA_LOG_FORMAT: settings.logFormat,
        ...(settings.logFormat === 'JSON' && { AWS_LAMBDA_LOG_LEVEL: settings.logLevel }),
        AWS_LAMBDA_LOG_GROUP_NAME: settings.logGroup,
        AWS_LAMBDA_LOG_STREAM_NAME: logStream(lambda),
        LAMBDA_TASK_ROOT: lambda.codeDirectory,
        LAMBDA_RUNTIME_DIR: '/var/runtime',
        LANG: 'en_US.UTF-8',
        TZ: ':UTC',
      },
    };
  }

  private admits({ name }: LambdaFunction, from: FunctionSettings['network'], to: Destination): boolean {
    // The network knows the name that a route has led here.
    const route =
      'host' in to && this.routes.find(({ address }) => address.host === to.host && address.port === to.port);
    return (
      this.options.network?.admits(name, from, route ? { host: route.host, port: route.port } : to) ?? true
    );
  }
}

interface RunDependencies {
  readonly lease: () => Lease;
  readonly write: (line: string) => void;
  readonly report: (error: boolean, durationMs: number) => void;
  readonly now: () => Date;
}

/** One invocation in an environment: its lines, its times, its answer. */
class Run {
  private readonly lines: string[] = [];
  private initMilliseconds: number | undefined;

  constructor(
    private readonly lambda: LambdaFunction,
    private readonly invocation: {
      readonly requestId: string;
      readonly event: string;
      readonly clientContext?: string;
    },
    private readonly dependencies: RunDependencies,
  ) {}

  async run(): Promise<Invoked> {
    const { settings } = this.lambda;
    const { requestId } = this.invocation;
    const timeout = settings.timeoutSeconds * 1000;
    let lease = this.take();
    try {
      // Before the invocation begins; it is not counted to its time.
      if (lease.cold && (await this.initialised(lease, INIT_TIMEOUT_MILLISECONDS, 'init'))) {
        await lease.release();
        lease = this.take();
      }
      this.write(`START RequestId: ${requestId} Version: $LATEST`);
      const started = performance.now();
      const { environment } = lease;
      // Where loading failed it is tried once more, now within the time of the invocation.
      const failure =
        environment.initMilliseconds === undefined
          ? await this.initialised(lease, timeout, 'invoke')
          : undefined;
      const left = Math.max(1, timeout - (performance.now() - started));
      const outcome = failure
        ? { error: failure }
        : limited(await environment.invoke(this.invocationFor(left, timeout)));
      const milliseconds = performance.now() - started;
      this.end(lease, outcome, milliseconds);
      this.dependencies.report('error' in outcome, milliseconds);
      return { outcome, lines: this.lines };
    } finally {
      await lease.release();
    }
  }

  private take(): Lease {
    const lease = this.dependencies.lease();
    lease.environment.onLine = (line) => {
      this.write(line);
    };
    return lease;
  }

  /** Loads the handler; answers with what went wrong. */
  private async initialised(
    { environment }: Lease,
    timeoutMilliseconds: number,
    phase: 'init' | 'invoke',
  ): Promise<Failure | undefined> {
    const failure = await environment.start(this.invocation.requestId, timeoutMilliseconds);
    const milliseconds = environment.initMilliseconds ?? 0;
    if (!failure) {
      if (phase === 'init') this.initMilliseconds = milliseconds;
      return undefined;
    }
    const why =
      failure.errorType === TIMED_OUT ? 'Status: timeout' : `Status: error\tError Type: ${failure.errorType}`;
    this.write(`INIT_REPORT Init Duration: ${milliseconds.toFixed(2)} ms\tPhase: ${phase}\t${why}`);
    return failure;
  }

  private invocationFor(
    milliseconds: number,
    timeout: number,
  ): Parameters<Lease['environment']['invoke']>[0] {
    const { requestId, event, clientContext } = this.invocation;
    return {
      requestId,
      event,
      timeoutMilliseconds: milliseconds,
      wholeTimeoutMilliseconds: timeout,
      functionArn: this.lambda.arn,
      logGroup: this.lambda.settings.logGroup,
      logStream: logStream(this.lambda),
      clientContext,
    };
  }

  private end({ environment }: Lease, outcome: Outcome, milliseconds: number): void {
    const { memoryMegabytes } = this.lambda.settings;
    const { requestId } = this.invocation;
    let status = '';
    if ('error' in outcome && !environment.alive) {
      const { errorType, errorMessage } = outcome.error;
      if (errorType === TIMED_OUT) {
        const at = this.dependencies.now().toISOString();
        this.write(`${at} ${requestId} ${errorMessage.replace(/^.*Error: /, '')}`);
        status = '\tStatus: timeout';
      } else {
        this.write(errorMessage);
        this.write(errorType);
        status = `\tStatus: error\tError Type: ${errorType}`;
      }
    }
    const used = Math.min(memoryMegabytes, Math.ceil(environment.memoryUsed / 2 ** 20));
    const init =
      this.initMilliseconds === undefined ? '' : `\tInit Duration: ${this.initMilliseconds.toFixed(2)} ms`;
    this.write(`END RequestId: ${requestId}`);
    this.write(
      `REPORT RequestId: ${requestId}\tDuration: ${milliseconds.toFixed(2)} ms\tBilled Duration: ${Math.ceil(milliseconds)} ms\t` +
        `Memory Size: ${memoryMegabytes} MB\tMax Memory Used: ${used} MB${init}${status}`,
    );
  }

  private write(line: string): void {
    this.lines.push(line);
    this.dependencies.write(line);
  }
}

const TIMED_OUT = 'Sandbox.Timedout';

function logStream(lambda: LambdaFunction): string {
  const day = lambda.lastModified.toISOString().slice(0, 10).replaceAll('-', '/');
  return `${day}/[$LATEST]${lambda.revisionId.replaceAll('-', '')}`;
}

function limited(outcome: Outcome): Outcome {
  if ('error' in outcome || Buffer.byteLength(outcome.payload) <= MAX_RESPONSE_BYTES) return outcome;
  return {
    error: {
      errorType: 'Function.ResponseSizeTooLarge',
      errorMessage: `Response payload size exceeded maximum allowed payload size (${MAX_RESPONSE_BYTES} bytes).`,
    },
  };
}
