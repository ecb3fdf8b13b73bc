import type { PermissionTerms, SomePermissions } from './terms';

/** Behind the cutover: is it good, and may the old instance go? */
export function permissionsOfRetirement({
  rds,
  tagging,
  readUrl,
  readMaster,
  describeInstances,
  describeSnapshots,
  changeInstance,
  changeTags,
  markAs,
}: PermissionTerms) {
  return {
    drain: [readUrl, readMaster],
    soak: [readUrl, readMaster],
    retire: [
      readUrl,
      describeInstances,
      describeSnapshots,
      markAs('MarkLive', 'recovery-instance', 'live'),
      markAs('MarkTakenBackLive', 'taken-back', 'live'),
      changeTags('ForgetKeepUntil', 'taken-back', 'rds:RemoveTagsFromResource', 'ForAllValues:StringEquals', [
        'migration-rollback:keep-until',
      ]),
      {
        sid: 'MarkRetired',
        actions: ['rds:AddTagsToResource'],
        resources: [rds('db')],
        conditions: tagging('retired'),
        wildcardReason:
          'The instance to retire is the one that was live, whatever its name. The condition allows this mark and no other.',
      },
      {
        sid: 'MarkFinalSnapshot',
        actions: ['rds:AddTagsToResource'],
        resources: [rds('snapshot', '*-final-*')],
        // No condition on the tags: the delete call copies those of the instance, whatever they are.
        wildcardReason:
          'The snapshot is named after the recovery. The delete call makes it with the tags of the instance where that one has ' +
          'CopyTagsToSnapshot; then it gets the marks of a final snapshot.',
      },
      changeInstance('TakeFinalSnapshot', 'retired', ['rds:CreateDBSnapshot']),
      {
        sid: 'NameFinalSnapshot',
        actions: ['rds:CreateDBSnapshot'],
        resources: [rds('snapshot', '*-final-*')],
        wildcardReason:
          'The delete call makes it, and takes no tags. What it is taken of is limited by TakeFinalSnapshot.',
      },
      changeInstance('DeleteRetired', 'retired', ['rds:ModifyDBInstance', 'rds:DeleteDBInstance']),
    ],
  } satisfies SomePermissions;
}
