import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  InvokeCommand,
  LambdaClient,
  ListFunctionsCommand,
  type FunctionConfiguration,
} from '@aws-sdk/client-lambda';
import {
  DeleteDBInstanceCommand,
  DescribeDBInstancesCommand,
  DescribeDBParameterGroupsCommand,
  DescribeDBSnapshotsCommand,
  RDSClient,
} from '@aws-sdk/client-rds';
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  ListSecretsCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import {
  DescribeExecutionCommand,
  GetExecutionHistoryCommand,
  ListExecutionsCommand,
  ListStateMachinesCommand,
  SFNClient,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { Client } from 'pg';
import type { Status } from '../../sandbox/status/status';
import { sectionsOf } from '../docs/markdown';
import { until } from '../until';

const ROOT = join(__dirname, '..', '..');
// And the next ones: where no sandbox looks for a free one, nor the system.
const port = randomInt(32_000, 32_750);
const endpoint = `http://127.0.0.1:${port}`;
const temporary = realpathSync(mkdtempSync(join(tmpdir(), 'sandbox-command-')));
// PostgreSQL's own user has to pass through.
chmodSync(temporary, 0o755);
const state = join(temporary, 'state');
const MACHINE = 'arn:aws:states:eu-central-1:123456789012:stateMachine:production-recovery';

interface Running {
  readonly child: ChildProcess;
  readonly output: { stdout: string; stderr: string };
  readonly ended: Promise<number | null>;
}

const started: Running[] = [];

/** `npm run sandbox`, as its script starts it. */
const start = (...parameters: string[]): Running => startIn({}, ...parameters);

function startIn(environment: NodeJS.ProcessEnv, ...parameters: string[]): Running {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', 'sandbox/main.ts', '--rows', '300', ...parameters],
    {
      cwd: ROOT,
      env: { ...process.env, INIT_CWD: temporary, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const running = { child, output, ended };
  started.push(running);
  return running;
}

// A tenth of what they take on AWS: the machine asks less often whether they are done, which is most of what it costs here.
const durations = { create: 36, snapshot: 24, restoreSnapshot: 84, firstBackup: 150, modify: 9, delete: 48 };
writeFileSync(
  join(temporary, 'durations.json'),
  JSON.stringify({
    operations: Object.fromEntries(Object.entries(durations).map(([kind, seconds]) => [kind, { seconds }])),
  }),
);

/** With the state directory, named as a person would from their own directory, and time that jumps. */
const startWithState = (...parameters: string[]): Running =>
  start(
    ...['--state', 'state', '--time', 'virtual', '--durations', 'durations.json', '--seed', '3'],
    ...parameters,
  );

async function ready(running: Running): Promise<void> {
  let over = false;
  void running.ended.then(() => (over = true));
  await until(() => over || running.output.stdout.includes('PGSSLROOTCERT'));
  if (!running.output.stdout.includes('PGSSLROOTCERT')) throw new Error(running.output.stderr);
}

const options = {
  endpoint,
  region: 'eu-central-1',
  credentials: { accessKeyId: 'made', secretAccessKey: 'up' },
};
const rds = new RDSClient(options);
const secrets = new SecretsManagerClient(options);
const stepFunctions = new SFNClient(options);
const lambda = new LambdaClient(options);

afterAll(async () => {
  for (const client of [rds, secrets, stepFunctions, lambda]) client.destroy();
  for (const { child, ended } of started) {
    child.kill('SIGKILL');
    await ended;
  }
  rmSync(temporary, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
});

/** `npm run sandbox -- status` */
async function status(...parameters: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const command = ['--import', 'tsx', 'sandbox/main.ts', 'status', ...parameters];
    execFile(process.execPath, command, { cwd: ROOT }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });
}

async function withDatabase<T>(work: (client: Client) => Promise<T>): Promise<T> {
  const { SecretString = '' } = await secrets.send(
    new GetSecretValueCommand({ SecretId: 'production/database-url' }),
  );
  const url = new URL(SecretString);
  url.search = '';
  const ca = readFileSync(join(state, 'postgres', 'rds-ca.pem'), 'utf8');
  const client = new Client({ connectionString: url.href, ssl: { ca } });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const tasks = async (): Promise<unknown> =>
  withDatabase(async (client) => (await client.query<object>('SELECT count(*), sum(id) FROM "Task"')).rows);

/** Everything that a reader of the API can see, but for what grows while one looks. */
async function everything(): Promise<unknown> {
  const executions = await stepFunctions.send(new ListExecutionsCommand({ stateMachineArn: MACHINE }));
  const { DBInstances = [] } = await rds.send(new DescribeDBInstancesCommand({}));
  const { Functions = [] } = await lambda.send(new ListFunctionsCommand({ MaxItems: 50 }));
  const answers = [
    DBInstances.map((instance) => ({ ...instance, LatestRestorableTime: undefined })),
    await rds.send(new DescribeDBSnapshotsCommand({})),
    await rds.send(new DescribeDBParameterGroupsCommand({})),
    await secrets.send(new ListSecretsCommand({})),
    await secrets.send(new DescribeSecretCommand({ SecretId: 'production/database-url' })),
    await secrets.send(new GetSecretValueCommand({ SecretId: 'production/database-url' })),
    await stepFunctions.send(new ListStateMachinesCommand({})),
    executions,
    await Promise.all(
      (executions.executions ?? []).map(async ({ executionArn }) => [
        await stepFunctions.send(new DescribeExecutionCommand({ executionArn })),
        await stepFunctions.send(new GetExecutionHistoryCommand({ executionArn })),
      ]),
    ),
    Functions.map((lambda: FunctionConfiguration) => lambda),
  ];
  return JSON.parse(
    JSON.stringify(answers, (key, value: unknown) => (key === '$metadata' ? undefined : value)),
  );
}

/** With the error where it failed, so that a failed test says why. */
async function executionStatus(name: string): Promise<string | undefined> {
  const executionArn = `${MACHINE.replace('stateMachine', 'execution')}:${name}`;
  const { status, error, cause } = await stepFunctions.send(new DescribeExecutionCommand({ executionArn }));
  return error === undefined ? status : `${status ?? ''}: ${error}: ${cause ?? ''}`;
}

async function invokeGate(): Promise<string> {
  const { Payload } = await lambda.send(
    new InvokeCommand({
      FunctionName: 'production-pre-migration-snapshot',
      Payload: JSON.stringify({
        deploymentId: 'before-restart',
        migrations: [{ name: '20990101000000_next', checksum: 'a'.repeat(64) }],
        actor: 'test',
      }),
    }),
  );
  return Buffer.from(Payload ?? []).toString();
}

describe('npm run sandbox -- --state DIR', () => {
  let sandbox: Running;
  let exported: Record<string, string>;

  beforeAll(async () => {
    sandbox = startWithState('--port', String(port));
    await ready(sandbox);
    exported = Object.fromEntries(
      [...sandbox.output.stdout.matchAll(/^export ([A-Z_]+)='(.*)'$/gm)].map(([, name = '', value = '']) => [
        name,
        value,
      ]),
    );
  });

  test('prints what a shell needs, and nothing else on standard output', () => {
    expect(sandbox.output.stdout.trim().split('\n')).toEqual([
      'unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE',
      `export AWS_ENDPOINT_URL='${endpoint}'`,
      `export AWS_CONFIG_FILE='${state}/aws/config'`,
      `export AWS_SHARED_CREDENTIALS_FILE='${state}/aws/credentials'`,
      "export AWS_REGION='eu-central-1'",
      "export AWS_DEFAULT_REGION='eu-central-1'",
      "export PGSSLMODE='verify-full'",
      `export PGSSLROOTCERT='${state}/postgres/rds-ca.pem'`,
    ]);
  });

  test('a profile is the role that it is named after, the default one the administrator', async () => {
    const before = { ...process.env };
    Object.assign(process.env, exported);
    try {
      const arnOf = async (profile: string): Promise<string> => {
        const sts = new STSClient({ profile });
        const { Arn = '' } = await sts.send(new GetCallerIdentityCommand({}));
        sts.destroy();
        return Arn;
      };
      expect(await arnOf('default')).toBe('arn:aws:iam::123456789012:user/administrator');
      expect(await arnOf('production-recovery')).toMatch(/:assumed-role\/Production-Rollback-.*RecoveryRole/);
      expect(await arnOf('production-swap')).toMatch(
        /:assumed-role\/Production-Rollback-.*\/production-swap$/,
      );
      const swap = new RDSClient({ profile: 'production-swap' });
      const deletion = new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'production-database' });
      await expect(swap.send(deletion)).rejects.toThrow(
        'is not authorized to perform: rds:DeleteDBInstance on resource: arn:aws:rds:eu-central-1:123456789012:db:production-database',
      );
      swap.destroy();
    } finally {
      process.env = before;
    }
    expect(statSync(exported.AWS_SHARED_CREDENTIALS_FILE ?? '').mode & 0o777).toBe(0o600);
  });

  test('shows no password of the database', () => {
    expect(`${sandbox.output.stdout}${sandbox.output.stderr}`).not.toMatch(/postgresql:\/\/[^ ]*:[^ ]*@/);
  });

  test('a second one in the same directory is refused', async () => {
    const second = startWithState('--port', String(port + 1));
    expect(await second.ended).toBe(1);
    expect(second.output.stderr).toContain(
      `The state directory ${state} is in use: the sandbox with process id ${sandbox.child.pid} works in it.`,
    );
  });

  test('killed and started again, it answers everything as before', async () => {
    await until(async () => (await invokeGate()).includes('"available"'));
    await stepFunctions.send(
      new StartExecutionCommand({ stateMachineArn: MACHINE, name: 'plan', input: '{"mode":"plan"}' }),
    );
    await until(async () => (await executionStatus('plan')) === 'SUCCEEDED');
    // Nothing is under way: the first backups are over, too.
    await until(
      async () =>
        (await rds.send(new DescribeDBInstancesCommand({}))).DBInstances?.every(
          ({ DBInstanceStatus }) => DBInstanceStatus === 'available',
        ) ?? false,
    );
    const before = { api: await everything(), tasks: await tasks() };
    sandbox.child.kill('SIGKILL');
    await sandbox.ended;
    const again = startWithState();
    await ready(again);
    sandbox = again;
    expect(again.output.stderr).not.toMatch(/Deploy|Fill/);
    expect(again.output.stdout).toBe(started[0]?.output.stdout);
    expect(await everything()).toEqual(before.api);
    expect(await tasks()).toEqual(before.tasks);
    // Functions are there with their code and roles.
    expect(await invokeGate()).toContain('"available"');
  });

  test('a recovery in the middle of which it is killed goes on after the start and recovers', async () => {
    const before = await tasks();
    await withDatabase((client) => client.query('CREATE TABLE made_after_the_snapshot ()'));
    const input = {
      mode: 'recover',
      restore: { to: 'latest-pre-migration-snapshot' },
      reason: 'a test',
      requestedBy: 'test',
      // Otherwise it asks a person.
      retire: 'keep',
    };
    await stepFunctions.send(
      new StartExecutionCommand({ stateMachineArn: MACHINE, name: 'killed', input: JSON.stringify(input) }),
    );
    await until(
      async () => ((await rds.send(new DescribeDBInstancesCommand({}))).DBInstances?.length ?? 0) > 1,
    );
    sandbox.child.kill('SIGKILL');
    await sandbox.ended;
    const again = startWithState();
    await ready(again);
    sandbox = again;
    await until(async () => (await executionStatus('killed')) !== 'RUNNING');
    expect(await executionStatus('killed')).toBe('SUCCEEDED');
    expect(await tasks()).toEqual(before);
    const { rows } = await withDatabase((client) =>
      client.query("SELECT to_regclass('made_after_the_snapshot') AS found"),
    );
    expect(rows).toEqual([{ found: null }]);
  });

  test('status says what is there, for people and as JSON', async () => {
    const { code, stdout } = await status('--port', String(port), '--json');
    expect(code).toBe(0);
    const shown = JSON.parse(stdout) as Status;
    const live = shown.instances.filter((instance) => instance.live);
    expect(live).toHaveLength(1);
    expect(live[0]?.id).toMatch(/^production-database-/);
    expect(shown.secrets).toEqual([
      expect.objectContaining({
        name: 'production/database-url',
        instanceId: live[0]?.id,
        address: live[0]?.address,
      }),
    ]);
    expect(
      shown.executions.map(({ machine, name, status: ended, states }) => [machine, name, ended, states]),
    ).toEqual([
      ['production-recovery', 'killed', 'SUCCEEDED', []],
      ['production-recovery', 'plan', 'SUCCEEDED', []],
    ]);
    expect(shown.snapshots).toContainEqual(
      expect.objectContaining({ role: 'pre-migration', type: 'manual', status: 'available' }),
    );
    const tables = (await status('--port', String(port))).stdout;
    for (const title of ['Instances', 'Snapshots', 'DATABASE_URL', 'Executions'])
      expect(tables).toContain(title);
    const { SecretString = '' } = await secrets.send(
      new GetSecretValueCommand({ SecretId: 'production/database-url' }),
    );
    const { password } = new URL(SecretString);
    expect(password).not.toBe('');
    for (const text of [stdout, tables]) expect(text).not.toContain(password);
  });

  test('npx cdk finds no difference and nothing to deploy, as docs/sandbox.md says', async () => {
    const [block] = sectionsOf('docs/sandbox.md').find(({ heading }) => heading === 'npx cdk')?.blocks ?? [];
    const { stdout: exports } = sandbox.output;
    const environment = {
      ...process.env,
      // What the app would synthesise, without the time that takes; and nothing of the internet.
      CDK_APP: join(state, 'assembly'),
      CDK_NOTICES: 'false',
      CDK_DISABLE_CLI_TELEMETRY: 'true',
      AWS_ACCESS_KEY_ID: 'of-another-account',
    };
    const printed = await new Promise<string>((resolve, reject) => {
      const script = `set -e\n${exports}\n${block?.text ?? 'exit 1'}`;
      execFile('/bin/sh', ['-c', script], { cwd: ROOT, env: environment }, (error, stdout, stderr) => {
        if (error) reject(new Error(stdout + stderr));
        else resolve(stdout + stderr);
      });
    });
    expect(printed).toContain('Number of stacks with differences: 0');
    for (const stack of ['Production-Database', 'Production-Rollback'])
      expect(printed).toContain(`${stack} (no changes)`);
  });

  test('ends when it is told to, keeps everything and says so', async () => {
    sandbox.child.kill('SIGTERM');
    expect(await sandbox.ended).toBe(0);
    expect(sandbox.output.stderr).toContain(
      `Everything is kept in ${state}. Go on with: npm run sandbox -- --state ${state}`,
    );
    expect(existsSync(join(state, 'state'))).toBe(true);
    expect(existsSync(join(state, 'lock'))).toBe(false);
  });
});

describe('npm run sandbox', () => {
  test('ended early, it leaves nothing, neither of itself nor of a state directory', async () => {
    const own = join(temporary, 'early');
    mkdirSync(own);
    chmodSync(own, 0o755);
    const running = [
      startIn({ TMPDIR: own }, '--port', String(port + 2)),
      start('--port', String(port + 3), '--state', 'unfinished'),
    ];
    await Promise.all(
      running.map(async ({ child, output, ended }) => {
        await until(() => output.stderr.includes('Synthesise'));
        child.kill('SIGTERM');
        await ended;
      }),
    );
    // tsx keeps what it has compiled.
    await until(
      () => readdirSync(own).filter((name) => !/^(tsx|jiti|node)/.test(name)),
      (left) => left.length === 0,
    );
    await until(() => !existsSync(join(temporary, 'unfinished')));
  });

  test('says which port is taken, and how to choose another', async () => {
    const other = createServer().listen(port + 4, '127.0.0.1');
    await once(other, 'listening');
    const running = start('--port', String(port + 4));
    expect(await running.ended).toBe(1);
    other.close();
    expect(running.output.stderr).toContain(`Port ${port + 4} on 127.0.0.1 is taken`);
    expect(running.output.stderr).toContain('--port');
    expect(running.output.stdout).toBe('');
  });

  test.each([
    [['--time', 'slow'], 'It is real, virtual, or how many times as fast'],
    [['--durations', 'not-there.json'], 'not-there.json is not a profile of durations'],
    [['stop'], 'too many arguments'],
  ])('%j is refused: %s', async (parameters, message) => {
    const running = start(...parameters);
    expect(await running.ended).toBe(1);
    expect(running.output.stderr).toContain(message);
  });

  test('status without a sandbox says so, and how to start one', async () => {
    const { code, stdout, stderr } = await status('--port', String(port + 9));
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toBe(
      `No sandbox answers at http://127.0.0.1:${port + 9}: nothing listens there. ` +
        'HINT: start one with `npm run sandbox`, or name the port of yours with --port.\n',
    );
  });
});
