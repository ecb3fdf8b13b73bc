import { COPIED, type CopyTerms } from './copy-terms';
import type { Permission } from './permission';
import { mayBeDeleted, type PermissionTerms, type SomePermissions } from './terms';

/** What copies snapshots to another Region or account, and brings one back; nothing where there are no copies. */
export function permissionsOfCopies(terms: PermissionTerms, { copies, vault }: CopyTerms) {
  // In the Region of the copy, RDS need not know the tags of what is in another one.
  const read = (sid: string, snapshot: string): Permission => ({
    sid,
    actions: ['rds:CopyDBSnapshot'],
    resources: [snapshot],
    wildcardReason:
      'Snapshots are named after days and deployments. Nothing is made of one that is not allowed by the statement beside it.',
  });
  const make = (sid: string, snapshot: string): Permission => ({
    sid,
    actions: ['rds:CopyDBSnapshot', 'rds:AddTagsToResource'],
    resources: [snapshot],
    conditions: {
      StringEquals: {
        'aws:RequestTag/migration-rollback:environment': terms.environment,
        'aws:RequestTag/migration-rollback:role': COPIED,
      },
    },
    wildcardReason:
      'A copy is named as its snapshot. The condition allows nothing but snapshots with the tags of this system.',
  });
  const passing = terms.rds('snapshot', '*-passing-*');
  return {
    'copy-snapshots': copies
      ? [
          terms.describeSnapshots,
          copies.describeCopies,
          copies.deleteCopies,
          read('ReadSnapshot', terms.rds('snapshot')),
          make('MakeCopy', copies.copy),
          terms.sendFailures,
        ]
      : [],
    'copy-to-vault': vault
      ? [
          terms.describeSnapshots,
          terms.readQuota,
          {
            sid: 'ReadSnapshot',
            actions: ['rds:CopyDBSnapshot'],
            resources: [terms.rds('snapshot')],
            conditions: {
              StringEquals: {
                'aws:ResourceTag/migration-rollback:environment': terms.environment,
                'aws:ResourceTag/migration-rollback:role': COPIED,
              },
            },
            wildcardReason:
              'Snapshots are named after days and deployments. The condition keeps away from every other one.',
          },
          {
            sid: 'MakePassingCopy',
            actions: ['rds:CopyDBSnapshot', 'rds:AddTagsToResource'],
            resources: [passing],
            conditions: terms.tagging('passing'),
            wildcardReason:
              'A passing copy is named after its snapshot. The condition allows nothing but those of this system.',
          },
          {
            sid: 'SharePassingCopy',
            actions: ['rds:ModifyDBSnapshotAttribute'],
            resources: [passing],
            conditions: terms.tagged('passing'),
            wildcardReason:
              'A passing copy is named after its snapshot. The condition keeps away from every other one; nobody but the vault may use ' +
              'the key that it is under.',
          },
          {
            sid: 'DeletePassingCopy',
            actions: ['rds:DeleteDBSnapshot'],
            resources: [passing],
            conditions: mayBeDeleted(terms.environment, 'passing'),
            wildcardReason:
              'A passing copy is named after its snapshot. The conditions keep away from every snapshot that one can go back to.',
          },
          vault.takeRole('copy'),
          vault.useKey,
          terms.sendFailures,
        ]
      : [],
    'bring-back-copy': [
      terms.describeSnapshots,
      ...(copies ? [copies.describeCopies, read('ReadCopy', copies.copy)] : []),
      ...(vault ? [vault.takeRole('copy'), vault.useKey, read('ReadCopyInVault', vault.copy)] : []),
      make('MakeSnapshot', terms.rds('snapshot')),
    ],
  } satisfies SomePermissions;
}
