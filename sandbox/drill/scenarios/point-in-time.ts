import { OPERATOR, type Scenario } from '../scenario';
import { recovered } from '../scenario-checks';

export const pointInTime: Scenario = {
  name: 'point-in-time',
  shows:
    'a migration overwrites data; the recovery goes back to the second before it, in the automated backups',
  badMigration: 'destructive-backfill',
  async play(stage) {
    const before = await stage.digest();
    const time = stage.now();
    await stage.deployBadMigration(pointInTime.badMigration);
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
    return recovered(stage, outcome, pointInTime.badMigration);
  },
};
