import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { DescribeDBSnapshotsCommand } from '@aws-sdk/client-rds';
import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { DescribeExecutionCommand, StartExecutionCommand } from '@aws-sdk/client-sfn';
import { parse } from 'yaml';
import { z } from 'zod';
import { readMarks } from '../../lambdas/tags';
import { VirtualClock } from '../../sandbox/core/clock';
import { answerQuestions, yes } from '../../sandbox/drill/answers';
import { prisma } from '../../sandbox/prisma/cli';
import { durations } from '../../sandbox/rds/durations';
import { prepareProject, type Project } from '../../sandbox/sample-app/project';
import { Sandbox } from '../../sandbox/sandbox';
import { synthesise } from '../../sandbox/synthesise';
import { AwsCommand } from '../docs/aws-cli';
import { ROOT } from '../docs/markdown';
import { until } from '../until';

/**
 * The pipeline as a CI system runs it: ci/gate.sh by a real shell, the real Prisma CLI, the production stacks in a sandbox,
 * and `aws` by the SDK's real clients.
 */

let sandbox: Sandbox;
let aws: AwsCommand;
let project: Project;
let bin: string;

beforeAll(async () => {
  sandbox = await Sandbox.start({ clock: new VirtualClock(), durations: durations('quick') });
  const { directory } = sandbox.context;
  const assembly = join(directory, 'assembly');
  await synthesise(assembly, ['production']);
  await sandbox.deploy(assembly, ['Production-Database', 'Production-Rollback']);
  bin = join(directory, 'bin');
  mkdirSync(bin);
  aws = await AwsCommand.install(bin, sandbox);
  // The sandbox jumps over waiting, so the job need not wait as long either.
  writeFileSync(join(bin, 'sleep'), '#!/bin/sh\nexec /bin/sleep 0.2\n');
  chmodSync(join(bin, 'sleep'), 0o755);
  project = await prepareProject(join(directory, 'task-tracker'));
});
afterAll(async () => {
  expect(aws.misunderstood).toEqual([]);
  await aws.stop();
  await sandbox.stop();
});

const ASK = ['before', '--env', 'production', '--deployment-id', 'x'];

interface Ended {
  readonly code: number | null;
  readonly log: string;
}

