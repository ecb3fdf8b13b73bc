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
import type { Deployment } from './resource';
import { ResponseEndpoint } from './response-endpoint';
import { deployStack } from './stack';

export interface DeployOptions {
  /** Directory of the synthesised cloud assembly. */
  readonly assemblyDirectory: string;
  /** Ids of the stacks to deploy; they are deployed in the order of their dependencies. */
  readonly stacks: readonly string[];
  /** As of `cdk deploy --import-existing-resources`: what is new in a template and exists already is adopted. */
  readonly importExistingResources?: boolean;
  readonly context: SandboxContext;
  /** An account, to deploy into. */
  readonly inAccount: (accountId: string) => {
    readonly context: SandboxContext;
    readonly lambda: LambdaService;
  };
  /** Certifies the host that custom resources answer to. */
  readonly authority: Authority;
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

interface StackRecord {
  readonly name: string;
  readonly accountId: string;
  readonly resources: Readonly<Record<string, DeployedResource>>;
  readonly outputs: Readonly<Record<string, Json>>;
  readonly exports: Readonly<Record<string, Json>>;
  /** Names of the exports of other stacks that it uses. */
  readonly imports: readonly string[];
}

/** A stack as it was deployed: plain data with two ways to ask. */
export class DeployedStack implements StackRecord {
  constructor(
    readonly name: string,
    readonly accountId: string,
    readonly resources: Readonly<Record<string, DeployedResource>>,
    readonly outputs: Readonly<Record<string, Json>>,
    readonly exports: Readonly<Record<string, Json>>,
    readonly imports: readonly string[],
  ) {}

  /** @throws Error when the stack has no such resource */
  physicalId(logicalId: string): string {
    const resource = this.resources[logicalId];
    if (!resource) throw new Error(`Stack ${this.name} has no resource "${logicalId}".`);
    return resource.physicalId;
  }

  ofType(type: string): readonly DeployedResource[] {
    return Object.values(this.resources).filter((resource) => resource.type === type);
  }
}

export interface DeployedState {
  readonly iam: IamState;
  readonly network: readonly NetworkRecord[];
  readonly stacks: readonly ({ readonly id: string } & StackRecord)[];
  readonly underWay: string | undefined;
}

/** Everything that has been deployed to one sandbox. */
export class DeployedStacks implements Lasting<DeployedState> {
  readonly iam = new IamRegistry();
  readonly network = new NetworkRegistry();
  readonly stacks = new Map<string, DeployedStack>();
  private underWay: string | undefined;

  /**
   * Marks a deployment as under way while `work` runs.
   *
   * @throws Error when an earlier process ended in the middle of one: what it had made by then nobody knows
   */
  async during<T>(stackIds: readonly string[], work: () => Promise<T>): Promise<T> {
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
    const stacks = [...this.stacks].map(
      ([id, { name, accountId, resources, outputs, exports, imports }]) => ({
        id,
        name,
        accountId,
        resources,
        outputs,
        exports,
        imports,
      }),
    );
    return { iam: this.iam.save(), network: this.network.save(), stacks, underWay: this.underWay };
  }

  load({ iam, network, stacks, underWay }: DeployedState): void {
    this.iam.load(iam);
    this.network.load(network);
    for (const { id, name, accountId, resources, outputs, exports, imports } of stacks)
      this.stacks.set(id, new DeployedStack(name, accountId, resources, outputs, exports, imports));
    this.underWay = underWay;
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
 * Deploys stacks as CloudFormation does. A resource that is there already and has not changed is left alone. A custom resource
 * that has changed is told so; any other is refused, since the sandbox does not update resources. One that the template has no
 * more is let go where it is to be retained, and refused elsewhere.
 *
 * @throws Error with the stack, the resource and the reason of the first failure; what was made by then stays
 * @throws Error when an earlier process ended in the middle of a deployment
 */
export async function deployAssembly(options: DeployOptions): Promise<DeployedStacks> {
  const { assemblyDirectory, context, inAccount, authority, onProgress = () => undefined } = options;
  const state = deployedTo(context);
  const artifacts = await readAssembly(assemblyDirectory, options.stacks);
  const responses = new Map<LambdaService, Promise<ResponseEndpoint>>();
  const deploymentInto = (accountId = context.account.accountId): Deployment => {
    const { context: its, lambda } = inAccount(accountId);
    const administrator = administratorOf(its.account);
    return {
      context: its,
      lambda,
      iam: state.iam,
      network: state.network,
      importExistingResources: options.importExistingResources ?? false,
      responses: () => {
        const endpoint = responses.get(lambda) ?? ResponseEndpoint.start(its.account, lambda, authority);
        responses.set(lambda, endpoint);
        return endpoint;
      },
      call: (service, operation, input) => its.api.call(service, operation, input, administrator),
    };
  };
  for (const { name, region } of artifacts)
    if (region !== undefined && region !== context.account.region)
      throw new NotInSandbox(`${name} in another Region (${region}) than ${context.account.region}`);
  await state.during(options.stacks, async () => {
    try {
      for (const artifact of inOrder(artifacts)) {
        const stack = await deployStack(artifact, deploymentInto(artifact.accountId), state, onProgress);
        state.stacks.set(artifact.id, stack);
      }
    } finally {
      for (const endpoint of responses.values()) await (await endpoint).stop();
    }
  });
  return state;
}

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
