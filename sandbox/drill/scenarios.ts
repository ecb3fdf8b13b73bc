import { CreateDBSnapshotCommand } from '@aws-sdk/client-rds';
import type { Check } from '../../lambdas/contract';
import { badMigration, type BadMigrationName } from '../sample-app/bad-migrations';
import type { DatabaseDigest } from '../sample-app/digest';
import type { RecoveryRun } from './recovery';
import type { LiveDatabase, Stage } from './stage';
import type { Written } from './writers';

/** What a scenario leaves behind for its checks. */
export interface Played {
  /** Every row of the app before the bad migration. */
  readonly before: DatabaseDigest;
  readonly liveBefore: LiveDatabase;
  readonly run: RecoveryRun;
  /** The same execution as it had ended before it was redriven. */
  readonly failed?: RecoveryRun;
  readonly writers?: readonly Written[];
}

/** What a scenario has come to. */
export interface Outcome extends Played {
  /** Every row of what DATABASE_URL names now. */
  readonly after: DatabaseDigest;
}

/** A rehearsal: what goes wrong, how it is undone, and what must be true afterwards. */
export interface Scenario {
  readonly name: string;
  readonly shows: string;
  readonly badMigration: BadMigrationName;
  play(stage: Stage): Promise<Played>;
  /** Computed from the databases and the APIs, never assumed. */
  check(stage: Stage, outcome: Outcome): Promise<Check[]>;
}

