import type { PermissionTerms, SomePermissions } from './terms';

/** What undoes a recovery that failed, or was stopped. */
export function permissionsOfWayBack({
  databaseUrl,
  readUrl,
  readMaster,
  describeInstances,
  callFunction,
  seeRecoveries,
  seeHistories,
  listRecoveries,
  claim,
  markAs,
  discardRecoveryInstance,
}: PermissionTerms) {
  return {
    'swap-back': [
      {
        sid: 'MoveDatabaseUrlBack',
        actions: ['secretsmanager:GetSecretValue', 'secretsmanager:UpdateSecretVersionStage'],
        resources: [databaseUrl],
      },
      seeRecoveries,
      seeHistories,
    ],
    'lift-fence': [readUrl, readMaster],
    'give-back': [readUrl, describeInstances, markAs('MarkRetiredAgain', 'taken-back', 'retired')],
    discard: discardRecoveryInstance,
    // Each thing that is left is given up by the step that would have done it: it may what those may.
    'clean-up': [
      ...discardRecoveryInstance,
      ...claim,
      listRecoveries,
      markAs('MarkRetiredAgain', 'taken-back', 'retired'),
      callFunction('LiftFence', 'lift-fence'),
    ],
    // It asks nothing of AWS.
    fail: [],
  } satisfies SomePermissions;
}
