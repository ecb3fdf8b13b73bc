import type { RecoveryRun } from '../recovery';
import { OPERATOR, type Scenario } from '../scenario';
import { check, recovered } from '../scenario-checks';

export const redrive: Scenario = {
  name: 'redrive',
  shows:
    'a second start is refused and names the first; there is no room for the final snapshot, so the recovery ends FAILED after the cutover; once there is, a redrive asks again and ends it well',
  badMigration: 'dropped-column',
  async play(stage) {
    const before = await stage.digest();
    await stage.deployBadMigration(redrive.badMigration);
    const liveBefore = await stage.live();
    const makeRoom = stage.withoutRoomForFinalSnapshot();
    stage.timeline.heading('The recovery machine undoes it, but cannot retire the old instance');
    const input = { mode: 'recover', restore: { to: 'latest-pre-migration-snapshot' }, ...OPERATOR };
    let second: Promise<RecoveryRun> | undefined;
    const unhook = stage.afterFunction('start-restore', async () => {
      second ??= stage.recover(input);
      await second;
    });
    const failed = await stage.recover(input);
    unhook();
    const refused = await second;
    const named = /Recovery \S+, which .*? has claimed this database/.exec(refused?.cause ?? '')?.[0];
    const checks = [
      check(
        'A second start meanwhile was refused, and named the first',
        refused?.error === 'RecoveryAlreadyRunning' && named?.startsWith(`Recovery ${failed.name},`) === true,
        named ?? `${refused?.status ?? 'not started'}: ${refused?.cause ?? ''}`,
      ),
    ];
    makeRoom();
    stage.timeline.heading('Somebody makes room and redrives the execution');
    const run = await stage.redrive(failed);
    return { before, liveBefore, run, failed, checks };
  },
  async check(stage, outcome) {
    const { failed, run } = outcome;
    const entered = (state: string): number => run.states.filter(({ name }) => name === state).length;
    return [
      ...(outcome.checks ?? []),
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
