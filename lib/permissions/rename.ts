import type { PermissionTerms, SomePermissions } from './terms';

/** Of a rename that is under way. */
const RENAME_KEYS = ['renamed-from', 'renamed-from-host', 'rename-asked-at', 'rename-of'].map(
  (name) => `migration-rollback:${name}`,
);

/** The live instance gets its old name back: in between it is a cutover like every other. */
export function permissionsOfRename(terms: PermissionTerms) {
  return {
    rename: [
      terms.readUrl,
      ...terms.claim,
      terms.describeInstances,
      terms.askDatabase,
      terms.changeTags(
        'MarkRename',
        'live',
        'rds:AddTagsToResource',
        'ForAllValues:StringEquals',
        RENAME_KEYS,
      ),
      terms.changeInstance('RenameLive', 'live', ['rds:ModifyDBInstance']),
    ],
    'finish-rename': [
      terms.readUrl,
      terms.describeInstances,
      ...terms.safetySnapshot,
      terms.changeTags(
        'UnmarkRename',
        'live',
        'rds:RemoveTagsFromResource',
        'ForAllValues:StringEquals',
        RENAME_KEYS,
      ),
    ],
  } satisfies SomePermissions;
}
