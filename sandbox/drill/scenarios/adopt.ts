import { isDeepStrictEqual } from 'node:util';
import { join } from 'node:path';
import type { DBInstance } from '@aws-sdk/client-rds';
import { runAdopt, runCdk } from '../commands';
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
    const deploy = async (directory: string, stacks: readonly string[]) => {
      const done: string[] = [];
      await timeline.step(
        `cdk deploy ${stacks.join(' ')}`,
        () => sandbox.deploy(directory, stacks, (text) => done.push(text)),
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
    // As they are printed. The line in lib/environments.ts stands in the assembly that adopt wrote.
    const printed: string[] = [];
    for (const [command = ''] of said.printed.matchAll(/(?<=^ +)npx cdk .*$/gm)) {
      const ran = await timeline.step(command, () => runCdk(sandbox, command, output));
      printed.push(ran.exitCode === 0 ? ran.printed : `exit code ${ran.exitCode}: ${ran.printed}`);
    }
    const [planned = '', adopted = '', drift = '', difference = ''] = printed;
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
          '`cdk diff` says before that the new instance is imported, and no other database made or replaced',
          linesWith(planned, 'AWS::RDS::DBInstance').length === 2 &&
            /\[-\] AWS::RDS::DBInstance .* orphan$/m.test(planned) &&
            /\[←\] AWS::RDS::DBInstance .* import$/m.test(planned),
          linesWith(planned, 'AWS::RDS::DBInstance').join('; ') || planned,
        ),
        check(
          '`cdk deploy` adopts it and lets the old one go',
          /IMPORT_COMPLETE .*AWS::RDS::DBInstance/.test(adopted) &&
            /DELETE_SKIPPED .*AWS::RDS::DBInstance/.test(adopted) &&
            adopted.includes('✅  Production-Database'),
          linesWith(adopted, 'AWS::RDS::DBInstance').join('; ') || adopted,
        ),
        check(
          '`cdk drift` and `cdk diff` find no difference',
          drift.includes('No drift detected') && difference.includes('Number of stacks with differences: 0'),
          [...linesWith(drift, 'Number of resources'), ...linesWith(difference, 'Number of stacks')].join(
            '; ',
          ) || drift + difference,
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

function linesWith(printed: string, text: string): string[] {
  return printed.split('\n').filter((line) => line.includes(text));
}

/** All that RDS says of an instance but for what moves with the time. */
function settingsOf({
  LatestRestorableTime: _,
  StorageOperationStatus: _status,
  StorageOperationPercentProgress: _progress,
  ...settings
}: DBInstance): object {
  return settings;
}
