/** One action on one resource pattern that a statement of a role's policy allows. */
export interface GrantedPermission {
  /** Name of the role. */
  readonly role: string;
  readonly policy: string;
  /** Position in the policy, from 1. */
  readonly statement: number;
  readonly sid?: string | undefined;
  readonly action: string;
  readonly resource: string;
}

/** Text that stands for a permission. */
export function permissionKey({ role, policy, statement, action, resource }: GrantedPermission): string {
  return JSON.stringify([role, policy, statement, action, resource]);
}
