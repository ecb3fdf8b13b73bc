import { z } from 'zod';
import type { Check } from '../../lambdas/contract/checks';
import type { BadMigrationName } from '../sample-app/bad-migrations';
import type { RecoveryRun } from './recovery';
import { OPERATOR, type Outcome } from './scenario';
import { recovered } from './scenario-checks';
import type { Stage } from './stage';

const Back = z.object({ status: z.enum(['copying', 'available']), snapshotId: z.string() });

/** What a person does who has lost everything but a copy: brings the newest one back, and lets the recovery machine go back to it. */
export async function recoverFromCopy(
  stage: Stage,
): Promise<{ readonly snapshotId: string; readonly run: RecoveryRun }> {
  const { timeline } = stage;
  timeline.heading('A person brings the copy back');
  const snapshotId = await timeline.step(
    'Bring the newest copy back',
    async () => {
      let back = Back.parse(await stage.invoke('bring-back-copy', {}));
      while (back.status !== 'available') {
        await stage.sandbox.context.clock.sleep(60_000);
        back = Back.parse(await stage.invoke('bring-back-copy', { snapshotId: back.snapshotId }));
      }
      return back.snapshotId;
    },
    (id) => id,
  );
  timeline.heading('The recovery machine goes back to it');
  const run = await stage.recover({
    mode: 'recover',
    restore: { to: 'latest-pre-migration-snapshot' },
    ...OPERATOR,
  });
  return { snapshotId, run };
}

/** What must be true then. */
export async function recoveredFromCopy(
  stage: Stage,
  outcome: Outcome,
  bad: BadMigrationName,
): Promise<Check[]> {
  return [
    ...(outcome.checks ?? []),
    ...(await recovered(stage, outcome, bad)).filter(
      // Nothing was left that one could be taken of.
      ({ name }) => !/^A (final|safety) snapshot of it/.test(name),
    ),
  ];
}
