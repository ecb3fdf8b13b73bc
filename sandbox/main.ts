import { Command, InvalidArgumentError } from 'commander';
import { givenDurations, givenPath } from './given-path';
import { serve } from './serve';
import { showStatus } from './status/command';
import { parsePace, type Pace } from './time';

const program = new Command('npm run sandbox --')
  .description('A local AWS with the production stacks deployed and the sample app filled, until Ctrl-C.')
  .option(
    '--port <n>',
    'port of the AWS API on 127.0.0.1 (default: 4566, or that of the state directory)',
    port,
  )
  .option('--rows <n>', 'rows in the sample app', wholeNumber(1), 10_000)
  .option('--state <dir>', 'keeps everything there, and goes on from there the next time', givenPath)
  .option('--time <pace>', 'real, virtual (jumps over waiting), or how many times as fast', pace, 'real')
  .option(
    '--durations <profile>',
    'how long RDS takes: quick, aws, or a file; see docs/sandbox.md',
    givenDurations,
    'quick',
  )
  .option('--seed <n>', 'seed of these durations', wholeNumber(0))
  .option('--faults <file>', 'what goes wrong: a plan as docs/sandbox.md describes it', givenPath)
  .enablePositionalOptions()
  .showHelpAfterError()
  .action(serve);

program
  .command('status')
  .description('Shows the instances, snapshots, secrets and executions of a running sandbox.')
  .option('--port <n>', 'port of the AWS API on 127.0.0.1', port, 4566)
  .option('--json', 'one JSON document')
  .showHelpAfterError()
  .action(showStatus);

void program.parseAsync();

function wholeNumber(least: number, most = 2 ** 31) {
  return (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most)
      throw new InvalidArgumentError(`A whole number from ${least} to ${most} is needed.`);
    return value;
  };
}

function port(text: string): number {
  return wholeNumber(1, 65_535)(text);
}

function pace(text: string): Pace {
  try {
    return parsePace(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}
