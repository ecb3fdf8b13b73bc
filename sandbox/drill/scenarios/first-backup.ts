import { OPERATOR, type Scenario } from '../scenario';
import { check, recovered } from '../scenario-checks';

export const firstBackup: Scenario = {
  name: 'first-backup',
  shows:
    'RDS makes the first backup of the restored instance for hours; the cutover does not wait for it, what is left is set afterwards',
  badMigration: 'dropped-column',
  async play(stage) {
    const before = await stage.digest();
    await stage.deployBadMigration(firstBackup.badMigration);
    const liveBefore = await stage.live();
    stage.timeline.heading('The recovery machine undoes it');
    const run = await stage.recover({
      mode: 'recover',
      restore: { to: 'latest-pre-migration-snapshot' },
      ...OPERATOR,
      retire: 'keep',
    });
    return { before, liveBefore, run };
  },
  async check(stage, outcome) {
    const { run } = outcome;
    const { instance } = await stage.live();
    const begun = await stage.eventOf(instance, 'Backing up DB instance');
    const finished = await stage.eventOf(instance, 'Finished DB Instance backup');
    const proved = run.states.find(({ name }) => name === 'Prove');
    const provedAt = proved && new Date(proved.enteredAt.getTime() + proved.milliseconds);
    const show = (time: Date | undefined): string => time?.toISOString() ?? 'never';
    return [
      check(
        'The cutover was proven while the first backup ran',
        begun !== undefined &&
          finished !== undefined &&
          provedAt !== undefined &&
          begun < provedAt &&
          provedAt < finished,
        `backup from ${show(begun)} to ${show(finished)}, proven at ${show(provedAt)}`,
      ),
      ...(await recovered(stage, outcome, firstBackup.badMigration)).filter(
        ({ name }) => !['The old instance is retired', 'A final snapshot of it is available'].includes(name),
      ),
    ];
  },
};
