import { z } from 'zod';
import { badMigration } from '../../sample-app/bad-migrations';
import { OPERATOR, type Scenario } from '../scenario';
import { check, recovered } from '../scenario-checks';

/** What of a plan is used: the restore point, and the input that carries it out. */
const Planned = z.object({
  plan: z.object({
    migrations: z.object({ goAway: z.array(z.string()).nullable() }),
    alternatives: z.array(z.object({ restore: z.object({ to: z.string() }) })),
    inputToRecover: z.looseObject({ restore: z.object({ to: z.string(), time: z.iso.datetime() }) }),
  }),
});

export const beforeMigration: Scenario = {
  name: 'before-migration',
  shows:
    'the harm is noticed after the next deployment; a plan finds the second before the first of the two migrations, and is carried out as it says',
  badMigration: 'dropped-column',
  async play(stage) {
    let before = await stage.digest();
    await stage.deployBadMigration(beforeMigration.badMigration, async () => {
      await stage.timeline.step('Users go on for a minute', () =>
        stage.withDatabase((client) => client.query(`UPDATE "Label" SET color = '#dc2626'`)),
      );
      before = await stage.digest();
      await stage.sandbox.context.clock.sleep(60_000);
    });
    await stage.deployBadMigration('destructive-backfill');
    const deployed = stage.now();
    await stage.timeline.step('Wait until the automated backups reach that moment', () =>
      stage.untilRestorableTo(deployed),
    );
    const liveBefore = await stage.live();
    const { migrationName: migration } = badMigration(beforeMigration.badMigration);
    stage.timeline.heading(`The recovery machine plans to go back to before ${migration}`);
    const planned = await stage.recover({ restore: { to: 'before-migration', migration } });
    stage.timeline.heading('It is told to do so');
    const { inputToRecover } = Planned.parse(planned.output).plan;
    const run = await stage.recover({ ...inputToRecover, ...OPERATOR });
    return { before, liveBefore, run, planned };
  },
  async check(stage, outcome) {
    const { plan } = Planned.parse(outcome.planned?.output);
    const both = [beforeMigration.badMigration, 'destructive-backfill'].map(
      (name) => badMigration(name).migrationName,
    );
    return [
      check(
        'The plan says that both migrations go',
        plan.migrations.goAway?.join() === both.join(),
        plan.migrations.goAway?.join(', ') ?? 'not known',
      ),
      check(
        'It names the second before, and the snapshot as what else would do',
        plan.inputToRecover.restore.to === 'time' &&
          plan.alternatives.map(({ restore }) => restore.to).join() === 'snapshot',
        plan.inputToRecover.restore.time,
      ),
      ...(await recovered(stage, outcome, beforeMigration.badMigration)),
    ];
  },
};