const OPERATOR = { reason: 'drill: the task tracker is broken', requestedBy: 'drill' };

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'bad-migration',
    shows: 'a migration drops a column; the recovery goes back to the snapshot that CI took before it',
    badMigration: 'dropped-column',
    async play(stage) {
      const before = await stage.digest();
      await stage.deployBadMigration(this.badMigration);
      const liveBefore = await stage.live();
      stage.timeline.heading('The recovery machine undoes it');
      const run = await stage.recover({
        mode: 'recover',
        restore: { to: 'latest-pre-migration-snapshot' },
        ...OPERATOR,
      });
      await stage.keepHouse();
      return { before, liveBefore, run };
    },
    check(stage, outcome) {
      return recovered(stage, outcome, this.badMigration);
    },
  },
  {
    name: 'point-in-time',
    shows:
      'a migration overwrites data; the recovery goes back to the second before it, in the automated backups',
    badMigration: 'destructive-backfill',
    async play(stage) {
      const before = await stage.digest();
      const time = stage.now();
      await stage.deployBadMigration(this.badMigration);
      await stage.timeline.step('Wait until the automated backups reach that moment', () =>
        stage.untilRestorableTo(time),
      );
      const liveBefore = await stage.live();
      stage.timeline.heading(`The recovery machine goes back to ${time.toISOString()}`);
      const run = await stage.recover({
        mode: 'recover',
        restore: { to: 'time', time: time.toISOString() },
        ...OPERATOR,
      });
      return { before, liveBefore, run };
    },
    check(stage, outcome) {
      return recovered(stage, outcome, this.badMigration);
    },
  },
  {
    name: 'failed-verification',
    shows:
      'the chosen snapshot holds a migration that failed half-way; verification refuses it, nothing is changed',
    badMigration: 'failed-half-way',
    async play(stage) {
      const before = await stage.digest();
      await stage.deployBadMigration(this.badMigration);
      const liveBefore = await stage.live();
      const snapshotId = 'taken-by-hand-too-late';
      await stage.timeline.step(`Somebody takes the snapshot ${snapshotId} after the damage`, async () => {
        const { rds } = stage.sandbox.clients();
        await rds.send(
          new CreateDBSnapshotCommand({
            DBSnapshotIdentifier: snapshotId,
            DBInstanceIdentifier: liveBefore.instance.DBInstanceIdentifier,
          }),
        );
        await stage.untilSnapshotAvailable(snapshotId);
      });
      stage.timeline.heading('The recovery machine is told to use that snapshot');
      const run = await stage.recover({
        mode: 'recover',
        restore: { to: 'snapshot', snapshotId },
        ...OPERATOR,
      });
      return { before, liveBefore, run };
    },
    async check(stage, { liveBefore, run }) {
      const instances = await stage.instances();
      return [
        check(
          'The recovery ended FAILED with the first error',
          run.status === 'FAILED' && run.error === 'VerificationFailed',
          `${run.status}, ${run.error ?? 'no error'}`,
        ),
        await secretUntouched(stage, liveBefore),
        check(
          'The recovery instance is gone',
          instances.length === 1 && instances[0]?.DbiResourceId === liveBefore.instance.DbiResourceId,
          `instances: ${instances.map(({ DBInstanceIdentifier }) => DBInstanceIdentifier).join(', ')}`,
        ),
        await applicationReaches(stage, liveBefore),
      ];
    },
  },
  {
    name: 'swap-proof-fails',
    shows: 'the new instance dies right after the swap; the machine swaps back and keeps both databases',
    badMigration: 'dropped-table',
    async play(stage) {
      const before = await stage.digest();
      await stage.deployBadMigration(this.badMigration);
      const liveBefore = await stage.live();
      const unhook = stage.afterSwap(async () => {
        const restored = (await stage.instances()).find(
          ({ DbiResourceId }) => DbiResourceId !== liveBefore.instance.DbiResourceId,
        );
        await stage.sandbox.rds.server(restored?.DBInstanceIdentifier ?? '')?.stop();
      });
      stage.timeline.heading('The recovery machine restores, and loses its new instance after the swap');
      const run = await stage.recover({
        mode: 'recover',
        restore: { to: 'latest-pre-migration-snapshot' },
        ...OPERATOR,
      });
      unhook();
      return { before, liveBefore, run };
    },
    async check(stage, { liveBefore, run }) {
      const instances = await stage.instances();
      const { versionId } = await stage.databaseUrl();
      return [
        check(
          'The recovery ended FAILED with the first error',
          run.status === 'FAILED' && run.error === 'ProofFailed',
          `${run.status}, ${run.error ?? 'no error'}`,
        ),
        check(
          'The machine swapped back',
          run.states.some(({ name }) => name === 'SwapBack') && versionId === liveBefore.versionId,
          `DATABASE_URL is at version ${versionId}`,
        ),
        await secretUntouched(stage, liveBefore),
        check(
          'Both databases are kept',
          instances.length === 2,
          `instances: ${instances.map(({ DBInstanceIdentifier }) => DBInstanceIdentifier).join(', ')}`,
        ),
        await applicationReaches(stage, liveBefore),
      ];
    },
  },
  {
    name: 'one-writer',
    shows:
      'writers that nobody stopped hammer the old database until it goes, as the application and as the master user; none of them is told of a commit that the old database does not hold',
    badMigration: 'destructive-backfill',
    async play(stage) {
      const before = await stage.digest();
      await stage.deployBadMigration(this.badMigration);
      const liveBefore = await stage.live();
      const writers = await stage.startWriters();
      stage.timeline.heading('The recovery machine undoes it while they write');
      const run = await stage.recover({
        mode: 'recover',
        restore: { to: 'latest-pre-migration-snapshot' },
        ...OPERATOR,
        retire: 'keep',
      });
      return { before, liveBefore, run, writers: await writers.stop() };
    },
    async check(stage, outcome) {
      const { liveBefore, writers = [] } = outcome;
      const old = liveBefore.instance.DBInstanceIdentifier ?? '';
      const held = await stage.writtenTo(old);
      const lost = writers.flatMap(({ name, acknowledged }) =>
        acknowledged.filter((number) => !held.has(`${name} ${number}`)),
      );
      const told = writers.map(({ name, acknowledged }) => `${name} ${acknowledged.length}`).join(', ');
      const kept = (await stage.instance(old))?.DBInstanceStatus;
      return [
        check(
          'Every commit that a writer was told of is in the old database',
          writers.length > 1 &&
            writers.every(({ acknowledged }) => acknowledged.length > 0) &&
            lost.length === 0,
          `${told}; ${lost.length} lost`,
        ),
        check(
          'At the end the old database refuses all of them',
          writers.every(({ refusedWith }) => refusedWith === '42501'),
          writers.map(({ name, refusedWith }) => `${name}: ${refusedWith ?? 'not refused'}`).join(', '),
        ),
        check('The old instance is kept', kept === 'available', `${old} is ${kept ?? 'gone'}`),
        ...(await recovered(stage, outcome, this.badMigration)).filter(
          ({ name }) =>
            !['The old instance is retired', 'A final snapshot of it is available'].includes(name),
        ),
      ];
    },
  },
  {
    name: 'redrive',
    shows:
      'there is no room for the final snapshot, so the recovery ends FAILED after the cutover; once there is, a redrive ends it well',
    badMigration: 'dropped-column',
    async play(stage) {
      const before = await stage.digest();
      await stage.deployBadMigration(this.badMigration);
      const liveBefore = await stage.live();
      const makeRoom = stage.withoutRoomForFinalSnapshot();
      stage.timeline.heading('The recovery machine undoes it, but cannot retire the old instance');
      const failed = await stage.recover({
        mode: 'recover',
        restore: { to: 'latest-pre-migration-snapshot' },
        ...OPERATOR,
      });
      makeRoom();
      stage.timeline.heading('Somebody makes room and redrives the execution');
      const run = await stage.redrive(failed);
      return { before, liveBefore, run, failed };
    },
    async check(stage, outcome) {
      const { failed, run } = outcome;
      return [
        check(
          'First it ended FAILED, with the error that it met',
          failed?.status === 'FAILED' && failed.error === 'SnapshotQuotaExceeded',
          `${failed?.status ?? 'not at all'}, ${failed?.error ?? 'no error'}`,
        ),
        check(
          'The redrive went on with the state that had failed',
          run.states.filter(({ name }) => name === 'Swap').length === 1 &&
            run.states.filter(({ name }) => name === 'Retire').length === 2,
          run.states.map(({ name }) => name).join(', '),
        ),
        ...(await recovered(stage, outcome, this.badMigration)),
      ];
    },
  },
];

