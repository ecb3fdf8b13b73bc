import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type {
  AddPermissionRequest,
  CreateFunctionRequest,
  DeleteFunctionConcurrencyRequest,
  DeleteFunctionEventInvokeConfigRequest,
  DeleteFunctionRequest,
  FunctionConfiguration,
  FunctionEventInvokeConfig,
  GetFunctionConcurrencyRequest,
  GetFunctionEventInvokeConfigRequest,
  GetFunctionRequest,
  GetPolicyRequest,
  InvocationRequest,
  ListFunctionEventInvokeConfigsRequest,
  ListFunctionsRequest,
  ListTagsRequest,
  PutFunctionConcurrencyRequest,
  PutFunctionEventInvokeConfigRequest,
  RemovePermissionRequest,
  TagResourceRequest,
  UntagResourceRequest,
  UpdateFunctionCodeRequest,
  UpdateFunctionConfigurationRequest,
  UpdateFunctionEventInvokeConfigRequest,
} from '@aws-sdk/client-lambda';
import { arn } from '../core/account';
import { ApiError, NotInSandbox, type Operation, type Service } from '../core/api';
import type { SandboxContext } from '../core/context';
import type { Network } from '../network/network';
import { AsynchronousInvocations, type QueuedEvent } from './asynchronous';
import { checkDestination } from './destinations';
import type { Route } from './environment';
import {
  configurationOf,
  refuseOtherMembers,
  settingsFrom,
  statementOf,
  type FunctionSettings,
  type LambdaFunction,
  type Permission,
} from './function';
import { Invocations, type InvocationRecord, type LogLine } from './invocations';
import { unzip } from './zip';

export interface LambdaOptions {
  /** The sandbox's certificate authority: stands for `/var/runtime/ca-cert.pem`. */
  readonly caFile: string;
  /** Idle execution environments that are kept for the next invocation, of all functions together. @default 32 */
  readonly maxIdleEnvironments?: number;
  /** Invocations of all functions at a time; a new account has 10. @default 1000 */
  readonly concurrency?: number;
  /** Refuses a role that Lambda could not use for a function with these settings. @default any role will do */
  readonly checkRole?: (settings: FunctionSettings) => Promise<void>;
  /** What is around the functions. @default they reach everything */
  readonly network?: Pick<Network, 'admits' | 'checkPlacement'>;
}

const MAX_PAYLOAD_BYTES = 6 * 1024 * 1024;
const MAX_ASYNC_PAYLOAD_BYTES = 1024 * 1024;
const LOG_TAIL_BYTES = 4096;
/** Invocations at a time in an account, unless told otherwise; reservations must leave some of them. */
const CONCURRENCY = 1000;
const LEAST_UNRESERVED = 100;
/** How long a function is `Pending` after it was made, or its last update `InProgress`. Milliseconds. */
const CHANGE_TAKES = 1000;

interface SavedLambda {
  readonly functions: readonly LambdaFunction[];
  readonly queue: readonly QueuedEvent[];
}

/**
 * Lambda. An execution environment is a Node.js process in the function's code directory with the function's environment
 * and nothing of the sandbox's own but PATH; timeouts, exits and memory limits are real, in real seconds.
 */
export class LambdaService implements Service {
  readonly name = 'lambda';
  readonly operations: Readonly<Record<string, Operation>>;
  private readonly functions = new Map<string, LambdaFunction>();
  private readonly invocations: Invocations;
  private readonly asynchronous: AsynchronousInvocations;
  private readonly directory: string;

