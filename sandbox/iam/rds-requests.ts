import { z } from 'zod';
import { accountIn, arn, type Account } from '../core/account';
import { NotInSandbox } from '../core/api';
import type { Json } from '../deploy/json';
import type { Lookup } from './lookup';
import { passRole } from './pass-role';
import type { PermissionRequest } from './permission-request';
import { checkConditionKeys } from './policies';

const text = z.string().optional();
const Input = z.object({
  CopyTagsToSnapshot: z.boolean().optional(),
  DBInstanceAutomatedBackupsArn: text,
  DBInstanceIdentifier: text,
  DBParameterGroupName: text,
  DBSecurityGroups: z.array(z.string()).default([]),
  DBSnapshotIdentifier: text,
  DBSubnetGroupName: text,
  FinalDBSnapshotIdentifier: text,
  KmsKeyId: text,
  MonitoringRoleArn: text,
  OptionGroupName: text,
  ResourceName: text,
  SkipFinalSnapshot: z.boolean().optional(),
  SourceDBInstanceAutomatedBackupsArn: text,
  SourceDBInstanceIdentifier: text,
  SourceDBSnapshotIdentifier: text,
  SourceDbiResourceId: text,
  TagKeys: z.array(z.string()).default([]),
  Tags: z.array(z.object({ Key: z.string(), Value: z.string().default('') })).default([]),
  TargetDBInstanceIdentifier: text,
  TargetDBSnapshotIdentifier: text,
});

/** Kinds of resources of RDS, as they stand in ARNs. */
type Kind = 'db' | 'snapshot' | 'pg' | 'og' | 'subgrp' | 'secgrp' | 'auto-backup' | 'es';

/** Operations that need nothing but themselves, on the one resource that a member names (all of them where it does not). */
const ON_ONE: Readonly<
  Record<
    string,
    readonly [
      Kind,
      'DBInstanceIdentifier' | 'DBSnapshotIdentifier' | 'DBParameterGroupName' | 'DBSubnetGroupName',
    ]
  >
> = {
  StartDBInstance: ['db', 'DBInstanceIdentifier'],
  RebootDBInstance: ['db', 'DBInstanceIdentifier'],
  DescribeDBInstances: ['db', 'DBInstanceIdentifier'],
  DeleteDBSnapshot: ['snapshot', 'DBSnapshotIdentifier'],
  ModifyDBSnapshot: ['snapshot', 'DBSnapshotIdentifier'],
  ModifyDBSnapshotAttribute: ['snapshot', 'DBSnapshotIdentifier'],
  DescribeDBSnapshotAttributes: ['snapshot', 'DBSnapshotIdentifier'],
  CreateDBParameterGroup: ['pg', 'DBParameterGroupName'],
  ModifyDBParameterGroup: ['pg', 'DBParameterGroupName'],
  ResetDBParameterGroup: ['pg', 'DBParameterGroupName'],
  DeleteDBParameterGroup: ['pg', 'DBParameterGroupName'],
  DescribeDBParameterGroups: ['pg', 'DBParameterGroupName'],
  DescribeDBParameters: ['pg', 'DBParameterGroupName'],
  CreateDBSubnetGroup: ['subgrp', 'DBSubnetGroupName'],
  ModifyDBSubnetGroup: ['subgrp', 'DBSubnetGroupName'],
  DeleteDBSubnetGroup: ['subgrp', 'DBSubnetGroupName'],
  DescribeDBSubnetGroups: ['subgrp', 'DBSubnetGroupName'],
};

/** Operations for which AWS knows no resource. */
const ON_NOTHING = ['DescribeAccountAttributes', 'DescribeDBEngineVersions'];

