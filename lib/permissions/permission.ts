import { Stack, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';

/** One statement of a role's policy. */
export interface Permission {
  readonly sid: string;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly conditions?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Why a resource has to be written with `*`. Needed when one is. */
  readonly wildcardReason?: string;
}

/**
 * Adds the permissions to a role. What cdk-nag finds in them is acknowledged, resource by resource, with the reason given.
 * @throws Error when a permission has a wildcard and no reason, or an action with a wildcard
 */
export function allow(role: iam.Role, permissions: readonly Permission[]): void {
  for (const { sid, actions, resources, conditions, wildcardReason } of permissions) {
    const wildcards = resources.filter((resource) => resource.includes('*'));
    const [wildcard] = wildcards;
    if (wildcard !== undefined && wildcardReason === undefined)
      throw new Error(
        `${sid} allows ${readable(role, wildcard)}. Name the resource, or give a wildcardReason.`,
      );
    const action = actions.find((name) => name.includes('*'));
    if (action !== undefined) throw new Error(`${sid} allows ${action}. Name each action.`);
    role.addToPolicy(
      new iam.PolicyStatement({
        sid,
        actions: [...actions],
        resources: [...resources],
        ...(conditions && { conditions }),
      }),
    );
    for (const resource of wildcards)
      Validations.of(role).acknowledge({
        id: `AwsSolutions-IAM5[Resource::${readable(role, resource)}]`,
        reason: wildcardReason ?? '',
      });
  }
}

/** A value with its references written as cdk-nag writes them: `arn:<AWS::Partition>:rds:…:db:*`. */
function readable(scope: Construct, value: string): string {
  return flatten(Stack.of(scope).resolve(value));
}

function flatten(value: unknown): string {
  if (Array.isArray(value)) return value.map(flatten).join('');
  if (typeof value !== 'object' || value === null) return String(value);
  const [[name, operand] = ['', undefined]] = Object.entries(value);
  if (name === 'Fn::Join' && Array.isArray(operand)) return flatten(operand[1]);
  if (name === 'Ref') return `<${String(operand)}>`;
  if (name === 'Fn::GetAtt' && Array.isArray(operand)) return `<${operand.join('.')}>`;
  return `<${JSON.stringify(value)}>`;
}
