import { mkdtempSync, chmodSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { RDSClient } from '@aws-sdk/client-rds';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SFNClient } from '@aws-sdk/client-sfn';
import { Callers, SANDBOX_ACCOUNT, type Credentials } from './core/account';
import { Api, type Caller } from './core/api';
import { held, type Clock } from './core/clock';
import type { SandboxContext } from './core/context';
import { StateDirectory } from './core/state-directory';
import { deployAssembly, deployedTo, type DeployedStacks } from './deploy/deploy';
import { Faults, type FaultTargets } from './faults/faults';
import type { FaultPlanInput } from './faults/plan';
import { Authorisation } from './iam/authorisation';
import { LambdaService } from './lambda/service';
import type { Postgres } from './postgres/contract';
import { startPostgres } from './postgres/postgres';
import type { Durations } from './rds/durations';
import { RdsService } from './rds/service';
import { SecretsManagerService } from './secrets-manager/service';
import { SnsService } from './sns/service';
import { StepFunctionsService } from './step-functions/service';
import { StsService } from './sts/service';
import { PortTaken, startServer } from './wire/server';

// package.json says which Node is supported; without this the SDK warns of Node 20 on every start.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';

export interface SandboxOptions {
  /** Port of the AWS API on 127.0.0.1. @default any free one below 32768 */
  readonly port?: number;
  readonly clock: Clock;
  /** How long RDS takes for what it does, on the clock. */
  readonly durations: Durations;
  /** What goes wrong. @default nothing */
  readonly faults?: FaultPlanInput;
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
    /** Every call is authorised by it; reports which permissions have been used. */
    readonly iam: Authorisation,
    /** Makes API calls fail as a plan says. */
    readonly faults: Faults,
    private readonly state: StateDirectory | undefined,
    private readonly closeServer: () => Promise<void>,
  ) {}

  /** @throws PortTaken when the wished port is in use; PostgresStartFailed when PostgreSQL can't run here. */
  static async start(options: SandboxOptions): Promise<Sandbox> {
    const { clock, durations, log = () => undefined } = options;
    const api = new Api();
    const callers = new Callers(SANDBOX_ACCOUNT);
    const server = await listen({ api, callers, log }, options.port);
    const { stateDirectory } = options;
    const directory = stateDirectory ?? temporaryDirectory();
    try {
      const state = stateDirectory === undefined ? undefined : new StateDirectory(stateDirectory);
      if (state) api.intercept(state.interceptor);
      api.intercept((_call, next) => held(clock, next));
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
      api.intercept(iam.interceptor);
      const postgres = await startPostgres({
        directory: join(directory, 'postgres'),
        ...(state ? {} : { removeDirectoryOnExit: directory }),
        log,
      });
      const rds = new RdsService(context, { postgres, durations });
      const stepFunctions = new StepFunctionsService(context);
      const lambda = new LambdaService(context, {
        caFile: postgres.authority.caFile,
        checkRole: (settings) => iam.checkFunctionRole(settings),
      });
      const sns = new SnsService(context);
      const others = [SecretsManagerService, StsService];
      for (const service of [rds, stepFunctions, lambda, sns, ...others.map((Other) => new Other(context))])
        api.register(service);
      const targets: FaultTargets = {
        killFunction: (environment) => lambda.killEnvironment(environment),
        timeOutFunction: (environment) => lambda.timeOutEnvironment(environment),
        failOperation: (failure) => {
          rds.failNext(failure);
        },
      };
      const faults = new Faults(context, targets, options.faults);
      api.intercept(faults.interceptor);
      await state?.resume();
      return new Sandbox(context, postgres, rds, stepFunctions, lambda, sns, iam, faults, state, () =>
        server.close(),
      );
    } catch (error) {
      await server.close();
      if (stateDirectory === undefined) await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** Deploys stacks of a synthesised cloud assembly, as they are. */
  async deploy(
    assemblyDirectory: string,
    stacks: readonly string[],
    onProgress?: (text: string) => void,
  ): Promise<DeployedStacks> {
    return deployAssembly({
      assemblyDirectory,
      stacks: [...stacks],
      context: this.context,
      lambda: this.lambda,
      authority: this.postgres.authority,
      ...(onProgress ? { onProgress } : {}),
    });
  }

  credentials(caller: Caller = this.context.callers.administrator()): Credentials {
    return this.context.callers.credentialsFor(caller);
  }

  /** Real SDK clients that talk to this sandbox over the wire. */
  clients(caller?: Caller): {
    rds: RDSClient;
    secrets: SecretsManagerClient;
    stepFunctions: SFNClient;
    lambda: LambdaClient;
  } {
    const { endpoint, account } = this.context;
    const options = { endpoint, region: account.region, credentials: this.credentials(caller) };
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
    await this.closeServer();
    await this.state?.close();
    await api.stop();
    await this.postgres.stop();
    if (!this.state) await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  }
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
