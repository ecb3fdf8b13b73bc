import { randomUUID } from 'node:crypto';
import type {
  CopyDBSnapshotMessage,
  CreateDBSnapshotMessage,
  DBSnapshot,
  DeleteDBSnapshotMessage,
  DescribeDBSnapshotsMessage,
  Tag,
} from '@aws-sdk/client-rds';
import type { Operation } from '../core/api';
import { MOST_MANUAL_SNAPSHOTS } from './defaults';
import { describeSnapshot } from './describe';
import {
  invalidCombination,
  invalidSnapshotState,
  invalidValue,
  snapshotAlreadyExists,
  snapshotNeedsAvailable,
  snapshotNotFound,
  snapshotQuotaExceeded,
} from './errors';
import { LONGEST_SNAPSHOT_IDENTIFIER, newIdentifier } from './identifiers';
import { operation } from './operation';
import { filtered, page } from './paging';
import { messageOf, onClock, type Rds } from './rds';
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
    backupDirectory: rds.path('snapshots', randomUUID()),
    bytes: 0,
    tags: [...tags],
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
  try {
    const backup = await rds.server(instance).backup(snapshot.backupDirectory);
    snapshot.createTime = onClock(rds.context.clock, backup.consistentAt);
    snapshot.originalCreateTime = snapshot.createTime;
    snapshot.databaseTime = snapshot.createTime;
    snapshot.bytes = backup.bytes;
  } catch (error) {
    snapshot.status = 'failed';
    rds.context.log(`rds: snapshot ${snapshot.identifier} failed: ${messageOf(error)}`);
    rds.discard(snapshot.backupDirectory, snapshot.backupDirectory);
    throw error;
  }
}

export function finishSnapshot(rds: Rds, snapshot: SnapshotRecord): void {
  snapshot.status = 'available';
  rds.event(snapshot, 'RDS-EVENT-0042', ['creation'], 'Manual snapshot created');
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
  // The instance is held by the snapshot, but a failed snapshot leaves it as it was.
  instance.status = 'backing-up';
  const goOn = (): void => {
    if (instance.status === 'backing-up') rds.settle(instance);
  };
  rds.begin(instance.dbiResourceId, 'snapshot', {
    work: () => backUpInto(rds, snapshot, instance),
    done: () => {
      finishSnapshot(rds, snapshot);
      goOn();
    },
    failed: goOn,
  });
  return snapshot;
}

function copy(rds: Rds, input: CopyDBSnapshotMessage): SnapshotRecord {
  const source = rds.snapshot(input.SourceDBSnapshotIdentifier, 'SourceDBSnapshotIdentifier');
  const identifier = admitIdentifier(rds, input.TargetDBSnapshotIdentifier, 'TargetDBSnapshotIdentifier');
  if (source.status !== 'available') throw invalidSnapshotState(source.identifier, source.status);
  const tags = givenTags(input.Tags);
  const snapshot: SnapshotRecord = {
    ...source,
    identifier,
    type: 'manual',
    status: 'copying',
    requestedAt: rds.now(),
    copyOf: source.identifier,
    kmsKeyId: input.KmsKeyId ?? source.kmsKeyId,
    tags: input.CopyTags === true && tags.length === 0 ? [...source.tags] : tags,
  };
  rds.state.snapshots.set(identifier, snapshot);
  rds.begin(identifier, 'snapshot', {
    done: () => {
      snapshot.createTime = rds.now();
      snapshot.status = 'available';
      rds.event(snapshot, 'RDS-EVENT-0197', ['notification'], 'DB snapshot copy finished');
    },
    failed: () => {
      snapshot.status = 'failed';
    },
  });
  return snapshot;
}

function remove(rds: Rds, input: DeleteDBSnapshotMessage): DBSnapshot {
  const snapshot = rds.snapshot(input.DBSnapshotIdentifier);
  const { identifier, status, type } = snapshot;
  if (type === 'automated') {
    throw invalidValue(`The snapshot ${identifier} is automated: only manual snapshots can be deleted.`);
  }
  if (status !== 'available' && status !== 'failed') throw invalidSnapshotState(identifier, status);
  snapshot.status = 'deleting';
  rds.begin(identifier, 'deleteSnapshot', {
    done: () => {
      rds.state.snapshots.delete(identifier);
      rds.discardBackup(snapshot.backupDirectory);
      rds.event(snapshot, 'RDS-EVENT-0041', ['deletion'], 'Manual snapshot deleted');
    },
    failed: (error) => {
      rds.context.log(`rds: snapshot ${identifier} could not be deleted: ${messageOf(error)}`);
    },
  });
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
  const all = id === undefined ? [...rds.state.snapshots.values()] : [rds.snapshot(id)];
  const wanted = all.filter(
    (snapshot) =>
      (type === undefined || snapshot.type === type) &&
      (instanceId === undefined || snapshot.source.identifier === instanceId.toLowerCase()) &&
      (input.DbiResourceId === undefined || snapshot.source.dbiResourceId === input.DbiResourceId),
  );
  if (id !== undefined && wanted.length === 0) throw snapshotNotFound(id);
  const matching = filtered(wanted, input.Filters, {
    'db-instance-id': ({ source }) => [source.identifier, rds.arn(`db:${source.identifier}`)],
    'db-snapshot-id': ({ identifier }) => [identifier],
    'dbi-resource-id': ({ source }) => [source.dbiResourceId],
    'snapshot-type': (snapshot) => [snapshot.type],
    engine: () => ['postgres'],
  }).sort((a, b) => (a.identifier < b.identifier ? -1 : 1));
  const { items, Marker } = page(matching, input);
  return { DBSnapshots: items.map((snapshot) => describeSnapshot(rds, snapshot)), Marker };
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
      ['SourceDBSnapshotIdentifier', 'TargetDBSnapshotIdentifier', 'KmsKeyId', 'Tags', 'CopyTags'],
      (input) => ({ DBSnapshot: describeSnapshot(rds, copy(rds, input)) }),
    ),
    ...operation<DescribeDBSnapshotsMessage>(
      'DescribeDBSnapshots',
      [
        'DBInstanceIdentifier',
        'DBSnapshotIdentifier',
        'DbiResourceId',
        'SnapshotType',
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