/** What a call of RDS needs to be allowed, per the service authorization reference. */
export async function rdsRequests(
  operation: string,
  given: unknown,
  account: Account,
  lookup: Lookup,
): Promise<PermissionRequest[]> {
  const input = Input.parse(given);
  const action = `rds:${operation}`;
  const named = (kind: Kind, name: string | undefined): string =>
    name?.startsWith('arn:') ? name : arn(account, 'rds', `${kind}:${name?.toLowerCase() ?? '*'}`);
  const requestTags = Object.fromEntries(input.Tags.map(({ Key, Value }) => [Key, Value]));
  const on = async (resource: string, of = action, tags = requestTags): Promise<PermissionRequest> => ({
    action: of,
    resource,
    resourceTags: await lookup.rdsTags(resource),
    requestTags: tags,
  });
  /** On one that the call makes: it has no tags yet, and those that it gets are asked for besides. */
  const onNew = (kind: Kind, name: string | undefined): PermissionRequest[] => [
    { action, resource: named(kind, name), requestTags },
    ...(input.Tags.length > 0
      ? [{ action: 'rds:AddTagsToResource', resource: named(kind, name), requestTags }]
      : []),
  ];
  const db = named('db', input.DBInstanceIdentifier);
  const groups = async (defaults: Readonly<Partial<Record<Kind, string | undefined>>> = {}) => {
    const names: [Kind, string | undefined][] = [
      ['pg', input.DBParameterGroupName ?? defaults.pg],
      ['og', input.OptionGroupName ?? defaults.og],
      ['subgrp', input.DBSubnetGroupName ?? defaults.subgrp],
      ...input.DBSecurityGroups.map((name): [Kind, string] => ['secgrp', name]),
    ];
    return Promise.all(names.flatMap(([kind, name]) => (name === undefined ? [] : [on(named(kind, name))])));
  };
  const monitoring = passRole(input.MonitoringRoleArn, 'monitoring.rds.amazonaws.com');

  const onOne = ON_ONE[operation];
  if (onOne) {
    const [kind, member] = onOne;
    const name = input[member];
    return operation.startsWith('Create') ? onNew(kind, name) : [await on(named(kind, name))];
  }
  if (ON_NOTHING.includes(operation)) return [{ action, resource: '*' }];
  switch (operation) {
    case 'CreateDBInstance':
      return [...onNew('db', input.DBInstanceIdentifier), ...(await groups()), ...monitoring];
    case 'ModifyDBInstance':
      return [await on(db), ...(await groups()), ...monitoring];
    case 'CreateDBSnapshot':
      return [await on(db), ...onNew('snapshot', input.DBSnapshotIdentifier)];
    case 'CopyDBSnapshot':
      return [
        await on(named('snapshot', input.SourceDBSnapshotIdentifier)),
        ...onNew('snapshot', input.TargetDBSnapshotIdentifier),
        ...(await keyRequests(input, account, lookup)),
      ];
    case 'DeleteDBInstance':
      return [
        await on(db),
        ...(input.SkipFinalSnapshot === true
          ? []
          : await snapshotOnTheWay(db, named('snapshot', input.FinalDBSnapshotIdentifier))),
      ];
    case 'StopDBInstance':
      return [
        await on(db),
        ...(input.DBSnapshotIdentifier === undefined
          ? []
          : await snapshotOnTheWay(db, named('snapshot', input.DBSnapshotIdentifier))),
      ];
    case 'RestoreDBInstanceFromDBSnapshot': {
      const version = (await lookup.snapshot(input.DBSnapshotIdentifier ?? ''))?.EngineVersion;
      return [
        await on(named('snapshot', input.DBSnapshotIdentifier)),
        ...onNew('db', input.DBInstanceIdentifier),
        ...(await groups(defaultGroups(version))),
      ];
    }
    case 'RestoreDBInstanceToPointInTime': {
      const source = input.SourceDBInstanceIdentifier;
      const facts = source === undefined ? undefined : await lookup.instance(source);
      const backup =
        input.SourceDBInstanceAutomatedBackupsArn ?? named('auto-backup', input.SourceDbiResourceId);
      return [
        await on(source === undefined ? backup : named('db', source)),
        ...onNew('db', input.TargetDBInstanceIdentifier),
        ...(await groups({
          ...defaultGroups(facts?.EngineVersion),
          subgrp: facts?.DBSubnetGroup?.DBSubnetGroupName ?? 'default',
        })),
      ];
    }
    // Which of its two kinds a call is checked against AWS does not say: the one that it names.
    case 'DescribeDBSnapshots':
      return [
        await on(
          input.DBSnapshotIdentifier === undefined && input.DBInstanceIdentifier !== undefined
            ? db
            : named('snapshot', input.DBSnapshotIdentifier),
        ),
      ];
    case 'DescribeDBInstanceAutomatedBackups':
      return [
        await on(
          input.DBInstanceIdentifier === undefined
            ? (input.DBInstanceAutomatedBackupsArn ?? named('auto-backup', undefined))
            : db,
        ),
      ];
    case 'AddTagsToResource':
    case 'ListTagsForResource':
      return [await on(input.ResourceName ?? '*')];
    case 'RemoveTagsFromResource':
      return [{ ...(await on(input.ResourceName ?? '*')), context: { 'aws:TagKeys': input.TagKeys } }];
    default:
      throw new NotInSandbox(`the authorisation of ${action}`);
  }

  /**
   * A snapshot that is not the call's own purpose has to be allowed all the same, since 2024; with CopyTagsToSnapshot its
   * tags, too. Whether copied tags count as tags of the request is not documented: a policy has to allow it either way.
   */
  async function snapshotOnTheWay(instance: string, snapshot: string): Promise<PermissionRequest[]> {
    const facts = await lookup.instance(input.DBInstanceIdentifier ?? '');
    const tags = await lookup.rdsTags(instance);
    const copied = facts?.CopyTagsToSnapshot === true && Object.keys(tags).length > 0;
    return [
      await on(instance, 'rds:CreateDBSnapshot'),
      { action: 'rds:CreateDBSnapshot', resource: snapshot },
      ...(copied
        ? [
            { action: 'rds:AddTagsToResource', resource: snapshot },
            { action: 'rds:AddTagsToResource', resource: snapshot, requestTags: tags },
          ]
        : []),
    ];
  }
}

