import { arn, type Account } from '../core/account';
import { NotInSandbox } from '../core/api';
import type { StackArtifact } from './assembly';
import { bootstrapOf } from './bootstrap';
import { stableId, type DeployedResource, type DeployedStacks } from './deploy';
import { condition, references, resolve, type Scope } from './intrinsics';
import type { Json, JsonObject } from './json';
import type { TemplateResource } from './template';

/** What the CDK tells AWS about itself: it makes nothing, and comes and goes with the way in which an app is synthesised. */
const CDK_METADATA = 'AWS::CDK::Metadata';

/** What the template of a stack can know of one of its resources. */
export interface KnownResource {
  readonly physicalId: Json;
  /** @throws NotInSandbox for an attribute that it does not have */
  attribute(name: string): Json;
}

/** A resource as its stack knows it. */
export function known({ physicalId, type, attributes }: DeployedResource): KnownResource {
  return {
    physicalId,
    attribute: (name) => {
      const value = attributes[name];
      if (value === undefined) throw new NotInSandbox(`the attribute ${name} of ${type}`);
      return value;
    },
  };
}

/** The template of a stack, next to what the stack has already. */
export class StackTemplate {
  readonly stackId: string;
  readonly scope: Scope;
  /** The resources that are to be, by their logical ids. */
  readonly wanted: readonly (readonly [string, TemplateResource])[];
  /** Those that the stack has, and the template no more. */
  readonly removed: readonly DeployedResource[];
  /** Names of the exports of other stacks that have been asked for. */
  readonly imports = new Set<string>();

  /**
   * @param resource one of the resources that are to be; those that another depends on are asked for after they are known
   * @throws Error when a rule of the template does not hold; NotInSandbox for a removal
   */
  constructor(
    readonly artifact: StackArtifact,
    account: Account,
    state: DeployedStacks,
    resource: (logicalId: string) => KnownResource,
  ) {
    const { template, name, id } = artifact;
    this.stackId = stackIdOf(account, name);
    this.scope = {
      template,
      parameters: {
        ...pseudoParameters(account, name, this.stackId),
        ...templateParameters(artifact, account),
      },
      availabilityZones: ['a', 'b', 'c'].map((letter) => account.region + letter),
      ref: (logicalId) => resource(logicalId).physicalId,
      attribute: (logicalId, attribute) => resource(logicalId).attribute(attribute),
      imported: (exportName) => {
        this.imports.add(exportName);
        return state.imported(exportName, account.accountId);
      },
    };
    this.checkRules();
    this.wanted = Object.entries(template.Resources).filter(
      ([, { Type, Condition }]) =>
        Type !== CDK_METADATA && (Condition === undefined || condition(Condition, this.scope)),
    );
    this.removed = Object.values(state.stacks.get(id)?.resources ?? {}).filter(
      ({ logicalId }) => !this.wanted.some(([other]) => other === logicalId),
    );
    for (const { logicalId, deletionPolicy } of this.removed)
      if (deletionPolicy !== 'Retain') throw new NotInSandbox(`removal of ${name}/${logicalId}`);
  }

  /** Which resources each one waits for. */
  dependencies(): Map<string, string[]> {
    const { template } = this.artifact;
    const ids = new Set(this.wanted.map(([logicalId]) => logicalId));
    return new Map(
      this.wanted.map(([logicalId, resource]) => {
        const needed = new Set([...references(resource.Properties, template), ...resource.DependsOn]);
        return [logicalId, [...needed].filter((other) => ids.has(other))];
      }),
    );
  }

  /** The values of the outputs, and those that are exported by the names of their exports. */
  outputs(): [Record<string, Json>, Record<string, Json>] {
    const values: Record<string, Json> = {};
    const exports: Record<string, Json> = {};
    for (const [name, output] of Object.entries(this.artifact.template.Outputs)) {
      if (output.Condition !== undefined && !condition(output.Condition, this.scope)) continue;
      const value = resolve(output.Value, this.scope);
      if (value === undefined) continue;
      values[name] = value;
      const exportName = output.Export && resolve(output.Export.Name, this.scope);
      if (typeof exportName === 'string') exports[exportName] = value;
    }
    return [values, exports];
  }

  private checkRules(): void {
    const { template, name } = this.artifact;
    for (const rule of Object.values(template.Rules)) {
      if (rule.RuleCondition !== undefined && resolve(rule.RuleCondition, this.scope) !== true) continue;
      for (const { Assert, AssertDescription } of rule.Assertions)
        if (resolve(Assert, this.scope) !== true)
          throw new Error(`A rule of ${name} does not hold: ${AssertDescription ?? JSON.stringify(Assert)}`);
    }
  }
}

/** The ARN of a stack. On AWS the last part is another one for each stack that has the name. */
export function stackIdOf(account: Account, name: string): string {
  return arn(account, 'cloudformation', `stack/${name}/${stableId(name)}`);
}

function templateParameters({ template, name }: StackArtifact, account: Account): JsonObject {
  const { parameterName, version } = bootstrapOf(account);
  return Object.fromEntries(
    Object.entries(template.Parameters).map(([parameter, { Type, Default }]) => {
      if (Default === undefined)
        throw new Error(`The parameter ${parameter} of ${name} has no default value.`);
      if (!Type.startsWith('AWS::SSM::Parameter::Value')) return [parameter, Default];
      if (Default !== parameterName)
        throw new NotInSandbox(
          `the Systems Manager parameter ${typeof Default === 'string' ? Default : JSON.stringify(Default)}`,
        );
      return [parameter, version];
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
