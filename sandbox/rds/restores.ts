import type {
  RestoreDBInstanceFromDBSnapshotMessage,
  RestoreDBInstanceToPointInTimeMessage,
} from '@aws-sdk/client-rds';
import { ApiError, type Operation } from '../core/api';
import { baseBackupFor, earliestRestorableTime, latestRestorableTime } from './automated-backups';
import { describeInstance } from './describe';
import {
  automatedBackupNotFound,
  invalidCombination,
  invalidSnapshotState,
  invalidValue,
  pointInTimeNotEnabled,
} from './errors';
import { LONGEST_INSTANCE_IDENTIFIER, newIdentifier } from './identifiers';
import { admit, launch, type NewInstance } from './launch';
import { operation } from './operation';
import type { Rds } from './rds';
import { RESTORE_MEMBERS, restoredSettings } from './settings';
import type { AutomatedBackupRecord, BackedUpInstance, InstanceRecord, InstanceSettings } from './state';
import { givenTags } from './tags';

export function restoreOperations(rds: Rds): Record<string, Operation> {
  return {
    ...operation<RestoreDBInstanceFromDBSnapshotMessage>(
      'RestoreDBInstanceFromDBSnapshot',
      ['DBInstanceIdentifier', 'DBSnapshotIdentifier', 'Engine', 'DBName', 'Tags', ...RESTORE_MEMBERS],
      (input) => ({ DBInstance: describeInstance(rds, fromSnapshot(rds, input)) }),
    ),
    ...operation<RestoreDBInstanceToPointInTimeMessage>(
      'RestoreDBInstanceToPointInTime',
      [
        'TargetDBInstanceIdentifier',
        'SourceDBInstanceIdentifier',
        'SourceDbiResourceId',
        'SourceDBInstanceAutomatedBackupsArn',
        'RestoreTime',
        'UseLatestRestorableTime',
        'MaxAllocatedStorage',
        'Engine',
        'DBName',
        'Tags',
        ...RESTORE_MEMBERS,
      ],
      (input) => ({ DBInstance: describeInstance(rds, toPointInTime(rds, input)) }),
    ),
  };
}

/** What a restored instance takes over from its backup whatever the caller wants. */
function restored(
  source: BackedUpInstance,
  identifier: string,
  settings: InstanceSettings,
  tags: NewInstance['tags'],
): NewInstance {
  const { engineVersion, masterUsername, databaseName, storageEncrypted, kmsKeyId } = source;
  return {
    identifier,
    engineVersion,
    masterUsername,
    databaseName,
    storageEncrypted,
    kmsKeyId,
    settings,
    // None given: the source's are copied. Some given: only those.
    tags: tags.length > 0 ? tags : [...source.tags],
  };
}

function checkEngine(engine: string | undefined): void {
  if (engine !== undefined && engine !== 'postgres') {
    throw invalidValue(`The engine ${engine} does not fit the backup, which is of postgres.`);
  }
}

function fromSnapshot(rds: Rds, input: RestoreDBInstanceFromDBSnapshotMessage): InstanceRecord {
  const identifier = newIdentifier(
    input.DBInstanceIdentifier,
    'DBInstanceIdentifier',
    LONGEST_INSTANCE_IDENTIFIER,
  );
  const { snapshot, owner } = rds.snapshotOrShared(input.DBSnapshotIdentifier);
  checkEngine(input.Engine);
  // AWS's guide: "You can't restore a DB instance from a DB snapshot that is both shared and encrypted." The words are ours.
  if (owner !== rds && snapshot.kmsKeyId !== undefined)
    throw new ApiError(
      'KMSKeyNotAccessibleFault',
      `The snapshot ${snapshot.identifier} is shared and encrypted: copy it, and restore the copy.`,
    );
  if (snapshot.status !== 'available') throw invalidSnapshotState(snapshot.identifier, snapshot.status);
  const settings = restoredSettings(rds, snapshot.source.settings, input);
  admit(rds, identifier, settings);
  const { backupDirectory: backup } = snapshot;
  const tags = owner === rds ? snapshot.tags : [];
  const source = { ...snapshot.source, kmsKeyId: snapshot.kmsKeyId, tags };
  const instance = restored(source, identifier, settings, givenTags(input.Tags));
  return launch(rds, instance, { from: 'snapshot', backup });
}

