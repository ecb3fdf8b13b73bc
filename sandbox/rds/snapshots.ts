import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type {
  CopyDBSnapshotMessage,
  CreateDBSnapshotMessage,
  DBSnapshot,
  DeleteDBSnapshotMessage,
  DescribeDBSnapshotsMessage,
  Tag,
} from '@aws-sdk/client-rds';
import { ApiError, type Operation } from '../core/api';
import { MOST_COPIES_FROM_ELSEWHERE, MOST_MANUAL_SNAPSHOTS } from './defaults';
import { describeShared, describeSnapshot } from './describe';
import { discardBackup } from './directories';
import {
  invalidCombination,
  invalidSnapshotState,
  invalidValue,
  snapshotAlreadyExists,
  snapshotNeedsAvailable,
  snapshotNotFound,
  snapshotQuotaExceeded,
  targetKeyNotAccessible,
} from './errors';
import { LONGEST_SNAPSHOT_IDENTIFIER, newIdentifier, required } from './identifiers';
import { operation } from './operation';
import { filtered, page } from './paging';
import { planOnInstance } from './plan-on-instance';
import { onClock, type Plan, type Rds, type SharedSnapshot } from './rds';
import { backedUp, isIdle, type InstanceRecord, type SnapshotRecord } from './state';
import { givenTags } from './tags';

/** Checks that a manual snapshot of this name can be taken of the instance; answers the name as RDS stores it. */
export function admitSnapshot(
  rds: Rds,
  instance: InstanceRecord,
  identifier: string | undefined,
  member: string,
): string {
  const id = admitIdentifier(rds, identifier, member);
  if (!isIdle(instance)) throw snapshotNeedsAvailable(instance.identifier);
  return id;
}

function admitIdentifier(rds: Rds, identifier: string | undefined, member: string): string {
  const id = newIdentifier(identifier, member, LONGEST_SNAPSHOT_IDENTIFIER);
  if (rds.state.snapshots.has(id)) throw snapshotAlreadyExists(id);
  if (manualSnapshots(rds) >= MOST_MANUAL_SNAPSHOTS) throw snapshotQuotaExceeded(MOST_MANUAL_SNAPSHOTS);
  return id;
}

/** How many snapshots count against the quota. */
export function manualSnapshots(rds: Rds): number {
  return [...rds.state.snapshots.values()].filter(({ type }) => type === 'manual').length;
}

/** A snapshot that is about to be taken. */
export function newSnapshot(
  rds: Rds,
  instance: InstanceRecord,
  identifier: string,
  tags: readonly Tag[],
): SnapshotRecord {
  const snapshot: SnapshotRecord = {
    identifier,
    type: 'manual',
    status: 'creating',
    source: backedUp(instance),
    requestedAt: rds.now(),
    kmsKeyId: instance.kmsKeyId,
    backupDirectory: join('snapshots', randomUUID()),
    bytes: 0,
    tags: [...tags],
    sharedWith: [],
  };
  rds.state.snapshots.set(identifier, snapshot);
  rds.event(snapshot, 'RDS-EVENT-0040', ['creation'], 'Creating manual snapshot');
  return snapshot;
}

/** Takes the physical backup of a snapshot; it holds what was committed by `createTime`. */
export async function backUpInto(
  rds: Rds,
  snapshot: SnapshotRecord,
  instance: InstanceRecord,
): Promise<void> {
  const directory = rds.path(snapshot.backupDirectory);
  await rm(directory, { recursive: true, force: true });
  const backup = await rds.server(instance).backup(directory);
  snapshot.createTime = onClock(rds.context.clock, backup.consistentAt);
  snapshot.originalCreateTime = snapshot.createTime;
  snapshot.databaseTime = snapshot.createTime;
  snapshot.bytes = backup.bytes;
}

export function finishSnapshot(rds: Rds, snapshot: SnapshotRecord): void {
  snapshot.status = 'available';
  rds.event(snapshot, 'RDS-EVENT-0042', ['creation'], 'Manual snapshot created');
}

export function failSnapshot(rds: Rds, snapshot: SnapshotRecord): void {
  snapshot.status = 'failed';
  discardBackup(rds, snapshot.backupDirectory);
}

/** Something that is being done to a manual snapshot. */
export type SnapshotTask =
  | { readonly do: 'create-snapshot'; readonly snapshot: string; readonly dbiResourceId: string }
  | { readonly do: 'copy-snapshot' | 'delete-snapshot'; readonly snapshot: string };

