import { isDeepStrictEqual } from 'node:util';
import type { StackArtifact } from './assembly';
import type { DeployedStacks } from './deploy';
import type { Json, JsonObject } from './json';
import { isCustom, providerOf } from './providers';
import type { Deployment } from './resource';
import { checkUpdate, existing, isUnchanged, propertiesOf, requestFor } from './stack';
import { known, StackTemplate, type KnownResource } from './stack-template';

/** What a deployment would do with a resource. Plain data. */
export interface PlannedChange {
  readonly action: 'Add' | 'Modify' | 'Import' | 'Remove';
  readonly logicalId: string;
  readonly type: string;
  /** Undefined for what is not there yet. */
  readonly physicalId: string | undefined;
  /** Properties that an update would change. */
  readonly properties: readonly PlannedProperty[];
}

export interface PlannedProperty {
  readonly name: string;
  readonly before: Json | undefined;
  readonly after: Json | undefined;
  /** Follows from another resource that changes: whether it changes nobody knows before. */
  readonly dynamic: boolean;
}

/** CloudFormation's own word for what it can't know before. */
const UNKNOWN = '{{changeSet:KNOWN_AFTER_APPLY}}';

/**
 * What `deployStack` would do, without doing it.
 *
 * @throws Error as the deployment would, as far as that can be known before; NotInSandbox for what the sandbox does not do
 */
export async function planStack(
  artifact: StackArtifact,
  deployment: Deployment,
  state: DeployedStacks,
): Promise<readonly PlannedChange[]> {
  const before = state.stacks.get(artifact.id)?.resources ?? {};
  const resources = new Map<string, KnownResource>();
  const stack = new StackTemplate(
    artifact,
    deployment.context.account,
    state,
    (logicalId) => resources.get(logicalId) ?? unknown(),
  );
  const changes: PlannedChange[] = [];
  const visit = async (logicalId: string): Promise<void> => {
    const resource = artifact.template.Resources[logicalId];
    if (!resource) return;
    const { Type: type } = resource;
    const properties = propertiesOf(resource, stack);
    const earlier = before[logicalId];
    if (earlier) {
      resources.set(logicalId, known(earlier));
      if (isUnchanged(earlier, type, properties)) return;
      const changed = changedProperties(earlier.properties, properties);
      // Only what follows from another change may turn out to be none.
      if (!changed.every(({ dynamic }) => dynamic) || earlier.type !== type)
        checkUpdate(artifact.name, earlier, type);
      if (isCustom(type)) resources.set(logicalId, unknown(earlier.physicalId));
      changes.push({
        action: 'Modify',
        logicalId,
        type,
        physicalId: earlier.physicalId,
        properties: changed,
      });
      return;
    }
    const adopted = await existing(resource, requestFor(logicalId, type, stack, deployment), state);
    if (!adopted) providerOf(type);
    const { physicalId, attributes = {} } = adopted ?? {};
    resources.set(
      logicalId,
      physicalId === undefined
        ? unknown()
        : known({ logicalId, type, physicalId, attributes, properties, deletionPolicy: 'Retain' }),
    );
    changes.push({
      action: adopted ? 'Import' : 'Add',
      logicalId,
      type,
      physicalId,
      properties: [],
    });
  };
  for (const logicalId of inOrder(stack.dependencies())) await visit(logicalId);
  for (const { logicalId, type, physicalId } of stack.removed)
    changes.push({ action: 'Remove', logicalId, type, physicalId, properties: [] });
  return changes;
}

function unknown(physicalId: string = UNKNOWN): KnownResource {
  return { physicalId, attribute: () => UNKNOWN };
}

function changedProperties(before: JsonObject, after: JsonObject): PlannedProperty[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names]
    .filter((name) => !isDeepStrictEqual(before[name], after[name]))
    .map((name) => ({
      name,
      before: before[name],
      after: after[name],
      dynamic: JSON.stringify(after[name] ?? null).includes(UNKNOWN),
    }));
}

/** Each after those that it waits for. */
function inOrder(dependencies: ReadonlyMap<string, readonly string[]>): string[] {
  const ordered = new Set<string>();
  const visit = (logicalId: string, path: readonly string[]): void => {
    if (path.includes(logicalId))
      throw new Error(`Circular dependency between resources: ${[...path, logicalId].join(' → ')}`);
    if (ordered.has(logicalId)) return;
    for (const other of dependencies.get(logicalId) ?? []) visit(other, [...path, logicalId]);
    ordered.add(logicalId);
  };
  for (const logicalId of dependencies.keys()) visit(logicalId, []);
  return [...ordered];
}
