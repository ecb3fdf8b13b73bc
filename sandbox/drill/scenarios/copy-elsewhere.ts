import { z } from 'zod';
import { recoverFromCopy, recoveredFromCopy } from '../brought-back';
import { deleteEverything } from '../delete-everything';
import type { Scenario } from '../scenario';
import { check } from '../scenario-checks';

const Copied = z.object({ available: z.number(), underWay: z.array(z.string()), region: z.string() });
const Listed = z.object({
  points: z.array(
    z.object({ id: z.string(), copies: z.array(z.object({ region: z.string(), status: z.string() })) }),
  ),
});

export const copyElsewhere: Scenario = {
  name: 'copy-elsewhere',
  shows:
    'after a bad migration somebody deletes the live instance, its automated backups and every snapshot; a copy in another Region is brought back, and the recovery goes back to it',
  badMigration: 'dropped-table',
  cdkApp: 'sandbox/app-with-copies.ts',
  async play(stage) {
    const before = await stage.digest();
    await stage.deployBadMigration(copyElsewhere.badMigration);
    const liveBefore = await stage.live();
    const { timeline } = stage;
    await timeline.step('Copy the snapshot to another Region', async () => {
      let copied = Copied.parse(await stage.invoke('copy-snapshots', {}));
      while (copied.available === 0 || copied.underWay.length > 0) {
        await stage.sandbox.context.clock.sleep(60_000);
        copied = Copied.parse(await stage.invoke('copy-snapshots', {}));
      }
    });
    const { points } = Listed.parse(await stage.invoke('restore-points', { kind: 'pre-migration' }));
    await stage.invoke('reap-snapshots', { dryRun: true });
    await timeline.step('Somebody deletes everything in the Region of the database', () =>
      deleteEverything(stage, liveBefore.instance),
    );
    const left = await stage.snapshots();
    const { snapshotId, run } = await recoverFromCopy(stage);
    const listed = points.map(({ id, copies }) => ({ id, copies }));
    return {
      before,
      liveBefore,
      run,
      checks: [
        check(
          'The catalogue says where the copy is',
          listed.some(
            ({ id, copies }) =>
              id === snapshotId &&
              copies.some(({ region, status }) => region === 'eu-west-1' && status === 'available'),
          ),
          JSON.stringify(listed),
        ),
        check(
          'No snapshot was left in the Region of the database',
          left.length === 0,
          left.map(({ DBSnapshotIdentifier }) => DBSnapshotIdentifier).join(', ') || 'none',
        ),
      ],
    };
  },
  check(stage, outcome) {
    return recoveredFromCopy(stage, outcome, copyElsewhere.badMigration);
  },
};
