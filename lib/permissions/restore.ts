import type { PermissionTerms, SomePermissions } from './terms';

/** How far the settings are matched. */
const MATCH_KEYS = ['migration-rollback:master-password-version', 'migration-rollback:settings-asked-at'];

/** From the plan to a copy that is verified, or an instance that is taken back: nothing that serves is touched. */
export function permissionsOfRestore(terms: PermissionTerms) {
  return {
    plan: [
      terms.readUrl,
      terms.describeInstances,
      terms.describeSnapshots,
      terms.readQuota,
      terms.readBackupWindow,
      terms.seeRecoveries,
      terms.listRecoveries,
      terms.seeHistories,
      terms.askDatabase,
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
          terms.stack.formatArn({
            service: 'cloudwatch',
            region: '',
            resource: 'dashboard',
            resourceName: '*',
          }),
        ],
        wildcardReason: 'The same of dashboards: what a dashboard names is in its body.',
      },
    ],
    'start-restore': [
      terms.readUrl,
      ...terms.claim,
      terms.describeInstances,
      terms.describeSnapshots,
      {
        sid: 'RestoreSnapshot',
        actions: ['rds:RestoreDBInstanceFromDBSnapshot'],
        resources: [
          terms.rds('snapshot'),
          terms.recoveryInstances,
          terms.rds('pg'),
          terms.rds('og'),
          terms.rds('subgrp'),
        ],
        conditions: terms.tagging('recovery-instance'),
        wildcardReason:
          'The new instance is named after the recovery and takes the groups that the live one has at that moment. ' +
          'The condition allows nothing but a new instance tagged as a recovery instance.',
      },
      {
        sid: 'RestoreToTime',
        actions: ['rds:RestoreDBInstanceToPointInTime'],
        resources: [
          terms.rds('db'),
          terms.rds('auto-backup'),
          terms.rds('pg'),
          terms.rds('og'),
          terms.rds('subgrp'),
        ],
        conditions: terms.tagging('recovery-instance'),
        wildcardReason:
          'IAM asks for the live instance, whatever its name, as for the new one, and cannot tell which is which. ' +
          'The condition allows nothing but a new instance tagged as a recovery instance; the live one is only read.',
      },
      {
        sid: 'TagRecoveryInstance',
        actions: ['rds:AddTagsToResource'],
        resources: [terms.recoveryInstances],
        conditions: terms.tagging('recovery-instance'),
        wildcardReason:
          'The new instance is named after the recovery. The condition allows no other marks than its own.',
      },
    ],
    'take-back': [
      terms.readUrl,
      ...terms.claim,
      terms.describeInstances,
      {
        sid: 'MarkTakenBack',
        actions: ['rds:AddTagsToResource'],
        resources: [terms.rds('db')],
        conditions: terms.tagging('taken-back'),
        wildcardReason:
          'The instance to take back is the one that was live, whatever its name. The condition allows this mark and no other.',
      },
    ],
    'take-safety-snapshot': [terms.describeInstances, ...terms.safetySnapshot],
    'check-restored-instance': [terms.describeInstances],
    'record-position': [terms.readUrl, terms.readMaster],
    'match-settings': [
      terms.describeInstances,
      terms.describeSnapshots,
      terms.readMaster,
      terms.changeInstance('MatchInstance', 'recovery-instance', [
        'rds:ModifyDBInstance',
        'rds:RebootDBInstance',
      ]),
      terms.changeTags(
        'MarkProgress',
        'recovery-instance',
        'rds:AddTagsToResource',
        'ForAllValues:StringEquals',
        MATCH_KEYS,
      ),
      terms.changeInstance('MatchTakenBack', 'taken-back', ['rds:ModifyDBInstance', 'rds:RebootDBInstance']),
      terms.changeTags(
        'MarkTakenBackProgress',
        'taken-back',
        'rds:AddTagsToResource',
        'ForAllValues:StringLike',
        MATCH_KEYS,
      ),
      {
        sid: 'UseGroups',
        actions: ['rds:ModifyDBInstance'],
        resources: [terms.rds('pg'), terms.rds('og')],
        wildcardReason:
          'The recovery instance gets the parameter and option group that the live one has at that moment. This lets them be ' +
          'used, not changed.',
      },
    ],
    'match-credentials': [terms.readUrl, terms.readMaster],
    verify: [terms.readUrl],
    // Instead of a cutover: the same instance as `discard`, by the same proofs.
    'end-drill': terms.discardRecoveryInstance,
    warm: [terms.readUrl],
    hydrate: [terms.describeInstances],
  } satisfies SomePermissions;
}