export function planSnapshotTask(rds: Rds, task: SnapshotTask): Plan {
  const identifier = task.snapshot;
  const { snapshots } = rds.state;
  const snapshot = snapshots.get(identifier);
  const fail = (): void => {
    if (snapshot) failSnapshot(rds, snapshot);
  };
  if (task.do === 'create-snapshot') return planCreation(rds, task.dbiResourceId, snapshot, fail);
  const plan = { resource: identifier, identifiers: [identifier], failed: fail };
  switch (task.do) {
    case 'copy-snapshot':
      return {
        ...plan,
        kind: 'snapshot',
        done: () => {
          if (!snapshot) return;
          snapshot.createTime = rds.now();
          snapshot.status = 'available';
          rds.event(snapshot, 'RDS-EVENT-0197', ['notification'], 'DB snapshot copy finished');
        },
      };
    case 'delete-snapshot':
      return {
        ...plan,
        kind: 'deleteSnapshot',
        done: () => {
          snapshots.delete(identifier);
          if (!snapshot) return;
          discardBackup(rds, snapshot.backupDirectory);
          rds.event(snapshot, 'RDS-EVENT-0041', ['deletion'], 'Deleted manual snapshot');
        },
      };
  }
}

function create(rds: Rds, input: CreateDBSnapshotMessage): SnapshotRecord {
  const instance = rds.instance(input.DBInstanceIdentifier);
  const id = admitSnapshot(rds, instance, input.DBSnapshotIdentifier, 'DBSnapshotIdentifier');
  const tags = givenTags(input.Tags);
  const inherited = instance.settings.copyTagsToSnapshot ? instance.tags : [];
  const keys = new Set(tags.map(({ Key }) => Key));
  const snapshot = newSnapshot(rds, instance, id, [
    ...inherited.filter(({ Key }) => !keys.has(Key)),
    ...tags,
  ]);
  rds.begin({ do: 'create-snapshot', snapshot: id, dbiResourceId: instance.dbiResourceId });
  return snapshot;
}

/** The instance is held by the snapshot, but a failed snapshot leaves it as it was. */
function planCreation(
  rds: Rds,
  dbiResourceId: string,
  snapshot: SnapshotRecord | undefined,
  fail: () => void,
): Plan {
  const settle = (instance: InstanceRecord): void => {
    rds.settle(instance);
  };
  const plan = planOnInstance(
    rds,
    dbiResourceId,
    { kind: 'snapshot', status: 'backing-up', ...(snapshot && { alsoKnownAs: snapshot.identifier }) },
    {
      work: async (instance) => {
        if (snapshot) await backUpInto(rds, snapshot, instance);
      },
      done: settle,
      failed: settle,
    },
  );
  return {
    ...plan,
    done: () => {
      if (snapshot) finishSnapshot(rds, snapshot);
      plan.done();
    },
    failed: (status) => {
      fail();
      plan.failed(status);
    },
  };
}

function copy(rds: Rds, input: CopyDBSnapshotMessage): SnapshotRecord {
  const { region, accountId } = rds.context.account;
  const given = required(input.SourceDBSnapshotIdentifier, 'SourceDBSnapshotIdentifier');
  const sourceRegion = /^arn:[^:]+:rds:([^:]*):/.exec(given)?.[1] ?? region;
  // Another account's is asked for as this account sees it, in whatever Region: AWS copies across both in one step.
  const { snapshot: source, owner } = rds
    .inRegion(sourceRegion)
    .snapshotOrShared(given, 'SourceDBSnapshotIdentifier');
  const isShared = owner.context.account.accountId !== accountId;
  const identifier = admitIdentifier(rds, input.TargetDBSnapshotIdentifier, 'TargetDBSnapshotIdentifier');
  if (source.status !== 'available') throw invalidSnapshotState(source.identifier, source.status);
  if (isShared) admitShared(source, input);
  if (sourceRegion !== region) admitFromElsewhere(rds, source, input);
  // Nobody sees the tags of another account's snapshot.
  const copied = isShared ? [] : source.tags;
  const tags = givenTags(input.CopyTags === true && !input.Tags?.length ? copied : input.Tags);
  const kmsKeyId = input.KmsKeyId === undefined ? source.kmsKeyId : rds.keyArn(input.KmsKeyId);
  const snapshot: SnapshotRecord = {
    ...source,
    identifier,
    type: 'manual',
    source: { ...source.source, storageEncrypted: kmsKeyId !== undefined },
    status: 'copying',
    requestedAt: rds.now(),
    copyOf: owner.arn(`snapshot:${source.identifier}`),
    kmsKeyId,
    tags,
    sharedWith: [],
  };
  rds.state.snapshots.set(identifier, snapshot);
  rds.begin({ do: 'copy-snapshot', snapshot: identifier });
  return snapshot;
}

/** What RDS wants of a copy from another account: the key that the source is encrypted with stays that account's. */
function admitShared(source: SnapshotRecord, { KmsKeyId }: CopyDBSnapshotMessage): void {
  if (source.kmsKeyId !== undefined && KmsKeyId === undefined) throw targetKeyNotAccessible();
}

/** What RDS wants of a copy from another Region. */
function admitFromElsewhere(rds: Rds, source: SnapshotRecord, { KmsKeyId }: CopyDBSnapshotMessage): void {
  const { region } = rds.context.account;
  if (source.kmsKeyId !== undefined && KmsKeyId === undefined)
    throw invalidValue('Must specify new KMS key for cross region encrypted snapshot copy.');
  if (KmsKeyId?.startsWith('arn:') && KmsKeyId.split(':')[3] !== region)
    throw targetKeyNotAccessible(KmsKeyId);
  const underWay = [...rds.state.snapshots.values()].filter(
    ({ status, copyOf }) => status === 'copying' && copyOf !== undefined && copyOf.split(':')[3] !== region,
  );
  if (underWay.length >= MOST_COPIES_FROM_ELSEWHERE)
    throw new ApiError(
      'SnapshotQuotaExceededFault',
      `Cannot copy more than ${MOST_COPIES_FROM_ELSEWHERE} snapshots across regions`,
    );
}

