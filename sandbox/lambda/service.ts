import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, symlinkSync, existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type {
  AddPermissionRequest,
  CreateFunctionRequest,
  DeleteFunctionRequest,
  FunctionConfiguration,
  GetFunctionRequest,
  GetPolicyRequest,
  InvocationRequest,
  ListFunctionsRequest,
  ListTagsRequest,
  PutFunctionConcurrencyRequest,
  PutFunctionEventInvokeConfigRequest,
  RemovePermissionRequest,
  TagResourceRequest,
  UpdateFunctionCodeRequest,
  UpdateFunctionConfigurationRequest,
} from '@aws-sdk/client-lambda';
import { arn } from '../core/account';
import { ApiError, NotInSandbox, type Operation, type Service } from '../core/api';
import { held, VirtualClock } from '../core/clock';
import type { SandboxContext } from '../core/context';
import type { Destination, Network } from '../network/network';
import type { EnvironmentOptions, Outcome, Route } from './environment';
import {
  configurationOf,
  refuseOtherMembers,
  settingsFrom,
  statementOf,
  type FunctionSettings,
  type LambdaFunction,
  type Permission,
} from './function';
import { FunctionLog } from './log';
import { EnvironmentPool } from './pool';
import { unzip } from './zip';

export interface LambdaOptions {
  /** The sandbox's certificate authority: stands for `/var/runtime/ca-cert.pem`. */
  readonly caFile: string;
  /** Idle execution environments that are kept for the next invocation, of all functions together. @default 3 */
  readonly maxIdleEnvironments?: number;
  /** Refuses a role that Lambda could not use for a function with these settings. @default any role will do */
  readonly checkRole?: (settings: FunctionSettings) => Promise<void>;
  /** What is around the functions. @default they reach everything */
  readonly network?: Pick<Network, 'admits' | 'checkPlacement'>;
}

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

/** Where Lambda's Node.js runtime keeps Amazon's certificate authorities. */
const RUNTIME_CERTIFICATES = '/var/runtime/ca-cert.pem';
const MAX_PAYLOAD_BYTES = 6 * 1024 * 1024;
const MAX_ASYNC_PAYLOAD_BYTES = 1024 * 1024;
/** What Lambda allows above the limit for a response. */
const MAX_RESPONSE_BYTES = MAX_PAYLOAD_BYTES + 100;
const LOG_TAIL_BYTES = 4096;

/**
 * Lambda. An execution environment is a Node.js process in the function's code directory with the function's environment
 * and nothing of the sandbox's own but PATH; timeouts, exits and memory limits are real, in real seconds.
 */
export class LambdaService implements Service {
  readonly name = 'lambda';
  readonly operations: Readonly<Record<string, Operation>>;
  private readonly functions = new Map<string, LambdaFunction>();
  private readonly functionLogs = new Map<string, FunctionLog>();
  private readonly running = new Map<string, number>();
  private readonly invocationListeners = new Set<(invocation: InvocationRecord) => void>();
  private readonly logListeners = new Set<(line: LogLine) => void>();
  private routes: readonly Route[] = [];
  private readonly pool: EnvironmentPool;
  private readonly directory: string;
  private readonly certificates: string;
  private stopped = false;

  constructor(
    private readonly context: SandboxContext,
    private readonly options: LambdaOptions,
  ) {
    this.pool = new EnvironmentPool(options.maxIdleEnvironments ?? 3);
    this.certificates = readFileSync(options.caFile, 'utf8');
    this.directory = join(context.directory, 'lambda');
    for (const name of ['home', 'tmp', 'code']) mkdirSync(join(this.directory, name), { recursive: true });
    provideSdk(join(this.directory, 'runtime', 'node_modules'));
    this.operations = {
      CreateFunction: this.createFunction,
      GetFunction: this.getFunction,
      GetFunctionConfiguration: this.getFunctionConfiguration,
      ListFunctions: this.listFunctions,
      UpdateFunctionConfiguration: this.updateFunctionConfiguration,
      UpdateFunctionCode: this.updateFunctionCode,
      DeleteFunction: this.deleteFunction,
      Invoke: this.invoke,
      AddPermission: this.addPermission,
      GetPolicy: this.getPolicy,
      RemovePermission: this.removePermission,
      TagResource: this.tagResource,
      ListTags: this.listTags,
      PutFunctionEventInvokeConfig: this.putFunctionEventInvokeConfig,
      PutFunctionConcurrency: this.putFunctionConcurrency,
    };
  }