  constructor(
    private readonly context: SandboxContext,
    private readonly options: LambdaOptions,
  ) {
    this.directory = join(context.directory, 'lambda');
    for (const name of ['home', 'tmp', 'code']) mkdirSync(join(this.directory, name), { recursive: true });
    provideSdk(join(this.directory, 'runtime', 'node_modules'));
    this.invocations = new Invocations(context, this.functions, {
      directory: this.directory,
      caFile: options.caFile,
      certificates: readFileSync(options.caFile, 'utf8'),
      maxIdleEnvironments: options.maxIdleEnvironments ?? 32,
      concurrency: options.concurrency ?? CONCURRENCY,
      network: options.network,
    });
    this.asynchronous = new AsynchronousInvocations(context, this.functions, this.invocations);
    context.keep<SavedLambda>('lambda', {
      save: () => ({ functions: [...this.functions.values()], queue: this.asynchronous.save() }),
      load: ({ functions, queue }) => {
        for (const lambda of functions) this.functions.set(lambda.name, lambda);
        this.asynchronous.load(queue);
        this.removeOldCode();
      },
      resume: async () => {
        this.asynchronous.resume();
        return Promise.resolve();
      },
    });
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
      UntagResource: this.untagResource,
      ListTags: this.listTags,
      PutFunctionEventInvokeConfig: this.putFunctionEventInvokeConfig,
      UpdateFunctionEventInvokeConfig: this.updateFunctionEventInvokeConfig,
      GetFunctionEventInvokeConfig: this.getFunctionEventInvokeConfig,
      ListFunctionEventInvokeConfigs: this.listFunctionEventInvokeConfigs,
      DeleteFunctionEventInvokeConfig: this.deleteFunctionEventInvokeConfig,
      PutFunctionConcurrency: this.putFunctionConcurrency,
      GetFunctionConcurrency: this.getFunctionConcurrency,
      DeleteFunctionConcurrency: this.deleteFunctionConcurrency,
      GetAccountSettings: this.getAccountSettings,
    };
  }

  /** Makes a function whose code lies unpacked in a directory, as a deployment has it, and that can be invoked at once. */
  async deployFunction(
    request: Omit<CreateFunctionRequest, 'Code'>,
    codeDirectory: string,
  ): Promise<FunctionConfiguration> {
    return this.make(request, async () => ({
      codeDirectory: await this.ownCopy(codeDirectory),
      ...(await measure(codeDirectory)),
    }));
  }

  private async make(
    request: Omit<CreateFunctionRequest, 'Code'>,
    code: () => Promise<Code>,
    activeAt?: Date,
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
    const taken = (): void => {
      if (this.functions.has(name))
        throw new ApiError('ResourceConflictException', `Function already exist: ${name}`, 409);
    };
    taken();
    const settings = settingsFrom(name, request);
    await this.options.checkRole?.(settings);
    this.options.network?.checkPlacement(settings.network);
    const made = await code();
    // Somebody may have made it meanwhile.
    taken();
    const lambda: LambdaFunction = {
      name,
      arn: this.arnOf(name),
      ...made,
      settings,
      lastModified: this.context.clock.now(),
      revisionId: randomUUID(),
      tags: new Map(Object.entries(request.Tags ?? {})),
      permissions: new Map(),
      ...(activeAt && { activeAt }),
    };
    this.functions.set(name, lambda);
    return this.configuration(lambda);
  }

  /** The last lines that the function wrote, with those that Lambda writes around them. */
  logs(functionName: string): readonly string[] {
    return this.invocations.logOf(functionName).read();
  }

  /** Calls `listener` after every invocation, also one that is throttled. Returns a function that ends it. */
  onInvocation(listener: (invocation: InvocationRecord) => void): () => void {
    return this.invocations.onInvocation(listener);
  }

  /** Calls `listener` for every line of every function's log, as it is written. Returns a function that ends it. */
  onLog(listener: (line: LogLine) => void): () => void {
    return this.invocations.onLog(listener);
  }

  /** Kills an execution environment, as when its machine breaks: Runtime.ExitError for whoever waits for its answer. */
  async killEnvironment(id: string): Promise<void> {
    await this.invocations.killEnvironment(id);
  }

  /** Lets the time of the present invocation pass without an answer; a virtual clock jumps over it. */
  async timeOutEnvironment(id: string): Promise<void> {
    await this.invocations.timeOutEnvironment(id);
  }

  /** The functions, as plain data. */
  list(): readonly LambdaFunction[] {
    return [...this.functions.values()];
  }

  /** Leads functions' TLS connections to `host:port` to an address of the sandbox, whose certificate they trust. */
  async route(route: Route): Promise<void> {
    await this.invocations.route(route);
  }

  async stop(): Promise<void> {
    this.asynchronous.stop();
    await this.invocations.stop();
  }

  private readonly createFunction = async (request: CreateFunctionRequest): Promise<object> => {
    const { Code: given, ...rest } = request;
    return this.make(
      rest,
      () => this.unpack(given?.ZipFile),
      new Date(this.context.clock.now().getTime() + CHANGE_TAKES),
    );
  };

  private readonly getFunction = async ({ FunctionName, Qualifier }: GetFunctionRequest): Promise<object> => {
    const lambda = this.find(FunctionName, Qualifier);
    return {
      Configuration: this.configuration(lambda),
      Code: { RepositoryType: 'S3' },
      ...(lambda.tags.size > 0 && { Tags: Object.fromEntries(lambda.tags) }),
      ...(lambda.reservedConcurrency !== undefined && {
        Concurrency: { ReservedConcurrentExecutions: lambda.reservedConcurrency },
      }),
    };
  };

  private readonly getFunctionConfiguration = async (request: GetFunctionRequest): Promise<object> =>
    this.configuration(this.find(request.FunctionName, request.Qualifier));

  private readonly listFunctions = async (request: ListFunctionsRequest): Promise<object> => {
    const { Marker, MaxItems = 50, ...others } = request;
    refuseOtherMembers('ListFunctions', others, []);
    const names = [...this.functions.keys()].sort().filter((name) => Marker === undefined || name > Marker);
    const page = names.slice(0, MaxItems);
    const last = page.at(-1);
    return {
      Functions: page.map((name) => this.configuration(this.find(name))),
      ...(names.length > page.length && last !== undefined && { NextMarker: last }),
    };
  };

  private readonly updateFunctionConfiguration = async (
    request: UpdateFunctionConfigurationRequest,
  ): Promise<object> => {
    refuseOtherMembers('UpdateFunctionConfiguration', request, ['FunctionName', 'RevisionId']);
    const lambda = this.find(request.FunctionName);
    this.checkChangeable(lambda);
    this.checkRevision(lambda, request.RevisionId);
    const settings = settingsFrom(lambda.name, request, lambda.settings);
    await this.options.checkRole?.(settings);
    this.options.network?.checkPlacement(settings.network);
    lambda.settings = settings;
    return this.changed(lambda);
  };

  private readonly updateFunctionCode = async (request: UpdateFunctionCodeRequest): Promise<object> => {
    refuseOtherMembers('UpdateFunctionCode', request, [
      'FunctionName',
      'RevisionId',
      'ZipFile',
      'DryRun',
      'Publish',
    ]);
    if (request.Publish === true) throw new NotInSandbox('versions of functions');
    const lambda = this.find(request.FunctionName);
    this.checkChangeable(lambda);
    this.checkRevision(lambda, request.RevisionId);
    const code = await this.unpack(request.ZipFile);
    if (request.DryRun === true) return { ...this.configuration(lambda), CodeSha256: code.codeSha256 };
    Object.assign(lambda, code);
    const [architecture] = request.Architectures ?? [];
    if (architecture !== undefined) lambda.settings = { ...lambda.settings, architecture };
    return this.changed(lambda);
  };

  private readonly deleteFunction = async (request: DeleteFunctionRequest): Promise<object> => {
    if (request.Qualifier !== undefined) throw new NotInSandbox('versions of functions');
    const { name } = this.find(request.FunctionName);
    this.functions.delete(name);
    await this.invocations.retire(name);
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

  private readonly untagResource = async ({ Resource, TagKeys }: UntagResourceRequest): Promise<object> => {
    const lambda = this.find(Resource);
    for (const key of TagKeys ?? []) lambda.tags.delete(key);
    return {};
  };

  private readonly listTags = async ({ Resource }: ListTagsRequest): Promise<object> => ({
    Tags: Object.fromEntries(this.find(Resource).tags),
  });

  private readonly putFunctionEventInvokeConfig = async (
    request: PutFunctionEventInvokeConfigRequest,
  ): Promise<object> => this.configureEvents(request);

  private readonly updateFunctionEventInvokeConfig = async (
    request: UpdateFunctionEventInvokeConfigRequest,
  ): Promise<object> => {
    const {
      FunctionArn: _arn,
      LastModified: _at,
      ...before
    } = eventInvokeOf(this.find(request.FunctionName, request.Qualifier));
    return this.configureEvents({ ...before, ...request });
  };

  private configureEvents(request: PutFunctionEventInvokeConfigRequest): FunctionEventInvokeConfig {
    const lambda = this.find(request.FunctionName, request.Qualifier);
    const { MaximumRetryAttempts, MaximumEventAgeInSeconds, DestinationConfig } = request;
    within(MaximumRetryAttempts, 'maximumRetryAttempts', 0, 2);
    within(MaximumEventAgeInSeconds, 'maximumEventAgeInSeconds', 60, 21_600);
    checkDestination(DestinationConfig?.OnSuccess?.Destination);
    checkDestination(DestinationConfig?.OnFailure?.Destination);
    return (lambda.eventInvoke = {
      FunctionArn: `${lambda.arn}:$LATEST`,
      LastModified: this.context.clock.now(),
      ...(MaximumRetryAttempts !== undefined && { MaximumRetryAttempts }),
      ...(MaximumEventAgeInSeconds !== undefined && { MaximumEventAgeInSeconds }),
      ...(DestinationConfig && { DestinationConfig }),
    });
  }

  private readonly getFunctionEventInvokeConfig = async (
    request: GetFunctionEventInvokeConfigRequest,
  ): Promise<object> => eventInvokeOf(this.find(request.FunctionName, request.Qualifier));

  private readonly listFunctionEventInvokeConfigs = async (
    request: ListFunctionEventInvokeConfigsRequest,
  ): Promise<object> => {
    const { eventInvoke } = this.find(request.FunctionName);
    return { FunctionEventInvokeConfigs: eventInvoke && request.Marker === undefined ? [eventInvoke] : [] };
  };

  private readonly deleteFunctionEventInvokeConfig = async (
    request: DeleteFunctionEventInvokeConfigRequest,
  ): Promise<object> => {
    const lambda = this.find(request.FunctionName, request.Qualifier);
    eventInvokeOf(lambda);
    delete lambda.eventInvoke;
    return {};
  };

  private readonly putFunctionConcurrency = async (
    request: PutFunctionConcurrencyRequest,
  ): Promise<object> => {
    const lambda = this.find(request.FunctionName);
    const { ReservedConcurrentExecutions = 0 } = request;
    const others = this.unreserved() + (lambda.reservedConcurrency ?? 0);
    if (ReservedConcurrentExecutions > 0 && others - ReservedConcurrentExecutions < LEAST_UNRESERVED)
      throw new ApiError(
        'InvalidParameterValueException',
        `Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [${LEAST_UNRESERVED}].`,
      );
    lambda.reservedConcurrency = ReservedConcurrentExecutions;
    return { ReservedConcurrentExecutions };
  };

  private readonly getFunctionConcurrency = async (
    request: GetFunctionConcurrencyRequest,
  ): Promise<object> => {
    const { reservedConcurrency } = this.find(request.FunctionName);
    return reservedConcurrency === undefined ? {} : { ReservedConcurrentExecutions: reservedConcurrency };
  };

  private readonly deleteFunctionConcurrency = async (
    request: DeleteFunctionConcurrencyRequest,
  ): Promise<object> => {
    delete this.find(request.FunctionName).reservedConcurrency;
    return {};
  };

  private readonly getAccountSettings = async (): Promise<object> => {
    const functions = this.list();
    return {
      AccountLimit: {
        TotalCodeSize: 80_530_636_800,
        CodeSizeUnzipped: 262_144_000,
        CodeSizeZipped: 52_428_800,
        ConcurrentExecutions: this.concurrency,
        UnreservedConcurrentExecutions: this.unreserved(),
      },
      AccountUsage: {
        TotalCodeSize: functions.reduce((sum, { codeSize }) => sum + codeSize, 0),
        FunctionCount: functions.length,
      },
    };
  };

  private get concurrency(): number {
    return this.options.concurrency ?? CONCURRENCY;
  }

  private unreserved(): number {
    return this.list().reduce(
      (left, { reservedConcurrency = 0 }) => left - reservedConcurrency,
      this.concurrency,
    );
  }

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
    this.checkActive(lambda);
    if (InvocationType === 'Event') {
      this.asynchronous.add(lambda.name, randomUUID(), event);
      return { StatusCode: 202 };
    }
    const { outcome, lines } = await this.invocations.run(lambda, {
      requestId: randomUUID(),
      event,
      ...(request.ClientContext !== undefined && {
        clientContext: Buffer.from(request.ClientContext, 'base64').toString('utf8'),
      }),
    });
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

  private configuration(lambda: LambdaFunction): FunctionConfiguration {
    return configurationOf(lambda, this.context.clock.now());
  }

  /** A function can't be invoked until it has come into being. */
  private checkActive(lambda: LambdaFunction): void {
    const { State } = this.configuration(lambda);
    if (State !== 'Active')
      throw new ApiError(
        'ResourceConflictException',
        `The operation cannot be performed at this time. The function is currently in the following state: ${State ?? ''}`,
        409,
        { Type: 'User' },
      );
  }

  /** One change at a time. */
  private checkChangeable(lambda: LambdaFunction): void {
    this.checkActive(lambda);
    if (this.configuration(lambda).LastUpdateStatus === 'InProgress')
      throw new ApiError(
        'ResourceConflictException',
        `The operation cannot be performed at this time. An update is in progress for resource: ${lambda.arn}`,
        409,
        { Type: 'User' },
      );
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
    lambda.updatedAt = new Date(lambda.lastModified.getTime() + CHANGE_TAKES);
    await this.invocations.retire(lambda.name);
    return this.configuration(lambda);
  }

  private async unpack(zip: Uint8Array | undefined): Promise<Code> {
    if (!zip) throw new NotInSandbox('function code from anything but a ZipFile');
    const codeDirectory = await this.codeDirectory();
    try {
      await unzip(zip, codeDirectory);
    } catch (error) {
      await rm(codeDirectory, { recursive: true, force: true });
      const reason = error instanceof Error ? error.message : String(error);
      throw new ApiError('InvalidParameterValueException', `Could not unzip uploaded file: ${reason}.`);
    }
    const codeSha256 = createHash('sha256').update(zip).digest('base64');
    return { codeDirectory, codeSha256, codeSize: zip.byteLength };
  }

  /** Code that lies outside the sandbox's directory may be gone when another process goes on with it. */
  private async ownCopy(directory: string): Promise<string> {
    if (directory.startsWith(this.context.directory + sep)) return directory;
    const copy = await this.codeDirectory();
    await cp(directory, copy, { recursive: true, dereference: true });
    return copy;
  }

  private async codeDirectory(): Promise<string> {
    return mkdtemp(join(this.directory, 'code', 'function-'));
  }

  /** Code that no function has any more. While its last environments ran it had to stay. */
  private removeOldCode(): void {
    const used = new Set(this.list().map(({ codeDirectory }) => codeDirectory));
    const code = join(this.directory, 'code');
    for (const name of readdirSync(code))
      if (!used.has(join(code, name))) rmSync(join(code, name), { recursive: true, force: true });
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

type Code = Pick<LambdaFunction, 'codeDirectory' | 'codeSha256' | 'codeSize'>;

function eventInvokeOf(lambda: LambdaFunction): FunctionEventInvokeConfig {
  if (lambda.eventInvoke) return lambda.eventInvoke;
  throw new ApiError(
    'ResourceNotFoundException',
    `The function ${lambda.arn}:$LATEST doesn't have an EventInvokeConfig`,
    404,
    { Type: 'User' },
  );
}

function within(value: number | undefined, member: string, least: number, most: number): void {
  if (value === undefined || (value >= least && value <= most)) return;
  const limit = value < least ? `greater than or equal to ${least}` : `less than or equal to ${most}`;
  throw new ApiError(
    'ValidationException',
    `1 validation error detected: Value '${value}' at '${member}' failed to satisfy constraint: Member must have value ${limit}`,
  );
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