function remove(rds: Rds, input: DeleteDBSnapshotMessage): DBSnapshot {
  const snapshot = rds.snapshot(input.DBSnapshotIdentifier);
  const { identifier, status, type } = snapshot;
  if (type === 'automated') {
    throw invalidValue(`The snapshot ${identifier} is automated: only manual snapshots can be deleted.`);
  }
  if (status !== 'available' && status !== 'failed') throw invalidSnapshotState(identifier, status);
  snapshot.status = 'deleting';
  rds.begin({ do: 'delete-snapshot', snapshot: identifier });
  return { ...describeSnapshot(rds, snapshot), Status: 'deleted' };
}

function describe(rds: Rds, input: DescribeDBSnapshotsMessage): object {
  const { DBSnapshotIdentifier: id, DBInstanceIdentifier: instanceId, SnapshotType: type } = input;
  if (type !== undefined && !['automated', 'manual', 'shared', 'public', 'awsbackup'].includes(type)) {
    throw invalidValue(`Invalid snapshot type: ${type}`);
  }
  if (id !== undefined && instanceId !== undefined) {
    throw invalidCombination('DBInstanceIdentifier and DBSnapshotIdentifier can not be used together.');
  }
  const all = id === undefined ? everyKnown(rds, input) : [rds.snapshotOrShared(id)];
  const typeOf = ({ snapshot, owner }: SharedSnapshot): string => (owner === rds ? snapshot.type : 'shared');
  const wanted = all.filter(
    (each) =>
      (type === undefined || typeOf(each) === type) &&
      (instanceId === undefined || each.snapshot.source.identifier === instanceId.toLowerCase()) &&
      (input.DbiResourceId === undefined || each.snapshot.source.dbiResourceId === input.DbiResourceId),
  );
  if (id !== undefined && wanted.length === 0) throw snapshotNotFound(id);
  const matching = filtered(wanted, input.Filters, {
    'db-instance-id': ({ snapshot: { source }, owner }) => [
      source.identifier,
      owner.arn(`db:${source.identifier}`),
    ],
    'db-snapshot-id': ({ snapshot }) => [snapshot.identifier],
    'dbi-resource-id': ({ snapshot: { source } }) => [source.dbiResourceId],
    'snapshot-type': (each) => [typeOf(each)],
    engine: () => ['postgres'],
  }).sort((a, b) => (a.snapshot.identifier < b.snapshot.identifier ? -1 : 1));
  const { items, Marker } = page(matching, input);
  const DBSnapshots = items.map(({ snapshot, owner }) =>
    owner === rds ? describeSnapshot(rds, snapshot) : describeShared(owner, snapshot),
  );
  return { DBSnapshots, Marker };
}

/** Those of the account in the Region and, where they are asked for, those that others share with it. */
function everyKnown(
  rds: Rds,
  { SnapshotType: type, IncludeShared }: DescribeDBSnapshotsMessage,
): SharedSnapshot[] {
  const own = [...rds.state.snapshots.values()].map((snapshot) => ({ snapshot, owner: rds }));
  const withShared = type === 'shared' || (type === undefined && IncludeShared === true);
  return withShared ? [...own, ...rds.sharedSnapshots()] : own;
}

export function snapshotOperations(rds: Rds): Record<string, Operation> {
  return {
    ...operation<CreateDBSnapshotMessage>(
      'CreateDBSnapshot',
      ['DBSnapshotIdentifier', 'DBInstanceIdentifier', 'Tags'],
      (input) => ({ DBSnapshot: describeSnapshot(rds, create(rds, input)) }),
    ),
    ...operation<CopyDBSnapshotMessage>(
      'CopyDBSnapshot',
      [
        'SourceDBSnapshotIdentifier',
        'TargetDBSnapshotIdentifier',
        'KmsKeyId',
        'Tags',
        'CopyTags',
        // SDKs make it of themselves; outside of GovCloud RDS ignores it.
        'PreSignedUrl',
      ],
      (input) => ({ DBSnapshot: describeSnapshot(rds, copy(rds, input)) }),
    ),
    ...operation<DescribeDBSnapshotsMessage>(
      'DescribeDBSnapshots',
      [
        'DBInstanceIdentifier',
        'DBSnapshotIdentifier',
        'DbiResourceId',
        'SnapshotType',
        'IncludeShared',
        'Filters',
        'MaxRecords',
        'Marker',
      ],
      (input) => describe(rds, input),
    ),
    ...operation<DeleteDBSnapshotMessage>('DeleteDBSnapshot', ['DBSnapshotIdentifier'], (input) => ({
      DBSnapshot: remove(rds, input),
    })),
  };
}
