import { Command, InvalidArgumentError } from 'commander';
import { RealClock } from './core/clock';
import { whenAskedToEnd } from './core/lifetime';
import { ENVIRONMENT, Stage } from './drill/stage';
import { Timeline } from './drill/timeline';
import { readFaultPlan } from './faults/plan';
import { durations } from './rds/durations';
import { logFromEnvironment, Sandbox } from './sandbox';

interface Options {
  readonly port: number;
  readonly rows: number;
  readonly faults?: string;
}

const wholeNumber = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('A whole number is needed.');
  return value;
};

const program = new Command('npm run sandbox --')
  .description('A local AWS with the production stacks deployed and the sample app filled, until Ctrl-C.')
  .option('--port <n>', 'port of the AWS API on 127.0.0.1', wholeNumber, 4566)
  .option('--rows <n>', 'rows in the sample app', wholeNumber, 10_000)
  .option('--faults <file>', 'what goes wrong: a plan as docs/sandbox.md describes it')
  .showHelpAfterError()
  .action(serve);

void program.parseAsync();

/** Progress goes to standard error and the exports to standard output, so that a shell can evaluate the latter. */
async function serve({ port, rows, faults }: Options): Promise<void> {
  const clock = new RealClock();
  const timeline = new Timeline(process.stderr, clock);
  let sandbox: Sandbox | undefined;
  let stage: Stage | undefined;
  const stop = async (code: number): Promise<never> => {
    await stage?.leave();
    await sandbox?.stop();
    process.exit(code);
  };
  whenAskedToEnd(() => {
    void stop(0);
  });
  try {
    const plan = faults === undefined ? {} : { faults: await readFaultPlan(faults) };
    sandbox = await timeline.step(
      'Start a local AWS over real PostgreSQL',
      () =>
        Sandbox.start({ clock, durations: durations('quick', 1), port, ...plan, log: logFromEnvironment() }),
      ({ context }) => context.endpoint,
    );
    stage = await Stage.set(sandbox, timeline, rows);
  } catch (error) {
    process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`);
    return stop(1);
  }
  const { accessKeyId, secretAccessKey } = sandbox.credentials();
  const { region } = sandbox.context.account;
  const exports = {
    AWS_ENDPOINT_URL: sandbox.context.endpoint,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    PGSSLMODE: 'verify-full',
    PGSSLROOTCERT: sandbox.postgres.authority.caFile,
  };
  for (const [name, value] of Object.entries(exports)) process.stdout.write(`export ${name}=${value}\n`);
  process.stderr.write(
    [
      '',
      'Paste these lines into another terminal and try (AWS CLI 2; version 1 knows no --cli-binary-format):',
      '  aws rds describe-db-instances --query "DBInstances[].DBInstanceIdentifier"',
      `  aws lambda invoke --function-name ${ENVIRONMENT}-pre-migration-snapshot --cli-binary-format raw-in-base64-out --payload '{"deploymentId":"try-1"}' /dev/stdout`,
      `  aws stepfunctions start-execution --state-machine-arn arn:aws:states:${region}:${sandbox.context.account.accountId}:stateMachine:${ENVIRONMENT}-recovery --input '{}'`,
      `  psql "$(aws secretsmanager get-secret-value --secret-id ${ENVIRONMENT}/database-url --query SecretString --output text)"`,
      '',
      'SANDBOX_LOG=1 npm run sandbox logs every call.',
      'Ctrl-C stops the sandbox and removes everything that it made.',
      '',
    ].join('\n'),
  );
}
