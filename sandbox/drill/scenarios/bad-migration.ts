import { OPERATOR, type Scenario } from '../scenario';
import { recovered } from '../scenario-checks';

export const badMigration: Scenario = {
  name: 'bad-migration',
  shows: 'a migration drops a column; the recovery goes back to the snapshot that CI took before it',
  badMigration: 'dropped-column',
  async play(stage) {
    const before = await stage.digest();
    await stage.deployBadMigration(badMigration.badMigration);
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
    return recovered(stage, outcome, badMigration.badMigration);
  },
};
