import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { mkdtempSync, chmodSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { RDSClient } from '@aws-sdk/client-rds';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SFNClient } from '@aws-sdk/client-sfn';
import { contextOf, startServices, type AccountServices } from './account-services';
import type { CloudWatchService } from './cloudwatch/service';
import { administratorOf, Callers, SANDBOX_ACCOUNT, type Credentials } from './core/account';
import { Api, type Caller } from './core/api';
import { held, type Clock } from './core/clock';
import type { SandboxContext } from './core/context';
import { refuseOtherAccounts } from './core/other-accounts';
import { StateDirectory } from './core/state-directory';
import { deployAssembly, deployedTo, type DeployedStacks, type DeployTarget } from './deploy/deploy';
import { keysOf } from './deploy/keys';
import { Faults, type FaultTargets } from './faults/faults';
import type { FaultPlanInput } from './faults/plan';
import type { EcsServiceApi } from './ecs/service';
import type { EventsService } from './events/service';
import { Authorisation } from './iam/authorisation';
import type { FunctionSettings } from './lambda/function';
import type { LambdaService } from './lambda/service';
import { Network } from './network/network';
import type { Postgres } from './postgres/contract';
import { startPostgres } from './postgres/postgres';
import type { Durations } from './rds/durations';
import { RdsService } from './rds/service';
import type { SchedulerService } from './scheduler/service';
import type { SnsService } from './sns/service';
import type { SqsService } from './sqs/service';
import type { StepFunctionsService } from './step-functions/service';
import { PortTaken, startServer, type RunningServer } from './wire/server';

// package.json says which Node is supported; without this the SDK warns of Node 20 on every start.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';

export interface SandboxOptions {
  /** Port of the AWS API on 127.0.0.1. @default that of the state directory, or any free one below 32768 */
  readonly port?: number;
  readonly clock: Clock;
  /** How long RDS takes for what it does, on the clock. */
  readonly durations: Durations;
  /** What goes wrong. @default nothing */
  readonly faults?: FaultPlanInput;
  /**
   * For faults that restart the sandbox: ends this process, or this sandbox, at once, as a crash does; all state is on disk.
   * Whoever owns the sandbox starts it again on its state directory. @default such faults are refused
   */
  readonly onRestart?: () => void;
  /** Where everything is kept, so that a later sandbox goes on from there. @default a directory that goes with the sandbox */
  readonly stateDirectory?: string;
  /** @default nothing is logged */
  readonly log?: (line: string) => void;
}

/** An account of the sandbox with its services. */
export interface PlayedAccount extends AccountServices {
  readonly context: SandboxContext;
}

/** The local AWS: every service on one port, over real PostgreSQL. Its own members are those of the home account. */
export class Sandbox implements PlayedAccount {
  readonly stepFunctions: StepFunctionsService;
  readonly lambda: LambdaService;
  readonly sns: SnsService;
  readonly events: EventsService;
  readonly scheduler: SchedulerService;
  readonly sqs: SqsService;
  readonly cloudWatch: CloudWatchService;
  readonly ecs: EcsServiceApi;
  private stopping: Promise<void> | undefined;

  private constructor(
    readonly context: SandboxContext,
    readonly postgres: Postgres,
    readonly rds: RdsService,
    private readonly accounts: Accounts,
    /** Every call is authorised by it; reports which permissions have been used. */
    readonly iam: Authorisation,
    /** Makes API calls fail as a plan says. */
    readonly faults: Faults,
    private readonly state: StateDirectory | undefined,
    private readonly server: RunningServer,
  ) {
    const home = accounts.of(context.account.accountId);
    this.stepFunctions = home.stepFunctions;
    this.lambda = home.lambda;
    this.sns = home.sns;
    this.events = home.events;
    this.scheduler = home.scheduler;
    this.sqs = home.sqs;
    this.cloudWatch = home.cloudWatch;
    this.ecs = home.ecs;
  }

