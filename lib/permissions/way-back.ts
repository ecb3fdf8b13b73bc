import type { PermissionTerms, SomePermissions } from './terms';

/** What undoes a recovery that failed, or was stopped. */
export function permissionsOfWayBack(terms: PermissionTerms) {
  return {
    'swap-back': [
      {
        sid: 'MoveDatabaseUrlBack',
        actions: ['secretsmanager:GetSecretValue', 'secretsmanager:UpdateSecretVersionStage'],
        resources: [terms.databaseUrl],
      },
      terms.seeRecoveries,
      terms.seeHistories,
    ],
    'lift-fence': [terms.readUrl, terms.readMaster],
    'give-back': [
      terms.readUrl,
      terms.describeInstances,
      terms.markAs('MarkRetiredAgain', 'taken-back', 'retired'),
    ],
    discard: terms.discardRecoveryInstance,
    // Each thing that is left is given up by the step that would have done it: it may what those may.
    'clean-up': [
      ...terms.discardRecoveryInstance,
      ...terms.claim,
      terms.listRecoveries,
      terms.markAs('MarkRetiredAgain', 'taken-back', 'retired'),
      terms.callFunction('LiftFence', 'lift-fence'),
    ],
    // It asks nothing of AWS.
    fail: [],
  } satisfies SomePermissions;
}
