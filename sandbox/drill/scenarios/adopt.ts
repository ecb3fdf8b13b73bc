import { isDeepStrictEqual } from 'node:util';
import { join } from 'node:path';
import type { DBInstance } from '@aws-sdk/client-rds';
import { runAdopt } from '../commands';
import { OPERATOR, type Scenario } from '../scenario';
import { check, recovered } from '../scenario-checks';
import { ENVIRONMENT, STACKS } from '../stage';

export const adopt: Scenario = {
  name: 'adopt',
  shows:
    'deploys after a recovery change nothing; then the stack adopts the new instance as `npm run adopt` says, and deploys change nothing again',
  badMigration: 'dropped-column',
  async play(stage) {
    const { sandbox, timeline } = stage;
    const before = await stage.digest();
    await stage.deployBadMigration(adopt.badMigration);
    const liveBefore = await stage.live();
    timeline.heading('The recovery machine undoes it');
    const run = await stage.recover({
      mode: 'recover',
      restore: { to: 'latest-pre-migration-snapshot' },
      ...OPERATOR,
    });

    timeline.heading('The stacks are deployed again, as before');
    const live = await stage.live();
    const deploy = async (directory: string, stacks: readonly string[], importExistingResources = false) => {
      const done: string[] = [];
      await timeline.step(
        `cdk deploy ${stacks.join(' ')}${importExistingResources ? ' --import-existing-resources' : ''}`,
        () => sandbox.deploy(directory, stacks, (text) => done.push(text), { importExistingResources }),
        () => done.join('\n      ') || 'no changes',
      );
      return done;
    };
    const again = await deploy(stage.assembly, STACKS);
    const afterAgain = await stage.live();

    timeline.heading('The stack adopts the new instance');
    const id = live.instance.DBInstanceIdentifier ?? '';
    const output = join(sandbox.context.directory, 'adopted');
    const said = await timeline.step(`npm run adopt -- --env ${ENVIRONMENT}`, () =>
      runAdopt(sandbox, ENVIRONMENT, output),
    );
    const [database = ''] = STACKS;
    const unasked = await timeline.step('cdk deploy without the option is refused', () =>
      sandbox.deploy(output, [database]).then(
        () => 'was not refused',
        (error: unknown) => String(error),
      ),
    );
    const adopted = await deploy(output, [database], true);
    const afterAdopted = await stage.live();
    const finally_ = await deploy(output, STACKS);
    const afterAll = await stage.live();

    const untouched = (name: string, now: typeof live) =>
      check(
        name,
        now.versionId === live.versionId &&
          isDeepStrictEqual(settingsOf(now.instance), settingsOf(live.instance)),
        `${now.instance.DBInstanceIdentifier ?? ''}, version ${now.versionId} of the secret`,
      );
    const taken = (kind: string) => adopted.filter((line) => line.endsWith(` is ${kind}`));
    return {
      before,
      liveBefore,
      run,
      checks: [
        check(
          'After the recovery a deploy of both stacks changes nothing',
          again.length === 0,
          again.join('; ') || 'no changes',
        ),
        untouched('It leaves the secret and the new instance as they are', afterAgain),
        check(
          'adopt says how, with the name of the new instance and no secret',
          said.exitCode === 0 &&
            said.printed.includes(`instanceIdentifier: '${id}'`) &&
            !said.printed.includes('postgresql:'),
          said.exitCode === 0 ? `${said.printed.split('\n').length} lines` : said.printed,
        ),
        check(
          'The template equals the live settings',
          said.printed.includes(' properties of the template are what the live instance has.') &&
            !/ (set|refused|replaced): /.test(said.printed),
          said.printed.split('\n').find((line) => line.includes(' properties of ')) ?? said.printed,
        ),
        check(
          'A deploy that is not told to adopt makes no second instance',
          unasked.includes('already exists'),
          unasked,
        ),
        check(
          'The deploy that is told to adopts the new instance, and no other database',
          isDeepStrictEqual(
            taken('adopted').map((line) => /\((.*)\)/.exec(line)?.[1]),
            ['AWS::RDS::DBInstance'],
          ) && taken('let go').some((line) => line.includes('AWS::RDS::DBInstance')),
          adopted.join('; '),
        ),
        untouched('It leaves the secret and the new instance as they are, too', afterAdopted),
        check('Deploys after it change nothing', finally_.length === 0, finally_.join('; ') || 'no changes'),
        untouched('And leave both as they are', afterAll),
      ],
    };
  },
  async check(stage, outcome) {
    return [...(await recovered(stage, outcome, adopt.badMigration)), ...(outcome.checks ?? [])];
  },
};

/** All that RDS says of an instance but for what moves with the time. */
function settingsOf({
  LatestRestorableTime: _,
  StorageOperationStatus: _status,
  StorageOperationPercentProgress: _progress,
  ...settings
}: DBInstance): object {
  return settings;
}
