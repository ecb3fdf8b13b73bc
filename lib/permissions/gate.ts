import type { PermissionTerms, SomePermissions } from './terms';

/** What CI asks before a migration, and what lifts a quarantine. */
export function permissionsOfGate(terms: PermissionTerms) {
  return {
    'pre-migration-snapshot': [
      terms.readUrl,
      terms.describeInstances,
      terms.describeSnapshots,
      terms.readQuota,
      terms.readBackupWindow,
      terms.seeRecoveries,
      terms.askDatabase,
      ...terms.secretVersions,
      ...terms.makeSnapshots('pre-migration', 'the deployment'),
      {
        sid: 'MarkPointInTime',
        actions: ['rds:AddTagsToResource', 'rds:RemoveTagsFromResource'],
        resources: [terms.rds('db')],
        conditions: { 'ForAllValues:StringLike': { 'aws:TagKeys': 'migration-rollback:point-*' } },
        wildcardReason:
          'The live instance is found out at run time. The condition allows no other tags than the markers of deployments.',
      },
    ],
    'check-migrations': [terms.readUrl],
    'lift-quarantine': [
      terms.readUrl,
      terms.describeInstances,
      terms.seeRecoveries,
      {
        sid: 'LiftQuarantine',
        actions: ['rds:AddTagsToResource'],
        resources: [terms.rds('db')],
        conditions: { 'ForAllValues:StringLike': { 'aws:TagKeys': 'migration-rollback:lifted-*' } },
        wildcardReason:
          'The live instance is found out at run time. The condition allows no other tags than those that lift a quarantine.',
      },
    ],
  } satisfies SomePermissions;
}
