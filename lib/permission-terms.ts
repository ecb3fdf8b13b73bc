import { ArnFormat, Stack } from 'aws-cdk-lib';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import type { EnvironmentName } from '../lambdas/contract/settings';
import type { SnapshotVault } from './environments';
import type { Permission } from './permission';
import { KEY_ACTIONS, throughRds, vaultRoleArn, type VaultRole } from './vault';

/** What the permissions of the functions are about. */
export interface PermissionScope {
  readonly environment: EnvironmentName;
  readonly databaseUrlSecret: ISecret;
  readonly masterSecret: ISecret;
  readonly machineName: string;
  /** ECS services that are restarted after a swap. */
  readonly consumers: readonly { readonly cluster: string; readonly service: string }[];
  /** The Region that snapshots are copied to. @default - they are not */
  readonly copyRegion?: string;
  /** The account that snapshots are copied to. @default - they are not */
  readonly vault?: SnapshotVault;
}

const ROLE_TAG = 'migration-rollback:role';
const ENVIRONMENT_TAG = 'migration-rollback:environment';

/** What several functions may ask, and the conditions that keep them to what this system made. */
export function permissionTerms(
  scope: Construct,
  { environment, databaseUrlSecret, masterSecret, machineName }: PermissionScope,
) {
  const stack = Stack.of(scope);
  const arn = (service: string, resource: string, resourceName: string): string =>
    stack.formatArn({ service, resource, resourceName, arnFormat: ArnFormat.COLON_RESOURCE_NAME });
  const rds = (resource: string, resourceName = '*'): string => arn('rds', resource, resourceName);
  const readSecret = (sid: string, secret: ISecret): Permission => ({
    sid,
    actions: ['secretsmanager:GetSecretValue'],
    resources: [secret.secretArn],
  });
  const readUrl = readSecret('ReadDatabaseUrl', databaseUrlSecret);
  const readMaster = readSecret('ReadMasterUser', masterSecret);
  /** The resource was made by this system, for this environment, as this. */
  const tagged = (role: string) => ({
    StringEquals: {
      [`aws:ResourceTag/${ROLE_TAG}`]: role,
      [`aws:ResourceTag/${ENVIRONMENT_TAG}`]: environment,
    },
  });
  /** The request makes the resource, or marks it, as this. */
  const tagging = (role: string) => ({
    StringEquals: {
      [`aws:RequestTag/${ROLE_TAG}`]: role,
      [`aws:RequestTag/${ENVIRONMENT_TAG}`]: environment,
    },
  });

  const describeInstances: Permission = {
    sid: 'DescribeInstances',
    actions: ['rds:DescribeDBInstances'],
    resources: [rds('db')],
    wildcardReason:
      'The live instance is found by the host in the secret, among all instances; after a recovery it has a new name.',
  };
  const describeSnapshots: Permission = {
    sid: 'DescribeSnapshots',
    actions: ['rds:DescribeDBSnapshots'],
    resources: [rds('db'), rds('snapshot')],
    wildcardReason:
      'Snapshots are named after deployments and recoveries to come. Reading them changes nothing.',
  };
  const readQuota: Permission = {
    sid: 'ReadQuota',
    actions: ['rds:DescribeAccountAttributes'],
    resources: ['*'],
    wildcardReason: 'The quota belongs to the account: RDS knows no resource for this action.',
  };
  const readBackupWindow: Permission = {
    sid: 'ReadBackupWindow',
    actions: ['rds:DescribeDBInstanceAutomatedBackups'],
    resources: [rds('db'), rds('auto-backup')],
    wildcardReason: 'Automated backups have ids that RDS makes up. Reading them changes nothing.',
  };
  const seeRecoveries: Permission = {
    sid: 'SeeRecoveries',
    actions: ['states:DescribeExecution'],
    resources: [arn('states', 'execution', `${machineName}:*`)],
    wildcardReason: 'Recoveries get their names when they are started. Reading them changes nothing.',
  };
  const listRecoveries: Permission = {
    sid: 'ListRecoveries',
    actions: ['states:ListExecutions'],
    resources: [arn('states', 'stateMachine', machineName)],
  };
  const changeInstance = (
    sid: string,
    role: string,
    names: string,
    actions: readonly string[],
  ): Permission => ({
    sid,
    actions,
    resources: [rds('db', names)],
    conditions: tagged(role),
    wildcardReason: `The instance gets its name at run time. The condition keeps away from every instance that is not tagged ${role}.`,
  });

  const secretVersions: Permission[] = [
    {
      sid: 'SeeSecretVersions',
      actions: ['secretsmanager:DescribeSecret'],
      resources: [databaseUrlSecret.secretArn, masterSecret.secretArn],
    },
    {
      sid: 'PinSecretVersions',
      actions: ['secretsmanager:UpdateSecretVersionStage'],
      resources: [databaseUrlSecret.secretArn, masterSecret.secretArn],
      // Any other label, AWSCURRENT above all, is out of reach.
      conditions: { StringLike: { 'secretsmanager:VersionStage': 'migration-rollback-kept-*' } },
    },
  ];
  const askDatabase: Permission = {
    sid: 'AskDatabase',
    actions: ['lambda:InvokeFunction'],
    resources: [arn('lambda', 'function', `${environment}-check-migrations`)],
  };
  return {
    stack,
    arn,
    rds,
    readUrl,
    readMaster,
    tagged,
    tagging,
    describeInstances,
    describeSnapshots,
    readQuota,
    readBackupWindow,
    seeRecoveries,
    listRecoveries,
    secretVersions,
    askDatabase,
    changeInstance,
  };
}

/** The roles of snapshots that are copied to another Region, as lambdas/copies.ts has them. */
export const COPIED: readonly string[] = ['pre-migration', 'scheduled'];

/** Made by this system, as one of these, with an expiry and not on hold. */
export function mayBeDeleted(environment: string, ...roles: readonly string[]) {
  return {
    StringEquals: {
      'aws:ResourceTag/migration-rollback:environment': environment,
      'aws:ResourceTag/migration-rollback:role': roles,
    },
    Null: {
      'aws:ResourceTag/migration-rollback:expires-at': 'false',
      'aws:ResourceTag/migration-rollback:hold': 'true',
    },
  };
}

/** What may be done with copies in another Region; undefined where there are none. */
export function copyTerms(scope: Construct, { environment, copyRegion }: PermissionScope) {
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

/** What may be done with copies in another account; undefined where there are none. */
export function vaultTerms(scope: Construct, { environment, vault }: PermissionScope) {
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
