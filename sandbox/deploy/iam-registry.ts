import { accountIn } from '../core/account';
import type { Json } from './json';

/** A policy with its name, for messages. */
export interface NamedPolicy {
  readonly name: string;
  readonly document: Json;
}

export interface RoleRecord {
  readonly name: string;
  readonly arn: string;
  readonly trust: Json;
  /** Inline policies and customer managed ones. */
  readonly policies: NamedPolicy[];
  /** AWS's own managed policies, by ARN. */
  readonly managedPolicyArns: string[];
  readonly permissionsBoundary: string | undefined;
}

export interface IamState {
  readonly roles: readonly RoleRecord[];
  readonly managed: ReadonlyMap<string, NamedPolicy>;
}

/** The roles of the sandbox with their policies as the templates have them, resolved. Plain data. */
export class IamRegistry {
  private readonly roles = new Map<string, RoleRecord>();
  private readonly managed = new Map<string, NamedPolicy>();

  add(role: RoleRecord): void {
    this.roles.set(role.arn, role);
  }

  addManagedPolicy(arn: string, policy: NamedPolicy): void {
    this.managed.set(arn, policy);
  }

  /** A managed policy that was deployed. */
  managedPolicy(arn: string): NamedPolicy | undefined {
    return this.managed.get(arn);
  }

  role(arn: string): RoleRecord | undefined {
    return this.roles.get(arn);
  }

  roleNamed(name: string, accountId: string): RoleRecord {
    const role = this.list().find(
      (candidate) => candidate.name === name && accountIn(candidate.arn) === accountId,
    );
    if (!role) throw new Error(`There is no role "${name}" in the account ${accountId}.`);
    return role;
  }

  list(): readonly RoleRecord[] {
    return [...this.roles.values()];
  }

  /** Attaches a managed policy: one that was deployed by its document, AWS's own by its ARN. */
  attach(role: RoleRecord, policyArn: string): void {
    const policy = this.managed.get(policyArn);
    if (policy) role.policies.push(policy);
    else role.managedPolicyArns.push(policyArn);
  }

  save(): IamState {
    return { roles: this.list(), managed: this.managed };
  }

  load({ roles, managed }: IamState): void {
    for (const role of roles) this.add(role);
    for (const [arn, policy] of managed) this.managed.set(arn, policy);
  }
}
