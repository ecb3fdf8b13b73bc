import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type {
  DBInstanceAutomatedBackup,
  DeleteDBInstanceAutomatedBackupMessage,
  DescribeDBInstanceAutomatedBackupsMessage,
} from '@aws-sdk/client-rds';
import { ApiError, type Operation } from '../core/api';
import { describeAutomatedBackup } from './describe';
import { discardBackup } from './directories';
import { automatedBackupNotFound, instanceNotFound, invalidCombination } from './errors';
import { resourceId } from './identifiers';
import { operation } from './operation';
import { filtered, page } from './paging';
import { planOnInstance } from './plan-on-instance';
import { onClock, type Plan, type Rds } from './rds';
import { backedUp, type AutomatedBackupRecord, type BaseBackup, type InstanceRecord } from './state';

const DAY = 24 * 3600 * 1000;

/** First moment that a restore to a time can reach; none before the first automated backup is finished. */
export function earliestRestorableTime(rds: Rds, backup: AutomatedBackupRecord): Date | undefined {
  const first = backup.baseBackups[0];
  if (!first) return undefined;
  const retention =
    (rds.byResourceId(backup.dbiResourceId) ?? backup.source).settings.backupRetentionPeriod * DAY;
  return new Date(Math.max(first.consistentAt.getTime(), rds.now().getTime() - retention));
}

/** Last moment that a restore to a time can reach: as far as WAL has been uploaded. */
export function latestRestorableTime(rds: Rds, backup: AutomatedBackupRecord): Date | undefined {
  const first = backup.baseBackups[0];
  if (!first) return undefined;
  if (backup.endedAt) return backup.endedAt;
  const now = rds.now().getTime();
  const interval = rds.durations.walUploadInterval;
  const uploaded = interval === 0 ? now : Math.floor(now / interval) * interval;
  return new Date(Math.max(first.consistentAt.getTime(), uploaded));
}

/** The backup to start from for a restore to `time`: the last one that was consistent by then. */
export function baseBackupFor(backup: AutomatedBackupRecord, time: Date): BaseBackup | undefined {
  return backup.baseBackups.findLast(({ consistentAt }) => consistentAt <= time);
}

/** Switches automated backups on in the records; the first backup is taken with `takeBaseBackup`. */
export function openAutomatedBackups(rds: Rds, instance: InstanceRecord): void {
  rds.state.automatedBackups.set(instance.dbiResourceId, {
    dbiResourceId: instance.dbiResourceId,
    id: resourceId('ab').toLowerCase(),
    status: 'creating',
    source: backedUp(instance),
    walArchive: join('automated', instance.dbiResourceId, 'wal'),
    baseBackups: [],
  });
}

/** A base backup; the instance is `backing-up` meanwhile. */
export interface BaseBackupTask {
  readonly do: 'base-backup';
  readonly dbiResourceId: string;
  readonly kind: 'firstBackup' | 'dailyBackup';
  readonly requestedAt: Date;
  /** Below RDS's own directory. */
  readonly directory: string;
  /** Once it has been taken: when it was consistent on the clock, and its size. */
  taken?: { readonly consistentAt: Date; readonly bytes: number };
}

/** Takes a base backup if the instance has automated backups; then the instance is settled. */
export function beginBaseBackup(
  rds: Rds,
  instance: InstanceRecord,
  kind: 'firstBackup' | 'dailyBackup',
): void {
  const { dbiResourceId } = instance;
  if (!rds.state.automatedBackups.has(dbiResourceId)) {
    rds.settle(instance);
    return;
  }
  const requestedAt = rds.now();
  const directory = join('automated', dbiResourceId, `base-${requestedAt.getTime()}`);
  rds.begin({ do: 'base-backup', dbiResourceId, kind, requestedAt, directory });
  rds.event(instance, 'RDS-EVENT-0001', ['backup'], 'Backing up DB instance');
}

export function planBaseBackup(rds: Rds, task: BaseBackupTask): Plan {
  const { dbiResourceId, kind, requestedAt, directory } = task;
  const plan = planOnInstance(
    rds,
    dbiResourceId,
    { kind, status: 'backing-up' },
    {
      work: async (instance) => {
        await rm(rds.path(directory), { recursive: true, force: true });
        const { consistentAt, bytes } = await rds.server(instance).backup(rds.path(directory));
        task.taken = { consistentAt: onClock(rds.context.clock, consistentAt), bytes };
      },
      done: (instance) => {
        const backup = rds.state.automatedBackups.get(dbiResourceId);
        if (backup && task.taken) {
          finishBaseBackup(rds, instance, backup, { directory, requestedAt, ...task.taken });
        }
        rds.settle(instance);
      },
    },
  );
  // Not needed when the instance is being deleted by now.
  return {
    ...plan,
    done: () => {
      plan.done();
      discardBackup(rds, directory);
    },
    failed: (status) => {
      plan.failed(status);
      discardBackup(rds, directory);
    },
  };
}

