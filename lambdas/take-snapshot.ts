import {
  CreateDBSnapshotCommand,
  type DBInstance,
  type DBSnapshot,
  type RDSClient,
  type Tag,
} from '@aws-sdk/client-rds';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { CheckMigrationsResult } from './contract/gate';
import type { InstanceAddress } from './contract/recovery';
import type { EnvironmentName } from './contract/settings';
import { InstanceBusy, LiveInstanceUnclear, SnapshotQuotaExceeded, isAwsError } from './errors';
import { findSnapshot, isTerminal } from './rds';
import { recordedDetails, recordedMarks } from './recorded-state';
import { pinCurrentVersion } from './secret-pins';
import { noSnapshotLeft, QUOTA_HINT, snapshotQuota } from './snapshot-quota';
import { writeSettings } from './stored-settings';
import { MAX_TAGS, writeMarks, writeMigrations, type Marks, type Migration } from './tags';

export interface TakeSnapshotDeps {
  readonly rds: RDSClient;
  readonly secrets: SecretsManagerClient;
  readonly environment: EnvironmentName;
  readonly databaseUrlSecretId: string;
  readonly masterSecretId: string;
}

export interface SnapshotRequest {
  readonly instance: DBInstance;
  readonly address: InstanceAddress;
  readonly snapshotId: string;
  readonly marks: Marks;
  /** Those that are pending; undefined where that is not known. */
  readonly migrations: readonly Migration[] | undefined;
  /** What the database says of itself; undefined where it was not asked. */
  readonly database: CheckMigrationsResult | undefined;
}

/** RDS takes snapshots in these statuses only. */
const SNAPSHOTTABLE = ['available', 'storage-optimization'];
/** Not terminal, since somebody can start them again, but nothing that passes by itself. */
const STOPPED = ['stopped', 'stopping'];
/** Tags of one snapshot for the settings of its instance. */
const MAX_SETTINGS_TAGS = 6;

/**
 * Begins a snapshot that knows all that a recovery will need: whose it is, the settings of its instance, its migrations and
 * schema, and the versions of the secrets, which are pinned. Of calls for the same snapshot, however many, one makes it and
 * all answer it. Throws InstanceBusy, LiveInstanceUnclear, SnapshotQuotaExceeded.
 */
export async function takeSnapshot(request: SnapshotRequest, deps: TakeSnapshotDeps): Promise<DBSnapshot> {
  const { instance, address, snapshotId } = request;
  const { rds, secrets } = deps;
  refuseStatus(address.instanceId, instance.DBInstanceStatus ?? 'unknown');
  const quota = await snapshotQuota(rds);
  if (quota.free === 0) throw new SnapshotQuotaExceeded(noSnapshotLeft(quota), QUOTA_HINT);
  const [databaseUrlVersion, masterVersion] = await Promise.all([
    pinCurrentVersion(secrets, deps.databaseUrlSecretId),
    pinCurrentVersion(secrets, deps.masterSecretId),
  ]);
  try {
    const { DBSnapshot } = await rds.send(
      new CreateDBSnapshotCommand({
        DBInstanceIdentifier: address.instanceId,
        DBSnapshotIdentifier: snapshotId,
        Tags: snapshotTags(request, {
          environment: deps.environment,
          'database-url-version': databaseUrlVersion,
          'master-version': masterVersion,
        }),
      }),
    );
    return DBSnapshot ?? { DBSnapshotIdentifier: snapshotId, Status: 'creating' };
  } catch (error) {
    if (isAwsError(error, 'DBSnapshotAlreadyExistsFault', 'DBSnapshotAlreadyExists')) {
      const made = await findSnapshot(rds, snapshotId);
      if (made) return made;
    }
    if (isAwsError(error, 'InvalidDBInstanceStateFault', 'InvalidDBInstanceState'))
      throw new InstanceBusy(
        `RDS takes no snapshot of ${address.instanceId} now: it began something else a moment ago.`,
        BUSY_HINT,
        { cause: error },
      );
    if (isAwsError(error, 'SnapshotQuotaExceededFault', 'SnapshotQuotaExceeded'))
      throw new SnapshotQuotaExceeded(
        'The quota of manual snapshots of this account and Region is used up.',
        QUOTA_HINT,
        { cause: error },
      );
    throw error;
  }
}

const BUSY_HINT = 'Ask again in a few minutes, for instance when an automated backup is done.';

function refuseStatus(instanceId: string, status: string): void {
  if (SNAPSHOTTABLE.includes(status)) return;
  const fact = `Instance ${instanceId} is "${status}"; RDS takes a snapshot only of an available one.`;
  if (isTerminal(status) || STOPPED.includes(status))
    throw new LiveInstanceUnclear(fact, 'It does not leave this status by itself: see its events in RDS.');
  throw new InstanceBusy(fact, BUSY_HINT);
}

/**
 * What does not fit into the 50 tags of a resource is left out: first the oldest of the pending migrations, then
 * details of the database, then the settings.
 * RDS may copy the tags of the instance to the snapshot, so they count.
 */
function snapshotTags({ instance, marks, migrations, database }: SnapshotRequest, more: Marks): Tag[] {
  const own = writeMarks({
    ...marks,
    ...more,
    ...(database && recordedMarks(database)),
  });
  const keys = new Set(own.map(({ Key }) => Key));
  const copied = (instance.TagList ?? []).filter(({ Key }) => !keys.has(Key)).length;
  // How the migration ended is recorded later.
  const room = MAX_TAGS - own.length - copied - LATER_TAGS;
  const settings = writeSettings(instance, Math.min(MAX_SETTINGS_TAGS, room - 2));
  const details = database ? recordedDetails(database, room - settings.length - LEAST_MIGRATION_TAGS) : [];
  const left = room - settings.length - details.length;
  return [
    ...own,
    ...settings,
    ...details,
    ...(migrations ? writeMigrations(migrations, Math.max(2, left)) : []),
  ];
}

const LATER_TAGS = 2;
/** Before details of the database take room: the newest of the pending migrations, with their count and digest. */
const LEAST_MIGRATION_TAGS = 4;
