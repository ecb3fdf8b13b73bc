import { createHash } from 'node:crypto';
import { administratorOf } from '../core/account';
import { NotInSandbox } from '../core/api';
import type { SandboxContext } from '../core/context';
import type { Lasting } from '../core/state-directory';
import type { LambdaService } from '../lambda/service';
import type { Authority } from '../postgres/contract';
import { readAssembly, type StackArtifact } from './assembly';
import { IamRegistry, type IamState } from './iam-registry';
import type { Json, JsonObject } from './json';
import { NetworkRegistry, type NetworkRecord } from './network-registry';
import type { Deployment, ResourceEvent } from './resource';
import { ResponseEndpoint } from './response-endpoint';
import { deployStack } from './stack';

/** Where and with what stacks are deployed. */
export interface DeployTarget {
  readonly context: SandboxContext;
  /** An account, to deploy into. */
  readonly inAccount: (accountId: string) => {
    readonly context: SandboxContext;
    readonly lambda: LambdaService;
  };
  /** Certifies the host that custom resources answer to. */
  readonly authority: Authority;
}

export interface DeployOptions extends DeployTarget {
  /** Directory of the synthesised cloud assembly. */
  readonly assemblyDirectory: string;
  /** Ids of the stacks to deploy; they are deployed in the order of their dependencies. */
  readonly stacks: readonly string[];
  /** Told what happens, e.g. `Production-Database: Database (AWS::RDS::DBInstance)`. */
  readonly onProgress?: (text: string) => void;
}

export interface DeployedResource {
  readonly logicalId: string;
  readonly type: string;
  readonly physicalId: string;
  readonly attributes: Readonly<Record<string, Json>>;
  /** As the template has them, resolved but for references to secrets' values. */
  readonly properties: JsonObject;
  /** What happens to it when the template has it no more. */
  readonly deletionPolicy: string;
}

/** A stack as it was deployed. */
export interface DeployedStack {
  readonly name: string;
  readonly accountId: string;
  readonly resources: Readonly<Record<string, DeployedResource>>;
  readonly outputs: Readonly<Record<string, Json>>;
  readonly exports: Readonly<Record<string, Json>>;
  /** Names of the exports of other stacks that it uses. */
  readonly imports: readonly string[];
  /** The template as it was given. */
  readonly templateText: string;
  readonly terminationProtection: boolean;
  readonly createdAt: Date;
  /** Of the last deployment that changed something; undefined where none did. */
  readonly updatedAt: Date | undefined;
}

/** The resources of a type in a stack. */
export function resourcesOfType({ resources }: DeployedStack, type: string): readonly DeployedResource[] {
  return Object.values(resources).filter((resource) => resource.type === type);
}

export interface DeployedState {
  readonly iam: IamState;
  readonly network: readonly NetworkRecord[];
  readonly stacks: readonly ({ readonly id: string } & DeployedStack)[];
  readonly underWay: string | undefined;
}

/** Everything that has been deployed to one sandbox. */
export class DeployedStacks implements Lasting<DeployedState> {
  readonly iam = new IamRegistry();
  readonly network = new NetworkRegistry();
  readonly stacks = new Map<string, DeployedStack>();
  private underWay: string | undefined;
  private last: Promise<unknown> = Promise.resolve();

  /**
   * Marks a deployment as under way while `work` runs. One runs at a time, the others wait.
   *
   * @throws Error when an earlier process ended in the middle of one: what it had made by then nobody knows
   */
  async during<T>(stackIds: readonly string[], work: () => Promise<T>): Promise<T> {
    const running = this.last.then(() => this.alone(stackIds, work));
    this.last = running.catch(() => undefined);
    return running;
  }

  private async alone<T>(stackIds: readonly string[], work: () => Promise<T>): Promise<T> {
    if (this.underWay !== undefined)
      throw new Error(
        `The sandbox ended while ${this.underWay} was being deployed, and can't go on with that. ` +
          `HINT: delete its state directory to begin anew.`,
      );
    this.underWay = stackIds.join(', ');
    try {
      return await work();
    } finally {
      this.underWay = undefined;
    }
  }

  save(): DeployedState {
    const stacks = [...this.stacks].map(([id, stack]) => ({ id, ...stack }));
    return { iam: this.iam.save(), network: this.network.save(), stacks, underWay: this.underWay };
  }

  load({ iam, network, stacks, underWay }: DeployedState): void {
    this.iam.load(iam);
    this.network.load(network);
    for (const { id, ...stack } of stacks) this.stacks.set(id, stack);
    this.underWay = underWay;
  }

  /** By which id an account's stack of a name was deployed; undefined where there is none. */
  idOf(name: string, accountId: string): string | undefined {
    for (const [id, stack] of this.stacks)
      if (stack.name === name && stack.accountId === accountId) return id;
    return undefined;
  }

  /** An id for a stack that no assembly has named: its name, unless another account has a stack of that id. */
  newId(name: string, accountId: string): string {
    return this.stacks.has(name) ? `${accountId}/${name}` : name;
  }

  protect(id: string, terminationProtection: boolean): void {
    this.stacks.set(id, { ...this.stack(id), terminationProtection });
  }