function toPointInTime(rds: Rds, input: RestoreDBInstanceToPointInTimeMessage): InstanceRecord {
  const identifier = newIdentifier(
    input.TargetDBInstanceIdentifier,
    'TargetDBInstanceIdentifier',
    LONGEST_INSTANCE_IDENTIFIER,
  );
  checkEngine(input.Engine);
  const { RestoreTime, UseLatestRestorableTime } = input;
  if (RestoreTime !== undefined && UseLatestRestorableTime === true) {
    throw invalidCombination('RestoreTime cannot be specified if UseLatestRestorableTime is true.');
  }
  if (RestoreTime === undefined && UseLatestRestorableTime !== true) {
    throw invalidCombination('Either RestoreTime or UseLatestRestorableTime must be specified.');
  }
  const { backup: automated, living } = sourceOf(rds, input);
  const source = living ?? automated.source;
  const earliest = earliestRestorableTime(rds, automated);
  const latest = latestRestorableTime(rds, automated);
  if (!earliest || !latest) throw pointInTimeNotEnabled(source.identifier);
  const time = RestoreTime ?? latest;
  if (time > latest) {
    throw invalidValue(
      `The specified instance cannot be restored to a time later than ${toTheSecond(latest)}.`,
    );
  }
  const base = time < earliest ? undefined : baseBackupFor(automated, time);
  if (!base) {
    throw invalidValue(
      `The specified instance cannot be restored to a time earlier than ${toTheSecond(earliest)}.`,
    );
  }
  const settings = restoredSettings(rds, source.settings, input);
  admit(rds, identifier, settings);
  const instance = restored(source, identifier, settings, givenTags(input.Tags));
  return launch(rds, instance, {
    from: 'automated-backup',
    sourceDbiResourceId: automated.dbiResourceId,
    backup: base.directory,
    walArchive: automated.walArchive,
    realTime: rds.context.clock.toReal(time),
  });
}

const toTheSecond = (time: Date): string => time.toISOString().replace(/\.\d+Z$/, 'Z');

/** The automated backups to restore from: those of a living instance, or retained ones. */
function sourceOf(
  rds: Rds,
  input: RestoreDBInstanceToPointInTimeMessage,
): { backup: AutomatedBackupRecord; living?: InstanceRecord } {
  const { automatedBackups } = rds.state;
  const {
    SourceDBInstanceIdentifier: byName,
    SourceDbiResourceId: byResourceId,
    SourceDBInstanceAutomatedBackupsArn: byArn,
  } = input;
  if ([byName, byResourceId, byArn].filter((given) => given !== undefined).length !== 1) {
    throw invalidCombination(
      'Exactly one of SourceDBInstanceIdentifier, SourceDbiResourceId and SourceDBInstanceAutomatedBackupsArn must be specified.',
    );
  }
  if (byName !== undefined) {
    const living = rds.instance(byName);
    const backup = automatedBackups.get(living.dbiResourceId);
    if (!backup) throw pointInTimeNotEnabled(living.identifier);
    return { backup, living };
  }
  const backup = [...automatedBackups.values()].find(
    ({ dbiResourceId, id }) => dbiResourceId === byResourceId || rds.arn(`auto-backup:${id}`) === byArn,
  );
  if (!backup) throw automatedBackupNotFound(byResourceId ?? byArn ?? '');
  const living = rds.byResourceId(backup.dbiResourceId);
  return living ? { backup, living } : { backup };
}
