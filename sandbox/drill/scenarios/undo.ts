import { PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { z } from 'zod';
import { readQuarantine } from '../../../lambdas/quarantine';
import { isUp } from '../../../lambdas/rds';
import { readMarks } from '../../../lambdas/tags';
import { badMigration } from '../../sample-app/bad-migrations';
import { OPERATOR, type Scenario } from '../scenario';
import { applicationReaches, check } from '../scenario-checks';
import { ENVIRONMENT } from '../stage';

/** Written to the new instance between the recovery and its undo; in a schema of its own, which is no part of the app's data. */
const SINCE = 'drill.since';
const INPUT = { mode: 'undo', ...OPERATOR };

export const undo: Scenario = {
  name: 'undo',
  shows:
    'a recovery was a mistake, and what it retired was kept: undone once while somebody changes the secret, which is given up, and once more, it is live again; what was written since stays in the instance that is given up, fenced and kept',
  badMigration: 'dropped-column',
  async play(stage) {
    await stage.deployBadMigration(undo.badMigration);
    const liveBefore = await stage.live();
    // What the undo has to bring back: the old database as it was, bad migration and all.
    const before = await stage.digest();
    stage.timeline.heading('The recovery machine undoes the migration, and keeps the old instance');
    const recovery = await stage.recover({
      mode: 'recover',
      restore: { to: 'latest-pre-migration-snapshot' },
      ...OPERATOR,
      retire: 'keep',
    });
    await stage.withDatabase(async (client) => {
      await client.query('create schema drill');
      await client.query(`create table ${SINCE} as select generate_series(1, 3) as number`);
    });
    const recovered = await stage.live();
    stage.timeline.heading('Somebody looks what an undo would do');
    const planned = await stage.recover({});
    stage.timeline.heading('Undone, while somebody changes the secret');
    const unhook = stage.beforeSnapshot(async () => {
      const { url } = await stage.databaseUrl();
      await stage.sandbox
        .clients()
        .secrets.send(
          new PutSecretValueCommand({ SecretId: `${ENVIRONMENT}/database-url`, SecretString: url }),
        );
    });
    const failed = await stage.recover(INPUT);
    unhook();
    const { DBInstanceIdentifier: old = '' } = liveBefore.instance;
    const [retired, stillLive] = [await stage.instance(old), await stage.live()];
    const shown = Planned.safeParse(planned.output).data?.plan.undo;
    const checks = [
      check(
        'The recovery ended SUCCEEDED',
        recovery.status === 'SUCCEEDED' && recovered.instance.DBInstanceIdentifier !== old,
        `${recovery.status}, ${recovered.instance.DBInstanceIdentifier ?? ''} was live`,
      ),
      check(
        'The plan said what would be live again, and how much would be lost',
        shown?.instanceId === old && shown.lossWindowMinutes >= 0,
        shown ? `${shown.instanceId}, ${shown.lossWindowMinutes} minutes` : 'not a word',
      ),
      check(
        'The first undo ended FAILED, the old instance retired as before, nothing moved',
        failed.status === 'FAILED' &&
          failed.error === 'SecretMovedMeanwhile' &&
          readMarks(retired?.TagList).role === 'retired' &&
          stillLive.instance.DbiResourceId === recovered.instance.DbiResourceId,
        `${failed.status}, ${failed.error ?? 'no error'}`,
      ),
      await applicationReaches(stage, recovered),
    ];
    stage.timeline.heading('Undone once more');
    const run = await stage.recover(INPUT);
    return { before, liveBefore, run, failed, planned, checks };
  },
  async check(stage, { before, after, liveBefore, run, checks = [] }) {
    const live = await stage.live();
    const { instance } = live;
    const others = (await stage.instances()).filter(
      ({ DbiResourceId }) => DbiResourceId !== instance.DbiResourceId,
    );
    const [givenUp] = others;
    const id = givenUp?.DBInstanceIdentifier ?? '';
    const refusal = await stage.refusalOf(id);
    const since = await stage.rowsOf(id, SINCE);
    const migrations = await stage.recordedMigrations();
    const quarantine = readQuarantine(instance.TagList);
    return [
      ...checks,
      check(
        'The undo ended SUCCEEDED',
        run.status === 'SUCCEEDED',
        `${run.status}, ${run.error ?? 'no error'}`,
      ),
      check(
        'DATABASE_URL names the old instance again',
        instance.DbiResourceId === liveBefore.instance.DbiResourceId &&
          readMarks(instance.TagList).role === 'live',
        `${instance.DBInstanceIdentifier ?? ''}, ${readMarks(instance.TagList).role ?? 'no role'}`,
      ),
      check(
        'It has every row that it had',
        after.rows === before.rows && after.digest === before.digest,
        `${after.rows} of ${before.rows} rows; digests ${after.digest === before.digest ? 'equal' : 'differ'}`,
      ),
      check(
        'The migration is in it again, and not in quarantine',
        migrations.includes(badMigration(undo.badMigration).migrationName) && quarantine.length === 0,
        `newest migration: ${migrations.at(-1) ?? 'none'}; ${quarantine.length} in quarantine`,
      ),
      await applicationReaches(stage, live, undo.badMigration),
      check(
        'What was given up is kept, retired, and lets nobody in',
        others.length === 1 &&
          isUp(givenUp?.DBInstanceStatus) &&
          readMarks(givenUp?.TagList).role === 'retired' &&
          refusal === '42501',
        `${id} is ${givenUp?.DBInstanceStatus ?? 'gone'}, ${readMarks(givenUp?.TagList).role ?? 'no role'}; the application is answered ${refusal ?? 'with a session'}`,
      ),
      check('What was written since is in it', since === 3, `${since ?? 'no'} rows of 3`),
    ];
  },
};

const Planned = z.object({
  plan: z.object({ undo: z.object({ instanceId: z.string(), lossWindowMinutes: z.number() }) }),
});