  /** @throws Error when it has not been deployed */
  stack(id: string): DeployedStack {
    const stack = this.stacks.get(id);
    if (!stack) throw new Error(`Stack ${id} has not been deployed.`);
    return stack;
  }

  /** @throws Error when no stack of the account exports it */
  imported(exportName: string, into: string): Json {
    for (const { exports, accountId } of this.stacks.values()) {
      const value = accountId === into ? exports[exportName] : undefined;
      if (value !== undefined) return value;
    }
    throw new Error(`No export named ${exportName} found.`);
  }
}

/** What each sandbox has been given so far: a later deployment goes on from there. */
const deployed = new WeakMap<SandboxContext, DeployedStacks>();

/** What has been deployed to a sandbox so far; later deployments add to it. */
export function deployedTo(context: SandboxContext): DeployedStacks {
  const known = deployed.get(context);
  if (known) return known;
  const state = new DeployedStacks();
  deployed.set(context, state);
  context.keep('deployed', state);
  return state;
}

/**
 * Deploys stacks of a cloud assembly as CloudFormation does. A resource that is there already and has not changed is left alone. A
 * custom resource that has changed is told so; any other is refused, since the sandbox does not update resources. One that the
 * template has no more is let go where it is to be retained, and refused elsewhere.
 *
 * @throws Error with the stack, the resource and the reason of the first failure; what was made by then stays
 * @throws Error when an earlier process ended in the middle of a deployment
 */
export async function deployAssembly(options: DeployOptions): Promise<DeployedStacks> {
  const { assemblyDirectory, context, onProgress = () => undefined } = options;
  const artifacts = await readAssembly(assemblyDirectory, options.stacks);
  for (const { name, region } of artifacts)
    if (region !== undefined && region !== context.account.region)
      throw new NotInSandbox(`${name} in another Region (${region}) than ${context.account.region}`);
  await deployArtifacts(inOrder(artifacts), options, false, (event) => {
    const text = progressOf(event);
    if (text !== undefined) onProgress(text);
  });
  return deployedTo(context);
}

/**
 * Deploys stacks one after the other, and tells of each resource.
 *
 * @param importExistingResources whether what is new in a template and exists already is adopted
 * @throws Error as `deployAssembly` does
 */
export async function deployArtifacts(
  artifacts: readonly StackArtifact[],
  target: DeployTarget,
  importExistingResources: boolean,
  onEvent: (event: ResourceEvent) => void,
): Promise<void> {
  const state = deployedTo(target.context);
  const deployments = new Deployments(target, importExistingResources);
  const ids = artifacts.map(({ id }) => id);
  await state.during(ids, async () => {
    try {
      for (const artifact of artifacts) {
        const stack = await deployStack(artifact, deployments.into(artifact.accountId), state, onEvent);
        state.stacks.set(artifact.id, stack);
      }
    } finally {
      await deployments.end();
    }
  });
}

/** What the stacks of one deployment are made with, in whatever account. */
export class Deployments {
  private readonly responses = new Map<LambdaService, Promise<ResponseEndpoint>>();

  constructor(
    private readonly target: DeployTarget,
    private readonly importExistingResources: boolean,
  ) {}

  into(accountId = this.target.context.account.accountId): Deployment {
    const { context, inAccount, authority } = this.target;
    const { context: its, lambda } = inAccount(accountId);
    const { iam, network } = deployedTo(context);
    const administrator = administratorOf(its.account);
    return {
      context: its,
      lambda,
      iam,
      network,
      importExistingResources: this.importExistingResources,
      responses: () => {
        const endpoint = this.responses.get(lambda) ?? ResponseEndpoint.start(its.account, lambda, authority);
        this.responses.set(lambda, endpoint);
        return endpoint;
      },
      call: (service, operation, input) => its.api.call(service, operation, input, administrator),
    };
  }

  async end(): Promise<void> {
    for (const endpoint of this.responses.values()) await (await endpoint).stop();
  }
}

/** What a person is told of a resource; undefined where that is nothing. */
function progressOf({ stack, logicalId, type, status }: ResourceEvent): string | undefined {
  const done = DONE[status];
  return done === undefined ? undefined : `${stack}: ${logicalId} (${type})${done}`;
}

const DONE: Readonly<Partial<Record<ResourceEvent['status'], string>>> = {
  CREATE_COMPLETE: '',
  UPDATE_COMPLETE: ' is updated',
  IMPORT_COMPLETE: ' is adopted',
  DELETE_SKIPPED: ' is let go',
};

/** Stacks that others depend on come first. */
function inOrder(artifacts: readonly StackArtifact[]): StackArtifact[] {
  const ordered: StackArtifact[] = [];
  const visit = (artifact: StackArtifact): void => {
    if (ordered.includes(artifact)) return;
    for (const other of artifacts) if (artifact.dependencies.includes(other.id)) visit(other);
    ordered.push(artifact);
  };
  artifacts.forEach(visit);
  return ordered;
}

/** A hexadecimal id that is the same in every deployment of a resource. */
export function stableId(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('/')).digest('hex').slice(0, 17);
}
