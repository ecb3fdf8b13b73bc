import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InvokeCommand } from '@aws-sdk/client-lambda';
import {
  DescribeDBInstancesCommand,
  paginateDescribeDBInstances,
  paginateDescribeDBSnapshots,
  type DBInstance,
  type DBSnapshot,
} from '@aws-sdk/client-rds';
import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { Client } from 'pg';
import type { PreMigrationSnapshotResult } from '../../lambdas/contract';
import { arn } from '../core/account';
import { prisma } from '../prisma/cli';
import { digest, type Digest } from '../sample-app/digest';
import { fill } from '../sample-app/fill';
import { prepareProject, type Project } from '../sample-app/project';
import { Sandbox } from '../sandbox';
import { synthesise } from '../synthesise';
import { runRecovery, type RecoveryRun } from './recovery';
import type { Timeline } from './timeline';

export const ENVIRONMENT = 'production';
const STACKS = ['Production-Database', 'Production-Rollback'];
const SECRET_NAME = `${ENVIRONMENT}/database-url`;

/** What DATABASE_URL names: an instance of RDS, and the version of the secret that says so. */
export interface LiveDatabase {
  readonly instance: DBInstance;
  readonly host: string;
  readonly port: number;
  readonly versionId: string;
}

/** The scene of a drill: the production stacks in a sandbox, and the sample app's database in them. */
export class Stage {
  private constructor(
    readonly sandbox: Sandbox,
    readonly project: Project,
    readonly timeline: Timeline,
    private readonly caFile: string,
  ) {}

  /** Deploys the stacks, migrates the app's database with Prisma and fills it. */
  static async set(sandbox: Sandbox, timeline: Timeline, rows: number): Promise<Stage> {
    const assembly = join(sandbox.context.directory, 'assembly');
    await timeline.step('Synthesise the CDK app', () => synthesise(assembly, [ENVIRONMENT]));
    await timeline.step(`Deploy ${STACKS.join(' and ')}`, (update) =>
      sandbox.deploy(assembly, STACKS, update),
    );
    const project = await prepareProject(join(sandbox.context.directory, 'task-tracker'));
    const stage = new Stage(sandbox, project, timeline, sandbox.postgres.authority.caFile);
    await timeline.step('Migrate the task tracker with Prisma', () => stage.migrate());
    await timeline.step(`Fill it with ${rows.toLocaleString('en')} rows`, () =>
      stage.withDatabase((client) => fill(client, { rows })),
    );
    return stage;
  }

  /** The value of DATABASE_URL, as an application reads it. */
  async databaseUrl(): Promise<{ url: string; versionId: string }> {
    const { SecretString, VersionId } = await this.sandbox
      .clients()
      .secrets.send(new GetSecretValueCommand({ SecretId: SECRET_NAME }));
    if (SecretString === undefined || VersionId === undefined)
      throw new Error(`The secret ${SECRET_NAME} has no value.`);
    return { url: SecretString, versionId: VersionId };
  }

  /** Runs `work` on a connection made from DATABASE_URL, or from `url`. */
  async withDatabase<T>(work: (client: Client) => Promise<T>, url?: string): Promise<T> {
    const address = new URL(url ?? (await this.databaseUrl()).url);
    address.search = '';
    const client = new Client({
      connectionString: address.href,
      ssl: { ca: await readFile(this.caFile, 'utf8') },
    });
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  }

  async digest(): Promise<Digest> {
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
    for await (const page of paginateDescribeDBInstances({ client: this.sandbox.clients().rds }, {}))
      found.push(...(page.DBInstances ?? []));
    return found;
  }

  async instance(id: string): Promise<DBInstance | undefined> {
    return (await this.instances()).find(({ DBInstanceIdentifier }) => DBInstanceIdentifier === id);
  }

  async snapshots(): Promise<DBSnapshot[]> {
    const found: DBSnapshot[] = [];
    for await (const page of paginateDescribeDBSnapshots(
      { client: this.sandbox.clients().rds },
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
    return prisma(['migrate', 'deploy'], {
      databaseUrl: url,
      projectDirectory: this.project.directory,
      caFile: this.caFile,
    });
  }

  /** What CI does before a migration: invokes the function until its answer is final, and stops at anything but a yes. */
  async takePreMigrationSnapshot(deploymentId: string, update: (text: string) => void): Promise<string> {
    const { url } = await this.databaseUrl();
    const migrations = await this.project.pendingMigrations(url, this.caFile);
    for (;;) {
      const answer = await this.invokeGate({ deploymentId, migrations, actor: 'drill' });
      if (answer.status === 'available') return answer.snapshotId;
      if (answer.status !== 'creating')
        throw new Error(`The pre-migration snapshot was ${answer.status}: ${answer.reason}`);
      update(`${answer.progressPercent} %`);
      await this.sandbox.context.clock.sleep(10_000);
    }
  }

  private async invokeGate(event: object): Promise<PreMigrationSnapshotResult> {
    const { Payload, FunctionError } = await this.sandbox.clients().lambda.send(
      new InvokeCommand({
        FunctionName: `${ENVIRONMENT}-pre-migration-snapshot`,
        Payload: JSON.stringify(event),
      }),
    );
    const text = Buffer.from(Payload ?? []).toString();
    if (FunctionError !== undefined) throw new Error(`The pre-migration function failed: ${text}`);
    return JSON.parse(text) as PreMigrationSnapshotResult;
  }

  /** Starts `production-recovery` as the console does and waits for its end. */
  async recover(input: unknown, name: string): Promise<RecoveryRun> {
    const { account } = this.sandbox.context;
    return runRecovery({
      client: this.sandbox.clients().stepFunctions,
      service: this.sandbox.stepFunctions,
      timeline: this.timeline,
      stateMachineArn: arn(account, 'states', `stateMachine:${ENVIRONMENT}-recovery`),
      name,
      input,
    });
  }
}
