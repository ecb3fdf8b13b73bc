import type { Construct } from 'constructs';
import type { FunctionName } from '../lambdas/contract/functions';
import type { Permission } from './permission';
import { permissionTerms, type PermissionScope } from './permission-terms';

/** Names that `lambdas/names.ts` makes for recovery instances. */
const RECOVERY_INSTANCE_NAMES = '*-rec-*';
/** Of a rename that is under way. */
const RENAME_KEYS = ['renamed-from', 'renamed-from-host', 'rename-asked-at', 'rename-of'].map(
  (name) => `migration-rollback:${name}`,
);
/** Of the quarantine; the first of the tags has no number. */
const QUARANTINE_KEYS = ['migration-rollback:quarantine', 'migration-rollback:quarantine-*'];

/**
 * What each function may ask of AWS: no more than its step asks (docs/permissions.md says why).
 *
 * Instances and snapshots that a recovery makes have names that are not known yet, so what may be changed or deleted is said
 * by the tags that this system puts on them: an instance without its tag is out of reach, whatever its name.
 */
export function functionPermissions(
  scope: Construct,
  permissions: PermissionScope,
): Readonly<Record<FunctionName, readonly Permission[]>> {
  const { environment, databaseUrlSecret, machineName, consumers } = permissions;
  const {
    stack,
    arn,
    rds,
    readUrl,
    readMaster,
    tagged,
    tagging,
    describeInstances,
    describeSnapshots,
    readQuota,
    readBackupWindow,
    seeRecoveries,
    listRecoveries,
    askDatabase,
    secretVersions,
    changeInstance,
  } = permissionTerms(scope, permissions);

  const markRecoveryInstance = (sid: string, ...marks: readonly string[]): Permission => ({
    ...changeInstance(sid, 'recovery-instance', RECOVERY_INSTANCE_NAMES, ['rds:AddTagsToResource']),
    conditions: {
      ...tagged('recovery-instance'),
      'ForAllValues:StringEquals': { 'aws:TagKeys': marks.map((name) => `migration-rollback:${name}`) },
    },
  });

  /** Whether a recovery that left something came to its swap, and what was at work when one was stopped. */
  const seeHistories: Permission = {
    ...seeRecoveries,
    sid: 'SeeHistories',
    actions: ['states:GetExecutionHistory'],
  };
  const claim: Permission[] = [
    seeRecoveries,
    seeHistories,
    {
      sid: 'WriteClaim',
      actions: ['secretsmanager:PutSecretValue'],
      resources: [databaseUrlSecret.secretArn],
    },
    {
      sid: 'MoveClaim',
      actions: ['secretsmanager:UpdateSecretVersionStage'],
      resources: [databaseUrlSecret.secretArn],
      conditions: { StringEquals: { 'secretsmanager:VersionStage': 'migration-rollback-recovery' } },
    },
  ];
  /** What an undo takes back had any name, and is marked so that nothing may delete it. */
  const markTakenBack = (sid: string, ...keys: readonly string[]): Permission => ({
    ...changeInstance(sid, 'taken-back', '*', ['rds:AddTagsToResource']),
    conditions: { ...tagged('taken-back'), 'ForAllValues:StringLike': { 'aws:TagKeys': keys } },
  });
  /** From taken back to another role. */
  const markTakenBackAs = (sid: string, role: 'live' | 'retired'): Permission => ({
    ...changeInstance(sid, 'taken-back', '*', ['rds:AddTagsToResource']),
    conditions: { StringEquals: { ...tagged('taken-back').StringEquals, ...tagging(role).StringEquals } },
  });
  const discard = [
    readUrl,
    describeInstances,
    changeInstance('DeleteRecoveryInstance', 'recovery-instance', RECOVERY_INSTANCE_NAMES, [
      'rds:ModifyDBInstance',
      'rds:DeleteDBInstance',
    ]),
  ];
  const safetySnapshot: Permission[] = [
    describeSnapshots,
    readQuota,
    ...secretVersions,
    {
      sid: 'CreateSnapshot',
      actions: ['rds:CreateDBSnapshot'],
      resources: [rds('db'), rds('snapshot', '*-safety-*')],
      conditions: tagging('safety'),
      wildcardReason:
        'The live instance is found out at run time, and the recovery names the snapshot. The condition allows nothing but ' +
        'snapshots with the tags of this system.',
    },
    {
      sid: 'TagSnapshot',
      actions: ['rds:AddTagsToResource'],
      resources: [rds('snapshot', '*-safety-*')],
      conditions: tagging('safety'),
      wildcardReason: 'The recovery names the snapshot. The condition allows no other marks than its own.',
    },
  ];
  return {
    'pre-migration-snapshot': [
      readUrl,
      describeInstances,
      describeSnapshots,
      readQuota,
      readBackupWindow,
      seeRecoveries,
      askDatabase,
      ...secretVersions,
      {
        sid: 'CreateSnapshot',
        actions: ['rds:CreateDBSnapshot'],
        resources: [rds('db'), rds('snapshot', '*-pre-migration-*')],
        conditions: tagging('pre-migration'),
        wildcardReason:
          'The live instance is found out at run time, and deployments name the snapshot. The condition allows nothing but ' +
          'snapshots with the tags of this system.',
      },
      {
        sid: 'TagSnapshot',
        actions: ['rds:AddTagsToResource'],
        resources: [rds('snapshot', '*-pre-migration-*')],
        conditions: tagging('pre-migration'),
        wildcardReason: 'Deployments name the snapshot. The condition allows no other marks than its own.',
      },
      {
        sid: 'MarkPointInTime',
        actions: ['rds:AddTagsToResource', 'rds:RemoveTagsFromResource'],
        resources: [rds('db')],
        conditions: { 'ForAllValues:StringLike': { 'aws:TagKeys': 'migration-rollback:point-*' } },
        wildcardReason:
          'The live instance is found out at run time. The condition allows no other tags than the markers of deployments.',
      },
    ],
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
        resources: [rds('snapshot'), rds('db', RECOVERY_INSTANCE_NAMES), rds('pg'), rds('og'), rds('subgrp')],
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
        resources: [rds('db', RECOVERY_INSTANCE_NAMES)],
        conditions: tagging('recovery-instance'),
        wildcardReason:
          'The new instance is named after the recovery. The condition allows no other marks than its own.',
      },
    ],
    'take-safety-snapshot': [describeInstances, ...safetySnapshot],
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
    'give-back': [readUrl, describeInstances, markTakenBackAs('MarkRetiredAgain', 'retired')],
    'check-restored-instance': [describeInstances],
    'record-position': [readUrl, readMaster],
    'match-settings': [
      describeInstances,
      describeSnapshots,
      readMaster,
      changeInstance('MatchInstance', 'recovery-instance', RECOVERY_INSTANCE_NAMES, [
        'rds:ModifyDBInstance',
        'rds:RebootDBInstance',
      ]),
      markRecoveryInstance('MarkProgress', 'master-password-version', 'settings-asked-at'),
      changeInstance('MatchTakenBack', 'taken-back', '*', ['rds:ModifyDBInstance', 'rds:RebootDBInstance']),
      markTakenBack(
        'MarkTakenBackProgress',
        'migration-rollback:master-password-version',
        'migration-rollback:settings-asked-at',
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
    warm: [readUrl],
    hydrate: [describeInstances],
    fence: [readUrl, readMaster],
    'lift-fence': [readUrl, readMaster],
    swap: [
      // To open what an undo takes back.
      readMaster,
      {
        sid: 'MoveDatabaseUrl',
        actions: [
          'secretsmanager:GetSecretValue',
          'secretsmanager:PutSecretValue',
          'secretsmanager:UpdateSecretVersionStage',
        ],
        resources: [databaseUrlSecret.secretArn],
      },
    ],
    prove: [readUrl],
    'finish-settings': [
      readUrl,
      describeInstances,
      describeSnapshots,
      changeInstance('FinishInstance', 'recovery-instance', RECOVERY_INSTANCE_NAMES, [
        'rds:ModifyDBInstance',
      ]),
      {
        ...changeInstance('MarkProgress', 'recovery-instance', RECOVERY_INSTANCE_NAMES, [
          'rds:AddTagsToResource',
        ]),
        conditions: {
          ...tagged('recovery-instance'),
          'ForAllValues:StringLike': {
            'aws:TagKeys': [
              'migration-rollback:rest-asked-at',
              'migration-rollback:cutover-proven',
              ...QUARANTINE_KEYS,
            ],
          },
        },
      },
      {
        ...changeInstance('CorrectQuarantine', 'recovery-instance', RECOVERY_INSTANCE_NAMES, [
          'rds:RemoveTagsFromResource',
        ]),
        conditions: {
          ...tagged('recovery-instance'),
          'ForAllValues:StringLike': { 'aws:TagKeys': QUARANTINE_KEYS },
        },
      },
      changeInstance('FinishTakenBack', 'taken-back', '*', ['rds:ModifyDBInstance']),
      markTakenBack(
        'MarkTakenBackProgress',
        'migration-rollback:rest-asked-at',
        'migration-rollback:cutover-proven',
        ...QUARANTINE_KEYS,
      ),
      {
        sid: 'UseMonitoringRole',
        actions: ['iam:PassRole'],
        resources: [stack.formatArn({ service: 'iam', region: '', resource: 'role', resourceName: '*' })],
        conditions: { StringEquals: { 'iam:PassedToService': 'monitoring.rds.amazonaws.com' } },
        wildcardReason:
          'A live instance with Enhanced Monitoring has a role for it that the recovery instance gets, too. The condition ' +
          'allows roles to be handed to that monitoring and to nothing else.',
      },
    ],
    'restart-consumers': [
      readUrl,
      ...(consumers.length === 0
        ? []
        : [
            {
              sid: 'RestartConsumers',
              actions: ['ecs:DescribeServices', 'ecs:UpdateService'],
              resources: consumers.map(({ cluster, service }) =>
                stack.formatArn({
                  service: 'ecs',
                  resource: 'service',
                  resourceName: `${cluster}/${service}`,
                }),
              ),
            },
          ]),
      {
        sid: 'TellOfCutover',
        actions: ['events:PutEvents'],
        resources: [stack.formatArn({ service: 'events', resource: 'event-bus', resourceName: 'default' })],
        conditions: {
          'ForAllValues:StringEquals': {
            'events:source': 'migration-rollback',
            'events:detail-type': 'Database cutover',
          },
        },
      },
    ],
    'prove-consumers': [readUrl],
    'swap-back': [
      {
        sid: 'MoveDatabaseUrlBack',
        actions: ['secretsmanager:GetSecretValue', 'secretsmanager:UpdateSecretVersionStage'],
        resources: [databaseUrlSecret.secretArn],
      },
      seeRecoveries,
      seeHistories,
    ],
    drain: [readUrl, readMaster],
    soak: [readUrl, readMaster],
    retire: [
      readUrl,
      describeInstances,
      describeSnapshots,
      {
        ...changeInstance('MarkLive', 'recovery-instance', RECOVERY_INSTANCE_NAMES, [
          'rds:AddTagsToResource',
        ]),
        conditions: {
          StringEquals: { ...tagged('recovery-instance').StringEquals, ...tagging('live').StringEquals },
        },
      },
      markTakenBackAs('MarkTakenBackLive', 'live'),
      {
        ...changeInstance('ForgetKeepUntil', 'taken-back', '*', ['rds:RemoveTagsFromResource']),
        conditions: {
          ...tagged('taken-back'),
          'ForAllValues:StringEquals': { 'aws:TagKeys': ['migration-rollback:keep-until'] },
        },
      },
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
      changeInstance('TakeFinalSnapshot', 'retired', '*', ['rds:CreateDBSnapshot']),
      {
        sid: 'NameFinalSnapshot',
        actions: ['rds:CreateDBSnapshot'],
        resources: [rds('snapshot', '*-final-*')],
        wildcardReason:
          'The delete call makes it, and takes no tags. What it is taken of is limited by TakeFinalSnapshot.',
      },
      changeInstance('DeleteRetired', 'retired', '*', ['rds:ModifyDBInstance', 'rds:DeleteDBInstance']),
    ],
    discard,
    // The same instance, by the same proofs.
    'end-drill': discard,
    'clean-up': [
      ...discard,
      ...claim,
      listRecoveries,
      markTakenBackAs('MarkRetiredAgain', 'retired'),
      {
        sid: 'LiftFence',
        actions: ['lambda:InvokeFunction'],
        resources: [arn('lambda', 'function', `${environment}-lift-fence`)],
      },
    ],
    rename: [
      readUrl,
      ...claim,
      describeInstances,
      askDatabase,
      {
        ...changeInstance('MarkRename', 'live', '*', ['rds:AddTagsToResource']),
        conditions: { ...tagged('live'), 'ForAllValues:StringEquals': { 'aws:TagKeys': RENAME_KEYS } },
      },
      changeInstance('RenameLive', 'live', '*', ['rds:ModifyDBInstance']),
    ],
    'finish-rename': [
      readUrl,
      describeInstances,
      ...safetySnapshot,
      {
        ...changeInstance('UnmarkRename', 'live', '*', ['rds:RemoveTagsFromResource']),
        conditions: { ...tagged('live'), 'ForAllValues:StringEquals': { 'aws:TagKeys': RENAME_KEYS } },
      },
    ],
    // It asks nothing of AWS.
    fail: [],
    decide: [
      {
        sid: 'SeeWhoAsks',
        actions: ['states:ListExecutions'],
        resources: [arn('states', 'stateMachine', machineName)],
      },
      {
        ...seeRecoveries,
        sid: 'SeeWhatIsAsked',
        actions: ['states:DescribeExecution', 'states:GetExecutionHistory'],
      },
      {
        sid: 'AnswerQuestion',
        actions: ['states:SendTaskSuccess', 'states:SendTaskFailure'],
        resources: ['*'],
        wildcardReason:
          'Step Functions knows no resource for these actions: the token says which task is meant, and only the histories of ' +
          'this machine are read for one.',
      },
    ],
  };
}
