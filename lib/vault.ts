import { ArnFormat, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { CopyFunctionName, RestorePointFunctionName } from '../lambdas/contract/functions';
import type { VaultRules } from '../lambdas/contract/rules';
import type { EnvironmentName } from '../lambdas/contract/settings';
import type { SnapshotVault } from './environments';

/**
 * The account that snapshots are copied to (docs/decisions/0028-vault.md). Its stack and that of the database refer to each other
 * by names: neither can read the other, and either may be made first.
 */
export interface VaultScope {
  readonly environment: EnvironmentName;
  readonly vault: SnapshotVault;
}

/** What the roles over there are for, and who at home may take them. */
export const VAULT_ROLES = {
  /** Makes copies and shares them with home. */
  copy: ['copy-to-vault', 'bring-back-copy'],
  /** Sees what is there. */
  list: ['reap-snapshots', 'restore-points'],
} as const satisfies Record<string, readonly (CopyFunctionName | RestorePointFunctionName)[]>;
export type VaultRole = keyof typeof VAULT_ROLES;

/** The role that a function takes over there; undefined for those that have no business there. */
export function vaultRoleOf(functionName: string): VaultRole | undefined {
  const isFor = (role: VaultRole): boolean => VAULT_ROLES[role].some((name) => name === functionName);
  return isFor('copy') ? 'copy' : isFor('list') ? 'list' : undefined;
}

export function vaultRoleName({ environment }: VaultScope, role: VaultRole): string {
  return `${environment}-vault-${role}`;
}

export function vaultRoleArn(scope: Construct, names: VaultScope, role: VaultRole): string {
  return roleArn(scope, names.vault.account, vaultRoleName(names, role));
}

/** The role of a function at home, which the vault lets in. */
export function homeRoleName({ environment }: VaultScope, functionName: string): string {
  return `${environment}-${functionName}`;
}

export function homeRoleArn(scope: Construct, names: VaultScope, functionName: string): string {
  return roleArn(scope, names.vault.homeAccount, homeRoleName(names, functionName));
}

export function vaultKeyAlias({ environment }: VaultScope): string {
  return `alias/${environment}-vault`;
}

/** What RDS documents that whoever copies a shared snapshot needs on its key: it acts in their name, and makes itself a grant. */
export const KEY_ACTIONS = [
  'kms:CreateGrant',
  'kms:Decrypt',
  'kms:DescribeKey',
  'kms:Encrypt',
  'kms:GenerateDataKey',
  'kms:GenerateDataKeyWithoutPlaintext',
  'kms:ReEncryptFrom',
  'kms:ReEncryptTo',
];

/** Only through RDS, and grants only for RDS itself. */
export function throughRds(scope: Construct): Readonly<Record<string, Readonly<Record<string, unknown>>>> {
  return {
    StringEquals: { 'kms:ViaService': `rds.${Stack.of(scope).region}.amazonaws.com` },
    BoolIfExists: { 'kms:GrantIsForAWSResource': 'true' },
  };
}

/** The rules as the functions get them: as JSON. */
export function vaultRules(scope: Construct, names: VaultScope): string {
  const { notify: _notify, ...rules } = names.vault;
  const all: VaultRules = {
    ...rules,
    kmsKeyId: Stack.of(scope).formatArn({
      service: 'kms',
      account: rules.account,
      resource: vaultKeyAlias(names),
      arnFormat: ArnFormat.NO_RESOURCE_NAME,
    }),
  };
  return Stack.of(scope).toJsonString(all);
}

function roleArn(scope: Construct, account: string, name: string): string {
  return Stack.of(scope).formatArn({
    service: 'iam',
    region: '',
    account,
    resource: 'role',
    resourceName: name,
  });
}
