import type { IamRegistry } from '../deploy/iam-registry';
import { isApplicable } from './evaluate';
import { permissionKey, roleLabel, type GrantedPermission } from './granted-permission';
import { statementsOf } from './policies';

/** What was granted, and which of it was used: plain data, so that runs can be put together. */
export interface UsageReport {
  readonly granted: readonly GrantedPermission[];
  /** Keys (`permissionKey`) of those that were used. */
  readonly used: ReadonlySet<string>;
}

/** Every permission of every role. Of a statement's pairs of action and resource, those that AWS knows. */
export async function grantedPermissions(registry: IamRegistry): Promise<GrantedPermission[]> {
  const granted: GrantedPermission[] = [];
  for (const role of registry.list())
    for (const policy of role.policies)
      for (const [index, { Sid, Effect, Action, Resource }] of statementsOf(policy).entries()) {
        if (Effect === 'Deny') continue;
        for (const action of Action) {
          const applicable: string[] = [];
          for (const resource of Resource)
            if (await isApplicable(action, resource)) applicable.push(resource);
          for (const resource of applicable.length > 0 ? applicable : Resource)
            granted.push({
              role: roleLabel(role),
              policy: policy.name,
              statement: index + 1,
              sid: Sid,
              action,
              resource,
            });
        }
      }
  return granted;
}

/** Puts several runs over the same stacks together. */
export function mergeUsage(reports: readonly UsageReport[]): UsageReport {
  const granted = new Map(
    reports.flatMap((report) =>
      report.granted.map((permission) => [permissionKey(permission), permission] as const),
    ),
  );
  return { granted: [...granted.values()], used: new Set(reports.flatMap(({ used }) => [...used])) };
}

/** The permissions of a report that nobody used. */
export function neverUsed({ granted, used }: UsageReport): GrantedPermission[] {
  return granted.filter((permission) => !used.has(permissionKey(permission)));
}

/** Why a permission is granted although no run uses it. */
export interface Explanation {
  readonly sid: string;
  /** All of the statement's actions where none is named. */
  readonly actions?: readonly string[];
  /** Kind of resource (`pg`, `snapshot`); all of them where none is named. */
  readonly resourceKind?: string;
  readonly reason: string;
  /** It is used in some runs and not in others. */
  readonly sometimes?: true;
}

/** What is wrong with a report: permissions that nobody used or explained, and explanations of what is used or not there. */
export interface UsageFindings {
  readonly unexplained: readonly string[];
  readonly stale: readonly Explanation[];
}

export function checkUsage(report: UsageReport, explanations: readonly Explanation[]): UsageFindings {
  const unused = neverUsed(report);
  const explains = ({ sid, actions, resourceKind }: Explanation, permission: GrantedPermission): boolean =>
    permission.sid === sid &&
    (actions?.includes(permission.action) ?? true) &&
    (resourceKind === undefined || permission.resource.split(':')[5] === resourceKind);
  return {
    unexplained: unused
      .filter((permission) => !explanations.some((explanation) => explains(explanation, permission)))
      .map(
        ({ role, sid, action, resource }) => `${role}: ${sid ?? '(no Sid)'} allows ${action} on ${resource}`,
      ),
    stale: explanations.filter(
      (explanation) =>
        !explanation.sometimes && !unused.some((permission) => explains(explanation, permission)),
    ),
  };
}
