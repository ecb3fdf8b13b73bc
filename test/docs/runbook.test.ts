import { spawn } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { PutMetricAlarmCommand } from '@aws-sdk/client-cloudwatch';
import { InvokeCommand } from '@aws-sdk/client-lambda';
import {
  AddTagsToResourceCommand,
  DeleteDBSnapshotCommand,
  DescribeDBInstancesCommand,
  paginateDescribeDBInstances,
  paginateDescribeDBSnapshots,
  type DBInstance,
} from '@aws-sdk/client-rds';
import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import {
  DescribeExecutionCommand,
  DescribeStateMachineCommand,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn';
import { z } from 'zod';
import { addToQuarantine, writeQuarantine } from '../../lambdas/quarantine';
import { isUp } from '../../lambdas/rds';
import type { Api } from '../../sandbox/core/api';
import { VirtualClock } from '../../sandbox/core/clock';
import { durations } from '../../sandbox/rds/durations';
import { Sandbox } from '../../sandbox/sandbox';
import { synthesise } from '../../sandbox/synthesise';
import { AwsCommand } from './aws-cli';
import { ROOT, sectionsOf } from './markdown';
import { until } from '../until';

/**
 * The commands of the runbook, run as they are written, by a real shell: `aws` there is the SDK's real clients, talking to a
 * sandbox with the production stacks. The operator's day: a snapshot, a plan, a recovery that is stopped and redriven, back to
 * the final snapshot, back by hand, and the instance that was kept is deleted.
 */
const sections = sectionsOf('docs/runbook.md');
const executed = new Set<string>();

const Variables = z.record(z.string(), z.string());

class Operator {
  private constructor(
    readonly sandbox: Sandbox,
    readonly aws: AwsCommand,
    private readonly directory: string,
  ) {}

  static async start(): Promise<Operator> {
    const sandbox = await Sandbox.start({ clock: new VirtualClock(), durations: durations('quick') });
    try {
      // Inside the sandbox's own directory, which goes however this process ends.
      const directory = join(sandbox.context.directory, 'operator');
      const assembly = join(directory, 'assembly');
      // With copies in another account, so that they can be brought back.
      await synthesise(assembly, ['production'], 'sandbox/app-with-vault.ts');
      await sandbox.deploy(assembly, ['Production-Database', 'Production-Rollback', 'Vault-Production']);
      const bin = join(directory, 'bin');
      const aws = await AwsCommand.install(bin, sandbox);
      // The sandbox jumps over waiting, so the operator need not wait as long either.
      writeFileSync(join(bin, 'sleep'), '#!/bin/sh\nexec /bin/sleep 0.3\n');
      chmodSync(join(bin, 'sleep'), 0o755);
      // The operator's shell has credentials, and stands in a checkout of the repository.
      const { accessKeyId, secretAccessKey } = sandbox.credentials();
      const login = {
        AWS_ENDPOINT_URL: sandbox.context.endpoint,
        AWS_REGION: sandbox.context.account.region,
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
      };
      writeFileSync(
        join(bin, 'npm'),
        [
          '#!/bin/sh',
          ...Object.entries(login).map(([name, value]) => `export ${name}='${value}'`),
          `PATH="\${PATH#*:}"; cd '${ROOT}'; exec npm "$@"`,
          '',
        ].join('\n'),
      );
      chmodSync(join(bin, 'npm'), 0o755);
      writeFileSync(join(directory, 'variables'), '');
      return new Operator(sandbox, aws, directory);
    } catch (error) {
      await sandbox.stop();
      throw error;
    }
  }

  /** Runs the blocks under a heading in the operator's shell; variables live on. Answers with what was printed. */
  async does(heading: string): Promise<string> {
    const section = sections.find((candidate) => candidate.heading === heading);
    const blocks = section?.blocks.filter(({ language }) => language === 'sh') ?? [];
    if (blocks.length === 0) throw new Error(`The runbook has nothing to execute under "${heading}".`);
    let printed = '';
    for (const block of blocks) {
      printed += await this.shell(block.text);
      executed.add(block.text);
    }
    return printed;
  }

  /** Sets a variable that the runbook leaves to the operator. */
  async sets(name: string, value: string): Promise<void> {
    await this.shell(`${name}=${value}`);
  }

  async variables(): Promise<Record<string, string>> {
    return Variables.parse(
      JSON.parse(await this.shell(`"${process.execPath}" -p 'JSON.stringify(process.env)'`)),
    );
  }

  async execution(): Promise<{
    status: string | undefined;
    error: string | undefined;
    cause: string | undefined;
  }> {
    const { EXECUTION } = await this.variables();
    const { status, error, cause } = await this.sandbox
      .clients()
      .stepFunctions.send(new DescribeExecutionCommand({ executionArn: EXECUTION }));
    return { status, error, cause };
  }

  /** What a tag of this system says on an instance. */
  async tag(instanceId: string, name: string): Promise<string | undefined> {
    const found = (await this.describe()).find(
      ({ DBInstanceIdentifier }) => DBInstanceIdentifier === instanceId,
    );
    return found?.TagList?.find(({ Key }) => Key === `migration-rollback:${name}`)?.Value;
  }

  /** Instance by instance, whether it is up; where it is not, its status. RDS may back one up at any time. */
  async instances(): Promise<Record<string, string>> {
    return Object.fromEntries(
      (await this.describe()).map(({ DBInstanceIdentifier = '', DBInstanceStatus = '' }) => [
        DBInstanceIdentifier,
        isUp(DBInstanceStatus) ? 'up' : DBInstanceStatus,
      ]),
    );
  }

  /** `host:port` of an instance. */
  async address(instanceId: string): Promise<string> {
    const found = (await this.describe()).find(
      ({ DBInstanceIdentifier }) => DBInstanceIdentifier === instanceId,
    );
    return `${found?.Endpoint?.Address ?? ''}:${found?.Endpoint?.Port ?? 0}`;
  }

  private async describe(): Promise<DBInstance[]> {
    const found: DBInstance[] = [];
    for await (const page of paginateDescribeDBInstances({ client: this.sandbox.clients().rds }, {}))
      found.push(...(page.DBInstances ?? []));
    return found;
  }

  /** Manual snapshots that are available, with their tags. */
  async snapshots(): Promise<Record<string, Record<string, string>>> {
    const found: Record<string, Record<string, string>> = {};
    const pages = paginateDescribeDBSnapshots(
      { client: this.sandbox.clients().rds },
      { SnapshotType: 'manual' },
    );
    for await (const page of pages)
      for (const { DBSnapshotIdentifier = '', Status, TagList = [] } of page.DBSnapshots ?? [])
        if (Status === 'available')
          found[DBSnapshotIdentifier] = Object.fromEntries(
            TagList.map(({ Key = '', Value = '' }) => [Key.replace('migration-rollback:', ''), Value]),
          );
    return found;
  }

  /** Time stands still from the moment that a recovery asks something, so that nobody has to be quick. */
  untilAsked(): { readonly reached: Promise<void>; release(): void } {
    const { stepFunctions, context } = this.sandbox;
    let release = (): void => undefined;
    const reached = new Promise<void>((resolve) => {
      const unhook = stepFunctions.onHistoryEvent((_execution, event) => {
        if (event.taskSubmittedEventDetails?.resource !== 'publish.waitForTaskToken') return;
        unhook();
        release = context.clock.hold();
        resolve();
      });
    });
    return {
      reached,
      release: () => {
        release();
      },
    };
  }

  /** `host:port` in DATABASE_URL. */
  async databaseAddress(): Promise<string> {
    const { SecretString = '' } = await this.sandbox
      .clients()
      .secrets.send(new GetSecretValueCommand({ SecretId: 'production/database-url' }));
    return new URL(SecretString).host;
  }

  async stop(): Promise<void> {
    await this.aws.stop();
    await this.sandbox.stop();
  }

  private async shell(commands: string): Promise<string> {
    const shell = spawn('sh', ['-eu', '-c', `set -a; . ./variables\n${commands}\nexport -p > variables`], {
      cwd: this.directory,
      env: { PATH: [join(this.directory, 'bin'), process.env.PATH].join(delimiter) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [stdout, stderr, code] = await Promise.all([
      text(shell.stdout),
      text(shell.stderr),
      new Promise<number | null>((resolve) => shell.once('close', resolve)),
    ]);
    const { misunderstood } = this.aws;
    if (code !== 0 || misunderstood.length > 0)
      throw new Error(
        [`Exit code ${code ?? 'none'} of:`, commands, stdout, stderr, ...misunderstood].join('\n'),
      );
    return stdout;
  }
}

describe('an operator who follows it', () => {
  let operator: Operator;
  beforeAll(async () => {
    operator = await Operator.start();
  });
  afterAll(() => operator.stop());

  test('finds the machine', async () => {
    await operator.does('Set up the shell');
    expect((await operator.variables()).MACHINE).toMatch(
      /^arn:aws:states:.*:stateMachine:production-recovery$/,
    );
  });

  test('rehearses, and nothing is left of it', async () => {
    await operator.does('Rehearse it');
    // There is no snapshot yet.
    await operator.does('Wait for the end');
    expect(await operator.execution()).toMatchObject({ status: 'FAILED', error: 'RestorePointNotFound' });
    expect(await operator.instances()).toEqual({ 'production-database': 'up' });
  });

  test('has a snapshot before the migration', async () => {
    await operator.does('Before a migration');
    const { 'deployment-id': deployment, role } = Object.values(await operator.snapshots())[0] ?? {};
    expect({ deployment, role }).toEqual({ deployment: 'build-4711', role: 'pre-migration' });
  });

  test('has nothing to adopt: the stack made the instance, as its template says', async () => {
    expect(await operator.does('Adopt the new instance')).toContain(
      'Nothing to adopt: the live instance is the one that lib/environments.ts names. The template equals it.',
    );
  });

  test('brings its copy back from the vault when it is gone', async () => {
    const { rds, lambda } = operator.sandbox.clients();
    const [COPY = ''] = Object.keys(await operator.snapshots());
    await until(async () => {
      const { Payload } = await lambda.send(
        new InvokeCommand({ FunctionName: 'production-copy-to-vault', Payload: '{}' }),
      );
      const isThere = Buffer.from(Payload ?? [])
        .toString()
        .includes('"available":1');
      // And nothing of it is on its way here any more.
      return isThere && Object.keys(await operator.snapshots()).length === 1;
    });
    await rds.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: COPY }));
    await until(async () => Object.keys(await operator.snapshots()).length === 0);
    await operator.sets('COPY', COPY);
    await operator.does('When the snapshots are gone');
    expect(await operator.snapshots()).toMatchObject({
      [COPY]: { 'deployment-id': 'build-4711', role: 'pre-migration' },
    });
  });

  test('gets a plan, and nothing is made', async () => {
    await operator.sandbox.clients().cloudWatch.send(
      new PutMetricAlarmCommand({
        AlarmName: 'storage-runs-out',
        Namespace: 'AWS/RDS',
        MetricName: 'FreeStorageSpace',
        Dimensions: [{ Name: 'DBInstanceIdentifier', Value: 'production-database' }],
        Statistic: 'Minimum',
        Period: 300,
        EvaluationPeriods: 1,
        Threshold: 1e9,
        ComparisonOperator: 'LessThanThreshold',
      }),
    );
    await operator.does('Make a plan');
    const printed = await operator.does('Wait for the end');
    expect(printed).toMatch(/^SUCCEEDED\tNone\tNone\t\{/);
    const { recovery, plan } = z
      .object({
        recovery: z.object({ live: z.object({ instanceId: z.string() }) }),
        plan: z.object({ summary: z.array(z.string()), inputToRecover: z.object({ mode: z.string() }) }),
      })
      .parse(JSON.parse(printed.split('\t')[3] ?? ''));
    expect(recovery.live.instanceId).toBe('production-database');
    expect(plan.inputToRecover.mode).toBe('recover');
    expect(plan.summary.join('\n')).toContain('know production-database by its name');
    // The stack's own dashboard does not: it searches.
    expect(await operator.does('Dashboards and alarms that follow')).toBe(
      '"alarms":["storage-runs-out"],"dashboards":[]\n',
    );
    expect(await operator.instances()).toEqual({ 'production-database': 'up' });
  });

  test('plans with a check that is accepted', async () => {
    await operator.does('Accept a check');
    expect(await operator.does('Wait for the end')).toContain(
      '"verify":{"amcheck":true,"accept":["rows as recorded"]}',
    );
  });

  test('plans for before a migration, and is told that nobody knows one of that name', async () => {
    await operator.sets('MIGRATION', '20251208120000_drop_details');
    await operator.does('Choose a restore point');
    await operator.does('Wait for the end');
    expect(await operator.execution()).toMatchObject({ status: 'FAILED', error: 'RestorePointNotFound' });
  });

  test('plans to have it warm first', async () => {
    await operator.does('Warm it first');
    expect(await operator.does('Wait for the end')).toContain(
      '"warm":{"tables":["orders","order_lines"],"percent":100,"storagePercent":20}',
    );
  });

  test('plans to watch it afterwards', async () => {
    await operator.does('Watch the new database');
    expect(await operator.does('Wait for the end')).toContain(
      '"soakMinutes":30,"soakAlarms":["orders-failing"]',
    );
  });

  test('stops a recovery for good, is told what it left, and cleans up', async () => {
    const restore = holdAnswer(operator.sandbox.context.api, 'RestoreDBInstanceFromDBSnapshot');
    await operator.does('Recover');
    await restore.reached;
    await operator.does('Stop');
    restore.release();
    expect(Object.keys(await operator.instances())).toHaveLength(2);
    await operator.does('Make a plan');
    expect(await operator.does('Wait for the end')).toMatch(/Left behind since .* Clean-up deletes it\./);
    await operator.does('Clean up');
    await operator.does('Wait for the end');
    expect(await operator.execution()).toMatchObject({ status: 'SUCCEEDED' });
    expect(await operator.instances()).toEqual({ 'production-database': 'up' });
  });

  test('stops a recovery while it restores, redrives it, and watches it recover', async () => {
    // Stopped and redriven while the function that asked for the restore still waits for the answer.
    const restore = holdAnswer(operator.sandbox.context.api, 'RestoreDBInstanceFromDBSnapshot');
    await operator.does('Recover');
    await restore.reached;
    await operator.does('Stop');
    expect(await operator.execution()).toMatchObject({ status: 'ABORTED' });
    await operator.does('Redrive');
    const asked = operator.untilAsked();
    restore.release();
    await asked.reached;
    expect(await operator.does('Decide')).toContain('"decision":"approved","by":"ada@example.com"');
    // Again: the answer has been given.
    expect(await operator.does('Decide')).toContain('"isNew":false');
    asked.release();
    await operator.does('Wait for the end');
    expect(await operator.execution()).toMatchObject({ status: 'SUCCEEDED' });
    expect(await operator.does('What is verified')).toBe('every check passed\n');
    const watched = await operator.does('Watch it');
    expect(statesIn(watched)).toEqual(
      expect.arrayContaining([
        'Plan',
        'StartRestore',
        'Swap',
        'Drain',
        'AskForRetirement',
        'Retire',
        'Recovered',
      ]),
    );
    expect(await operator.does('Read the record')).toMatch(
      /^# Recovery .* of production\n\n\*\*Recovered\*\* \(SUCCEEDED\)[^]*\| that know the instance by its name: storage-runs-out\./,
    );
    expect(await operator.does('Dashboards and alarms that follow')).toContain('storage-runs-out');

    await operator.does('What it decided');
    const { OLD, NEW = '', FINAL = '' } = await operator.variables();
    expect(OLD).toBe('production-database');
    expect(await operator.databaseAddress()).toBe(await operator.address(NEW));
    expect(await operator.instances()).toEqual({ [NEW]: 'up' });
    expect((await operator.snapshots())[FINAL]).toMatchObject({ role: 'final' });
    expect((await operator.does('Finish the settings')).trim()).toMatch(/^true$/i);
  });

  test('is told how the stack adopts the new instance', async () => {
    const printed = await operator.does('Adopt the new instance');
    const { NEW = '' } = await operator.variables();
    expect(printed).toContain(`production: live is ${NEW}; lib/environments.ts names production-database.`);
    expect(printed).toContain(`instanceIdentifier: '${NEW}'`);
    expect(printed).toContain('npx cdk deploy Production-Database --import-existing-resources');
    expect(await operator.instances()).toEqual({ [NEW]: 'up' });
  });

  test('gives the new instance its old name back', async () => {
    const asked = operator.untilAsked();
    await operator.does('Rename the new instance');
    await asked.reached;
    const approved = await operator.does('Approve the rename');
    expect(approved).toContain('"question":"rename","decision":"approved"');
    asked.release();
    await operator.does('Wait for the end');
    expect(await operator.execution()).toMatchObject({ status: 'SUCCEEDED' });
    // The backup of the day may be under way: nothing here waits for it.
    await until(async () => (await operator.instances())['production-database'] === 'up');
    expect(await operator.instances()).toEqual({ 'production-database': 'up' });
    expect(await operator.databaseAddress()).toBe(await operator.address('production-database'));
    await operator.sets('NEW', 'production-database');
  });

  test('goes back to the final snapshot, undoes that, then by hand, and deletes what was kept', async () => {
    const { FINAL, NEW: first = '' } = await operator.variables();
    await operator.does('Go back when the old instance is deleted');
    await operator.does('Wait for the end');
    expect(await operator.execution()).toMatchObject({ status: 'SUCCEEDED' });
    await operator.does('What it decided');
    const { OLD, NEW: second = '', BEFORE } = await operator.variables();
    expect(OLD).toBe(first);
    expect(await operator.databaseAddress()).toBe(await operator.address(second));
    expect(await operator.instances()).toEqual({ [first]: 'up', [second]: 'up' });
    expect(BEFORE).not.toBe('');

    await operator.does('Make a plan');
    expect(await operator.does('Wait for the end')).toContain(`: ${first} becomes live again`);
    await operator.does('Undo a recovery');
    await operator.does('Wait for the end');
    expect(await operator.execution()).toMatchObject({ status: 'SUCCEEDED' });
    expect(await operator.databaseAddress()).toBe(await operator.address(first));
    expect(await operator.instances()).toEqual({ [first]: 'up', [second]: 'up' });
    await operator.does('What it decided');
    expect(await operator.variables()).toMatchObject({ OLD: second, NEW: first });

    const seen = await operator.does('See what there is');
    expect(seen.trim().split('\n').slice(-2)).toEqual([
      await operator.address(first),
      await operator.address(second),
    ]);
    expect(seen).not.toContain('postgresql:');

    await operator.does('Move the secret back');
    expect(await operator.databaseAddress()).toBe(await operator.address(second));
    expect(await operator.does('Lift the fence')).toContain('"lifted":true');
    expect(await operator.does('Lift the fence')).toContain('"lifted":false');
    const { CURRENT, BEFORE: last } = await operator.variables();
    expect(CURRENT).not.toBe(last);
    const old = await operator.sandbox
      .clients()
      .rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: second }));
    expect(old.DBInstances?.[0]?.TagList?.map(({ Key }) => Key)).not.toContain('migration-rollback:role');

    await operator.sets('KEPT', first);
    await operator.does('Keep the old instance');
    expect(await operator.does('Wait for the end')).toContain('"retire":"keep","keepDays":30');
    expect(await operator.tag(first, 'keep-until')).toBe('2027-01-31T00:00:00Z');

    const printed = await operator.does('Delete an instance that was kept');
    expect(printed.trim().split('\n').at(-1)).toBe('available');
    expect(await operator.instances()).toEqual({ [second]: 'up' });
    expect(Object.keys(await operator.snapshots())).toEqual(
      expect.arrayContaining([FINAL, `${first}-by-hand`]),
    );
  });

  test('lets a migration pass that was taken away and was not at fault', async () => {
    const { rds } = operator.sandbox.clients();
    const { DBInstances } = await rds.send(new DescribeDBInstancesCommand({}));
    const quarantined = addToQuarantine([], [{ name: '20251208120000_add_index' }], '0123456789');
    await rds.send(
      new AddTagsToResourceCommand({
        ResourceName: DBInstances?.[0]?.DBInstanceArn,
        Tags: writeQuarantine(quarantined),
      }),
    );
    await operator.sets('MIGRATION', '20251208120000_add_index');
    const lifted = await operator.does('Lift a quarantine');
    expect(lifted).toContain('"by":"ada@example.com"');
    expect(await operator.does('Lift a quarantine')).toBe(lifted);
    await operator.sets('MIGRATION', 'none-such');
    expect(await operator.does('Lift a quarantine')).toContain('QuarantineNotLifted');
  });

  test('redrives an execution that failed, and it goes on with the step that had failed', async () => {
    const { stepFunctions } = operator.sandbox.clients();
    const { executionArn = '' } = await stepFunctions.send(
      new StartExecutionCommand({
        stateMachineArn: (await operator.variables()).MACHINE,
        input: JSON.stringify({ restore: { to: 'snapshot', snapshotId: 'none-such' } }),
      }),
    );
    await operator.sets('EXECUTION', executionArn);
    await operator.does('Wait for the end');
    const failed = await operator.execution();
    expect(failed).toMatchObject({ status: 'FAILED', error: 'RestorePointNotFound' });
    await operator.does('Redrive');
    await operator.does('Wait for the end');
    expect(await operator.execution()).toMatchObject({ status: 'FAILED', error: 'RestorePointNotFound' });
    const watched = await operator.does('Watch it');
    const once = ['Plan', 'NotifyPlanFailed', 'PlanFailed'];
    expect(statesIn(watched)).toEqual([...once, ...once]);
  });

  test('finds every end of the machine and every state that can fail', async () => {
    const { stepFunctions } = operator.sandbox.clients();
    const { definition = '' } = await stepFunctions.send(
      new DescribeStateMachineCommand({ stateMachineArn: (await operator.variables()).MACHINE }),
    );
    const { States } = z
      .object({ States: z.record(z.string(), z.looseObject({ Type: z.string() })) })
      .parse(JSON.parse(definition));
    // An end that a redrive goes on from is a task that calls the function `fail`.
    const isEnd = (name: string): boolean => JSON.stringify(States[name]).includes('"goesOnWith"');
    const named = (...types: string[]): string[] =>
      Object.keys(States).filter((name) => types.includes(States[name]?.Type ?? '') && !isEnd(name));
    expect(
      table('How it ended')
        .map(([end, status]) => `${end ?? ''} ${status ?? ''}`)
        .sort(),
    ).toEqual(
      [
        ...named('Succeed').map((end) => `${end} SUCCEEDED`),
        ...named('Fail').map((end) => `${end} FAILED`),
        ...Object.keys(States)
          .filter(isEnd)
          .map((end) => `${end} FAILED`),
      ].sort(),
    );
    expect(
      table('If it failed at')
        .map(([state]) => state)
        .sort(),
    ).toEqual(
      named('Task')
        .filter((name) => !name.startsWith('Notify'))
        .sort(),
    );
  });

  test('has executed every command of it', () => {
    const blocks = sections.flatMap((section) => section.blocks).filter(({ language }) => language === 'sh');
    expect(
      blocks.map(({ text: commands }) => commands).filter((commands) => !executed.has(commands)),
    ).toEqual([]);
  });
});

/** Holds back the answer of the next call of an operation, which has had its effect by then. */
function holdAnswer(api: Api, operation: string): { readonly reached: Promise<void>; release(): void } {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = () => {
      resolve();
    };
  });
  const reached = new Promise<void>((resolve) => {
    const unhook = api.intercept(async ({ context }, next) => {
      const output = await next();
      if (context.operation !== operation) return output;
      unhook();
      resolve();
      await released;
      return output;
    });
  });
  return {
    reached,
    release: () => {
      release();
    },
  };
}

/** Names of the states in what `Watch it` prints. */
function statesIn(watched: string): (string | undefined)[] {
  return watched
    .trim()
    .split('\n')
    .map((line) => line.split('\t')[1]);
}

function table(heading: string): readonly (readonly string[])[] {
  return sections.find((section) => section.heading === heading)?.rows ?? [];
}
