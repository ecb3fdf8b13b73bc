import { CreateDBSnapshotCommand } from '@aws-sdk/client-rds';
import { OPERATOR, type Scenario } from '../scenario';
import { applicationReaches, check, secretUntouched } from '../scenario-checks';

export const failedVerification: Scenario = {
  name: 'failed-verification',
  shows:
    'the chosen snapshot holds a migration that failed half-way; verification refuses it, nothing is changed',
  badMigration: 'failed-half-way',
  async play(stage) {
    const before = await stage.digest();
    await stage.deployBadMigration(failedVerification.badMigration);
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
      await applicationReaches(stage, liveBefore, failedVerification.badMigration),
    ];
  },
};
