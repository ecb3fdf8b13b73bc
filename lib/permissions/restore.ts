import type { PermissionTerms, SomePermissions } from './terms';

/** How far the settings are matched. */
const MATCH_KEYS = ['migration-rollback:master-password-version', 'migration-rollback:settings-asked-at'];

/** From the plan to a copy that is verified, or an instance that is taken back: nothing that serves is touched. */
export function permissionsOfRestore({
  stack,
  rds,
  recoveryInstances,
  tagging,
  readUrl,
  readMaster,
  describeInstances,
  describeSnapshots,
  readQuota,
  readBackupWindow,
  askDatabase,
  seeRecoveries,
  seeHistories,
  listRecoveries,
  claim,
  safetySnapshot,
  changeInstance,
  changeTags,
  discardRecoveryInstance,
}: PermissionTerms) {
  return {
    plan: [
      readUrl,
      describeInstances,
      describeSnapshots,
      readQuota,
      readBackupWindow,
      seeRecoveries,
      listRecoveries,
      seeHistories,
      askDatabase,
      {
        sid: 'SeeAlarms',
        actions: ['cloudwatch:DescribeAlarms', 'cloudwatch:ListDashboards'],
        resources: ['*'],
        wildcardReason:
          'Which alarms and dashboards name the live instance is not known before all have been seen. Reading them changes nothing.',
      },
      {
        sid: 'ReadDashboards',
        actions: ['cloudwatch:GetDashboard'],
        resources: [
          stack.formatArn({ service: 'cloudwatch', region: '', resource: 'dashboard', resourceName: '*' }),
        ],
        wildcardReason: 'The same of dashboards: what a dashboard names is in its body.',
      },
    ],
    'start-restore': [
      readUrl,
      ...claim,
      describeInstances,
      describeSnapshots,
      {
        sid: 'RestoreSnapshot',
        actions: ['rds:RestoreDBInstanceFromDBSnapshot'],
        resources: [rds('snapshot'), recoveryInstances, rds('pg'), rds('og'), rds('subgrp')],
        conditions: tagging('recovery-instance'),
        wildcardReason:
          'The new instance is named after the recovery and takes the groups that the live one has at that moment. ' +
          'The condition allows nothing but a new instance tagged as a recovery instance.',
      },
      {
        sid: 'RestoreToTime',
        actions: ['rds:RestoreDBInstanceToPointInTime'],
        resources: [rds('db'), rds('auto-backup'), rds('pg'), rds('og'), rds('subgrp')],
        conditions: tagging('recovery-instance'),
        wildcardReason:
          'IAM asks for the live instance, whatever its name, as for the new one, and cannot tell which is which. ' +
          'The condition allows nothing but a new instance tagged as a recovery instance; the live one is only read.',
      },
      {
        sid: 'TagRecoveryInstance',
        actions: ['rds:AddTagsToResource'],
        resources: [recoveryInstances],
        conditions: tagging('recovery-instance'),
        wildcardReason:
          'The new instance is named after the recovery. The condition allows no other marks than its own.',
      },
    ],
    'take-back': [
      readUrl,
      ...claim,
      describeInstances,
      {
        sid: 'MarkTakenBack',
        actions: ['rds:AddTagsToResource'],
        resources: [rds('db')],
        conditions: tagging('taken-back'),
        wildcardReason:
          'The instance to take back is the one that was live, whatever its name. The condition allows this mark and no other.',
      },
    ],
    'take-safety-snapshot': [describeInstances, ...safetySnapshot],
    'check-restored-instance': [describeInstances],
    'record-position': [readUrl, readMaster],
    'match-settings': [
      describeInstances,
      describeSnapshots,
      readMaster,
      changeInstance('MatchInstance', 'recovery-instance', ['rds:ModifyDBInstance', 'rds:RebootDBInstance']),
      changeTags(
        'MarkProgress',
        'recovery-instance',
        'rds:AddTagsToResource',
        'ForAllValues:StringEquals',
        MATCH_KEYS,
      ),
      changeInstance('MatchTakenBack', 'taken-back', ['rds:ModifyDBInstance', 'rds:RebootDBInstance']),
      changeTags(
        'MarkTakenBackProgress',
        'taken-back',
        'rds:AddTagsToResource',
        'ForAllValues:StringLike',
        MATCH_KEYS,
      ),
      {
        sid: 'UseGroups',
        actions: ['rds:ModifyDBInstance'],
        resources: [rds('pg'), rds('og')],
        wildcardReason:
          'The recovery instance gets the parameter and option group that the live one has at that moment. This lets them be ' +
          'used, not changed.',
      },
    ],
    'match-credentials': [readUrl, readMaster],
    verify: [readUrl],
    // Instead of a cutover: the same instance as `discard`, by the same proofs.
    'end-drill': discardRecoveryInstance,
    warm: [readUrl],
    hydrate: [describeInstances],
  } satisfies SomePermissions;
}