function finishBaseBackup(
  rds: Rds,
  instance: InstanceRecord,
  backup: AutomatedBackupRecord,
  taken: BaseBackup & { readonly requestedAt: Date; readonly bytes: number },
): void {
  const { directory, requestedAt, consistentAt, bytes } = taken;
  backup.baseBackups.push({ directory, consistentAt });
  backup.status = 'active';
  const stamp = requestedAt.toISOString().slice(0, 16).replace(/[T:]/g, '-');
  const identifier = `rds:${instance.identifier}-${stamp}`;
  rds.state.snapshots.set(identifier, {
    identifier,
    type: 'automated',
    status: 'available',
    source: backedUp(instance),
    requestedAt,
    createTime: consistentAt,
    originalCreateTime: consistentAt,
    databaseTime: consistentAt,
    kmsKeyId: instance.kmsKeyId,
    backupDirectory: directory,
    sharedWith: [],
    bytes,
    tags: instance.settings.copyTagsToSnapshot ? [...instance.tags] : [],
  });
  prune(rds, instance, backup);
  rds.event(instance, 'RDS-EVENT-0002', ['backup'], 'Finished DB Instance backup');
}

/** Drops base backups (and their automated snapshots) that no restore inside the retention needs any more. */
function prune(rds: Rds, instance: InstanceRecord, backup: AutomatedBackupRecord): void {
  const oldest = new Date(rds.now().getTime() - instance.settings.backupRetentionPeriod * DAY);
  const keepFrom = Math.max(
    0,
    backup.baseBackups.findLastIndex(({ consistentAt }) => consistentAt <= oldest),
  );
  forget(rds, backup.baseBackups.splice(0, keepFrom));
}

function forget(rds: Rds, baseBackups: readonly BaseBackup[]): void {
  for (const { directory } of baseBackups) {
    for (const snapshot of rds.state.snapshots.values()) {
      if (snapshot.type === 'automated' && snapshot.backupDirectory === directory) {
        rds.state.snapshots.delete(snapshot.identifier);
      }
    }
    discardBackup(rds, directory);
  }
}

/** Archives the last WAL of a server that is about to stop: what the archive reaches then is the end of the window. */
export async function endArchive(rds: Rds, { dbiResourceId }: InstanceRecord): Promise<void> {
  const backup = rds.state.automatedBackups.get(dbiResourceId);
  const server = rds.servers.get(dbiResourceId);
  if (!backup || !server) return;
  backup.endedAt = onClock(rds.context.clock, await server.archiveUpToNow());
}

/** Removes all automated backups of an instance, and with them its point-in-time window. */
export function closeAutomatedBackups(rds: Rds, dbiResourceId: string): void {
  const backup = rds.state.automatedBackups.get(dbiResourceId);
  if (!backup) return;
  rds.state.automatedBackups.delete(dbiResourceId);
  forget(rds, backup.baseBackups);
  discardBackup(rds, backup.walArchive);
}

export function automatedBackupOperations(rds: Rds): Record<string, Operation> {
  return {
    ...operation<DescribeDBInstanceAutomatedBackupsMessage>(
      'DescribeDBInstanceAutomatedBackups',
      [
        'DbiResourceId',
        'DBInstanceIdentifier',
        'DBInstanceAutomatedBackupsArn',
        'Filters',
        'MaxRecords',
        'Marker',
      ],
      (input) => {
        const all = [...rds.state.automatedBackups.values()].map((backup) =>
          describeAutomatedBackup(rds, backup),
        );
        const id = input.DBInstanceIdentifier?.toLowerCase();
        const found = all.filter(
          (backup) =>
            (input.DbiResourceId === undefined || backup.DbiResourceId === input.DbiResourceId) &&
            (id === undefined || backup.DBInstanceIdentifier === id) &&
            (input.DBInstanceAutomatedBackupsArn === undefined ||
              backup.DBInstanceAutomatedBackupsArn === input.DBInstanceAutomatedBackupsArn),
        );
        if (found.length === 0) {
          if (input.DbiResourceId !== undefined) throw automatedBackupNotFound(input.DbiResourceId);
          if (id !== undefined && !rds.state.instances.has(id)) throw instanceNotFound(id);
        }
        const text = (value: string | undefined): readonly string[] => (value === undefined ? [] : [value]);
        const matching = filtered<DBInstanceAutomatedBackup>(found, input.Filters, {
          status: (backup) => text(backup.Status),
          'db-instance-id': (backup) => [...text(backup.DBInstanceIdentifier), ...text(backup.DBInstanceArn)],
          'dbi-resource-id': (backup) => text(backup.DbiResourceId),
        });
        const { items, Marker } = page(matching, input);
        return { DBInstanceAutomatedBackups: items, Marker };
      },
    ),
    ...operation<DeleteDBInstanceAutomatedBackupMessage>(
      'DeleteDBInstanceAutomatedBackup',
      ['DbiResourceId', 'DBInstanceAutomatedBackupsArn'],
      (input) => {
        const backup = [...rds.state.automatedBackups.values()].find(
          ({ dbiResourceId, id }) =>
            dbiResourceId === input.DbiResourceId ||
            rds.arn(`auto-backup:${id}`) === input.DBInstanceAutomatedBackupsArn,
        );
        const named = input.DbiResourceId ?? input.DBInstanceAutomatedBackupsArn;
        if (named === undefined) {
          throw invalidCombination(
            'Either DbiResourceId or DBInstanceAutomatedBackupsArn must be specified.',
          );
        }
        if (!backup) throw automatedBackupNotFound(named);
        if (backup.status !== 'retained') {
          throw new ApiError(
            'InvalidDBInstanceAutomatedBackupStateFault',
            'The automated backup can only be deleted when its DB instance has been deleted.',
          );
        }
        const described = describeAutomatedBackup(rds, backup);
        closeAutomatedBackups(rds, backup.dbiResourceId);
        return { DBInstanceAutomatedBackup: { ...described, Status: 'deleting' } };
      },
    ),
  };
}
