import { OPERATOR, type Scenario } from '../scenario';
import { check, recovered } from '../scenario-checks';

export const redrive: Scenario = {
  name: 'redrive',
  shows:
    'there is no room for the final snapshot, so the recovery ends FAILED after the cutover; once there is, a redrive asks again and ends it well',
  badMigration: 'dropped-column',
  async play(stage) {
    const before = await stage.digest();
    await stage.deployBadMigration(redrive.badMigration);
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
    const entered = (state: string): number => run.states.filter(({ name }) => name === state).length;
    return [
      check(
        'First it ended FAILED, with the error that it met',
        failed?.status === 'FAILED' && failed.error === 'SnapshotQuotaExceeded',
        `${failed?.status ?? 'not at all'}, ${failed?.error ?? 'no error'}`,
      ),
      check(
        'The redrive went on with the state that had failed, and did not go by the yes of before',
        entered('Swap') === 1 && entered('Retire') === 3 && entered('AskForRetirement') === 2,
        run.states.map(({ name }) => name).join(', '),
      ),
      ...(await recovered(stage, outcome, redrive.badMigration)),
    ];
  },
};