/** What a recovery that succeeded must have left. */
async function recovered(
  stage: Stage,
  { before, after, liveBefore, run }: Outcome,
  bad: BadMigrationName,
): Promise<Check[]> {
  const live = await stage.live();
  const migrations = await stage.recordedMigrations();
  const application = await stage.applicationOn(live);
  const oldInstance = await stage.instance(liveBefore.instance.DBInstanceIdentifier ?? '');
  const finals = (await stage.snapshots()).filter(
    ({ DbiResourceId, TagList = [] }) =>
      DbiResourceId === liveBefore.instance.DbiResourceId &&
      TagList.some(({ Key, Value }) => Key === 'migration-rollback:role' && Value === 'final'),
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
        live.instance.DBInstanceStatus === 'available',
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
    check('The application works on the new instance', application.works, application.detail),
    check(
      'The old instance is retired',
      oldInstance === undefined,
      oldInstance
        ? `${oldInstance.DBInstanceIdentifier ?? ''} is ${oldInstance.DBInstanceStatus ?? ''}`
        : `${liveBefore.instance.DBInstanceIdentifier ?? ''} is gone`,
    ),
    check(
      'A final snapshot of it is available',
      finals.length === 1 && finals[0]?.Status === 'available',
      finals
        .map(({ DBSnapshotIdentifier, Status }) => `${DBSnapshotIdentifier ?? ''} ${Status ?? ''}`)
        .join(', ') || 'none',
    ),
    check(
      'The new instance is protected and backed up as the old one was',
      live.instance.DeletionProtection === liveBefore.instance.DeletionProtection &&
        live.instance.BackupRetentionPeriod === liveBefore.instance.BackupRetentionPeriod,
      `deletion protection ${live.instance.DeletionProtection === true ? 'on' : 'off'}, ${live.instance.BackupRetentionPeriod ?? 0} days of backups`,
    ),
  ];
}

async function secretUntouched(stage: Stage, before: LiveDatabase): Promise<Check> {
  const live = await stage.live();
  return check(
    'DATABASE_URL still names the old instance',
    live.instance.DbiResourceId === before.instance.DbiResourceId && live.versionId === before.versionId,
    `${live.instance.DBInstanceIdentifier ?? ''} at ${live.host}:${live.port}`,
  );
}

/** The bad migration still hurts it, but it has its database. */
async function applicationReaches(stage: Stage, live: LiveDatabase): Promise<Check> {
  const { connected, detail } = await stage.applicationOn(live);
  return check('The application reaches the old instance', connected, detail);
}

function check(name: string, ok: boolean, detail: string): Check {
  return { name, ok, detail };
}
