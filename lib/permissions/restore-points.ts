import type { CopyTerms } from './copy-terms';
import { mayBeDeleted, type PermissionTerms, type SomePermissions } from './terms';

/** The snapshots of the schedule, how long all of them stay, and the list of what one can go back to. */
export function permissionsOfRestorePoints(terms: PermissionTerms, { copies, vault }: CopyTerms) {
  return {
    'scheduled-snapshot': [
      terms.readUrl,
      terms.describeInstances,
      terms.describeSnapshots,
      terms.readQuota,
      ...terms.secretVersions,
      terms.sendFailures,
      terms.askDatabase,
      ...terms.makeSnapshots('scheduled', 'the day'),
    ],
    'reap-snapshots': [
      terms.readUrl,
      terms.describeInstances,
      terms.describeSnapshots,
      ...terms.secretVersions,
      terms.sendFailures,
      terms.readQuota,
      terms.seeRecoveries,
      terms.listRecoveries,
      {
        sid: 'SeeMachine',
        actions: ['states:DescribeStateMachine'],
        resources: [terms.machine],
      },
      {
        sid: 'DeleteExpired',
        actions: ['rds:DeleteDBSnapshot'],
        resources: [terms.rds('snapshot')],
        conditions: mayBeDeleted(
          terms.environment,
          'pre-migration',
          'scheduled',
          'safety',
          'final',
          'passing',
        ),
        wildcardReason:
          'Snapshots are named after days, deployments and recoveries. The conditions keep away from every one that this system ' +
          'did not make and mark with an expiry, and from those on hold.',
      },
      ...(copies ? [copies.describeCopies, copies.deleteCopies] : []),
      ...(vault ? [vault.takeRole('list')] : []),
    ],
    'restore-points': [
      terms.readUrl,
      terms.describeInstances,
      terms.describeSnapshots,
      terms.readBackupWindow,
      ...(copies ? [copies.describeCopies] : []),
      ...(vault ? [vault.takeRole('list')] : []),
    ],
  } satisfies SomePermissions;
}
