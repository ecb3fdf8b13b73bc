import { ArnFormat, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { RestorePointFunctionName } from '../lambdas/contract';
import type { Permission } from './permission';
import type { PermissionScope } from './permissions';

/** The queue for what nobody waited for and failed. */
export function deadLettersName(environment: string): string {
  return `${environment}-snapshot-dead-letters`;
}

/** What each function around restore points may ask of AWS; in the same way as `functionPermissions`. */
export function restorePointPermissions(
  scope: Construct,
  { environment, databaseUrlSecret, masterSecret, machineName }: PermissionScope,
): Readonly<Record<RestorePointFunctionName, readonly Permission[]>> {
  const stack = Stack.of(scope);
  const arn = (service: string, resource: string, resourceName: string): string =>
    stack.formatArn({ service, resource, resourceName, arnFormat: ArnFormat.COLON_RESOURCE_NAME });
  const readUrl: Permission = {
    sid: 'ReadDatabaseUrl',
    actions: ['secretsmanager:GetSecretValue'],
    resources: [databaseUrlSecret.secretArn],
  };
  const describeInstances: Permission = {
    sid: 'DescribeInstances',
    actions: ['rds:DescribeDBInstances'],
    resources: [arn('rds', 'db', '*')],
    wildcardReason:
      'The live instance is found by the host in the secret, among all instances; after a recovery it has a new name.',
  };
  const describeSnapshots: Permission = {
    sid: 'DescribeSnapshots',
    actions: ['rds:DescribeDBSnapshots'],
    resources: [arn('rds', 'db', '*'), arn('rds', 'snapshot', '*')],
    wildcardReason:
      'Snapshots are named after days, deployments and recoveries. Reading them changes nothing.',
  };
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
  const sendFailures: Permission = {
    sid: 'SendFailures',
    actions: ['sqs:SendMessage'],
    resources: [stack.formatArn({ service: 'sqs', resource: deadLettersName(environment) })],
  };
  const taggingScheduled = {
    StringEquals: {
      'aws:RequestTag/migration-rollback:role': 'scheduled',
      'aws:RequestTag/migration-rollback:environment': environment,
    },
  };
  return {
    'check-migrations': [readUrl],
    'scheduled-snapshot': [
      readUrl,
      describeInstances,
      describeSnapshots,
      ...secretVersions,
      sendFailures,
      {
        sid: 'AskDatabase',
        actions: ['lambda:InvokeFunction'],
        resources: [arn('lambda', 'function', `${environment}-check-migrations`)],
      },
      {
        sid: 'CreateSnapshot',
        actions: ['rds:CreateDBSnapshot'],
        resources: [arn('rds', 'db', '*'), arn('rds', 'snapshot', '*-scheduled-*')],
        conditions: taggingScheduled,
        wildcardReason:
          'The live instance is found out at run time, and the day names the snapshot. The condition allows nothing but ' +
          'snapshots with the tags of this system.',
      },
      {
        sid: 'TagSnapshot',
        actions: ['rds:AddTagsToResource'],
        resources: [arn('rds', 'snapshot', '*-scheduled-*')],
        conditions: taggingScheduled,
        wildcardReason: 'The day names the snapshot. The condition allows no other marks than its own.',
      },
    ],
    'reap-snapshots': [
      readUrl,
      describeInstances,
      describeSnapshots,
      ...secretVersions,
      sendFailures,
      {
        sid: 'ReadQuota',
        actions: ['rds:DescribeAccountAttributes'],
        resources: ['*'],
        wildcardReason: 'The quota belongs to the account: RDS knows no resource for this action.',
      },
      {
        sid: 'SeeRecoveries',
        actions: ['states:DescribeExecution'],
        resources: [arn('states', 'execution', `${machineName}:*`)],
        wildcardReason: 'Recoveries get their names when they are started. Reading them changes nothing.',
      },
      {
        sid: 'DeleteExpired',
        actions: ['rds:DeleteDBSnapshot'],
        resources: [arn('rds', 'snapshot', '*')],
        conditions: {
          StringEquals: {
            'aws:ResourceTag/migration-rollback:environment': environment,
            'aws:ResourceTag/migration-rollback:role': ['pre-migration', 'scheduled', 'safety', 'final'],
          },
          Null: {
            'aws:ResourceTag/migration-rollback:expires-at': 'false',
            'aws:ResourceTag/migration-rollback:hold': 'true',
          },
        },
        wildcardReason:
          'Snapshots are named after days, deployments and recoveries. The conditions keep away from every one that this system ' +
          'did not make and mark with an expiry, and from those on hold.',
      },
    ],
    'restore-points': [
      readUrl,
      describeInstances,
      describeSnapshots,
      {
        sid: 'ReadBackupWindow',
        actions: ['rds:DescribeDBInstanceAutomatedBackups'],
        resources: [arn('rds', 'db', '*'), arn('rds', 'auto-backup', '*')],
        wildcardReason: 'Automated backups have ids that RDS makes up. Reading them changes nothing.',
      },
    ],
  };
}
