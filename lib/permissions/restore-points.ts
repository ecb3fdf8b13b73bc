import type { CopyTerms } from './copy-terms';
import { mayBeDeleted, type PermissionTerms, type SomePermissions } from './terms';

/** The snapshots of the schedule, how long all of them stay, and the list of what one can go back to. */
export function permissionsOfRestorePoints({
  environment,
  rds,
  readUrl,
  describeInstances,
  describeSnapshots,
  readQuota,
  readBackupWindow,
  askDatabase,
  sendFailures,
  machine,
  seeRecoveries,
  listRecoveries,
  secretVersions,
  makeSnapshots,
  copies,
  vault,
}: PermissionTerms & CopyTerms) {
  return {
    'scheduled-snapshot': [
      readUrl,
      describeInstances,
      describeSnapshots,
      readQuota,
      ...secretVersions,
      sendFailures,
      askDatabase,
      ...makeSnapshots('scheduled', 'the day'),
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
        resources: [machine],
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
  } satisfies SomePermissions;
}
