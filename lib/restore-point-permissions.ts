import type { Construct } from 'constructs';
import type { RestorePointFunctionName } from '../lambdas/contract/functions';
import type { Permission } from './permission';
import {
  copyTerms,
  mayBeDeleted,
  permissionTerms,
  vaultTerms,
  type PermissionScope,
} from './permission-terms';

/** The queue for what nobody waited for and failed. */
export function deadLettersName(environment: string): string {
  return `${environment}-snapshot-dead-letters`;
}

/** What each function around restore points may ask of AWS; in the same way as `functionPermissions`. */
export function restorePointPermissions(
  scope: Construct,
  permissions: PermissionScope,
): Readonly<Record<RestorePointFunctionName, readonly Permission[]>> {
  const { environment } = permissions;
  const {
    stack,
    rds,
    readUrl,
    tagging,
    describeInstances,
    describeSnapshots,
    readQuota,
    readBackupWindow,
    seeRecoveries,
    listRecoveries,
    askDatabase,
    secretVersions,
    arn,
  } = permissionTerms(scope, permissions);
  const copies = copyTerms(scope, permissions);
  const vault = vaultTerms(scope, permissions);
  const sendFailures: Permission = {
    sid: 'SendFailures',
    actions: ['sqs:SendMessage'],
    resources: [stack.formatArn({ service: 'sqs', resource: deadLettersName(environment) })],
  };
  return {
    'check-migrations': [readUrl],
    'scheduled-snapshot': [
      readUrl,
      describeInstances,
      describeSnapshots,
      readQuota,
      ...secretVersions,
      sendFailures,
      askDatabase,
      {
        sid: 'CreateSnapshot',
        actions: ['rds:CreateDBSnapshot'],
        resources: [rds('db'), rds('snapshot', '*-scheduled-*')],
        conditions: tagging('scheduled'),
        wildcardReason:
          'The live instance is found out at run time, and the day names the snapshot. The condition allows nothing but ' +
          'snapshots with the tags of this system.',
      },
      {
        sid: 'TagSnapshot',
        actions: ['rds:AddTagsToResource'],
        resources: [rds('snapshot', '*-scheduled-*')],
        conditions: tagging('scheduled'),
        wildcardReason: 'The day names the snapshot. The condition allows no other marks than its own.',
      },
    ],
    'reap-snapshots': [
      readUrl,
      describeInstances,
      describeSnapshots,
      ...secretVersions,
      sendFailures,
      readQuota,
      seeRecoveries,
      listRecoveries,
      {
        sid: 'SeeMachine',
        actions: ['states:DescribeStateMachine'],
        resources: [arn('states', 'stateMachine', permissions.machineName)],
      },
      {
        sid: 'DeleteExpired',
        actions: ['rds:DeleteDBSnapshot'],
        resources: [rds('snapshot')],
        conditions: mayBeDeleted(environment, 'pre-migration', 'scheduled', 'safety', 'final', 'passing'),
        wildcardReason:
          'Snapshots are named after days, deployments and recoveries. The conditions keep away from every one that this system ' +
          'did not make and mark with an expiry, and from those on hold.',
      },
      ...(copies ? [copies.describeCopies, copies.deleteCopies] : []),
      ...(vault ? [vault.takeRole('list')] : []),
    ],
    'restore-points': [
      readUrl,
      describeInstances,
      describeSnapshots,
      readBackupWindow,
      ...(copies ? [copies.describeCopies] : []),
      ...(vault ? [vault.takeRole('list')] : []),
    ],
    'lift-quarantine': [
      readUrl,
      describeInstances,
      seeRecoveries,
      {
        sid: 'LiftQuarantine',
        actions: ['rds:AddTagsToResource'],
        resources: [rds('db')],
        conditions: { 'ForAllValues:StringLike': { 'aws:TagKeys': 'migration-rollback:lifted-*' } },
        wildcardReason:
          'The live instance is found out at run time. The condition allows no other tags than those that lift a quarantine.',
      },
    ],
  };
}
