import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { Command, InvalidArgumentError, Option } from 'commander';
import colors from 'picocolors';
import { parseMoment, VirtualClock } from '../core/clock';
import { whenAskedToEnd } from '../core/lifetime';
import { readFaultPlan } from '../faults/plan';
import { hintOfFullDisk } from '../full-disk';
import { givenDurations, givenPath } from '../given-path';
import { durationProfile, Durations } from '../rds/durations';
import { logFromEnvironment, Sandbox } from '../sandbox';
import { runDrill } from './drill';
import { summary, type UnfinishedDrill } from './report';
import type { Scenario } from './scenario';
import { SCENARIOS } from './scenarios';
import { Timeline } from './timeline';

interface Options {
  readonly scenario: Scenario;
  readonly rows: number;
  readonly app?: string;
  readonly port?: number;
  readonly durations: string;
  readonly seed?: number;
  readonly at?: Date;
  readonly faults?: string;
  readonly json?: true;
  readonly permissions?: string;
  readonly list?: true;
}

const program = new Command('npm run drill --')
  .description(
    'Undoes a bad migration on real PostgreSQL, in a sandbox on this machine, with the machine that is deployed to AWS.',
  )
  .addOption(
    new Option('--scenario <name>', 'what goes wrong; --list shows them')
      .argParser(scenarioNamed)
      .default(scenarioNamed('bad-migration'), 'bad-migration'),
  )
  .option('--rows <n>', 'rows in the sample app', wholeNumber(1, 50_000_000), 10_000)
  .option('--app <directory>', 'what `cdk synth` has made (default: it is synthesised)', givenPath)
  .option('--port <n>', 'port of the local AWS (default: any free one)', wholeNumber(1024, 65_535))
  .option(
    '--durations <profile>',
    'how long RDS takes: quick, aws, or a file; see docs/sandbox.md',
    givenDurations,
    'aws',
  )
  .option('--seed <n>', 'seed of these durations', wholeNumber(0, 2 ** 31))
  .option(
    '--at <moment>',
    'when it begins: 2026-11-29T21:50Z, before the backup window (default: now)',
    moment,
  )
  .option('--faults <file>', 'what else goes wrong: a plan as docs/sandbox.md describes it', givenPath)
  .option('--json', 'one JSON document on standard output, progress on standard error')
  .option('--permissions <file>', 'writes which of the granted IAM permissions were used', givenPath)
  .option('--list', 'the scenarios')
  .showHelpAfterError()
  .action(async (options: Options) => {
    const { scenario, rows } = options;
    const { leastRows = 1 } = scenario;
    if (!options.list && rows < leastRows)
      program.error(
        `error: The scenario ${scenario.name} needs ${leastRows} rows or more, not --rows ${rows}.`,
      );
    process.exitCode = options.list ? list(options) : await drill(options);
  });

void program.parseAsync();

function list({ json }: Options): number {
  const rows = SCENARIOS.map(({ name, shows }) => ({ name, shows }));
  if (json) {
    process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    return 0;
  }
  for (const { name, shows } of rows) process.stdout.write(`${colors.bold(name)}\n  ${shows}\n`);
  return 0;
}

async function drill({
  scenario,
  rows,
  app,
  port,
  durations,
  seed,
  at,
  faults,
  json,
  permissions,
}: Options): Promise<number> {
  const clock = new VirtualClock(at);
  const timeline = new Timeline(json ? process.stderr : process.stdout, clock);
  let sandbox: Sandbox | undefined;
  const asked = new AbortController();
  whenAskedToEnd(() => {
    asked.abort();
    void Promise.resolve(sandbox?.stop()).finally(() => process.exit(130));
  });
  try {
    const plan = faults === undefined ? undefined : await readFaultPlan(faults);
    const profile = await durationProfile(durations);
    const report = await runDrill(scenario, {
      rows,
      timeline,
      app,
      start: async () =>
        (sandbox = await Sandbox.start({
          clock,
          durations: new Durations(profile, seed),
          ...(port === undefined ? {} : { port }),
          ...(plan ? { faults: plan } : {}),
          log: logFromEnvironment(),
        })),
    });
    if (permissions !== undefined && sandbox) {
      const { granted, used } = await sandbox.iam.usage();
      await writeFile(permissions, JSON.stringify({ granted, used: [...used] }));
    }
    process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : `\n${summary(report)}`);
    return report.asExpected ? 0 : 1;
  } catch (error) {
    // What breaks while the sandbox stops is no news.
    if (asked.signal.aborted) return 130;
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(`\nThe drill could not be finished: ${reason}\n`);
    const hint = hintOfFullDisk(tmpdir());
    if (hint !== undefined) process.stderr.write(`${hint}\n`);
    if (json) {
      const unfinished: UnfinishedDrill = { scenario: scenario.name, asExpected: false, reason };
      process.stdout.write(`${JSON.stringify(unfinished, null, 2)}\n`);
    }
    return 1;
  } finally {
    await sandbox?.stop();
  }
}

function scenarioNamed(name: string): Scenario {
  const scenario = SCENARIOS.find((candidate) => candidate.name === name);
  if (!scenario)
    throw new InvalidArgumentError(`There are: ${SCENARIOS.map((known) => known.name).join(', ')}.`);
  return scenario;
}

function wholeNumber(least: number, most: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least || value > most)
      throw new InvalidArgumentError(`A whole number from ${least} to ${most} is needed.`);
    return value;
  };
}

function moment(text: string): Date {
  try {
    const at = parseMoment(text);
    if (at.getTime() >= Date.now()) return at;
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
  throw new InvalidArgumentError('It is past: the sandbox begins now or later.');
}
