import { isDeepStrictEqual } from 'node:util';
import { arn, type Account } from '../core/account';
import { NotInSandbox } from '../core/api';
import type { StackArtifact } from './assembly';
import { DeployedStack, stableId, type DeployedResource, type DeployedStacks } from './deploy';
import { resolveDynamicReferences } from './dynamic-references';
import { condition, references, resolve, type Scope } from './intrinsics';
import { isObject, type Json, type JsonObject } from './json';
import { importerOf, isCustom, providerOf } from './providers';
import type { Created, Deployment, ResourceRequest } from './resource';
import type { TemplateResource } from './template';

/** Systems Manager parameters that the account has. */
const SSM_PARAMETERS: Readonly<Record<string, string>> = { '/cdk-bootstrap/hnb659fds/version': '30' };

/** What the CDK tells AWS about itself: it makes nothing, and comes and goes with the way in which an app is synthesised. */
const CDK_METADATA = 'AWS::CDK::Metadata';

/** Makes the resources of a stack, side by side where none waits for the other. */
export async function deployStack(
  artifact: StackArtifact,
  deployment: Deployment,
  state: DeployedStacks,
  onProgress: (text: string) => void,
): Promise<DeployedStack> {
  const { template, name, id } = artifact;
  const { account } = deployment.context;
  const deployed = state.stacks.get(id);
  const before = deployed?.resources ?? {};
  const imports = new Set<string>();
  const resources: Record<string, DeployedResource> = {};
  const stackId = arn(account, 'cloudformation', `stack/${name}/${stableId(name)}`);
  const made = (logicalId: string): DeployedResource => {
    const resource = resources[logicalId];
    if (!resource) throw new Error(`"${logicalId}" is neither a parameter nor a resource of the template.`);
    return resource;
  };
  const scope: Scope = {
    template,
    parameters: { ...pseudoParameters(account, name, stackId), ...templateParameters(artifact) },
    availabilityZones: ['a', 'b', 'c'].map((letter) => account.region + letter),
    ref: (logicalId) => made(logicalId).physicalId,
    attribute: (logicalId, attribute) => {
      const { type, attributes } = made(logicalId);
      const value = attributes[attribute];
      if (value === undefined) throw new NotInSandbox(`the attribute ${attribute} of ${type}`);
      return value;
    },
    imported: (exportName) => {
      imports.add(exportName);
      return state.imported(exportName, account.accountId);
    },
  };
  checkRules(artifact, scope);
  const wanted = Object.entries(template.Resources).filter(
    ([, resource]) =>
      resource.Type !== CDK_METADATA &&
      (resource.Condition === undefined || condition(resource.Condition, scope)),
  );
  const removed = Object.values(before).filter(
    ({ logicalId }) => !wanted.some(([other]) => other === logicalId),
  );
  for (const { logicalId, deletionPolicy } of removed)
    if (deletionPolicy !== 'Retain') throw new NotInSandbox(`removal of ${name}/${logicalId}`);

  const create = async (logicalId: string, resource: TemplateResource): Promise<void> => {
    const { Type: type, Properties, DeletionPolicy: deletionPolicy = 'Delete' } = resource;
    const properties = resolve(Properties, scope);
    if (!isObject(properties)) throw new Error('Its properties are no object.');
    const earlier = before[logicalId];
    const isSame = earlier?.type === type && isDeepStrictEqual(earlier.properties, properties);
    if (earlier && isSame) {
      resources[logicalId] = { ...earlier, deletionPolicy };
      return;
    }
    if (earlier && !(earlier.type === type && isCustom(type)))
      throw new NotInSandbox(`update of ${name}/${logicalId} (${type})`);
    const withSecrets = await resolveDynamicReferences(properties, deployment);
    const generatedId = stableId(name, logicalId);
    const request: ResourceRequest = {
      ...deployment,
      stackName: name,
      stackId,
      logicalId,
      type,
      assets: artifact.assets,
      generatedId,
      generatedName: (maxLength = 255) => generatedName(name, logicalId, generatedId, maxLength),
      ...(earlier && { earlier }),
    };
    const adopted = earlier ? undefined : await existing(resource, request, state);
    const { physicalId, attributes = {} } =
      adopted ?? (await providerOf(type)(isObject(withSecrets) ? withSecrets : {}, request));
    resources[logicalId] = { logicalId, type, physicalId, attributes, properties, deletionPolicy };
    const done = adopted ? ' is adopted' : earlier ? ' is updated' : '';
    onProgress(`${name}: ${logicalId} (${type})${done}`);
  };
  await inDependencyOrder(name, dependenciesOf(artifact, wanted), async (logicalId) => {
    const resource = template.Resources[logicalId];
    if (resource) await create(logicalId, resource);
  });
  const [values, exports] = outputs(artifact, scope);
  if (deployed) checkExports(deployed, exports, state);
  for (const { logicalId, type } of removed) onProgress(`${name}: ${logicalId} (${type}) is let go`);
  return new DeployedStack(name, account.accountId, resources, values, exports, [...imports]);
}

/**
 * What exists under the name that a new resource is to have, where the deployment adopts such.
 * @throws Error when a stack has it already
 */
