import type { PermissionTerms, SomePermissions } from './terms';

/** Of the quarantine; the first of the tags has no number. */
const QUARANTINE_KEYS = ['migration-rollback:quarantine', 'migration-rollback:quarantine-*'];
/** That the cutover is proven, and how far the settings are finished. */
const FINISH_KEYS = [
  'migration-rollback:rest-asked-at',
  'migration-rollback:cutover-proven',
  ...QUARANTINE_KEYS,
];

/** From the fence to the application on the new instance, and what that one still lacks. */
export function permissionsOfCutover(terms: PermissionTerms) {
  return {
    fence: [terms.readUrl, terms.readMaster],
    swap: [
      // To open what an undo takes back.
      terms.readMaster,
      {
        sid: 'MoveDatabaseUrl',
        actions: [
          'secretsmanager:GetSecretValue',
          'secretsmanager:PutSecretValue',
          'secretsmanager:UpdateSecretVersionStage',
        ],
        resources: [terms.databaseUrl],
      },
    ],
    prove: [terms.readUrl],
    'restart-consumers': [
      terms.readUrl,
      ...(terms.consumers.length === 0
        ? []
        : [
            {
              sid: 'RestartConsumers',
              actions: ['ecs:DescribeServices', 'ecs:UpdateService'],
              resources: terms.consumers.map(({ cluster, service }) =>
                terms.stack.formatArn({
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
        resources: [
          terms.stack.formatArn({ service: 'events', resource: 'event-bus', resourceName: 'default' }),
        ],
        conditions: {
          'ForAllValues:StringEquals': {
            'events:source': 'migration-rollback',
            'events:detail-type': 'Database cutover',
          },
        },
      },
    ],
    'prove-consumers': [terms.readUrl],
    'finish-settings': [
      terms.readUrl,
      terms.describeInstances,
      terms.describeSnapshots,
      terms.changeInstance('FinishInstance', 'recovery-instance', ['rds:ModifyDBInstance']),
      terms.changeTags(
        'MarkProgress',
        'recovery-instance',
        'rds:AddTagsToResource',
        'ForAllValues:StringLike',
        FINISH_KEYS,
      ),
      terms.changeTags(
        'CorrectQuarantine',
        'recovery-instance',
        'rds:RemoveTagsFromResource',
        'ForAllValues:StringLike',
        QUARANTINE_KEYS,
      ),
      terms.changeInstance('FinishTakenBack', 'taken-back', ['rds:ModifyDBInstance']),
      terms.changeTags(
        'MarkTakenBackProgress',
        'taken-back',
        'rds:AddTagsToResource',
        'ForAllValues:StringLike',
        FINISH_KEYS,
      ),
      {
        sid: 'UseMonitoringRole',
        actions: ['iam:PassRole'],
        resources: [
          terms.stack.formatArn({ service: 'iam', region: '', resource: 'role', resourceName: '*' }),
        ],
        conditions: { StringEquals: { 'iam:PassedToService': 'monitoring.rds.amazonaws.com' } },
        wildcardReason:
          'A live instance with Enhanced Monitoring has a role for it that the recovery instance gets, too. The condition ' +
          'allows roles to be handed to that monitoring and to nothing else.',
      },
    ],
  } satisfies SomePermissions;
}
