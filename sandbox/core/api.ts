import { randomUUID } from 'node:crypto';
import { accountIn, SANDBOX_ACCOUNT } from './account';

/** The services that the sandbox knows, named as a signature's credential scope names them. */
export type ServiceName =
  | 'rds'
  | 'secretsmanager'
  | 'states'
  | 'lambda'
  | 'sns'
  | 'sts'
  | 'events'
  | 'scheduler'
  | 'monitoring'
  | 'ecs'
  | 'sqs'
  | 's3'
  | 'cloudformation'
  | 'ssm';

/** Who makes a call: a role (of a function, of the machine, of CI), the account's administrator or a service of AWS. */
export interface Caller {
  /** ARN of the principal; for a role that of the role itself; for a service its name (`events.amazonaws.com`). */
  readonly arn: string;
  /** The function whose code makes the call, if it is one. */
  readonly functionName?: string;
  /** Set when the keys are those that STS gave to whoever took the role. */
  readonly session?: Session;
  /** The execution environment of the function that the code runs in. */
  readonly environment?: string;
  /** Set when a service of AWS calls for a resource: in its own name or, where `arn` is a role, in that role's. */
  readonly via?: ServiceCaller;
}

/** For how long somebody has taken a role. */
export interface Session {
  readonly name: string;
  readonly until: Date;
}

/** A service of AWS that acts for a resource of the account. */
export interface ServiceCaller {
  /** `events.amazonaws.com` */
  readonly service: string;
  /** The rule, schedule, topic or alarm that it acts for: `aws:SourceArn` of policies. */
  readonly sourceArn: string;
}

export interface RequestContext {
  readonly service: ServiceName;
  readonly operation: string;
  readonly caller: Caller;
  /** Whose services answer: that of the caller. */
  readonly accountId: string;
  readonly requestId: string;
  /** That the call was signed for. @default that of the account */
  readonly region?: string;
}

/** One API call on its way through the sandbox; `input` has the members of the SDK's own model. */
export interface ApiCall {
  readonly context: RequestContext;
  readonly input: Record<string, unknown>;
}

export type Output = Record<string, unknown>;

/**
 * An operation of a service. Inputs and outputs are the SDK's own types (`CreateDBSnapshotMessage`, …): the input has been
 * checked against the SDK's model of the service before the operation sees it.
 */
export type Operation<Input = never> = (input: Input, context: RequestContext) => Promise<object>;

/** A service: its operations by name. An operation that is missing here is refused by name. */
export interface Service {
  readonly name: ServiceName;
  readonly operations: Readonly<Record<string, Operation>>;
  /** Ends what the service keeps running (servers, processes, timers). */
  stop?(): Promise<void>;
}

/** Stands between a caller and the operation: authorisation, faults, recording. Calls `next` to go on. */
export type Interceptor = (call: ApiCall, next: () => Promise<Output>) => Promise<Output>;

/**
 * An error as a service answers it. `code` is the name in the SDK (`DBInstanceNotFoundFault`, `ResourceNotFoundException`);
 * the protocol layer spells it on the wire as that service does.
 */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly status: number = 400,
    /** Further members of the error's shape. */
    readonly members: Record<string, unknown> = {},
  ) {
    super(message);
    this.name = code;
  }
}

/** The connection of a call breaks without an answer, whatever became of the call. The name is that of AWS's SDK for Java. */
export class AnswerLost extends ApiError {
  constructor() {
    super('SdkClientException', 'Unable to execute HTTP request: The target server failed to respond', 500);
  }
}

/** What the sandbox does not do, said by name so that nobody takes silence for success. */
export class NotInSandbox extends ApiError {
  constructor(what: string) {
    super(
      'NotImplementedInSandbox',
      `The sandbox does not implement ${what}. See docs/sandbox.md for what it does.`,
      501,
    );
  }
}

/**
 * Routes API calls, from the wire or from inside the sandbox, through the interceptors to the services of the caller's account.
 * A service of AWS is in the account of the Api that it calls by.
 */
export class Api {
  private readonly services = new Map<ServiceName, Service>();
  private readonly interceptors: Interceptor[];
  private readonly accounts: Map<string, Api>;

  /** `home`: that of the home account, where this is one of another. */
  constructor(
    readonly accountId = SANDBOX_ACCOUNT.accountId,
    home?: Api,
  ) {
    this.interceptors = home?.interceptors ?? [];
    this.accounts = (home?.accounts ?? new Map<string, Api>()).set(accountId, this);
  }

  /** That of an account: behind the same interceptors, with services of its own. */
  inAccount(accountId: string): Api {
    return this.accounts.get(accountId) ?? new Api(accountId, this);
  }

  register(service: Service): void {
    this.services.set(service.name, service);
  }

  /** Later interceptors stand nearer to the service. Returns a function that takes it out again. */
  intercept(interceptor: Interceptor): () => void {
    this.interceptors.push(interceptor);
    return () => {
      this.interceptors.splice(this.interceptors.indexOf(interceptor), 1);
    };
  }

  async call(service: ServiceName, operation: string, input: object, caller: Caller): Promise<Output> {
    const accountId = this.accountOf(caller);
    const context: RequestContext = { service, operation, caller, accountId, requestId: randomUUID() };
    return this.handle({ context, input: input as Record<string, unknown> });
  }

  /** Asks a service past every interceptor: for parts of the sandbox that have to know something about a call. */
  async ask(
    service: ServiceName,
    operation: string,
    input: object,
    caller: Caller,
    region?: string,
  ): Promise<Output> {
    const context: RequestContext = {
      service,
      operation,
      caller,
      accountId: this.accountOf(caller),
      requestId: randomUUID(),
      ...(region !== undefined && { region }),
    };
    return this.atService({ context, input: input as Record<string, unknown> });
  }

  async handle(call: ApiCall): Promise<Output> {
    const chain = this.interceptors.reduceRight<() => Promise<Output>>(
      (next, interceptor) => () => interceptor(call, next),
      () => this.atService(call),
    );
    return chain();
  }

  /** The account that a call of this caller's acts on. */
  accountOf({ arn }: Caller): string {
    return accountIn(arn) ?? this.accountId;
  }

  private async atService({ context, input }: ApiCall): Promise<Output> {
    const { service, operation, accountId } = context;
    const services = this.accounts.get(accountId)?.services;
    if (!services?.size)
      throw new NotInSandbox(`the account ${accountId}: no stack has been deployed into it`);
    const run = services.get(service)?.operations[operation];
    if (!run) throw new NotInSandbox(`${service}:${operation}`);
    return (await run(input as never, context)) as Output;
  }

  async stop(): Promise<void> {
    const services = [...this.accounts.values()].flatMap((api) => [...api.services.values()]);
    // One that knows all accounts stands in each of them.
    await Promise.all([...new Set(services)].map(async (service) => service.stop?.()));
  }
}