  /**
   * @throws PortTaken when the wished port is in use; PostgresStartFailed when PostgreSQL can't run here; DirectoryInUse and
   * UnreadableState for a state directory that can't be had
   */
  static async start(options: SandboxOptions): Promise<Sandbox> {
    const { clock, durations, log = () => undefined } = options;
    const api = new Api();
    const callers = new Callers(SANDBOX_ACCOUNT);
    const state =
      options.stateDirectory === undefined ? undefined : new StateDirectory(options.stateDirectory, log);
    const directory = state?.directory ?? temporaryDirectory();
    const gate = gateBefore(api);
    let server: RunningServer | undefined;
    let postgres: Postgres | undefined;
    try {
      // The keys handed out must be known before the first call comes.
      state?.keep('clock', clock);
      state?.keep('callers', callers);
      let port = options.port;
      state?.keep('port', {
        save: () => server?.port,
        load: (earlier) => (port ??= earlier),
      });
      server = await listen({ api: gate.api, callers, log }, port);
      api.intercept((_call, next) => held(clock, next));
      // Within the hold: a virtual clock does not jump between an effect and its answer.
      if (state) api.intercept(state.interceptor);
      const endpoint = `http://127.0.0.1:${server.port}`;
      const context: SandboxContext = {
        account: SANDBOX_ACCOUNT,
        clock,
        callers,
        api,
        directory,
        endpoint,
        keep: (name, part) => state?.keep(name, part),
        log,
      };
      const deployed = deployedTo(context);
      const keys = keysOf(deployed);
      const iam = new Authorisation({
        api,
        account: context.account,
        registry: deployed.iam,
        keys,
        now: () => clock.now(),
        log,
      });
      context.keep('iam', iam);
      api.intercept(refuseOtherAccounts);
      api.intercept(iam.interceptor);
      postgres = await startPostgres({
        directory: join(directory, 'postgres'),
        ...(state ? {} : { removeDirectoryOnExit: directory }),
        log,
      });
      const { network: registry } = deployed;
      const rds = new RdsService(context, { postgres, durations, network: registry, keys });
      const lambdaOptions = {
        caFile: postgres.authority.caFile,
        checkRole: (settings: FunctionSettings) => iam.checkFunctionRole(settings),
        network: new Network({
          registry,
          region: context.account.region,
          endpoint,
          databaseAt: (host, port) => rds.databaseAt(host, port),
          log,
        }),
      };
      const deployTarget: DeployTarget = {
        context,
        inAccount: (accountId) => accounts.of(accountId),
        authority: postgres.authority,
      };
      const accounts: Accounts = new Accounts(context, (its) =>
        startServices(its, rds, lambdaOptions, deployTarget),
      );
      const inEach = async (end: (lambda: LambdaService) => Promise<void>): Promise<void> => {
        await Promise.all(accounts.all().map(({ lambda }) => end(lambda)));
      };
      const targets: FaultTargets = {
        killFunction: (environment) => inEach((its) => its.killEnvironment(environment)),
        timeOutFunction: (environment) => inEach((its) => its.timeOutEnvironment(environment)),
        failOperation: (failure) => {
          rds.failNext(failure);
        },
        ...(state && options.onRestart && { restart: restarter(state, options.onRestart) }),
      };
      const faults = new Faults(context, targets, options.faults);
      api.intercept(faults.interceptor);
      await state?.resume();
      gate.open();
      return new Sandbox(context, postgres, rds, accounts, iam, faults, state, server);
    } catch (error) {
      await server?.close();
      await api.stop();
      await postgres?.stop();
      state?.release();
      if (!state) await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /**
   * Deploys stacks of a synthesised cloud assembly, as they are: each into the account that its `env` names, or into the home
   * account. Says of each resource what was done with it.
   */
  async deploy(
    assemblyDirectory: string,
    stacks: readonly string[],
    onProgress?: (text: string) => void,
  ): Promise<DeployedStacks> {
    const deployed = await deployAssembly({
      assemblyDirectory,
      stacks: [...stacks],
      context: this.context,
      inAccount: (accountId) => this.accounts.of(accountId),
      authority: this.postgres.authority,
      ...(onProgress ? { onProgress } : {}),
    });
    await this.state?.write();
    return deployed;
  }

  /** True when it goes on from what an earlier process left in its state directory. */
  get continues(): boolean {
    return this.state?.continues ?? false;
  }

  /** Another account, as far as something is in it; it begins empty. */
  account(accountId: string): PlayedAccount {
    return this.accounts.of(accountId);
  }

  /** Whoever may do everything in an account. */
  administrator(accountId: string): Caller {
    return administratorOf(this.account(accountId).context.account);
  }

  credentials(caller: Caller = this.context.callers.administrator()): Credentials {
    return this.context.callers.credentialsFor(caller);
  }

  /** Real SDK clients that talk to this sandbox over the wire. */
  clients(
    caller?: Caller,
    region = this.context.account.region,
  ): {
    rds: RDSClient;
    secrets: SecretsManagerClient;
    stepFunctions: SFNClient;
    lambda: LambdaClient;
    cloudWatch: CloudWatchClient;
  } {
    const { endpoint } = this.context;
    const options = { endpoint, region, credentials: this.credentials(caller) };
    return {
      rds: new RDSClient(options),
      secrets: new SecretsManagerClient(options),
      stepFunctions: new SFNClient(options),
      lambda: new LambdaClient(options),
      cloudWatch: new CloudWatchClient(options),
    };
  }

  /** Ends every server, process and timer. What it made is removed, unless it has a state directory. Can be called again. */
  async stop(): Promise<void> {
    this.stopping ??= this.end();
    return this.stopping;
  }

  private async end(): Promise<void> {
    const { clock, api, directory } = this.context;
    clock.stop();
    await this.server.close();
    try {
      await this.state?.close();
    } finally {
      await api.stop();
      await this.postgres.stop();
      this.state?.release();
    }
    if (!this.state) await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** The accounts that something has been deployed into, the home account first. */
class Accounts {
  private readonly byId: Map<string, PlayedAccount>;

  constructor(
    private readonly home: SandboxContext,
    private readonly start: (context: SandboxContext) => AccountServices,
  ) {
    this.byId = new Map([[home.account.accountId, { ...start(home), context: home }]]);
    home.keep<readonly string[]>('accounts', {
      save: () => this.all().map(({ context }) => context.account.accountId),
      load: (ids) => {
        for (const id of ids) this.of(id);
      },
    });
  }

  of(accountId: string): PlayedAccount {
    const known = this.byId.get(accountId);
    if (known) return known;
    const context = contextOf(this.home, accountId);
    const account = { ...this.start(context), context };
    this.byId.set(accountId, account);
    return account;
  }

  all(): PlayedAccount[] {
    return [...this.byId.values()];
  }
}

/** The call that it comes from is never answered. */
function restarter(state: StateDirectory, end: () => void): () => Promise<never> {
  return async () => {
    // That the fault has happened must be known afterwards.
    await state.write();
    end();
    return new Promise(() => undefined);
  };
}

/** Keeps calls from outside waiting until it is opened. */
function gateBefore(api: Api): {
  readonly api: Pick<Api, 'handle' | 'accountOf'>;
  readonly open: () => void;
} {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return {
    api: {
      accountOf: (caller) => api.accountOf(caller),
      handle: async (call) => {
        await opened;
        return api.handle(call);
      },
    },
    open,
  };
}

/** PostgreSQL runs as another user when the sandbox runs as root, so the directory can be entered by all. */
function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'migration-rollback-'));
  chmodSync(directory, 0o755);
  return directory;
}

/** With SANDBOX_LOG set, the sandbox's log on standard error. */
export function logFromEnvironment(): (line: string) => void {
  if (process.env.SANDBOX_LOG === undefined) return () => undefined;
  return (line) => void process.stderr.write(`${line}\n`);
}

/** Below the range from which systems take ports of their own accord, so that a free port stays free. */
const FREE_PORTS = { from: 20_000, below: 32_000 };

async function listen(
  options: Omit<Parameters<typeof startServer>[0], 'port'>,
  port: number | undefined,
): ReturnType<typeof startServer> {
  if (port !== undefined) return startServer({ ...options, port });
  for (let attempt = 1; ; attempt++) {
    const candidate = FREE_PORTS.from + Math.floor(Math.random() * (FREE_PORTS.below - FREE_PORTS.from));
    try {
      return await startServer({ ...options, port: candidate });
    } catch (error) {
      if (!(error instanceof PortTaken) || attempt === 50) throw error;
    }
  }
}