  /** Makes a function whose code lies unpacked in a directory, as a deployment has it. */
  async deployFunction(
    request: Omit<CreateFunctionRequest, 'Code'>,
    codeDirectory: string,
  ): Promise<FunctionConfiguration> {
    refuseOtherMembers('CreateFunction', request, ['FunctionName', 'Tags', 'PackageType', 'Publish']);
    if (request.Publish === true) throw new NotInSandbox('versions of functions');
    if (request.PackageType !== undefined && request.PackageType !== 'Zip')
      throw new NotInSandbox(`functions of package type ${request.PackageType}`);
    const name = request.FunctionName ?? '';
    if (!/^[a-zA-Z0-9-_]{1,64}$/.test(name))
      throw new ApiError(
        'ValidationException',
        `1 validation error detected: Value '${name}' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9-_]{1,64}`,
      );
    if (this.functions.has(name))
      throw new ApiError('ResourceConflictException', `Function already exist: ${name}`, 409);
    const settings = settingsFrom(name, request);
    await this.options.checkRole?.(settings);
    this.options.network?.checkPlacement(settings.network);
    const lambda: LambdaFunction = {
      name,
      arn: this.arnOf(name),
      codeDirectory,
      ...(await measure(codeDirectory)),
      settings,
      lastModified: this.context.clock.now(),
      revisionId: randomUUID(),
      tags: new Map(Object.entries(request.Tags ?? {})),
      permissions: new Map(),
    };
    this.functions.set(name, lambda);
    return configurationOf(lambda);
  }

  /** The last lines that the function wrote, with those that Lambda writes around them. */
  logs(functionName: string): readonly string[] {
    return this.logOf(functionName).read();
  }

  /** Calls `listener` after every invocation, also one that is throttled. Returns a function that ends it. */
  onInvocation(listener: (invocation: InvocationRecord) => void): () => void {
    this.invocationListeners.add(listener);
    return () => {
      this.invocationListeners.delete(listener);
    };
  }

  /** Calls `listener` for every line of every function's log, as it is written. Returns a function that ends it. */
  onLog(listener: (line: LogLine) => void): () => void {
    this.logListeners.add(listener);
    return () => {
      this.logListeners.delete(listener);
    };
  }

  /** Kills an execution environment, as when its machine breaks: Runtime.ExitError for whoever waits for its answer. */
  async killEnvironment(id: string): Promise<void> {
    await this.pool.find(id)?.end();
  }

  /** Lets the time of the present invocation pass without an answer; a virtual clock jumps over it. */
  async timeOutEnvironment(id: string): Promise<void> {
    const environment = this.pool.find(id);
    if (!environment) return;
    const { clock } = this.context;
    const { millisecondsLeft } = environment;
    if (clock instanceof VirtualClock) await clock.advance(millisecondsLeft);
    else await clock.sleep(millisecondsLeft);
    await environment.timeOut();
  }

  /** The functions, as plain data. */
  list(): readonly LambdaFunction[] {
    return [...this.functions.values()];
  }

  /** Leads functions' TLS connections to `host:port` to an address of the sandbox, whose certificate they trust. */
  async route(route: Route): Promise<void> {
    this.routes = [
      ...this.routes.filter(({ host, port }) => host !== route.host || port !== route.port),
      route,
    ];
    // Warm environments know only the routes that were there when they started.
    await Promise.all([...this.functions.keys()].map(async (name) => this.pool.retire(name)));
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.pool.stop();
  }

  private readonly createFunction = async (request: CreateFunctionRequest): Promise<object> => {
    const { Code, ...rest } = request;
    return this.deployFunction(rest, await this.unpack(Code?.ZipFile));
  };

