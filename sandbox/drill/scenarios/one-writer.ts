import { OPERATOR, type Scenario } from '../scenario';
import { check, recovered } from '../scenario-checks';

export const oneWriter: Scenario = {
  name: 'one-writer',
  shows:
    'writers that nobody stopped hammer the old database until it goes, as the application and as the master user; none of them is told of a commit that the old database does not hold',
  badMigration: 'destructive-backfill',
  async play(stage) {
    const before = await stage.digest();
    await stage.deployBadMigration(oneWriter.badMigration);
    const liveBefore = await stage.live();
    const writers = await stage.startWriters();
    stage.timeline.heading('The recovery machine undoes it while they write');
    const run = await stage.recover({
      mode: 'recover',
      restore: { to: 'latest-pre-migration-snapshot' },
      ...OPERATOR,
      retire: 'keep',
    });
    return { before, liveBefore, run, writers: await writers.stop() };
  },
  async check(stage, outcome) {
    const { liveBefore, writers = [] } = outcome;
    const old = liveBefore.instance.DBInstanceIdentifier ?? '';
    const held = await stage.writtenTo(old);
    const lost = writers.flatMap(({ name, acknowledged }) =>
      acknowledged.filter((number) => !held.has(`${name} ${number}`)),
    );
    const told = writers.map(({ name, acknowledged }) => `${name} ${acknowledged.length}`).join(', ');
    const kept = (await stage.instance(old))?.DBInstanceStatus;
    return [
      check(
        'Every commit that a writer was told of is in the old database',
        writers.length > 1 &&
          writers.every(({ acknowledged }) => acknowledged.length > 0) &&
          lost.length === 0,
        `${told}; ${lost.length} lost`,
      ),
      check(
        'At the end the old database refuses all of them',
        writers.every(({ refusedWith }) => refusedWith === '42501'),
        writers.map(({ name, refusedWith }) => `${name}: ${refusedWith ?? 'not refused'}`).join(', '),
      ),
      check('The old instance is kept', kept === 'available', `${old} is ${kept ?? 'gone'}`),
      ...(await recovered(stage, outcome, oneWriter.badMigration)).filter(
        ({ name }) => !['The old instance is retired', 'A final snapshot of it is available'].includes(name),
      ),
    ];
  },
};
