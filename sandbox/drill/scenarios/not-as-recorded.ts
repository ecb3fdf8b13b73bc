import { OPERATOR, type Scenario } from '../scenario';
import { applicationReaches, check, secretUntouched } from '../scenario-checks';

export const notAsRecorded: Scenario = {
  name: 'not-as-recorded',
  shows:
    'somebody empties a table and makes an index between the look of the gate and the snapshot; verification sees that the copy is not what was recorded, and names both',
  badMigration: 'dropped-column',
  // Verification minds an emptied table from 100 rows on; about one row in seven is a "TaskEvent".
  leastRows: 700,
  async play(stage) {
    const before = await stage.digest();
    const unhook = stage.beforeSnapshot(async () => {
      await stage.asAdministrator('truncate "TaskEvent"');
      await stage.asAdministrator('create index "made by hand" on "Task" ("id")');
    });
    await stage.deployBadMigration(notAsRecorded.badMigration);
    unhook();
    const liveBefore = await stage.live();
    stage.timeline.heading('The recovery machine is told to go back to it');
    const run = await stage.recover({
      mode: 'recover',
      restore: { to: 'latest-pre-migration-snapshot' },
      ...OPERATOR,
    });
    return { before, liveBefore, run };
  },
  async check(stage, { liveBefore, run }) {
    const instances = await stage.instances();
    const cause = run.cause ?? '';
    return [
      check(
        'The recovery ended FAILED with the first error',
        run.status === 'FAILED' && run.error === 'VerificationFailed',
        `${run.status}, ${run.error ?? 'no error'}`,
      ),
      check(
        'It says which table lost its rows, and in what the schema differs',
        /NO "rows as recorded": Rows are missing: public\."TaskEvent" has 0, recorded were \d+\./.test(
          cause,
        ) && cause.includes('It differs from the recorded schema in index'),
        cause.slice(0, 400),
      ),
      await secretUntouched(stage, liveBefore),
      check(
        'The recovery instance is gone',
        instances.length === 1 && instances[0]?.DbiResourceId === liveBefore.instance.DbiResourceId,
        `instances: ${instances.map(({ DBInstanceIdentifier }) => DBInstanceIdentifier).join(', ')}`,
      ),
      await applicationReaches(stage, liveBefore, notAsRecorded.badMigration),
    ];
  },
};