  private readonly getFunction = async ({ FunctionName, Qualifier }: GetFunctionRequest): Promise<object> => {
    const lambda = this.find(FunctionName, Qualifier);
    return {
      Configuration: configurationOf(lambda),
      Code: { RepositoryType: 'S3' },
      ...(lambda.tags.size > 0 && { Tags: Object.fromEntries(lambda.tags) }),
      ...(lambda.reservedConcurrency !== undefined && {
        Concurrency: { ReservedConcurrentExecutions: lambda.reservedConcurrency },
      }),
    };
  };

  private readonly getFunctionConfiguration = async (request: GetFunctionRequest): Promise<object> =>
    configurationOf(this.find(request.FunctionName, request.Qualifier));

  private readonly listFunctions = async (request: ListFunctionsRequest): Promise<object> => {
    const { Marker, MaxItems = 50, ...others } = request;
    refuseOtherMembers('ListFunctions', others, []);
    const names = [...this.functions.keys()].sort().filter((name) => Marker === undefined || name > Marker);
    const page = names.slice(0, MaxItems);
    const last = page.at(-1);
    return {
      Functions: page.map((name) => configurationOf(this.find(name))),
      ...(names.length > page.length && last !== undefined && { NextMarker: last }),
    };
  };

  private readonly updateFunctionConfiguration = async (
    request: UpdateFunctionConfigurationRequest,
  ): Promise<object> => {
    refuseOtherMembers('UpdateFunctionConfiguration', request, ['FunctionName', 'RevisionId']);
    const lambda = this.find(request.FunctionName);
    this.checkRevision(lambda, request.RevisionId);
    const settings = settingsFrom(lambda.name, request, lambda.settings);
    await this.options.checkRole?.(settings);
    this.options.network?.checkPlacement(settings.network);
    lambda.settings = settings;
    return this.changed(lambda);
  };

  private readonly updateFunctionCode = async (request: UpdateFunctionCodeRequest): Promise<object> => {
    refuseOtherMembers('UpdateFunctionCode', request, ['FunctionName', 'RevisionId', 'ZipFile']);
    const lambda = this.find(request.FunctionName);
    this.checkRevision(lambda, request.RevisionId);
    lambda.codeDirectory = await this.unpack(request.ZipFile);
    Object.assign(lambda, await measure(lambda.codeDirectory));
    return this.changed(lambda);
  };

  private readonly deleteFunction = async (request: DeleteFunctionRequest): Promise<object> => {
    if (request.Qualifier !== undefined) throw new NotInSandbox('versions of functions');
    const { name } = this.find(request.FunctionName);
    this.functions.delete(name);
    await this.pool.retire(name);
    return {};
  };

  private readonly addPermission = async (request: AddPermissionRequest): Promise<object> => {
    const lambda = this.find(request.FunctionName, request.Qualifier);
    const { StatementId, Action, Principal, SourceArn, SourceAccount, ...others } = request;
    refuseOtherMembers('AddPermission', others, ['FunctionName', 'Qualifier']);
    const statementId = StatementId ?? '';
    if (lambda.permissions.has(statementId))
      throw new ApiError(
        'ResourceConflictException',
        `The statement id (${statementId}) provided already exists. Please provide a new statement id, or remove the existing statement.`,
        409,
      );
    const permission: Permission = {
      statementId,
      action: Action ?? '',
      principal: Principal ?? '',
      ...(SourceArn !== undefined && { sourceArn: SourceArn }),
      ...(SourceAccount !== undefined && { sourceAccount: SourceAccount }),
    };
    lambda.permissions.set(statementId, permission);
    return { Statement: JSON.stringify(statementOf(lambda, permission)) };
  };

  private readonly getPolicy = async (request: GetPolicyRequest): Promise<object> => {
    const lambda = this.find(request.FunctionName, request.Qualifier);
    if (lambda.permissions.size === 0) throw noPolicy();
    const statements = [...lambda.permissions.values()].map((permission) => statementOf(lambda, permission));
    return {
      Policy: JSON.stringify({ Version: '2012-10-17', Id: 'default', Statement: statements }),
      RevisionId: lambda.revisionId,
    };
  };

