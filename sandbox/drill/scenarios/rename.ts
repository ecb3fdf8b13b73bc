import { join } from 'node:path';
import { z } from 'zod';
import { readMarks } from '../../../lambdas/tags';
import { runAdopt } from '../commands';
import { OPERATOR, type Scenario } from '../scenario';
import { check } from '../scenario-checks';
import { ENVIRONMENT, STACKS } from '../stage';

export const rename: Scenario = {
  name: 'rename',
  shows:
    'after a recovery the new instance gets the old name back, at a time of its own, with an outage that a person is told before; then deploys of both stacks change nothing, and there is nothing to adopt',
  badMigration: 'dropped-column',
  async play(stage) {
    const { sandbox, timeline } = stage;
    const before = await stage.digest();
    await stage.deployBadMigration(rename.badMigration);
    const liveBefore = await stage.live();
    timeline.heading('The recovery machine undoes it, and deletes the old instance');
    const recovery = await stage.recover({
      mode: 'recover',
      restore: { to: 'latest-pre-migration-snapshot' },
      ...OPERATOR,
    });
    const recovered = await stage.live();
    timeline.heading('Days later somebody looks, and has it renamed');
    const planned = await stage.recover({});
    const offer = Planned.safeParse(planned.output).data?.plan.rename;
    const told = sandbox.sns.messages.length;
    const run = await stage.recover({ mode: 'rename', ...OPERATOR });
    const messages = sandbox.sns.messages.slice(told).map(({ subject = '' }) => subject);
    const renamed = await stage.live();
    const output = Renamed.safeParse(run.output).data;

    timeline.heading('The stacks are deployed again, as before');
    const done: string[] = [];
    await timeline.step(
      `cdk deploy ${STACKS.join(' ')}`,
      () => sandbox.deploy(stage.assembly, STACKS, (text) => done.push(text)),
      () => done.join('\n      ') || 'no changes',
    );
    const deployed = await stage.live();
    const said = await timeline.step(`npm run adopt -- --env ${ENVIRONMENT}`, () =>
      runAdopt(sandbox, ENVIRONMENT, join(sandbox.context.directory, 'adopted')),
    );
    const name = liveBefore.instance.DBInstanceIdentifier ?? '';
    const marks = readMarks(renamed.instance.TagList);
    const minutes = (output?.outage.seconds ?? 0) / 60;
    const [asked = '', ...others] = messages;
    return {
      before,
      liveBefore,
      run,
      planned,
      checks: [
        check(
          'The recovery ended SUCCEEDED, under another name',
          recovery.status === 'SUCCEEDED' && recovered.instance.DBInstanceIdentifier !== name,
          `${recovery.status}, ${recovered.instance.DBInstanceIdentifier ?? ''} was live`,
        ),
        check(
          'A plan offered the rename, with its outage',
          offer?.to === name && offer.notNow === null && offer.outageMinutes === 10,
          offer ? `to ${offer.to}, ${offer.outageMinutes} minutes` : 'not a word',
        ),
        check(
          'A person was asked, then told of the outage, the cutover and the end',
          asked.includes('RENAME') && others.length === 3 && messages.at(-1)?.endsWith('renamed') === true,
          messages.join('; '),
        ),
        check(
          'It ended SUCCEEDED: the same instance, with the old name and another address',
          run.status === 'SUCCEEDED' &&
            renamed.instance.DBInstanceIdentifier === name &&
            renamed.instance.DbiResourceId === recovered.instance.DbiResourceId &&
            renamed.host !== recovered.host,
          `${run.status}${run.error === undefined ? '' : `, ${run.error}: ${run.cause ?? ''}`}; ${renamed.instance.DBInstanceIdentifier ?? ''} at ${renamed.host}`,
        ),
        check(
          'The outage was measured, and is about what was stated',
          minutes > 5 && minutes < 20,
          `${minutes.toFixed(1)} minutes`,
        ),
        check(
          'Its marks are those of a live instance, and a snapshot knows its new address',
          marks.role === 'live' &&
            marks['renamed-from'] === undefined &&
            (await stage.snapshots()).some(
              ({ DBSnapshotIdentifier: id, DBInstanceIdentifier: of }) =>
                id === output?.snapshot.snapshotId && of === name,
            ),
          `${marks.role ?? 'no role'}; snapshot ${output?.snapshot.snapshotId ?? 'none'}`,
        ),
        check('A deploy of both stacks changes nothing', done.length === 0, done.join('; ') || 'no changes'),
        check(
          'It leaves the secret as it is',
          deployed.versionId === renamed.versionId,
          `version ${deployed.versionId}`,
        ),
        check(
          'There is nothing to adopt: the template names the live instance, and equals it',
          said.exitCode === 0 &&
            said.printed.includes('Nothing to adopt') &&
            said.printed.includes('equals it'),
          said.printed.trim().split('\n').at(-1) ?? '',
        ),
      ],
    };
  },
  async check(stage, { before, after, checks = [] }) {
    const { connected, refusal, detail } = await stage.applicationOn(await stage.live());
    return [
      ...checks,
      check(
        'Every row of every table is there',
        after.rows === before.rows && after.digest === before.digest,
        `${after.rows} of ${before.rows} rows; digests ${after.digest === before.digest ? 'equal' : 'differ'}`,
      ),
      check('The application works on it', connected && refusal === undefined, detail),
    ];
  },
};

const Planned = z.object({
  plan: z.object({
    rename: z.object({ to: z.string(), notNow: z.nullable(z.string()), outageMinutes: z.number() }),
  }),
});
const Renamed = z.object({
  outage: z.object({ seconds: z.number() }),
  snapshot: z.object({ snapshotId: z.string() }),
});
