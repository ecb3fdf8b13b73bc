import { accountIn, SANDBOX_ACCOUNT } from '../core/account';

/** One action on one resource pattern that a statement of a role's policy allows. */
export interface GrantedPermission {
  /** The role, as `roleLabel` calls it. */
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

/** How a role is called among those of all accounts: by its name, with its account before it where that is not the home account. */
export function roleLabel({ name, arn }: { readonly name: string; readonly arn: string }): string {
  const accountId = accountIn(arn);
  return accountId === undefined || accountId === SANDBOX_ACCOUNT.accountId ? name : `${accountId}/${name}`;
}