  private readonly removePermission = async (request: RemovePermissionRequest): Promise<object> => {
    const lambda = this.find(request.FunctionName, request.Qualifier);
    if (!lambda.permissions.delete(request.StatementId ?? '')) throw noPolicy();
    return {};
  };

  private readonly tagResource = async ({ Resource, Tags }: TagResourceRequest): Promise<object> => {
    const lambda = this.find(Resource);
    for (const [key, value] of Object.entries(Tags ?? {})) lambda.tags.set(key, value);
    return {};
  };

  private readonly listTags = async ({ Resource }: ListTagsRequest): Promise<object> => ({
    Tags: Object.fromEntries(this.find(Resource).tags),
  });

  private readonly putFunctionEventInvokeConfig = async (
    request: PutFunctionEventInvokeConfigRequest,
  ): Promise<object> => {
    const lambda = this.find(request.FunctionName, request.Qualifier);
    const { MaximumRetryAttempts, MaximumEventAgeInSeconds, DestinationConfig } = request;
    lambda.eventInvoke = {
      FunctionArn: `${lambda.arn}:$LATEST`,
      LastModified: this.context.clock.now(),
      ...(MaximumRetryAttempts !== undefined && { MaximumRetryAttempts }),
      ...(MaximumEventAgeInSeconds !== undefined && { MaximumEventAgeInSeconds }),
      ...(DestinationConfig && { DestinationConfig }),
    };
    return lambda.eventInvoke;
  };

  private readonly putFunctionConcurrency = async (
    request: PutFunctionConcurrencyRequest,
  ): Promise<object> => {
    const lambda = this.find(request.FunctionName);
    if (request.ReservedConcurrentExecutions === undefined) delete lambda.reservedConcurrency;
    else lambda.reservedConcurrency = request.ReservedConcurrentExecutions;
    return { ReservedConcurrentExecutions: lambda.reservedConcurrency };
  };

  private readonly invoke = async (request: InvocationRequest): Promise<object> => {
    const {
      FunctionName,
      Qualifier,
      InvocationType = 'RequestResponse',
      LogType,
      Payload,
      ...others
    } = request;
    refuseOtherMembers('Invoke', others, ['ClientContext']);
    const lambda = this.find(FunctionName, Qualifier);
    const event = eventFrom(Payload, InvocationType);
    if (InvocationType === 'DryRun') return { StatusCode: 204 };
    if (InvocationType === 'Event') {
      // The answer does not wait for the invocation, and a virtual clock stands still for it all the same.
      void held(this.context.clock, () => this.runAsynchronously(lambda, event, 0));
      return { StatusCode: 202 };
    }
    this.checkConcurrency(lambda);
    const { outcome, lines } = await this.run(lambda, randomUUID(), event, request.ClientContext);
    return {
      StatusCode: 200,
      ExecutedVersion: '$LATEST',
      Payload: Buffer.from('payload' in outcome ? outcome.payload : JSON.stringify(outcome.error)),
      ...('error' in outcome && { FunctionError: 'Unhandled' }),
      ...(LogType === 'Tail' && {
        LogResult: Buffer.from(lines.join('\n')).subarray(-LOG_TAIL_BYTES).toString('base64'),
      }),
    };
  };

  /** One attempt at an event; a failed one is tried again after one minute, then after two, as often as configured. */
  private async runAsynchronously(lambda: LambdaFunction, event: string, attempt: number): Promise<void> {
    const { outcome } = await this.run(lambda, randomUUID(), event, undefined);
    if ('payload' in outcome || this.stopped) return;
    const { clock, log } = this.context;
    if (attempt >= (lambda.eventInvoke?.MaximumRetryAttempts ?? 2)) {
      const { errorType, errorMessage } = outcome.error;
      log(
        `lambda ${lambda.name}: event dropped after ${attempt + 1} attempts: ${errorType}: ${errorMessage}`,
      );
      return;
    }
    const delay = (attempt + 1) * 60_000;
    clock.schedule(new Date(clock.now().getTime() + delay), () =>
      this.runAsynchronously(lambda, event, attempt + 1),
    );
  }