function job(args: readonly string[], variables: Record<string, string> = {}): ChildProcess {
  return spawn('/bin/sh', [join(ROOT, 'ci', 'gate.sh'), ...args], {
    cwd: project.directory,
    env: { PATH: `${bin}${delimiter}${process.env.PATH ?? ''}`, ...variables },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

async function ended(child: ChildProcess): Promise<Ended> {
  if (!child.stderr) throw new Error('no log');
  const [log] = await Promise.all([text(child.stderr), once(child, 'close')]);
  return { code: child.exitCode, log };
}

const gate = (deploymentId: string, ...more: string[]): Promise<Ended> =>
  ended(job(['before', '--env', 'production', '--deployment-id', deploymentId, ...more]));

const after = (deploymentId: string, outcome: string): Promise<Ended> =>
  ended(job(['after', outcome, '--env', 'production', '--deployment-id', deploymentId]));

async function migrate(): Promise<number> {
  const { SecretString = '' } = await sandbox
    .clients()
    .secrets.send(new GetSecretValueCommand({ SecretId: 'production/database-url' }));
  const { exitCode } = await prisma(['migrate', 'deploy'], {
    databaseUrl: SecretString,
    projectDirectory: project.directory,
    caFile: sandbox.postgres.authority.caFile,
  });
  return exitCode;
}

async function snapshotsOf(deploymentId: string) {
  const { DBSnapshots = [] } = await sandbox
    .clients()
    .rds.send(new DescribeDBSnapshotsCommand({ SnapshotType: 'manual' }));
  return DBSnapshots.filter(({ TagList }) => readMarks(TagList)['deployment-id'] === deploymentId);
}

async function recover(input: string): Promise<string | undefined> {
  const { stepFunctions } = sandbox.clients();
  const stateMachineArn = 'arn:aws:states:eu-central-1:123456789012:stateMachine:production-recovery';
  const leave = answerQuestions(sandbox, 'production', yes);
  const { executionArn } = await stepFunctions.send(new StartExecutionCommand({ stateMachineArn, input }));
  const { status } = await until(
    () => stepFunctions.send(new DescribeExecutionCommand({ executionArn })),
    (execution) => execution.status !== 'RUNNING',
  );
  leave();
  return status;
}

test('a pipeline takes its snapshot and migrates, and after a recovery is stopped until the migration is mended', async () => {
  expect(await gate('first')).toMatchObject({ code: 0 });
  expect(await migrate()).toBe(0);
  expect(await after('first', 'succeeded')).toMatchObject({ code: 0 });
  expect(readMarks((await snapshotsOf('first'))[0]?.TagList).outcome).toBe('succeeded');

  // Nothing pending: no snapshot is taken.
  const nothing = await gate('nothing');
  expect(nothing).toMatchObject({ code: 0 });
  expect(nothing.log).toContain('Nothing is pending');
  expect(await snapshotsOf('nothing')).toEqual([]);

  const bad = await project.addBadMigration('dropped-column');
  const output = join(sandbox.context.directory, 'output');
  const deployed = await gate('bad', '--output', output);
  expect(deployed).toMatchObject({ code: 0 });
  expect(await migrate()).toBe(0);
  const outputs = Object.fromEntries(
    readFileSync(output, 'utf8')
      .trim()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const),
  );
  expect(outputs).toMatchObject({
    status: 'available',
    'restore-point': (await snapshotsOf('bad'))[0]?.DBSnapshotIdentifier,
  });
  // The input that was printed is the one that goes back.
  expect(deployed.log).toContain(outputs['recovery-input']);
  expect(await recover(outputs['recovery-input'] ?? '')).toBe('SUCCEEDED');

  const again = await gate('bad-again');
  expect(again).toMatchObject({ code: 1 });
  expect(again.log).toContain('MigrationQuarantined');
  expect(again.log).toContain(bad.name);
  expect(await snapshotsOf('bad-again')).toEqual([]);

  appendFileSync(join(project.directory, 'prisma', 'migrations', bad.name, 'migration.sql'), '\n-- mended\n');
  const mended = await gate('mended');
  expect(mended).toMatchObject({ code: 0 });
  expect(mended.log).toContain('changed since');
});

test('two jobs at once and one killed half-way end with one snapshot', async () => {
  const args = ['before', '--env', 'production', '--deployment-id', 'killed'];
  const killed = job(args);
  await once(killed.stderr ?? killed, 'data');
  killed.kill('SIGKILL');
  await once(killed, 'close');
  const both = await Promise.all([gate('killed'), gate('killed')]);
  expect(both.map(({ code }) => code)).toEqual([0, 0]);
  expect(await snapshotsOf('killed')).toHaveLength(1);
});

test('help is no failure', async () => {
  for (const args of [['--help'], ['before', '-h']]) {
    const child = spawn('/bin/sh', [join(ROOT, 'ci', 'gate.sh'), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [printed, log] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    expect({ code: child.exitCode, log }).toEqual({ code: 0, log: '' });
    expect(printed).toMatch(/^Usage: gate\.sh before --env NAME/);
  }
});

test.each<[string, string[]]>([
  ['What is to be done is missing: before, or after.', []],
  ['There is no "befor", only before and after.', ['befor', '--env', 'production']],
  ['After comes succeeded or failed, not "success".', ['after', 'success']],
  ['--env is missing.', ['before', '--deployment-id', 'x']],
  ['--deployment-id is missing.', ['before', '--env', 'production']],
  ['--deployment-id needs a value.', ['before', '--deployment-id']],
  ['There is no option --env=production.', ['before', '--env=production']],
  ['--timeout is "2h": write whole minutes.', [...ASK, '--timeout', '2h']],
  ['There is no folder nowhere.', [...ASK, '--migrations', 'nowhere']],
  // Nothing would be pending, and `prisma migrate deploy` would go on without a restore point.
  [
    "There is no migration in prisma. Is it Prisma's folder of migrations?",
    [...ASK, '--migrations', 'prisma'],
  ],
  ['nowhere/output cannot be written.', [...ASK, '--output', 'nowhere/output']],
])('wrong usage is told before the gate is asked: %s', async (message, args) => {
  const { code, log } = await ended(job(args, { PATH: process.env.PATH ?? '' }));
  expect(log.split('\n')[0]).toBe(message);
  expect(code).toBe(2);
});

test('a name that cannot be sent is not left out', async () => {
  expect(await gate('two\nlines')).toEqual({
    code: 2,
    log: 'Control characters are not allowed: two\nlines\n',
  });
});

test('without an AWS CLI it does not ask again and again', async () => {
  const only = join(sandbox.context.directory, 'only');
  mkdirSync(only);
  symlinkSync('/usr/bin/sed', join(only, 'sed'));
  const args = ['after', 'succeeded', '--env', 'production', '--deployment-id', 'x'];
  const { code, log } = await ended(job(args, { PATH: only }));
  expect({ code, log }).toEqual({
    code: 3,
    log: 'There is no AWS CLI here: the gate cannot be asked. Do not migrate.\n',
  });
});

test('what cannot be asked fails the job', async () => {
  const unknown = await ended(job(['before', '--env', 'nowhere', '--deployment-id', 'x']));
  expect(unknown).toMatchObject({ code: 3 });
  expect(unknown.log).not.toContain('%');
  const strange = await gate('a "quoted" \\ id');
  expect(strange).toMatchObject({ code: 0 });
  expect(await snapshotsOf('a _quoted_ _ id')).toHaveLength(1);
});

test('the GitHub action runs the script with its inputs', async () => {
  const Action = z.object({
    inputs: z.record(z.string(), z.object({ default: z.string().optional() })),
    runs: z.object({
      using: z.literal('composite'),
      steps: z.array(z.object({ run: z.string(), shell: z.string(), env: z.record(z.string(), z.string()) })),
    }),
  });
  const action = Action.parse(parse(readFileSync(join(ROOT, 'action.yml'), 'utf8')));
  const [step] = action.runs.steps;
  if (!step) throw new Error('The action has no step.');
  const given: Record<string, string> = { environment: 'production', 'restore-point': 'point-in-time' };
  const env = Object.fromEntries(
    Object.entries(step.env).map(([name, value]) => {
      const [, input = ''] = /^\$\{\{ inputs\.([a-z-]+) \}\}$/.exec(value) ?? [];
      expect(action.inputs).toHaveProperty(input);
      return [name, given[input] ?? action.inputs[input]?.default ?? ''];
    }),
  );
  const output = join(sandbox.context.directory, 'github-output');
  const run = (changed: Record<string, string>) =>
    ended(
      spawn('/bin/sh', ['-e', '-c', step.run], {
        cwd: project.directory,
        env: {
          PATH: `${bin}${delimiter}${process.env.PATH ?? ''}`,
          GITHUB_ACTION_PATH: ROOT,
          GITHUB_OUTPUT: output,
          GITHUB_REPOSITORY: 'shop/backend',
          GITHUB_RUN_ID: '4711',
          GITHUB_RUN_ATTEMPT: '2',
          GITHUB_SHA: 'abc',
          GITHUB_ACTOR: 'ada',
          GITHUB_SERVER_URL: 'https://github.com',
          ...env,
          ...changed,
        },
        stdio: ['ignore', 'ignore', 'pipe'],
      }),
    );
  expect(await run({})).toMatchObject({ code: 0 });
  expect(readFileSync(output, 'utf8')).toMatch(/^status=available$/m);
  // The gate refused, so nothing was migrated: nobody is asked, not even one that is not there.
  expect(await run({ ENVIRONMENT: 'nowhere', OUTCOME: 'skipped' })).toMatchObject({ code: 0, log: '' });
});

test('the GitLab template asks the gate, migrates, and records how it ended', async () => {
  const Template = z.strictObject({
    '.migrate-with-restore-point': z.strictObject({
      variables: z.record(z.string(), z.string()),
      id_tokens: z.object({ GATE_ID_TOKEN: z.object({ aud: z.literal('sts.amazonaws.com') }) }),
      script: z.array(z.string()),
    }),
  });
  const template = Template.parse(parse(readFileSync(join(ROOT, 'ci', 'gitlab.yml'), 'utf8')));
  const { variables, script } = template['.migrate-with-restore-point'];
  symlinkSync(join(ROOT, 'ci'), join(project.directory, 'ci'));
  const asked = join(sandbox.context.directory, 'npx');
  writeFileSync(join(bin, 'npx'), `#!/bin/sh\necho "$@" >> '${asked}'\nexit "$MIGRATION_ENDS"\n`);
  chmodSync(join(bin, 'npx'), 0o755);
  const run = (id: string, ends: string) =>
    ended(
      spawn('/bin/sh', ['-e', '-c', script.join('\n')], {
        cwd: project.directory,
        env: {
          PATH: `${bin}${delimiter}${process.env.PATH ?? ''}`,
          ...variables,
          CI_JOB_ID: id,
          CI_PROJECT_PATH: 'shop/backend',
          GATE_ID_TOKEN: 'token',
          MIGRATION_ENDS: ends,
        },
        stdio: ['ignore', 'ignore', 'pipe'],
      }),
    );
  const outcome = async (id: string) =>
    readMarks((await snapshotsOf(`shop/backend job ${id}`))[0]?.TagList).outcome;
  expect(await run('1', '0')).toMatchObject({ code: 0 });
  expect(await outcome('1')).toBe('succeeded');
  expect(await run('2', '1')).toMatchObject({ code: 1 });
  expect(await outcome('2')).toBe('failed');
  expect(readFileSync(asked, 'utf8')).toBe('prisma migrate deploy\nprisma migrate deploy\n');
});
