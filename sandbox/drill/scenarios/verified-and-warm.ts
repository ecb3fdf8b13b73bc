import { z } from 'zod';
import { OPERATOR, type Scenario } from '../scenario';
import { check, recovered } from '../scenario-checks';

/** What the execution says of its verification, and of what it read before the cutover. */
const Told = z.object({
  verification: z.object({
    checks: z.array(
      z.object({ name: z.string(), severity: z.string(), ok: z.boolean(), detail: z.string() }),
    ),
  }),
  warmth: z.object({ percent: z.number(), blocksRead: z.number(), method: z.string() }),
  hydration: z.object({ percent: z.number() }),
});

const WARMED = ['"Task"', '"Comment"'];

export const verifiedAndWarm: Scenario = {
  name: 'verified-and-warm',
  shows:
    'before the cutover every check passes, amcheck included, two tables are read in full, and RDS has loaded half of the storage',
  badMigration: 'destructive-backfill',
  async play(stage) {
    for (const statement of [
      'create extension if not exists amcheck',
      'grant execute on function bt_index_check(regclass) to public',
      'create extension if not exists pg_prewarm',
    ])
      await stage.asAdministrator(statement);
    const before = await stage.digest();
    await stage.deployBadMigration(verifiedAndWarm.badMigration);
    const liveBefore = await stage.live();
    stage.timeline.heading('The recovery machine undoes it, and waits until the new instance is warm');
    const run = await stage.recover({
      mode: 'recover',
      restore: { to: 'latest-pre-migration-snapshot' },
      ...OPERATOR,
      verify: { amcheck: true },
      warm: { tables: WARMED, percent: 100, storagePercent: 50 },
    });
    return { before, liveBefore, run };
  },
  async check(stage, outcome) {
    const told = Told.safeParse(outcome.run.output);
    const checks = told.data?.verification.checks ?? [];
    // In a drill RDS's time is not PostgreSQL's, so what was migrated when says nothing.
    const failed = checks.filter(({ name, ok }) => !ok && name !== 'migrations of their time');
    const blocks = await stage.blocksOf(WARMED);
    const { warmth, hydration } = told.data ?? {};
    return [
      check(
        'Every check passed; what the restore emptied is reported',
        checks.length >= 13 && failed.map(({ name }) => name).join() === 'unlogged tables',
        `${checks.length} checks; not passed: ${failed.map(({ name, detail }) => `${name} (${detail})`).join(', ') || 'none'}`,
      ),
      check(
        'Every B-tree index was read',
        checks.some(({ name, ok, detail }) => name === 'amcheck' && ok && /^(\d+) of \1 /.test(detail)),
        checks.find(({ name }) => name === 'amcheck')?.detail ?? 'not at all',
      ),
      check(
        "The team's own checks ran",
        checks.some(({ name, ok }) => name.endsWith('.sql') && ok),
        checks.flatMap(({ name }) => (name.endsWith('.sql') ? [name] : [])).join(', ') || 'none',
      ),
      check(
        'The tables were read in full, with their indexes',
        warmth?.percent === 100 && warmth.blocksRead >= blocks && blocks > 0,
        `${warmth?.blocksRead ?? 0} blocks by ${warmth?.method ?? 'nothing'}; they have ${blocks}`,
      ),
      check(
        'RDS had loaded half of the storage',
        hydration !== undefined && hydration.percent >= 50,
        `${hydration?.percent ?? 0} %`,
      ),
      ...(await recovered(stage, outcome, verifiedAndWarm.badMigration)),
    ];
  },
};