  private async run(
    lambda: LambdaFunction,
    requestId: string,
    event: string,
    clientContext: string | undefined,
  ): Promise<{ outcome: Outcome; lines: readonly string[] }> {
    const { settings, name } = lambda;
    const lines: string[] = [];
    const log = this.logOf(name);
    const write = (line: string): void => {
      lines.push(line);
      log.append(line);
      const at = this.context.clock.now();
      const { logGroup } = settings;
      for (const listener of this.logListeners)
        listener({ functionName: name, logGroup, logStream: logStream(lambda), at, message: line });
    };
    this.running.set(name, (this.running.get(name) ?? 0) + 1);
    const lease = this.pool.take(name, () => this.environmentOptions(lambda));
    const { environment } = lease;
    environment.onLine = write;
    try {
      write(`START RequestId: ${requestId} Version: $LATEST`);
      const failure = lease.cold ? await environment.start(requestId) : undefined;
      const started = performance.now();
      const outcome = limited(
        failure
          ? { error: failure }
          : await environment.invoke({
              requestId,
              event,
              timeoutMilliseconds: settings.timeoutSeconds * 1000,
              functionArn: lambda.arn,
              logGroup: settings.logGroup,
              logStream: logStream(lambda),
              clientContext,
            }),
      );
      const milliseconds = performance.now() - started;
      if ('error' in outcome && !environment.alive) write(outcome.error.errorMessage);
      const init = lease.cold ? `\tInit Duration: ${(environment.initMilliseconds ?? 0).toFixed(2)} ms` : '';
      write(`END RequestId: ${requestId}`);
      write(
        `REPORT RequestId: ${requestId}\tDuration: ${milliseconds.toFixed(2)} ms\tBilled Duration: ${Math.ceil(milliseconds)} ms\t` +
          `Memory Size: ${settings.memoryMegabytes} MB\tMax Memory Used: ${Math.ceil(environment.memoryUsed / 2 ** 20)} MB${init}`,
      );
      this.report({
        functionName: name,
        error: 'error' in outcome,
        durationMs: milliseconds,
        throttled: false,
      });
      return { outcome, lines };
    } finally {
      this.running.set(name, (this.running.get(name) ?? 1) - 1);
      await lease.release();
    }
  }

