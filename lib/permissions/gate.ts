import type { PermissionTerms, SomePermissions } from './terms';

/** What CI asks before a migration, and what lifts a quarantine. */
export function permissionsOfGate({
  rds,
  readUrl,
  describeInstances,
  describeSnapshots,
  readQuota,
  readBackupWindow,
  askDatabase,
  seeRecoveries,
  secretVersions,
  makeSnapshots,
}: PermissionTerms) {
  return {
    'pre-migration-snapshot': [
      readUrl,
      describeInstances,
      describeSnapshots,
      readQuota,
      readBackupWindow,
      seeRecoveries,
      askDatabase,
      ...secretVersions,
      ...makeSnapshots('pre-migration', 'the deployment'),
      {
        sid: 'MarkPointInTime',
        actions: ['rds:AddTagsToResource', 'rds:RemoveTagsFromResource'],
        resources: [rds('db')],
        conditions: { 'ForAllValues:StringLike': { 'aws:TagKeys': 'migration-rollback:point-*' } },
        wildcardReason:
          'The live instance is found out at run time. The condition allows no other tags than the markers of deployments.',
      },
    ],
    'check-migrations': [readUrl],
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
  } satisfies SomePermissions;
}