async function existing(
  { Properties, DeletionPolicy }: TemplateResource,
  request: ResourceRequest,
  state: DeployedStacks,
): Promise<Created | undefined> {
  const retained = DeletionPolicy === 'Retain' || DeletionPolicy === 'RetainExceptOnCreate';
  if (!request.importExistingResources || !retained) return undefined;
  const found = await importerOf(request.type)?.(Properties, request);
  for (const { name, resources } of state.stacks.values())
    for (const { type, physicalId } of Object.values(resources))
      if (type === request.type && physicalId === found?.physicalId)
        throw new Error(`${physicalId} belongs to the stack ${name} already`);
  return found;
}

/** @throws Error when an export goes, or changes, that another stack uses */
function checkExports(before: DeployedStack, exports: Record<string, Json>, state: DeployedStacks): void {
  for (const [exportName, value] of Object.entries(before.exports)) {
    if (isDeepStrictEqual(exports[exportName], value)) continue;
    const user = [...state.stacks.values()].find(({ imports }) => imports.includes(exportName));
    if (user)
      throw new Error(
        `Export ${exportName} cannot be ${exportName in exports ? 'updated' : 'deleted'} as it is in use by ${user.name}`,
      );
  }
}

function dependenciesOf(
  { template }: StackArtifact,
  wanted: readonly (readonly [string, TemplateResource])[],
): Map<string, string[]> {
  const ids = new Set(wanted.map(([logicalId]) => logicalId));
  return new Map(
    wanted.map(([logicalId, resource]) => {
      const needed = new Set([...references(resource.Properties, template), ...resource.DependsOn]);
      return [logicalId, [...needed].filter((other) => ids.has(other))];
    }),
  );
}

/** Runs `create` for each, after those that it depends on; after a failure nothing more is started. */
async function inDependencyOrder(
  stackName: string,
  dependencies: ReadonlyMap<string, readonly string[]>,
  create: (logicalId: string) => Promise<void>,
): Promise<void> {
  const started = new Map<string, Promise<boolean>>();
  let failure: Error | undefined;
  const start = (logicalId: string, path: readonly string[]): Promise<boolean> => {
    if (path.includes(logicalId))
      throw new Error(`Circular dependency between resources: ${[...path, logicalId].join(' → ')}`);
    const running = started.get(logicalId);
    if (running) return running;
    const needed = (dependencies.get(logicalId) ?? []).map((other) => start(other, [...path, logicalId]));
    const created = (async () => {
      const ready = await Promise.all(needed);
      if (failure !== undefined || ready.includes(false)) return false;
      try {
        await create(logicalId);
        return true;
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        failure ??= new Error(`Deployment of ${stackName} failed at ${logicalId}: ${reason}`, {
          cause: error,
        });
        return false;
      }
    })();
    started.set(logicalId, created);
    return created;
  };
  await Promise.all([...dependencies.keys()].map((logicalId) => start(logicalId, [])));
  if (failure !== undefined) throw failure;
}

function outputs({ template }: StackArtifact, scope: Scope): [Record<string, Json>, Record<string, Json>] {
  const values: Record<string, Json> = {};
  const exports: Record<string, Json> = {};
  for (const [name, output] of Object.entries(template.Outputs)) {
    if (output.Condition !== undefined && !condition(output.Condition, scope)) continue;
    const value = resolve(output.Value, scope);
    if (value === undefined) continue;
    values[name] = value;
    const exportName = output.Export && resolve(output.Export.Name, scope);
    if (typeof exportName === 'string') exports[exportName] = value;
  }
  return [values, exports];
}

function checkRules({ template, name }: StackArtifact, scope: Scope): void {
  for (const rule of Object.values(template.Rules)) {
    if (rule.RuleCondition !== undefined && resolve(rule.RuleCondition, scope) !== true) continue;
    for (const { Assert, AssertDescription } of rule.Assertions)
      if (resolve(Assert, scope) !== true)
        throw new Error(`A rule of ${name} does not hold: ${AssertDescription ?? JSON.stringify(Assert)}`);
  }
}

function templateParameters({ template, name }: StackArtifact): JsonObject {
  return Object.fromEntries(
    Object.entries(template.Parameters).map(([parameter, { Type, Default }]) => {
      if (Default === undefined)
        throw new Error(`The parameter ${parameter} of ${name} has no default value.`);
      if (!Type.startsWith('AWS::SSM::Parameter::Value')) return [parameter, Default];
      const key = typeof Default === 'string' ? Default : JSON.stringify(Default);
      const value = SSM_PARAMETERS[key];
      if (value === undefined) throw new NotInSandbox(`the Systems Manager parameter ${key}`);
      return [parameter, value];
    }),
  );
}

function pseudoParameters(account: Account, stackName: string, stackId: string): JsonObject {
  return {
    'AWS::AccountId': account.accountId,
    'AWS::NotificationARNs': [],
    'AWS::Partition': account.partition,
    'AWS::Region': account.region,
    'AWS::StackId': stackId,
    'AWS::StackName': stackName,
    'AWS::URLSuffix': 'amazonaws.com',
  };
}

/** `<stack>-<logical id>-<suffix>`, shortened from the middle as CloudFormation does. */
function generatedName(stack: string, logicalId: string, id: string, maxLength: number): string {
  const suffix = id.slice(0, 12).toUpperCase();
  const room = maxLength - suffix.length - 2;
  const stackPart = stack.slice(0, Math.max(Math.floor(room / 2), room - logicalId.length));
  return `${stackPart}-${logicalId.slice(0, room - stackPart.length)}-${suffix}`;
}