  private environmentOptions(lambda: LambdaFunction): EnvironmentOptions {
    const { settings, name } = lambda;
    const { account, callers, clock, endpoint } = this.context;
    const id = randomUUID();
    const credentials = callers.credentialsFor({ arn: settings.role, functionName: name, environment: id });
    const { NODE_EXTRA_CA_CERTS: certificates, ...environment } = settings.environment;
    return {
      id,
      codeDirectory: lambda.codeDirectory,
      memoryMegabytes: settings.memoryMegabytes,
      clockOffset: () => clock.now().getTime() - Date.now(),
      routes: this.routes,
      certificates: this.certificates,
      endpoint,
      admits: (to) => this.admits(lambda, settings.network, to),
      variables: {
        AWS_ENDPOINT_URL: endpoint,
        // Where the SDK would look for settings of the person at this machine.
        HOME: join(this.directory, 'home'),
        TMPDIR: join(this.directory, 'tmp'),
        // Lambda's runtime has the SDK for functions that do not bundle it, and nothing else.
        NODE_PATH: join(this.directory, 'runtime', 'node_modules'),
        ...environment,
        ...(certificates !== undefined && {
          NODE_EXTRA_CA_CERTS: certificates === RUNTIME_CERTIFICATES ? this.options.caFile : certificates,
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

  /** The function that a name, an ARN or a partial ARN names. */
  private find(reference: string | undefined, qualifier?: string): LambdaFunction {
    const match =
      /^(?:(?:arn:[^:]+:lambda:[^:]*:)?(?:\d{12}:)?function:)?([a-zA-Z0-9-_]+)(?::([^:]+))?$/.exec(
        reference ?? '',
      );
    const name = match?.[1] ?? reference ?? '';
    const version = match?.[2] ?? qualifier;
    const found = this.functions.get(name);
    if (!found || (version !== undefined && version !== '$LATEST'))
      throw new ApiError(
        'ResourceNotFoundException',
        `Function not found: ${this.arnOf(name)}${version === undefined ? '' : `:${version}`}`,
        404,
        { Type: 'User' },
      );
    return found;
  }

  private report(invocation: Omit<InvocationRecord, 'at'>): void {
    const at = this.context.clock.now();
    for (const listener of this.invocationListeners) listener({ ...invocation, at });
  }

  private checkConcurrency(lambda: LambdaFunction): void {
    if ((this.running.get(lambda.name) ?? 0) < (lambda.reservedConcurrency ?? Infinity)) return;
    this.report({ functionName: lambda.name, error: false, durationMs: 0, throttled: true });
    throw new ApiError('TooManyRequestsException', 'Rate Exceeded.', 429, {
      Reason: 'ReservedFunctionConcurrentInvocationLimitExceeded',
      Type: 'User',
    });
  }

  private checkRevision(lambda: LambdaFunction, revisionId: string | undefined): void {
    if (revisionId === undefined || revisionId === lambda.revisionId) return;
    throw new ApiError(
      'PreconditionFailedException',
      'The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id',
      412,
    );
  }

  private async changed(lambda: LambdaFunction): Promise<FunctionConfiguration> {
    lambda.revisionId = randomUUID();
    lambda.lastModified = this.context.clock.now();
    await this.pool.retire(lambda.name);
    return configurationOf(lambda);
  }

  private async unpack(zip: Uint8Array | undefined): Promise<string> {
    if (!zip) throw new NotInSandbox('function code from anything but a ZipFile');
    const directory = await mkdtemp(join(this.directory, 'code', 'function-'));
    try {
      await unzip(zip, directory);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new ApiError('InvalidParameterValueException', `Could not unzip uploaded file: ${reason}.`);
    }
    return directory;
  }

  private logOf(name: string): FunctionLog {
    let log = this.functionLogs.get(name);
    if (!log) this.functionLogs.set(name, (log = new FunctionLog()));
    return log;
  }

  private arnOf(name: string): string {
    return arn(this.context.account, 'lambda', `function:${name}`);
  }
}

function noPolicy(): ApiError {
  return new ApiError('ResourceNotFoundException', 'The resource you requested does not exist.', 404, {
    Type: 'User',
  });
}

function logStream(lambda: LambdaFunction): string {
  const day = lambda.lastModified.toISOString().slice(0, 10).replaceAll('-', '/');
  return `${day}/[$LATEST]${lambda.revisionId.replaceAll('-', '')}`;
}

function eventFrom(payload: Uint8Array | string | undefined, type: string): string {
  const bytes = Buffer.from(payload ?? []);
  const limit = type === 'Event' ? MAX_ASYNC_PAYLOAD_BYTES : MAX_PAYLOAD_BYTES;
  if (bytes.length > limit)
    throw new ApiError(
      'RequestTooLargeException',
      `Request must be smaller than ${limit} bytes for the InvokeFunction operation`,
      413,
    );
  const text = bytes.length === 0 ? '{}' : bytes.toString('utf8');
  try {
    JSON.parse(text);
  } catch (error) {
    throw new ApiError(
      'InvalidRequestContentException',
      `Could not parse request body into json: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  return text;
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

async function measure(directory: string): Promise<{ codeSha256: string; codeSize: number }> {
  const hash = createHash('sha256');
  let codeSize = 0;
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const file of files.sort()) {
    const content = await readFile(file);
    hash.update(file.slice(directory.length)).update(content);
    codeSize += content.length;
  }
  return { codeSha256: hash.digest('base64'), codeSize };
}

/** Links the SDK into the directory that stands for Lambda's runtime. */
function provideSdk(directory: string): void {
  mkdirSync(directory, { recursive: true });
  const file = require.resolve('@aws-sdk/client-lambda');
  const modules = file.slice(0, file.lastIndexOf(`${sep}@aws-sdk${sep}`));
  for (const scope of ['@aws-sdk', '@smithy'])
    if (!existsSync(join(directory, scope))) symlinkSync(join(modules, scope), join(directory, scope), 'dir');
}
