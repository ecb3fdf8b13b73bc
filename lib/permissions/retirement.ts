import type { PermissionTerms, SomePermissions } from './terms';

/** Behind the cutover: is it good, and may the old instance go? */
export function permissionsOfRetirement(terms: PermissionTerms) {
  return {
    drain: [terms.readUrl, terms.readMaster],
    soak: [terms.readUrl, terms.readMaster],
    retire: [
      terms.readUrl,
      terms.describeInstances,
      terms.describeSnapshots,
      terms.markAs('MarkLive', 'recovery-instance', 'live'),
      terms.markAs('MarkTakenBackLive', 'taken-back', 'live'),
      terms.changeTags(
        'ForgetKeepUntil',
        'taken-back',
        'rds:RemoveTagsFromResource',
        'ForAllValues:StringEquals',
        ['migration-rollback:keep-until'],
      ),
      {
        sid: 'MarkRetired',
        actions: ['rds:AddTagsToResource'],
        resources: [terms.rds('db')],
        conditions: terms.tagging('retired'),
        wildcardReason:
          'The instance to retire is the one that was live, whatever its name. The condition allows this mark and no other.',
      },
      {
        sid: 'MarkFinalSnapshot',
        actions: ['rds:AddTagsToResource'],
        resources: [terms.rds('snapshot', '*-final-*')],
        // No condition on the tags: the delete call copies those of the instance, whatever they are.
        wildcardReason:
          'The snapshot is named after the recovery. The delete call makes it with the tags of the instance where that one has ' +
          'CopyTagsToSnapshot; then it gets the marks of a final snapshot.',
      },
      terms.changeInstance('TakeFinalSnapshot', 'retired', ['rds:CreateDBSnapshot']),
      {
        sid: 'NameFinalSnapshot',
        actions: ['rds:CreateDBSnapshot'],
        resources: [terms.rds('snapshot', '*-final-*')],
        wildcardReason:
          'The delete call makes it, and takes no tags. What it is taken of is limited by TakeFinalSnapshot.',
      },
      terms.changeInstance('DeleteRetired', 'retired', ['rds:ModifyDBInstance', 'rds:DeleteDBInstance']),
    ],
  } satisfies SomePermissions;
}
