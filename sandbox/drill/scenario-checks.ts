import type { Check } from '../../lambdas/contract/checks';
import { isUp } from '../../lambdas/rds';
import { badMigration, type BadMigrationName } from '../sample-app/bad-migrations';
import type { Outcome } from './scenario';
import type { LiveDatabase, Stage } from './stage';

/** What a recovery that succeeded must have left. */
export async function recovered(
  stage: Stage,
  { before, after, liveBefore, run }: Outcome,
  bad: BadMigrationName,
): Promise<Check[]> {
  const live = await stage.live();
  const migrations = await stage.recordedMigrations();
  const application = await stage.applicationOn(live);
  const oldInstance = await stage.instance(liveBefore.instance.DBInstanceIdentifier ?? '');
  const snapshots = await stage.snapshots();
  const ofOld = (role: string): typeof snapshots =>
    snapshots.filter(
      ({ DbiResourceId, TagList = [] }) =>
        DbiResourceId === liveBefore.instance.DbiResourceId &&
        TagList.some(({ Key, Value }) => Key === 'migration-rollback:role' && Value === role),
    );
  const available = (name: string, found: typeof snapshots): Check =>
    check(
      name,
      found.some(({ Status }) => Status === 'available'),
      found
        .map(({ DBSnapshotIdentifier, Status }) => `${DBSnapshotIdentifier ?? ''} ${Status ?? ''}`)
        .join(', ') || 'none',
    );
  return [
    check(
      'The recovery ended SUCCEEDED',
      run.status === 'SUCCEEDED',
      `${run.status}${run.error === undefined ? '' : `: ${run.error}: ${run.cause ?? ''}`}`,
    ),
    check(
      'DATABASE_URL names the restored instance',
      live.instance.DbiResourceId !== liveBefore.instance.DbiResourceId &&
        isUp(live.instance.DBInstanceStatus),
      `${live.instance.DBInstanceIdentifier ?? ''}, ${live.instance.DBInstanceStatus ?? ''}`,
    ),
    check(
      'Every row of every table is back',
      after.rows === before.rows && after.digest === before.digest,
      `${after.rows} of ${before.rows} rows; digests ${after.digest === before.digest ? 'equal' : 'differ'}`,
    ),
    check(
      'The bad migration is gone from the database',
      !migrations.includes(badMigration(bad).migrationName),
      `newest migration: ${migrations.at(-1) ?? 'none'}`,
    ),
    check(
      'The application works on the new instance',
      application.connected && application.refusal === undefined,
      application.detail,
    ),
    check(
      'The old instance is retired',
      oldInstance === undefined,
      oldInstance
        ? `${oldInstance.DBInstanceIdentifier ?? ''} is ${oldInstance.DBInstanceStatus ?? ''}`
        : `${liveBefore.instance.DBInstanceIdentifier ?? ''} is gone`,
    ),
    available('A final snapshot of it is available', ofOld('final')),
    available('A safety snapshot of it was taken while the new one was restored', ofOld('safety')),
    check(
      'The new instance is protected and backed up as the old one was',
      live.instance.DeletionProtection === liveBefore.instance.DeletionProtection &&
        live.instance.BackupRetentionPeriod === liveBefore.instance.BackupRetentionPeriod,
      `deletion protection ${live.instance.DeletionProtection === true ? 'on' : 'off'}, ${live.instance.BackupRetentionPeriod ?? 0} days of backups`,
    ),
  ];
}

export async function secretUntouched(stage: Stage, before: LiveDatabase): Promise<Check> {
  const live = await stage.live();
  return check(
    'DATABASE_URL still names the old instance',
    live.instance.DbiResourceId === before.instance.DbiResourceId && live.versionId === before.versionId,
    `${live.instance.DBInstanceIdentifier ?? ''} at ${live.host}:${live.port}`,
  );
}

/** It has its database, and is refused nothing but what the bad migration took; left out: there is none in it. */
export async function applicationReaches(
  stage: Pick<Stage, 'applicationOn'>,
  live: LiveDatabase,
  hurtBy?: BadMigrationName,
): Promise<Check> {
  const { connected, refusal, detail } = await stage.applicationOn(live);
  const expected = hurtBy === undefined ? undefined : badMigration(hurtBy).refusal;
  return check('The application reaches its database', connected && refusal === expected, detail);
}

/** One line of what is true now. */
export function check(name: string, ok: boolean, detail: string): Check {
  return { name, ok, detail };
}