/** The groups that a restore takes where it is told none: not those of the source. */
function defaultGroups(engineVersion: string | undefined): Partial<Record<Kind, string>> {
  const [major = ''] = (engineVersion ?? '').split('.');
  return major === ''
    ? {}
    : { pg: `default.postgres${major}`, og: `default:postgres-${major}`, subgrp: 'default' };
}

/** The keys that RDS uses in the name of whoever copies a snapshot. */
async function keyRequests(
  { SourceDBSnapshotIdentifier: source = '', KmsKeyId: given }: z.infer<typeof Input>,
  account: Account,
  lookup: Lookup,
): Promise<PermissionRequest[]> {
  const { keys } = lookup;
  const region = (source.startsWith('arn:') ? source.split(':')[3] : undefined) ?? account.region;
  const sourceKey = (await lookup.snapshot(source, region))?.KmsKeyId;
  const isShared = (accountIn(source) ?? account.accountId) !== account.accountId;
  // Without one it is that of the source, where the two are of the same account.
  const wanted = given ?? (isShared ? undefined : sourceKey);
  const target = wanted === undefined ? undefined : keys.named(account, wanted);
  return [
    ...(sourceKey !== undefined && (isShared || accountIn(sourceKey) !== account.accountId)
      ? keyUse(SHARED_ACTIONS, sourceKey, { ...account, region }, 'source snapshot', keys.policy(sourceKey))
      : []),
    // Of a key of the account that no stack has deployed nobody knows whom it lets use it.
    ...(target === undefined ? [] : keyUse(RESOURCE_ACTIONS, target, account, 'target', keys.policy(target))),
  ];
}

/** A key without a policy that names another account is not there for it. */
const CLOSED: Json = { Version: '2012-10-17', Statement: [] };

function keyUse(
  actions: readonly string[],
  resource: string,
  { region, accountId }: Account,
  keyOfRds: 'source snapshot' | 'target',
  resourcePolicy: Json = CLOSED,
): PermissionRequest[] {
  checkConditionKeys({ name: `key policy of ${resource}`, document: resourcePolicy });
  return actions.map((action) => ({
    action,
    resource,
    keyOfRds,
    resourcePolicy,
    context: {
      'kms:ViaService': `rds.${region}.amazonaws.com`,
      'kms:CallerAccount': accountId,
      ...(action === 'kms:CreateGrant' && { 'kms:GrantIsForAWSResource': 'true' }),
    },
  }));
}

/** "To create an RDS resource using a customer managed key" (RDS User Guide, AWS KMS key management). */
const RESOURCE_ACTIONS = ['kms:DescribeKey', 'kms:CreateGrant'];

/**
 * On the key of a snapshot where that, or the key, is another account's. AWS's guides let the other account have these, `kms:Encrypt` and
 * `kms:RetireGrant`; that it fails without `kms:CreateGrant`, which some of them leave out, is reported (aurora-snapshot-tool, issue 29).
 */
const SHARED_ACTIONS = [
  ...RESOURCE_ACTIONS,
  'kms:Decrypt',
  'kms:ReEncryptFrom',
  'kms:GenerateDataKeyWithoutPlaintext',
];
