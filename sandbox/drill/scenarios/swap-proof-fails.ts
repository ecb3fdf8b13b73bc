import { OPERATOR, type Scenario } from '../scenario';
import { applicationReaches, check, secretUntouched } from '../scenario-checks';

export const swapProofFails: Scenario = {
  name: 'swap-proof-fails',
  shows: 'the new instance dies right after the swap; the machine swaps back and keeps both databases',
  badMigration: 'dropped-table',
  async play(stage) {
    const before = await stage.digest();
    await stage.deployBadMigration(swapProofFails.badMigration);
    const liveBefore = await stage.live();
    const unhook = stage.afterSwap(async () => {
      const restored = (await stage.instances()).find(
        ({ DbiResourceId }) => DbiResourceId !== liveBefore.instance.DbiResourceId,
      );
      await stage.sandbox.rds.server(restored?.DBInstanceIdentifier ?? '')?.stop();
    });
    stage.timeline.heading('The recovery machine restores, and loses its new instance after the swap');
    const run = await stage.recover({
      mode: 'recover',
      restore: { to: 'latest-pre-migration-snapshot' },
      ...OPERATOR,
    });
    unhook();
    return { before, liveBefore, run };
  },
  async check(stage, { liveBefore, run }) {
    const instances = await stage.instances();
    const { versionId } = await stage.databaseUrl();
    return [
      check(
        'The recovery ended FAILED with the first error',
        run.status === 'FAILED' && run.error === 'ProofFailed',
        `${run.status}, ${run.error ?? 'no error'}`,
      ),
      check(
        'The machine swapped back',
        run.states.some(({ name }) => name === 'SwapBack') && versionId === liveBefore.versionId,
        `DATABASE_URL is at version ${versionId}`,
      ),
      await secretUntouched(stage, liveBefore),
      check(
        'Both databases are kept',
        instances.length === 2,
        `instances: ${instances.map(({ DBInstanceIdentifier }) => DBInstanceIdentifier).join(', ')}`,
      ),
      await applicationReaches(stage, liveBefore, swapProofFails.badMigration),
    ];
  },
};
