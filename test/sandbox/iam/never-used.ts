import type { Explanation } from '../../../sandbox/iam/usage';

/** Permissions that the stacks grant and no scenario of the drill uses, each with its reason. All others have to be used. */
export const NEVER_USED: readonly Explanation[] = [
  {
    sid: 'DescribeSnapshots',
    resourceKind: 'db',
    reason:
      'IAM knows two kinds of resources for rds:DescribeDBSnapshots and AWS does not say which one a call without names, or with ' +
      'a filter, is checked against. The sandbox takes the snapshots.',
  },
  {
    sid: 'DescribeCopies',
    resourceKind: 'db',
    reason: 'The same in the Region of the copies.',
  },
  {
    sid: 'DeleteCopies',
    reason: 'Only when a copy is past its time, or failed: test/lambdas/steps/copies.test.ts.',
  },
  ...['UseKeyOfVault', 'UseKey'].map((sid) => ({
    sid,
    actions: [
      'kms:Decrypt',
      'kms:Encrypt',
      'kms:GenerateDataKey',
      'kms:GenerateDataKeyWithoutPlaintext',
      'kms:ReEncryptFrom',
      'kms:ReEncryptTo',
    ],
    reason:
      'RDS documents them for the key of a shared snapshot, and not which call needs which. The sandbox asks for fewer.',
  })),
  {
    sid: 'ReadBackupWindow',
    resourceKind: 'db',
    reason:
      'The same for rds:DescribeDBInstanceAutomatedBackups by DbiResourceId. The sandbox takes the automated backups.',
  },
  {
    sid: 'ReadMasterUser',
    reason: 'Of match-settings, only when no known password of the master user works: side-by-side.test.ts.',
  },
  {
    sid: 'MarkProgress',
    reason: 'Of match-settings, only when it has something to ask for: side-by-side.test.ts.',
  },
  {
    sid: 'MatchInstance',
    actions: ['rds:ModifyDBInstance'],
    reason:
      'Only when the restore was not told something that serving needs, or no known password of the master user works.',
  },
  {
    sid: 'MatchInstance',
    actions: ['rds:RebootDBInstance'],
    reason:
      'Only when a parameter group waits for a restart on the recovery instance, which RDS does not promise to do by itself.',
  },
  ...['MatchTakenBack', 'MarkTakenBackProgress', 'FinishTakenBack'].map((sid) => ({
    sid,
    reason:
      'Only when the live instance was changed since the recovery that is undone, or no known password of the master user works: ' +
      'test/sandbox/iam/permissions.test.ts.',
  })),
  {
    sid: 'DeleteRecoveryInstance',
    actions: ['rds:ModifyDBInstance'],
    reason:
      'Only when a recovery instance is protected, as one that a person protected is: RDS restores none so, and FinishSettings ' +
      'protects it after the cutover. test/sandbox/iam/permissions.test.ts.',
  },
  {
    sid: 'SeeHistories',
    reason:
      'Of start-restore, take-back, rename and swap-back, only when a recovery was stopped a few minutes before: test/lambdas/recovery-claim.test.ts.',
    sometimes: true,
  },
  {
    sid: 'MarkRetiredAgain',
    reason: 'Of clean-up, only when an undo was stopped: test/lambdas/steps/clean-up.test.ts.',
  },
  {
    sid: 'UseGroups',
    reason:
      'Only when the live instance was given another group between the restore and the matching of its settings.',
  },
  {
    sid: 'UseMonitoringRole',
    reason: 'Only for a live instance with Enhanced Monitoring, which the database stack does not switch on.',
  },
  {
    sid: 'CallHandler',
    actions: ['lambda:GetFunction'],
    reason: 'The CDK asks for the state of the handler only while Lambda still prepares it.',
  },
  {
    sid: 'ReadBackupWindow',
    resourceKind: 'auto-backup',
    reason:
      'Of the gate, only for a deployment that asks for a point in time: test/lambdas/steps/gate.test.ts.',
  },
  {
    sid: 'MarkPointInTime',
    reason: 'Only for a deployment that asks for a point in time: test/lambdas/steps/gate.test.ts.',
  },
  {
    sid: 'SeeRecoveries',
    reason:
      'Only where a recovery has claimed the database before: whether it still runs. test/lambdas/recovery-claim.test.ts.',
  },
  {
    sid: 'CorrectQuarantine',
    reason:
      'Only where restore points were made for migrations that never ran, so many that they need another tag: ' +
      'test/lambdas/steps/recovery.test.ts.',
  },
  {
    sid: 'PinSecretVersions',
    reason:
      'The schedule pins only a version that the gate has not pinned, and the reaper releases only what no snapshot needs any more.',
  },
  {
    sid: 'DeleteExpired',
    reason: 'Nothing expires within a drill; test/lambdas/steps/retention.test.ts lets 120 days pass.',
  },
  {
    sid: 'CallFunctions',
    sometimes: true,
    reason: 'A drill need not last until the schedules are due.',
  },
  {
    sid: 'StartDrill',
    sometimes: true,
    reason: 'The same for the weekly drill: the scenario starts it as the schedule does.',
  },
  {
    sid: 'ListRecoveries',
    reason:
      'The machine of a drill is newer than the days after which the reaper asks when a drill succeeded.',
  },
  {
    sid: 'SendFailures',
    reason: 'Only when a function threw at every try, or could not be called.',
  },
];
