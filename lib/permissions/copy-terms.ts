import { ArnFormat, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { KEY_ACTIONS, throughRds, vaultRoleArn, type VaultRole } from '../vault';
import type { Permission } from './permission';
import { mayBeDeleted, type PermissionScope } from './terms';

/** The roles of snapshots that are copied to another Region or account, as lambdas/copies.ts has them. */
export const COPIED: readonly string[] = ['pre-migration', 'scheduled'];

export type CopyTerms = ReturnType<typeof copyTerms>;

/** What may be done with copies in another Region and in another account; undefined where there are none. */
export function copyTerms(scope: Construct, permissions: PermissionScope) {
  return { copies: copiesThere(scope, permissions), vault: inVault(scope, permissions) };
}

function copiesThere(scope: Construct, { environment, copyRegion }: PermissionScope) {
  if (copyRegion === undefined) return undefined;
  const there = (resource: string): string =>
    Stack.of(scope).formatArn({
      service: 'rds',
      region: copyRegion,
      resource,
      resourceName: '*',
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
  const copy = there('snapshot');
  const describeCopies: Permission = {
    sid: 'DescribeCopies',
    actions: ['rds:DescribeDBSnapshots'],
    resources: [there('db'), copy],
    wildcardReason: 'Copies are named as their snapshots. Reading them changes nothing.',
  };
  const deleteCopies: Permission = {
    sid: 'DeleteCopies',
    actions: ['rds:DeleteDBSnapshot'],
    resources: [copy],
    conditions: mayBeDeleted(environment, ...COPIED),
    wildcardReason:
      'Copies are named as their snapshots. The conditions keep away from every one that this system did not make and mark with ' +
      'an expiry, and from those on hold.',
  };
  return { copy, describeCopies, deleteCopies };
}

function inVault(scope: Construct, { environment, vault }: PermissionScope) {
  if (!vault) return undefined;
  const takeRole = (role: VaultRole): Permission => ({
    sid: 'EnterVault',
    actions: ['sts:AssumeRole'],
    resources: [vaultRoleArn(scope, { environment, vault }, role)],
  });
  const useKey: Permission = {
    sid: 'UseKeyOfVault',
    actions: KEY_ACTIONS,
    resources: [
      Stack.of(scope).formatArn({
        service: 'kms',
        account: vault.account,
        resource: 'key',
        resourceName: '*',
      }),
    ],
    conditions: throughRds(scope),
    wildcardReason:
      'The id of the key is known in the account of the vault only, where it is the policy of the key that lets this role in.',
  };
  const copy = Stack.of(scope).formatArn({
    service: 'rds',
    account: vault.account,
    resource: 'snapshot',
    resourceName: '*',
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
  return { takeRole, useKey, copy };
}
