import { ExecutionEnvironment, type EnvironmentOptions } from './environment';

interface Idle {
  readonly owner: string;
  readonly environment: ExecutionEnvironment;
}

/**
 * The warm execution environments of all functions. A busy function gets a further one; idle ones are kept only up to a
 * number, since each takes some 20 MB: the one idle for longest ends first. A number below that of the functions of a recovery
 * would have each of them started anew in the next one: they come in turn.
 */
export class EnvironmentPool {
  private idle: Idle[] = [];
  private readonly all = new Set<ExecutionEnvironment>();
  /** Owners' generations: an environment of an earlier one is not used again. */
  private readonly generations = new Map<string, number>();
  private stopped = false;

  constructor(private readonly maxIdle: number) {}

  /** A warm environment of the function, or a cold one that is not started yet. */
  take(owner: string, options: () => EnvironmentOptions): Lease {
    const generation = this.generations.get(owner) ?? 0;
    for (;;) {
      const index = this.idle.findLastIndex((idle) => idle.owner === owner);
      const [warm] = index < 0 ? [] : this.idle.splice(index, 1);
      if (!warm) break;
      if (warm.environment.alive) return this.lease(owner, generation, warm.environment, false);
      this.all.delete(warm.environment);
    }
    if (this.stopped) throw new Error('The sandbox is stopping: no function is started any more.');
    const environment = new ExecutionEnvironment(options());
    this.all.add(environment);
    return this.lease(owner, generation, environment, true);
  }

  /** Ends the environments of a function whose code or settings have changed; busy ones finish their invocation first. */
  async retire(owner: string): Promise<void> {
    this.generations.set(owner, (this.generations.get(owner) ?? 0) + 1);
    const retired = this.idle.filter((idle) => idle.owner === owner);
    this.idle = this.idle.filter((idle) => idle.owner !== owner);
    await Promise.all(retired.map(async ({ environment }) => this.end(environment)));
  }

  /** The execution environment with this id, if it is still there. */
  find(id: string): ExecutionEnvironment | undefined {
    return [...this.all].find((environment) => environment.id === id);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.idle = [];
    await Promise.all([...this.all].map(async (environment) => this.end(environment)));
  }

  private lease(owner: string, generation: number, environment: ExecutionEnvironment, cold: boolean): Lease {
    return {
      environment,
      cold,
      release: async () => {
        const current = (this.generations.get(owner) ?? 0) === generation;
        if (!environment.alive || !current || this.stopped) {
          await this.end(environment);
          return;
        }
        this.idle.push({ owner, environment });
        const surplus = this.idle.splice(0, Math.max(0, this.idle.length - this.maxIdle));
        await Promise.all(surplus.map(async (idle) => this.end(idle.environment)));
      },
    };
  }

  private async end(environment: ExecutionEnvironment): Promise<void> {
    await environment.end();
    this.all.delete(environment);
  }
}

/** An environment for one invocation. */
export interface Lease {
  readonly environment: ExecutionEnvironment;
  /** It has to be started first. */
  readonly cold: boolean;
  release(): Promise<void>;
}
