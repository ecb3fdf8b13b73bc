import { ArnFormat, Stack } from 'aws-cdk-lib';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import type { EnvironmentName } from '../../lambdas/contract/settings';
import type { SnapshotVault } from '../environments';
import type { AnyFunctionName } from '../functions';
import { deadLettersName } from '../snapshot-schedules';
import type { Permission } from './permission';

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

/** What some of the functions may ask: each part of the way has its own. */
export type SomePermissions = { readonly [Name in AnyFunctionName]?: readonly Permission[] };

/** What an instance is, by its tag. */
type InstanceRole = 'recovery-instance' | 'taken-back' | 'retired' | 'live';

export type PermissionTerms = ReturnType<typeof permissionTerms>;

const ROLE_TAG = 'migration-rollback:role';
const ENVIRONMENT_TAG = 'migration-rollback:environment';

/**
 * What several functions may ask, and the conditions that keep them to what this system made.
 *
 * Instances and snapshots that a recovery makes have names that are not known yet, so what may be changed or deleted is said
 * by the tags that this system puts on them: an instance without its tag is out of reach, whatever its name.
 */
export function permissionTerms(
  scope: Construct,
  { environment, databaseUrlSecret, masterSecret, machineName, consumers }: PermissionScope,
) {
  const stack = Stack.of(scope);
  const arn = (service: string, resource: string, resourceName: string): string =>
    stack.formatArn({ service, resource, resourceName, arnFormat: ArnFormat.COLON_RESOURCE_NAME });
  const rds = (resource: string, resourceName = '*'): string => arn('rds', resource, resourceName);
  /** Instances with the names that `lambdas/names.ts` makes for a recovery. */
  const recoveryInstances = rds('db', '*-rec-*');
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

  const readSecret = (sid: string, secret: ISecret): Permission => ({
    sid,
    actions: ['secretsmanager:GetSecretValue'],
    resources: [secret.secretArn],
  });
  const readUrl = readSecret('ReadDatabaseUrl', databaseUrlSecret);
  const readMaster = readSecret('ReadMasterUser', masterSecret);
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
  const callFunction = (sid: string, name: AnyFunctionName): Permission => ({
    sid,
    actions: ['lambda:InvokeFunction'],
    resources: [arn('lambda', 'function', `${environment}-${name}`)],
  });
  /** Of the live database: it can be reached from inside the VPC only. */
  const askDatabase = callFunction('AskDatabase', 'check-migrations');
  const sendFailures: Permission = {
    sid: 'SendFailures',
    actions: ['sqs:SendMessage'],
    resources: [stack.formatArn({ service: 'sqs', resource: deadLettersName(environment) })],
  };

  const machine = arn('states', 'stateMachine', machineName);
  const seeRecoveries: Permission = {
    sid: 'SeeRecoveries',
    actions: ['states:DescribeExecution'],
    resources: [arn('states', 'execution', `${machineName}:*`)],
    wildcardReason: 'Recoveries get their names when they are started. Reading them changes nothing.',
  };
  /** Whether a recovery that left something came to its swap, and what was at work when one was stopped. */
  const seeHistories: Permission = {
    ...seeRecoveries,
    sid: 'SeeHistories',
    actions: ['states:GetExecutionHistory'],
  };
  const listRecoveries: Permission = {
    sid: 'ListRecoveries',
    actions: ['states:ListExecutions'],
    resources: [machine],
  };
  /** One recovery at a time: see who has the claim, write it, and move its label, no other. */
  const claim: readonly Permission[] = [
    seeRecoveries,
    seeHistories,
    {
      sid: 'WriteClaim',
      actions: ['secretsmanager:PutSecretValue'],
      resources: [databaseUrlSecret.secretArn],
    },
    {
      sid: 'MoveClaim',
      actions: ['secretsmanager:UpdateSecretVersionStage'],
      resources: [databaseUrlSecret.secretArn],
      conditions: { StringEquals: { 'secretsmanager:VersionStage': 'migration-rollback-recovery' } },
    },
  ];

  /** Keeps the versions of the secrets that a snapshot needs. */
  const secretVersions: readonly Permission[] = [
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
  const makeSnapshots = (
    role: 'pre-migration' | 'scheduled' | 'safety',
    namedAfter: string,
  ): readonly Permission[] => [
    {
      sid: 'CreateSnapshot',
      actions: ['rds:CreateDBSnapshot'],
      resources: [rds('db'), rds('snapshot', `*-${role}-*`)],
      conditions: tagging(role),
      wildcardReason:
        `The live instance is found out at run time, and the snapshot is named after ${namedAfter}. The condition allows nothing but ` +
        'snapshots with the tags of this system.',
    },
    {
      sid: 'TagSnapshot',
      actions: ['rds:AddTagsToResource'],
      resources: [rds('snapshot', `*-${role}-*`)],
      conditions: tagging(role),
      wildcardReason: `The snapshot is named after ${namedAfter}. The condition allows no other marks than its own.`,
    },
  ];
  const safetySnapshot: readonly Permission[] = [
    describeSnapshots,
    readQuota,
    ...secretVersions,
    ...makeSnapshots('safety', 'the recovery'),
  ];

  const changeInstance = (sid: string, role: InstanceRole, actions: readonly string[]): Permission => ({
    sid,
    actions,
    // What a recovery makes has its name from there; what was live had any name.
    resources: [role === 'recovery-instance' ? recoveryInstances : rds('db')],
    conditions: tagged(role),
    wildcardReason: `The instance gets its name at run time. The condition keeps away from every instance that is not tagged ${role}.`,
  });
  /** Puts tags with these keys, and no other, on an instance, or takes them off. */
  const changeTags = (
    sid: string,
    role: InstanceRole,
    action: 'rds:AddTagsToResource' | 'rds:RemoveTagsFromResource',
    match: 'ForAllValues:StringEquals' | 'ForAllValues:StringLike',
    keys: readonly string[],
  ): Permission => ({
    ...changeInstance(sid, role, [action]),
    conditions: { ...tagged(role), [match]: { 'aws:TagKeys': keys } },
  });
  /** From one role to the next. */
  const markAs = (sid: string, role: InstanceRole, next: 'live' | 'retired'): Permission => ({
    ...changeInstance(sid, role, ['rds:AddTagsToResource']),
    conditions: { StringEquals: { ...tagged(role).StringEquals, ...tagging(next).StringEquals } },
  });
  const discardRecoveryInstance: readonly Permission[] = [
    readUrl,
    describeInstances,
    changeInstance('DeleteRecoveryInstance', 'recovery-instance', [
      'rds:ModifyDBInstance',
      'rds:DeleteDBInstance',
    ]),
  ];
  return {
    environment,
    consumers,
    databaseUrl: databaseUrlSecret.secretArn,
    stack,
    rds,
    recoveryInstances,
    tagged,
    tagging,
    readUrl,
    readMaster,
    describeInstances,
    describeSnapshots,
    readQuota,
    readBackupWindow,
    callFunction,
    askDatabase,
    sendFailures,
    machine,
    seeRecoveries,
    seeHistories,
    listRecoveries,
    claim,
    secretVersions,
    makeSnapshots,
    safetySnapshot,
    changeInstance,
    changeTags,
    markAs,
    discardRecoveryInstance,
  };
}

/** Made by this system, as one of these, with an expiry and not on hold. */
export function mayBeDeleted(environment: string, ...roles: readonly string[]) {
  return {
    StringEquals: {
      [`aws:ResourceTag/${ENVIRONMENT_TAG}`]: environment,
      [`aws:ResourceTag/${ROLE_TAG}`]: roles,
    },
    Null: {
      'aws:ResourceTag/migration-rollback:expires-at': 'false',
      'aws:ResourceTag/migration-rollback:hold': 'true',
    },
  };
}
