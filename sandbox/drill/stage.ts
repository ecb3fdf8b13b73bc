import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InvokeCommand } from '@aws-sdk/client-lambda';
import {
  DescribeEventsCommand,
  paginateDescribeDBInstances,
  paginateDescribeDBSnapshots,
  type DBInstance,
  type DBSnapshot,
} from '@aws-sdk/client-rds';
import { GetSecretValueCommand, PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { ListExecutionsCommand, StopExecutionCommand } from '@aws-sdk/client-sfn';
import { Client, DatabaseError, type ClientConfig } from 'pg';
import { z } from 'zod';
import { readQuarantine } from '../../lambdas/quarantine';
import { arn } from '../core/account';
import { ApiError } from '../core/api';
import { stacksIn } from '../deploy/assembly';
import { deployedTo, resourcesOfType } from '../deploy/deploy';
import { prisma } from '../prisma/cli';
import { TaskTracker } from '../sample-app/app';
import { badMigration, type BadMigrationName } from '../sample-app/bad-migrations';
import { digest, type DatabaseDigest } from '../sample-app/digest';
import { fill } from '../sample-app/fill';
import { openProject, prepareProject, type Project } from '../sample-app/project';
import type { Sandbox } from '../sandbox';
import { synthesise } from '../synthesise';
import { redriveRecovery, runRecovery, type RecoveryRun } from './recovery';
import { answerQuestions, yes, type OnCall } from './answers';
import type { Timeline } from './timeline';
import { HAMMERED, Writer, type Written } from './writers';

export const ENVIRONMENT = 'production';
const STACK_PREFIX = 'Production-';
/** In another account. */
const VAULT_STACK = 'Vault-Production';
export const STACKS = ['Production-Database', 'Production-Rollback'];
const SECRET_NAME = `${ENVIRONMENT}/database-url`;
const MASTER_SECRET = `${ENVIRONMENT}/database-master`;
const Master = z.looseObject({ username: z.string(), password: z.string() });

/** Where the sample app's Prisma project is in the sandbox's directory. */
const PROJECT = 'task-tracker';

/** What a pipeline looks at in the answer of the pre-migration function. */
const GateAnswer = z.discriminatedUnion('status', [
  z.object({ status: z.literal('creating'), progressPercent: z.number() }),
  z.object({ status: z.literal('available'), snapshotId: z.string() }),
  z.object({ status: z.enum(['skipped', 'refused']), reason: z.string() }),
]);

/** What DATABASE_URL names: an instance of RDS, and the version of the secret that says so. */
export interface LiveDatabase {
  readonly instance: DBInstance;
  readonly host: string;
  readonly port: number;
  readonly versionId: string;
}

/** How often the application beats and looks at its secret, in real milliseconds. */
const BEAT = 250;

/** The scene of a drill: the production stacks in a sandbox, and the sample app with its database in them. */
export class Stage {
  private readonly application: TaskTracker;
  private readonly clients: ReturnType<Sandbox['clients']>;
  private executions = 0;

  private constructor(
    readonly sandbox: Sandbox,
    readonly project: Project,
    readonly timeline: Timeline,
    /** The cloud assembly that was deployed. */
    readonly assembly: string,
  ) {
    this.clients = sandbox.clients();
    this.application = new TaskTracker({
      databaseUrl: async () => (await this.databaseUrl()).url,
      caFile: sandbox.postgres.authority.caFile,
      beatEvery: BEAT,
      refreshEvery: BEAT,
    });
  }

  /**
   * Deploys the environment's stacks, each into its account, migrates the app's database with Prisma, fills it and starts the app. `app`: a cloud assembly that was
   * synthesised before; without one, the CDK app is synthesised, that of `bin` unless `cdkApp` is another.
   */
  static async set(
    sandbox: Sandbox,
    timeline: Timeline,
    rows: number,
    app?: string,
    cdkApp?: string,
  ): Promise<Stage> {
    const assembly = app ?? assemblyOf(sandbox);
    if (app === undefined)
      await timeline.step('Synthesise the CDK app', () =>
        // PostgreSQL's initdb on the other core meanwhile.
        Promise.all([synthesise(assembly, [ENVIRONMENT], cdkApp), sandbox.postgres.prepare()]),
      );
    const stacks = (await stacksIn(assembly)).filter(
      (id) => id.startsWith(STACK_PREFIX) || id === VAULT_STACK,
    );
    await timeline.step(`Deploy ${stacks.join(' and ')}`, (update) =>
      sandbox.deploy(assembly, stacks, update),
    );
    const project = await prepareProject(join(sandbox.context.directory, PROJECT));
    const stage = new Stage(sandbox, project, timeline, assembly);
    await timeline.step(
      'Migrate the task tracker with Prisma',
      () => stage.migrate(),
      () => 'prisma migrate deploy',
    );
    await timeline.step(`Fill it with ${rows.toLocaleString('en')} rows`, () =>
      stage.withDatabase((client) => fill(client, { rows })),
    );
    await timeline.step('Start the application', () => stage.application.start());
    return stage;
  }

  /** Goes on where an earlier process left the stage that it had set in the sandbox's state directory. */
  static async goOn(sandbox: Sandbox, timeline: Timeline): Promise<Stage> {
    const project = openProject(join(sandbox.context.directory, PROJECT));
    const stage = new Stage(sandbox, project, timeline, assemblyOf(sandbox));
    await timeline.step('Start the application', () => stage.application.start());
    return stage;
  }

  async leave(): Promise<void> {
    await this.application.stop();
  }

  /** What time it is in the sandbox. */
  now(): Date {
    return this.sandbox.context.clock.now();
  }

  /** The value of DATABASE_URL, as an application reads it. */
  async databaseUrl(): Promise<{ url: string; versionId: string }> {
    const { SecretString, VersionId } = await this.clients.secrets.send(
      new GetSecretValueCommand({ SecretId: SECRET_NAME }),
    );
    if (SecretString === undefined || VersionId === undefined)
      throw new Error(`The secret ${SECRET_NAME} has no value.`);
    return { url: SecretString, versionId: VersionId };
  }

  /** Runs `work` on a connection made from DATABASE_URL. */
  async withDatabase<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const url = new URL((await this.databaseUrl()).url);
    // What follows the "?" is for libpq and Prisma; here the sandbox's authority is named directly.
    url.search = '';
    const ca = await readFile(this.sandbox.postgres.authority.caFile, 'utf8');
    const client = clientOf({ connectionString: url.href, ssl: { ca } });
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  }

  async digest(): Promise<DatabaseDigest> {
    return this.withDatabase((client) => digest(client));
  }

  /** The live instance, found as an operator finds it: DATABASE_URL's address among the instances. */
  async live(): Promise<LiveDatabase> {
    const { url, versionId } = await this.databaseUrl();
    const { hostname: host, port: digits } = new URL(url);
    const port = digits === '' ? 5432 : Number(digits);
    const instance = (await this.instances()).find(
      ({ Endpoint }) => Endpoint?.Address === host && Endpoint.Port === port,
    );
    if (!instance) throw new Error(`DATABASE_URL names ${host}:${port}, where no instance is.`);
    return { instance, host, port, versionId };
  }

  async instances(): Promise<DBInstance[]> {
    const found: DBInstance[] = [];
    for await (const page of paginateDescribeDBInstances({ client: this.clients.rds }, {}))
      found.push(...(page.DBInstances ?? []));
    return found;
  }

  async instance(id: string): Promise<DBInstance | undefined> {
    return (await this.instances()).find(({ DBInstanceIdentifier }) => DBInstanceIdentifier === id);
  }

  /** When RDS told of something that it did with an instance; undefined where it did not. */
  async eventOf({ DBInstanceIdentifier }: DBInstance, message: string): Promise<Date | undefined> {
    const { Events = [] } = await this.clients.rds.send(
      new DescribeEventsCommand({
        SourceType: 'db-instance',
        SourceIdentifier: DBInstanceIdentifier,
        Duration: 24 * 60,
      }),
    );
    return Events.find((event) => event.Message === message)?.Date;
  }

  async snapshots(): Promise<DBSnapshot[]> {
    const found: DBSnapshot[] = [];
    for await (const page of paginateDescribeDBSnapshots(
      { client: this.clients.rds },
      { SnapshotType: 'manual' },
    ))
      found.push(...(page.DBSnapshots ?? []));
    return found;
  }

  /** `prisma migrate deploy`, as a pipeline runs it. @throws Error with Prisma's own words when it fails. */
  async migrate(): Promise<void> {
    const result = await this.tryMigrate();
    if (result.exitCode !== 0)
      throw new Error(`prisma migrate deploy failed:\n${result.stdout}\n${result.stderr}`);
  }

  async tryMigrate(): Promise<{ exitCode: number; stdout: string; stderr: string }> {
    const { url } = await this.databaseUrl();
    const offset = this.now().getTime() - Date.now();
    const before = await this.migrationTries();
    const result = await prisma(['migrate', 'deploy'], {
      databaseUrl: url,
      projectDirectory: this.project.directory,
      caFile: this.sandbox.postgres.authority.caFile,
    });
    const tries = (await this.migrationTries()).filter((id) => !before.includes(id));
    // PostgreSQL's own clock is real time. On AWS it is that of RDS, and when a migration began can be held against its windows.
    await this.withDatabase((client) =>
      client.query(
        `update _prisma_migrations set started_at = started_at + $1 * interval '1 millisecond' where id = any ($2)`,
        [offset, tries],
      ),
    );
    return result;
  }

  /** Ids of the rows of Prisma's table. */
  private async migrationTries(): Promise<string[]> {
    return this.withDatabase(async (client) => {
      const { rows } = await client.query<{ there: boolean }>(
        `select to_regclass('_prisma_migrations') is not null as there`,
      );
      if (rows[0]?.there !== true) return [];
      const tries = await client.query<{ id: string }>('select id from _prisma_migrations');
      return tries.rows.map(({ id }) => id);
    });
  }

  /** What CI does before a migration: invokes the function until its answer is final, and stops at anything but a yes. */
  async takePreMigrationSnapshot(deploymentId: string, update: (text: string) => void): Promise<string> {
    const migrations = await this.withDatabase((client) => this.project.pendingMigrations(client));
    for (;;) {
      const answer = await this.invokeGate({ deploymentId, migrations, actor: 'drill' });
      if (answer.status === 'available') return answer.snapshotId;
      if (answer.status !== 'creating')
        throw new Error(`The pre-migration snapshot was ${answer.status}: ${answer.reason}`);
      update(`${answer.progressPercent} %`);
      await this.sandbox.context.clock.sleep(10_000);
    }
  }

  /** What the schedules do every day, and a person who looks what there is to go back to. */
  async keepHouse(): Promise<void> {
    const { timeline } = this;
    timeline.heading('The day after');
    await timeline.step('Take the scheduled snapshot', () =>
      this.invoke('scheduled-snapshot', { scheduledTime: this.now().toISOString(), timeZone: 'UTC' }),
    );
    await timeline.step('Reap what is past its time', () => this.invoke('reap-snapshots', {}));
    await timeline.step(
      'List the restore points',
      async () =>
        z.object({ points: z.array(z.unknown()) }).parse(await this.invoke('restore-points', {})).points,
      (points) => String(points.length),
    );
    const { instance } = await this.live();
    const [taken] = readQuarantine(instance.TagList);
    if (taken)
      await timeline.step(`Lift the quarantine of ${taken.name}`, () =>
        this.invoke('lift-quarantine', {
          migration: taken.name,
          requestedBy: 'drill',
          reason: 'it was not at fault',
        }),
      );
  }

  /** What the gate says to a deployment of which it is not told what is pending. */
  async askGate(deploymentId: string): Promise<string> {
    const answer = await this.invokeGate({ deploymentId, actor: 'drill' });
    return 'reason' in answer ? `${answer.status}: ${answer.reason}` : answer.status;
  }

  private async invokeGate(event: object): Promise<z.infer<typeof GateAnswer>> {
    return GateAnswer.parse(await this.invoke('pre-migration-snapshot', event));
  }

  /** Invokes a function of the environment as a person does, and waits for its answer. @throws Error with its error */
  async invoke(name: string, event: object): Promise<unknown> {
    const { Payload, FunctionError } = await this.clients.lambda.send(
      new InvokeCommand({ FunctionName: `${ENVIRONMENT}-${name}`, Payload: JSON.stringify(event) }),
    );
    const text = Buffer.from(Payload ?? []).toString();
    if (FunctionError !== undefined) throw new Error(`The function ${name} failed: ${text}`);
    return JSON.parse(text);
  }

  /** A document in the bucket of the records; undefined as long as there is none. */
  async record(key: string): Promise<string | undefined> {
    const stack = deployedTo(this.sandbox.context).stack('Production-Rollback');
    const [bucket] = resourcesOfType(stack, 'AWS::S3::Bucket');
    const { api, callers } = this.sandbox.context;
    const input = { Bucket: bucket?.physicalId, Key: key };
    try {
      const found = await api.call('s3', 'GetObject', input, callers.administrator());
      return Buffer.from(z.object({ Body: z.instanceof(Uint8Array) }).parse(found).Body).toString();
    } catch (error) {
      if (error instanceof ApiError && error.code === 'NoSuchKey') return undefined;
      throw error;
    }
  }

  /** Starts `production-recovery` as the console does, answers what it asks and waits for its end. */
  async recover(input: unknown, answer: OnCall = yes): Promise<RecoveryRun> {
    this.executions++;
    return this.answering(answer, () =>
      runRecovery({
        client: this.clients.stepFunctions,
        service: this.sandbox.stepFunctions,
        timeline: this.timeline,
        stateMachineArn: this.machineArn(),
        name: `drill-${this.executions}`,
        input,
      }),
    );
  }

  /** Redrives an execution that has failed, as the console does, answers what it asks and waits for its end. */
  async redrive(run: RecoveryRun, answer: OnCall = yes): Promise<RecoveryRun> {
    return this.answering(answer, () =>
      redriveRecovery({
        client: this.clients.stepFunctions,
        service: this.sandbox.stepFunctions,
        timeline: this.timeline,
        run,
      }),
    );
  }

  private async answering<T>(answer: OnCall, work: () => Promise<T>): Promise<T> {
    const leave = answerQuestions(this.sandbox, ENVIRONMENT, answer);
    try {
      return await work();
    } finally {
      leave();
    }
  }

  /** What a pipeline does with a migration that nobody knows to be bad: the snapshot first, then `prisma migrate deploy`; `meanwhile` happens in between. */
  async deployBadMigration(
    name: BadMigrationName,
    meanwhile: () => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    const { migrationName, shows } = badMigration(name);
    this.timeline.heading(`CI deploys ${migrationName}`);
    await this.project.addBadMigration(name);
    await this.timeline.step(
      'Take the pre-migration snapshot',
      (update) => this.takePreMigrationSnapshot(`deploy-${migrationName}`, update),
      (snapshotId) => snapshotId,
    );
    await meanwhile();
    await this.timeline.step('prisma migrate deploy', () => this.tryMigrate());
    this.timeline.note(`The migration ${shows}.`);
  }

  /** Names of the migrations that Prisma recorded as applied, oldest first. */
  async recordedMigrations(): Promise<string[]> {
    const { rows } = await this.withDatabase((client) =>
      client.query<{ migration_name: string }>(
        'SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL ORDER BY started_at, migration_name',
      ),
    );
    return rows.map(({ migration_name }) => migration_name);
  }

  /** Waits until the automated backups of the live instance cover a moment. */
  async untilRestorableTo(time: Date): Promise<void> {
    for (;;) {
      const { instance } = await this.live();
      if (instance.LatestRestorableTime !== undefined && instance.LatestRestorableTime > time) return;
      await this.sandbox.context.clock.sleep(30_000);
    }
  }

  async untilSnapshotAvailable(snapshotId: string): Promise<void> {
    while (
      (await this.snapshots()).find(({ DBSnapshotIdentifier }) => DBSnapshotIdentifier === snapshotId)
        ?.Status !== 'available'
    )
      await this.sandbox.context.clock.sleep(10_000);
  }

  /** Runs SQL in the live database as RDS's own user, who may do what a master user may on RDS: make extensions. */
  async asAdministrator(statement: string): Promise<readonly Record<string, unknown>[]> {
    const { instance } = await this.live();
    const database = new URL((await this.databaseUrl()).url).pathname.slice(1);
    const server = this.sandbox.rds.server(instance.DBInstanceIdentifier ?? '');
    return (await server?.admin(statement, [], database)) ?? [];
  }

  /** Blocks of tables with their indexes, in the live database. */
  async blocksOf(tables: readonly string[]): Promise<number> {
    const names = tables.map((name) => `'${name}'`).join(', ');
    const [row] = await this.asAdministrator(
      `select coalesce(sum((pg_relation_size(t) + pg_indexes_size(t)) / 8192), 0)::int as blocks from unnest(array[${names}]::regclass[]) t`,
    );
    return Number(row?.blocks ?? 0);
  }

  /** Runs `work` when RDS is asked for the next snapshot, before it takes it. Returns a function that calls it off. */
  beforeSnapshot(work: () => Promise<void>): () => void {
    const unhook = this.sandbox.context.api.intercept(async ({ context }, next) => {
      if (context.operation === 'CreateDBSnapshot') {
        unhook();
        await work();
      }
      return next();
    });
    return unhook;
  }

  /** Runs `work` right after Swap has moved AWSCURRENT. Returns a function that calls it off. */
  afterSwap(work: () => Promise<void>): () => void {
    return this.sandbox.context.api.intercept(async ({ context, input }, next) => {
      const output = await next();
      const moved = context.operation === 'UpdateSecretVersionStage' && input.VersionStage === 'AWSCURRENT';
      if (moved && context.caller.functionName === `${ENVIRONMENT}-swap`) await work();
      return output;
    });
  }

  /** Runs `work` when a function has answered, before the machine hears it. Returns a function that calls it off. */
  afterFunction(name: string, work: () => Promise<void>): () => void {
    return this.sandbox.context.api.intercept(async ({ context, input }, next) => {
      const output = await next();
      const called =
        context.operation === 'Invoke' && String(input.FunctionName).includes(`${ENVIRONMENT}-${name}`);
      if (called && output.FunctionError === undefined) await work();
      return output;
    });
  }

  /** Stops what runs of the recovery machine, as the console does. */
  async stopRecoveries(): Promise<void> {
    const { stepFunctions } = this.clients;
    const { executions = [] } = await stepFunctions.send(
      new ListExecutionsCommand({ stateMachineArn: this.machineArn(), statusFilter: 'RUNNING' }),
    );
    for (const { executionArn } of executions)
      await stepFunctions.send(new StopExecutionCommand({ executionArn, cause: 'stopped by the drill' }));
  }

  private machineArn(): string {
    return arn(this.sandbox.context.account, 'states', `stateMachine:${ENVIRONMENT}-recovery`);
  }

  /**
   * Starts writers that nobody stops: as the application, and as the master user. They write to the instance that is live now,
   * wherever DATABASE_URL leads later.
   */
  async startWriters(): Promise<{ stop(): Promise<Written[]> }> {
    const url = new URL((await this.databaseUrl()).url);
    const master = await this.master();
    await this.withDatabase(async (client) => {
      await client.query('create schema drill');
      await client.query(`create table ${HAMMERED} (writer text, number int)`);
      await client.query('grant usage on schema drill to public');
      await client.query(`grant insert on ${HAMMERED} to public`);
    });
    const login = {
      host: url.hostname,
      port: Number(url.port === '' ? 5432 : url.port),
      database: url.pathname.slice(1),
      ssl: { ca: await readFile(this.sandbox.postgres.authority.caFile, 'utf8') },
    };
    const writers = [
      new Writer('application', {
        ...login,
        user: decodeURIComponent(url.username),
        password: decodeURIComponent(url.password),
      }),
      new Writer('master', { ...login, user: master.username, password: master.password }),
    ];
    return { stop: () => Promise.all(writers.map((writer) => writer.stop())) };
  }

  private async master(): Promise<z.infer<typeof Master>> {
    const { SecretString = '' } = await this.clients.secrets.send(
      new GetSecretValueCommand({ SecretId: MASTER_SECRET }),
    );
    return Master.parse(JSON.parse(SecretString));
  }

  /** What a rotation does: new passwords in the database and in the secrets, with characters that mean something in a URL. */
  async rotatePasswords(): Promise<void> {
    const { url } = await this.databaseUrl();
    const application = new URL(url);
    const master = await this.master();
    const set = (user: string, password: string) =>
      this.asAdministrator(`alter role "${user}" password '${password}'`);
    const next = (): string => `a/b@c:d?e#f%g&${randomUUID()}`;
    const [ofApplication, ofMaster] = [next(), next()];
    await set(decodeURIComponent(application.username), ofApplication);
    await set(master.username, ofMaster);
    application.password = encodeURIComponent(ofApplication);
    for (const [SecretId, SecretString] of [
      [SECRET_NAME, application.href],
      [MASTER_SECRET, JSON.stringify({ ...master, password: ofMaster })],
    ])
      await this.clients.secrets.send(new PutSecretValueCommand({ SecretId, SecretString }));
  }

  /** Whether the live instance lets the master user in with what its secret says. */
  async masterGetsIn(): Promise<boolean> {
    const [{ username: user, password }, { host, port }] = [await this.master(), await this.live()];
    const ca = await readFile(this.sandbox.postgres.authority.caFile, 'utf8');
    const client = clientOf({ host, port, user, password, database: 'postgres', ssl: { ca } });
    try {
      await client.connect();
      return true;
    } catch {
      return false;
    } finally {
      await client.end();
    }
  }

  /** What the writers have committed on an instance, asked as RDS's own user, whom no fence keeps out. */
  async writtenTo(instanceId: string): Promise<Set<string>> {
    const { pathname } = new URL((await this.databaseUrl()).url);
    const rows = await this.sandbox.rds
      .server(instanceId)
      ?.admin(`select writer || ' ' || number as row from ${HAMMERED}`, [], pathname.slice(1));
    return new Set((rows ?? []).map(({ row }) => String(row)));
  }

  /** Rows of a table of an instance, asked as RDS's own user, whom no fence keeps out; undefined where there is no such instance. */
  async rowsOf(instanceId: string, table: string): Promise<number | undefined> {
    const { pathname } = new URL((await this.databaseUrl()).url);
    const rows = await this.sandbox.rds
      .server(instanceId)
      ?.admin(`select count(*)::int as count from ${table}`, [], pathname.slice(1));
    return rows && Number(rows[0]?.count);
  }

  /** With what SQLSTATE an instance refuses the application; undefined where it lets it in. */
  async refusalOf(instanceId: string): Promise<string | undefined> {
    const { Address, Port } = (await this.instance(instanceId))?.Endpoint ?? {};
    const url = new URL((await this.databaseUrl()).url);
    url.search = '';
    url.host = `${Address ?? ''}:${Port ?? 0}`;
    const ca = await readFile(this.sandbox.postgres.authority.caFile, 'utf8');
    const client = clientOf({ connectionString: url.href, ssl: { ca } });
    try {
      await client.connect();
      return undefined;
    } catch (error) {
      return error instanceof DatabaseError ? error.code : String(error);
    } finally {
      await client.end();
    }
  }

  /** RDS refuses what needs a snapshot, as with a quota that is used up. Returns a function that makes room. */
  withoutRoomForFinalSnapshot(): () => void {
    return this.sandbox.context.api.intercept(async ({ context }, next) => {
      if (context.operation === 'DeleteDBInstance')
        throw new ApiError('SnapshotQuotaExceeded', 'Cannot create more than 100 manual snapshots');
      return next();
    });
  }

  /** Whether the application, having looked at its secret again, is connected to this database, and what its beat was refused with. */
  async applicationOn(
    live: LiveDatabase,
  ): Promise<{ connected: boolean; refusal: string | undefined; detail: string }> {
    await this.application.refresh();
    const works = await this.application.beat();
    const { server, lastError } = this.application.stats();
    return {
      connected: server?.host === live.host && server.port === live.port,
      refusal: works ? undefined : (lastError?.code ?? 'no answer'),
      detail: `${server?.host ?? 'nowhere'}:${server?.port ?? 0}${works ? '' : `: ${lastError?.message ?? 'no answer'}`}`,
    };
  }
}

function assemblyOf({ context }: Sandbox): string {
  return join(context.directory, 'assembly');
}

/** One that breaks while nobody waits for an answer, as when the sandbox stops at Ctrl-C, must not end the process. */
function clientOf(config: ClientConfig): Client {
  const client = new Client(config);
  client.on('error', () => undefined);
  return client;
}
