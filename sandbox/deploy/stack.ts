import { isDeepStrictEqual } from 'node:util';
import { NotInSandbox } from '../core/api';
import type { StackArtifact } from './assembly';
import { stableId, type DeployedResource, type DeployedStack, type DeployedStacks } from './deploy';
import { resolveDynamicReferences } from './dynamic-references';
import { resolve } from './intrinsics';
import { isObject, type Json, type JsonObject } from './json';
import { importerOf, isCustom, providerOf } from './providers';
import type { Created, Deployment, ResourceEvent, ResourceRequest } from './resource';
import { known, StackTemplate } from './stack-template';
import type { TemplateResource } from './template';

/** Makes the resources of a stack, side by side where none waits for the other. */
export async function deployStack(
  artifact: StackArtifact,
  deployment: Deployment,
  state: DeployedStacks,
  onEvent: (event: ResourceEvent) => void,
): Promise<DeployedStack> {
  const { template, name, id } = artifact;
  const { account, clock } = deployment.context;
  const deployed = state.stacks.get(id);
  const before = deployed?.resources ?? {};
  const resources: Record<string, DeployedResource> = {};
  const stack = new StackTemplate(artifact, account, state, (logicalId) => {
    const resource = resources[logicalId];
    if (!resource) throw new Error(`"${logicalId}" is neither a parameter nor a resource of the template.`);
    return known(resource);
  });
  let changed = !deployed || stack.removed.length > 0 || deployed.templateText !== artifact.templateText;

  const create = async (logicalId: string, resource: TemplateResource): Promise<void> => {
    const { Type: type, DeletionPolicy: deletionPolicy = 'Delete' } = resource;
    const properties = propertiesOf(resource, stack);
    const earlier = before[logicalId];
    if (earlier && isUnchanged(earlier, type, properties)) {
      resources[logicalId] = { ...earlier, deletionPolicy };
      return;
    }
    changed = true;
    if (earlier) checkUpdate(name, earlier, type);
    let made = false;
    const call: Deployment['call'] = async (service, operation, input) => {
      const output = await deployment.call(service, operation, input);
      made ||= !/^(Describe|Get|List)/.test(operation);
      return output;
    };
    const request = requestFor(logicalId, type, stack, { ...deployment, call }, earlier);
    const tell = (status: ResourceEvent['status'], more: Partial<ResourceEvent> = {}): void => {
      onEvent({ stack: name, logicalId, type, status, ...more });
    };
    const adopted = earlier ? undefined : await existing(resource, request, state);
    const verb = adopted ? 'IMPORT' : earlier ? 'UPDATE' : 'CREATE';
    tell(`${verb}_IN_PROGRESS`, earlier && { physicalId: earlier.physicalId });
    try {
      const withSecrets = await resolveDynamicReferences(properties, deployment);
      const { physicalId, attributes = {} } =
        adopted ?? (await providerOf(type)(isObject(withSecrets) ? withSecrets : {}, request));
      resources[logicalId] = { logicalId, type, physicalId, attributes, properties, deletionPolicy };
      tell(`${verb}_COMPLETE`, { physicalId });
    } catch (error) {
      tell(`${verb}_FAILED`, { reason: error instanceof Error ? error.message : String(error), made });
      throw error;
    }
  };
  await inDependencyOrder(name, stack.dependencies(), async (logicalId) => {
    const resource = template.Resources[logicalId];
    if (resource) await create(logicalId, resource);
  });
  const [outputs, exports] = stack.outputs();
  if (deployed) checkExports(deployed, exports, state);
  for (const { logicalId, type, physicalId } of stack.removed)
    onEvent({ stack: name, logicalId, type, physicalId, status: 'DELETE_SKIPPED' });
  return {
    name,
    accountId: account.accountId,
    resources,
    outputs,
    exports,
    imports: [...stack.imports],
    templateText: artifact.templateText,
    terminationProtection: artifact.terminationProtection,
    createdAt: deployed?.createdAt ?? clock.now(),
    updatedAt: deployed && changed ? clock.now() : deployed?.updatedAt,
  };
}

/** The properties of a resource, resolved. */
export function propertiesOf({ Properties }: TemplateResource, { scope }: StackTemplate): JsonObject {
  const properties = resolve(Properties, scope);
  if (!isObject(properties)) throw new Error('Its properties are no object.');
  return properties;
}

/** Whether a deployment leaves a resource alone. */
export function isUnchanged(earlier: DeployedResource, type: string, properties: JsonObject): boolean {
  return earlier.type === type && isDeepStrictEqual(earlier.properties, properties);
}

/** @throws NotInSandbox for an update that the sandbox does not do */
export function checkUpdate(stackName: string, earlier: DeployedResource, type: string): void {
  if (earlier.type !== type || !isCustom(type))
    throw new NotInSandbox(`update of ${stackName}/${earlier.logicalId} (${type})`);
}

/** What a provider or an importer is asked with. */
export function requestFor(
  logicalId: string,
  type: string,
  { artifact: { name, assets }, stackId }: StackTemplate,
  deployment: Deployment,
  earlier?: DeployedResource,
): ResourceRequest {
  const generatedId = stableId(name, logicalId);
  return {
    ...deployment,
    stackName: name,
    stackId,
    logicalId,
    type,
    assets,
    generatedId,
    generatedName: (maxLength = 255) => generatedName(name, logicalId, generatedId, maxLength),
    ...(earlier && { earlier }),
  };
}

/**
 * What exists under the name that a new resource is to have, where the deployment adopts such.
 * @throws Error when a stack has it already
 */
export async function existing(
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

/** `<stack>-<logical id>-<suffix>`, shortened from the middle as CloudFormation does. */
function generatedName(stack: string, logicalId: string, id: string, maxLength: number): string {
  const suffix = id.slice(0, 12).toUpperCase();
  const room = maxLength - suffix.length - 2;
  const stackPart = stack.slice(0, Math.max(Math.floor(room / 2), room - logicalId.length));
  return `${stackPart}-${logicalId.slice(0, room - stackPart.length)}-${suffix}`;
}
