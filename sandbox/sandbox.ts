import { mkdtempSync, chmodSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { RDSClient } from '@aws-sdk/client-rds';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SFNClient } from '@aws-sdk/client-sfn';
import { collect } from './cloudwatch/collect';
import { CloudWatchService } from './cloudwatch/service';
import { Callers, SANDBOX_ACCOUNT, type Credentials } from './core/account';
import { Api, type Caller } from './core/api';
import { held, type Clock } from './core/clock';
import type { SandboxContext } from './core/context';
import { StateDirectory } from './core/state-directory';
import { deployAssembly, deployedTo, type DeployedStacks } from './deploy/deploy';
import { Faults, type FaultTargets } from './faults/faults';
import type { FaultPlanInput } from './faults/plan';
import { EcsServiceApi } from './ecs/service';
import { EventsService } from './events/service';
import { publishExecutions } from './events/executions';
import { Authorisation } from './iam/authorisation';
import { LambdaService } from './lambda/service';
import { Network } from './network/network';
import type { Postgres } from './postgres/contract';
import { startPostgres } from './postgres/postgres';
import type { Durations } from './rds/durations';
import { RdsService } from './rds/service';
import { S3Service } from './s3/service';
import { SchedulerService } from './scheduler/service';
import { SecretsManagerService } from './secrets-manager/service';
import { SnsService } from './sns/service';
import { SqsService } from './sqs/service';
import { StepFunctionsService } from './step-functions/service';
import { StsService } from './sts/service';
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

/** The local AWS: every service on one port, over real PostgreSQL. */
export class Sandbox {
  private stopping: Promise<void> | undefined;

  private constructor(
    readonly context: SandboxContext,
    readonly postgres: Postgres,
    readonly rds: RdsService,
    readonly stepFunctions: StepFunctionsService,
    readonly lambda: LambdaService,
    readonly sns: SnsService,
    readonly events: EventsService,
    readonly scheduler: SchedulerService,
    readonly sqs: SqsService,
    readonly cloudWatch: CloudWatchService,
    readonly ecs: EcsServiceApi,
    /** Every call is authorised by it; reports which permissions have been used. */
    readonly iam: Authorisation,
    /** Makes API calls fail as a plan says. */
    readonly faults: Faults,
    private readonly state: StateDirectory | undefined,
    private readonly server: RunningServer,
  ) {}

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
      const iam = new Authorisation({
        api,
        account: context.account,
        registry: deployedTo(context).iam,
        administrator: callers.administrator(),
        log,
      });
      context.keep('iam', iam);
      api.intercept(iam.interceptor);
      postgres = await startPostgres({
        directory: join(directory, 'postgres'),
        ...(state ? {} : { removeDirectoryOnExit: directory }),
        log,
      });
      const { network: registry } = deployedTo(context);
      const rds = new RdsService(context, { postgres, durations, network: registry });
      const stepFunctions = new StepFunctionsService(context);
      const lambda = new LambdaService(context, {
        caFile: postgres.authority.caFile,
        checkRole: (settings) => iam.checkFunctionRole(settings),
        network: new Network({
          registry,
          region: context.account.region,
          endpoint,
          databaseAt: (host, port) => rds.databaseAt(host, port),
          log,
        }),
      });
      const sns = new SnsService(context);
      const sqs = new SqsService(context);
      const events = new EventsService(context);
      const scheduler = new SchedulerService(context);
      publishExecutions(context, stepFunctions);
      const cloudWatch = new CloudWatchService(context);
      const ecs = new EcsServiceApi(context);
      collect(context, cloudWatch, { lambda, stepFunctions, events, scheduler, sqs });
      const others = [SecretsManagerService, StsService, S3Service].map((Other) => new Other(context));
      for (const service of [
        rds,
        stepFunctions,
        lambda,
        sns,
        sqs,
        events,
        scheduler,
        cloudWatch,
        ecs,
        ...others,
      ])
        api.register(service);
      const targets: FaultTargets = {
        killFunction: (environment) => lambda.killEnvironment(environment),
        timeOutFunction: (environment) => lambda.timeOutEnvironment(environment),
        failOperation: (failure) => {
          rds.failNext(failure);
        },
        ...(state && options.onRestart && { restart: restarter(state, options.onRestart) }),
      };
      const faults = new Faults(context, targets, options.faults);
      api.intercept(faults.interceptor);
      await state?.resume();
      gate.open();
      return new Sandbox(
        context,
        postgres,
        rds,
        stepFunctions,
        lambda,
        sns,
        events,
        scheduler,
        sqs,
        cloudWatch,
        ecs,
        iam,
        faults,
        state,
        server,
      );
    } catch (error) {
      await server?.close();
      await api.stop();
      await postgres?.stop();
      state?.release();
      if (!state) await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** Deploys stacks of a synthesised cloud assembly, as they are. Says of each resource what was done with it. */
  async deploy(
    assemblyDirectory: string,
    stacks: readonly string[],
    onProgress?: (text: string) => void,
    options: { readonly importExistingResources?: boolean } = {},
  ): Promise<DeployedStacks> {
    const deployed = await deployAssembly({
      assemblyDirectory,
      stacks: [...stacks],
      context: this.context,
      lambda: this.lambda,
      authority: this.postgres.authority,
      ...options,
      ...(onProgress ? { onProgress } : {}),
    });
    await this.state?.write();
    return deployed;
  }

  /** True when it goes on from what an earlier process left in its state directory. */
  get continues(): boolean {
    return this.state?.continues ?? false;
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
  } {
    const { endpoint } = this.context;
    const options = { endpoint, region, credentials: this.credentials(caller) };
    return {
      rds: new RDSClient(options),
      secrets: new SecretsManagerClient(options),
      stepFunctions: new SFNClient(options),
      lambda: new LambdaClient(options),
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
function gateBefore(api: Api): { readonly api: Pick<Api, 'handle'>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return {
    api: {
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
