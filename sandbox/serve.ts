import { existsSync, writeSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RealClock } from './core/clock';
import { whenAskedToEnd } from './core/lifetime';
import { ENVIRONMENT, Stage } from './drill/stage';
import { Timeline } from './drill/timeline';
import { readFaultPlan } from './faults/plan';
import { writeProfiles, type ProfileFiles } from './profiles';
import { durationProfile, Durations } from './rds/durations';
import { logFromEnvironment, Sandbox, type SandboxOptions } from './sandbox';
import { clockAt, type Pace } from './time';

/** What `npm run sandbox` is told. Files and directories are absolute. */
export interface ServeOptions {
  readonly port?: number;
  readonly rows: number;
  readonly state?: string;
  readonly time: Pace;
  /** The name of a profile, or a file with one. */
  readonly durations: string;
  readonly seed?: number;
  readonly faults?: string;
}

const DEFAULT_PORT = 4566;

/**
 * Serves until it is asked to end. Progress goes to standard error and the exports to standard output, so that a shell can
 * evaluate the latter.
 */
export async function serve(options: ServeOptions): Promise<void> {
  const clock = clockAt(options.time);
  const timeline = new Timeline(process.stderr, clock);
  // The sandbox's own clock is only known when the state has been read.
  const starting = new Timeline(process.stderr, new RealClock());
  let sandbox: Sandbox | undefined;
  let stage: Stage | undefined;
  const stop = async (code: number): Promise<never> => {
    await stage?.leave();
    await sandbox?.stop();
    if (sandbox) await sayWhatIsLeft(sandbox, options);
    process.exit(code);
  };
  whenAskedToEnd(() => {
    void stop(0);
  });
  try {
    const profile = await durationProfile(options.durations);
    const sandboxOptions: SandboxOptions = {
      clock,
      durations: new Durations(profile, options.seed),
      ...(await portOf(options)),
      ...(options.state === undefined ? {} : { stateDirectory: options.state, onRestart: crash }),
      ...(options.faults === undefined ? {} : { faults: await readFaultPlan(options.faults) }),
      log: logFromEnvironment(),
    };
    sandbox = await starting.step(
      'Start a local AWS over real PostgreSQL',
      () => Sandbox.start(sandboxOptions),
      ({ context }) => context.endpoint,
    );
    stage = await enter(sandbox, timeline, options.rows);
    print(sandbox, await writeProfiles(sandbox), options);
  } catch (error) {
    process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`);
    return stop(1);
  }
}

/** A state directory knows its own port. */
async function portOf({ port, state }: ServeOptions): Promise<{ port?: number }> {
  if (port !== undefined) return { port };
  return state !== undefined && existsSync(setUpMark(state)) ? {} : { port: DEFAULT_PORT };
}

/** A planned fault ends this process as a crash does. */
function crash(): void {
  writeSync(
    process.stderr.fd,
    '\nThe fault plan has killed the sandbox. Start it again with the same command.\n',
  );
  process.kill(process.pid, 'SIGKILL');
}

/** Says that the stacks are deployed and the app is filled. */
function setUpMark(directory: string): string {
  return join(directory, 'set-up');
}

/** Deploys and fills, or goes on with what an earlier process deployed and filled. */
async function enter(sandbox: Sandbox, timeline: Timeline, rows: number): Promise<Stage> {
  const { directory } = sandbox.context;
  const mark = setUpMark(directory);
  if (!sandbox.continues) {
    const stage = await Stage.set(sandbox, timeline, rows);
    await writeFile(mark, '');
    return stage;
  }
  if (!existsSync(mark))
    throw new Error(
      `The sandbox in ${directory} was ended before it was deployed and filled, and can't go on with that. ` +
        `HINT: delete the directory to begin anew.`,
    );
  return Stage.goOn(sandbox, timeline);
}

async function sayWhatIsLeft({ context: { directory } }: Sandbox, { state }: ServeOptions): Promise<void> {
  if (state === undefined) return;
  if (existsSync(setUpMark(directory))) {
    process.stderr.write(
      `Everything is kept in ${directory}. Go on with: npm run sandbox -- --state ${directory}\n`,
    );
    return;
  }
  // Nobody can use the half of it; the directory was empty or not there before.
  await rm(directory, { recursive: true, force: true });
}

function print(sandbox: Sandbox, files: ProfileFiles, { state }: ServeOptions): void {
  const { context, postgres } = sandbox;
  const { region, accountId } = context.account;
  const exports = {
    AWS_ENDPOINT_URL: context.endpoint,
    AWS_CONFIG_FILE: files.configFile,
    AWS_SHARED_CREDENTIALS_FILE: files.credentialsFile,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    PGSSLMODE: 'verify-full',
    PGSSLROOTCERT: postgres.authority.caFile,
  };
  // Keys in the environment come before every profile.
  process.stdout.write('unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE\n');
  for (const [name, value] of Object.entries(exports)) process.stdout.write(`export ${name}='${value}'\n`);
  process.stderr.write(
    [
      '',
      'Paste these lines into another terminal and try (AWS CLI 2; version 1 knows no --cli-binary-format):',
      '  aws rds describe-db-instances --query "DBInstances[].DBInstanceIdentifier"',
      `  aws lambda invoke --function-name ${ENVIRONMENT}-pre-migration-snapshot --cli-binary-format raw-in-base64-out --payload '{"deploymentId":"try-1"}' /dev/stdout`,
      `  aws stepfunctions start-execution --state-machine-arn arn:aws:states:${region}:${accountId}:stateMachine:${ENVIRONMENT}-recovery --input '{}'`,
      `  psql "$(aws secretsmanager get-secret-value --secret-id ${ENVIRONMENT}/database-url --query SecretString --output text)"`,
      '',
      'You are the administrator. With --profile NAME or AWS_PROFILE you are another role:',
      ...files.profiles
        .filter(({ name }) => name !== 'default')
        .map(({ name, uses }) => `  ${name} (${uses})`),
      '',
      'npm run sandbox -- status shows what is in it. SANDBOX_LOG=1 npm run sandbox logs every call.',
      state === undefined
        ? 'Ctrl-C stops the sandbox and removes everything that it made; --state DIR would keep it.'
        : `Ctrl-C stops the sandbox; everything is kept in ${context.directory}.`,
      '',
    ].join('\n'),
  );
}
