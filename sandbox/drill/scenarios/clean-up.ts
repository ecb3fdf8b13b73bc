import { z } from 'zod';
import { readMarks } from '../../../lambdas/tags';
import { OPERATOR, type Scenario } from '../scenario';
import { check, recovered } from '../scenario-checks';

export const cleanUp: Scenario = {
  name: 'clean-up',
  shows:
    'a recovery is stopped right behind its fence: nobody can connect to the live database, and an instance is left; a plan says so, clean-up opens the one and deletes the other, and a new recovery works',
  badMigration: 'dropped-column',
  async play(stage) {
    const before = await stage.digest();
    await stage.deployBadMigration(cleanUp.badMigration);
    const liveBefore = await stage.live();
    const { DBInstanceIdentifier: old = '' } = liveBefore.instance;
    const input = { mode: 'recover', restore: { to: 'latest-pre-migration-snapshot' }, ...OPERATOR };
    stage.timeline.heading('The recovery machine is stopped behind the fence');
    const unhook = stage.afterFunction('fence', () => stage.stopRecoveries());
    const stopped = await stage.recover(input);
    unhook();
    const refusal = await stage.refusalOf(old);
    stage.timeline.heading('Somebody looks what it left, and cleans up');
    const planned = await stage.recover({});
    const found = Planned.safeParse(planned.output).data?.plan.leftovers ?? [];
    const cleaned = await stage.recover({ mode: 'clean-up', ...OPERATOR });
    const instances = await stage.instances();
    const reopened = await stage.refusalOf(old);
    const again = Planned.safeParse((await stage.recover({})).output).data?.plan.leftovers;
    const checks = [
      check(
        'The recovery was stopped, and nobody but this system could connect to the live database',
        stopped.status === 'ABORTED' && refusal === '42501',
        `${stopped.status}; the application was answered ${refusal ?? 'with a session'}`,
      ),
      check(
        'The plan found the fence and the instance',
        found.map(({ what, cleanUp: fate }) => `${fate} ${what}`).join(', ') ===
          'opens fence, deletes recovery instance',
        found.map(({ what, instanceId, why }) => `${what} ${instanceId}: ${why}`).join('; ') || 'nothing',
      ),
      check(
        'Clean-up deleted the instance, and nothing else',
        cleaned.status === 'SUCCEEDED' &&
          instances.length === 1 &&
          instances[0]?.DbiResourceId === liveBefore.instance.DbiResourceId &&
          readMarks(instances[0]?.TagList).role === readMarks(liveBefore.instance.TagList).role,
        `${cleaned.status}; ${instances.map(({ DBInstanceIdentifier }) => DBInstanceIdentifier).join(', ')}`,
      ),
      check(
        'Afterwards a plan finds nothing',
        again?.length === 0,
        `${again?.length ?? 'no plan, no'} leftovers`,
      ),
      check(
        'The application gets in again',
        reopened === undefined,
        `it is answered ${reopened ?? 'with a session'}`,
      ),
    ];
    stage.timeline.heading('A new recovery');
    const run = await stage.recover(input);
    return { before, liveBefore, run, checks };
  },
  async check(stage, outcome) {
    return [...(outcome.checks ?? []), ...(await recovered(stage, outcome, cleanUp.badMigration))];
  },
};

const Planned = z.object({
  plan: z.object({
    leftovers: z.array(
      z.object({ what: z.string(), instanceId: z.string(), cleanUp: z.string(), why: z.string() }),
    ),
  }),
});
