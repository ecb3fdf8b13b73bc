import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import {
  CreateDBInstanceCommand,
  CreateDBParameterGroupCommand,
  DescribeDBInstancesCommand,
  ModifyDBParameterGroupCommand,
  type DBInstance,
} from '@aws-sdk/client-rds';
import { CreateSecretCommand } from '@aws-sdk/client-secrets-manager';
import {
  CreateStateMachineCommand,
  DescribeExecutionCommand,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn';
import type { CheckMigrationsResult, PreMigrationSnapshotResult } from '../../../lambdas/contract/gate';
import type { PlanResult } from '../../../lambdas/contract/plan';
import type { Recovery } from '../../../lambdas/contract/recovery';
import type { InstancePrice } from '../../../lambdas/contract/rules';
import { readLogin } from '../../../lambdas/database-url';
import { checked } from '../../../lambdas/migration-check';
import { withConnection } from '../../../lambdas/postgres';
import { currentSecret } from '../../../lambdas/secrets';
import { applicationDatabase } from '../../../lambdas/steps/application-database';
import { checkMigrations } from '../../../lambdas/steps/check-migrations';
import { plan, type PlanDeps } from '../../../lambdas/steps/plan';
import {
  preMigrationSnapshot,
  type PreMigrationSnapshotDeps,
} from '../../../lambdas/steps/pre-migration-snapshot';
import type { TeamCheck } from '../../../lambdas/team-checks';
import { RealClock, type Clock } from '../../../sandbox/core/clock';
import { durations } from '../../../sandbox/rds/durations';
import { Sandbox } from '../../../sandbox/sandbox';
import { until } from '../../until';

const MASTER = { username: 'master', password: 'first-Password1' };

interface LabOptions {
  /** 0: none, for those who let many days pass. */
  readonly automatedBackupDays?: number;
  /** Of a parameter group of its own; none: the default one. */
  readonly parameters?: Readonly<Record<string, string>>;
}

/** A sandbox with one database as the stacks would make it, and what the functions get. */
export class Lab {
  readonly environment = 'production' as const;
  readonly snapshotRetentionDays = 90;
  /** Of the team; none but where a test has some. */
  readonly teamChecks: TeamCheck[] = [];
  readonly recoveryRules = { approveCutover: false, approveRetirement: true, consumers: [] };
  readonly instancePrice: InstancePrice | undefined = undefined;
  readonly now = (): Date => this.sandbox.context.clock.now();
  /** What the gate asks by way of a function in the VPC. */
  readonly checkMigrations = (event: Parameters<typeof checkMigrations>[0]): Promise<CheckMigrationsResult> =>
    checkMigrations(event, this).then(checked);

  private constructor(
    readonly sandbox: Sandbox,
    readonly rds: ReturnType<Sandbox['clients']>['rds'],
    readonly secrets: ReturnType<Sandbox['clients']>['secrets'],
    readonly stepFunctions: ReturnType<Sandbox['clients']>['stepFunctions'],
    readonly cloudWatch: ReturnType<Sandbox['clients']>['cloudWatch'],
    readonly masterSecretId: string,
    readonly databaseUrlSecretId: string,
    readonly machineArn: string,
    private readonly distrust: () => void,
  ) {}

  static async start(
    clock: Clock = new RealClock(),
    { automatedBackupDays = 7, parameters = {} }: LabOptions = {},
  ): Promise<Lab> {
    const sandbox = await Sandbox.start({ clock, durations: durations('quick') });
    try {
      const { rds, secrets, stepFunctions, cloudWatch } = sandbox.clients();
      const distrust = trust(sandbox.postgres.authority.caFile);
      const ownParameters = Object.entries(parameters);
      if (ownParameters.length > 0) {
        const DBParameterGroupName = 'own';
        const family = { DBParameterGroupFamily: 'postgres17', Description: 'As the stacks make it' };
        await rds.send(new CreateDBParameterGroupCommand({ DBParameterGroupName, ...family }));
        const Parameters = ownParameters.map(([ParameterName, ParameterValue]) => ({
          ParameterName,
          ParameterValue,
          ApplyMethod: 'pending-reboot' as const,
        }));
        await rds.send(new ModifyDBParameterGroupCommand({ DBParameterGroupName, Parameters }));
      }
      await rds.send(
        new CreateDBInstanceCommand({
          DBInstanceIdentifier: 'orders',
          ...(ownParameters.length > 0 && { DBParameterGroupName: 'own' }),
          Engine: 'postgres',
          DBInstanceClass: 'db.t4g.micro',
          AllocatedStorage: 20,
          MasterUsername: MASTER.username,
          MasterUserPassword: MASTER.password,
          DBName: 'orders',
          BackupRetentionPeriod: automatedBackupDays,
          DeletionProtection: true,
          Tags: [{ Key: 'team', Value: 'orders' }],
        }),
      );
      const master = await secrets.send(
        new CreateSecretCommand({ Name: 'master', SecretString: JSON.stringify(MASTER) }),
      );
      const url = await secrets.send(new CreateSecretCommand({ Name: 'production/database-url' }));
      const machine = await stepFunctions.send(
        new CreateStateMachineCommand({
          name: 'production-recovery',
          roleArn: 'arn:aws:iam::123456789012:role/machine',
          definition: JSON.stringify({ StartAt: 'Done', States: { Done: { Type: 'Succeed' } } }),
        }),
      );
      const lab = new Lab(
        sandbox,
        rds,
        secrets,
        stepFunctions,
        cloudWatch,
        master.ARN ?? '',
        url.ARN ?? '',
        machine.stateMachineArn ?? '',
        distrust,
      );
      const live = await until(
        () => lab.instance('orders'),
        (instance) => instance?.DBInstanceStatus === 'available',
      );
      await applicationDatabase(
        {
          host: live?.Endpoint?.Address ?? '',
          port: live?.Endpoint?.Port ?? 0,
          databaseName: 'orders',
          applicationRole: 'orders_app',
        },
        lab,
      );
      return lab;
    } catch (error) {
      await sandbox.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.distrust();
    for (const client of [this.rds, this.secrets, this.stepFunctions, this.cloudWatch]) client.destroy();
    await this.sandbox.stop();
  }

  async instance(id: string): Promise<DBInstance | undefined> {
    const { DBInstances } = await this.rds.send(new DescribeDBInstancesCommand({}));
    return DBInstances?.find(({ DBInstanceIdentifier }) => DBInstanceIdentifier === id);
  }

  /** Runs SQL as the application, with what the secret says now. */
  async sql(text: string): Promise<Record<string, unknown>[]> {
    const { value } = await currentSecret(this.secrets, this.databaseUrlSecretId);
    return withConnection(readLogin(value), (connection) => connection.query(text));
  }

  /** What the gate gets, with `changes`. */
  gate(changes: Partial<PreMigrationSnapshotDeps> = {}): PreMigrationSnapshotDeps {
    const { rds, secrets, stepFunctions, environment, now, checkMigrations: check } = this;
    const { databaseUrlSecretId, masterSecretId, snapshotRetentionDays } = this;
    const ids = { databaseUrlSecretId, masterSecretId, snapshotRetentionDays };
    return { rds, secrets, stepFunctions, environment, now, checkMigrations: check, ...ids, ...changes };
  }

  async snapshot(deploymentId: string, ...migrations: string[]): Promise<PreMigrationSnapshotResult> {
    // None at all: what is pending is not known. An empty list says that nothing is, and nothing is taken.
    const pending = migrations.length > 0 ? { migrations: migrations.map((name) => ({ name })) } : {};
    return until(
      () => preMigrationSnapshot({ deploymentId, ...pending }, this),
      ({ status }) => status !== 'creating',
    );
  }

  /** Planned by an execution of its own, of `machineArn`; the lab's ends at once, so that it stands in nobody's way. */
  async plan(
    input: unknown,
    name = 'test',
    machineArn = this.machineArn,
    changes: Partial<PlanDeps> = {},
  ): Promise<PlanResult> {
    return this.planOf(await this.execution(name, machineArn), input, changes);
  }

  /** Planned by an execution that has begun. */
  async planOf(
    execution: { arn: string; name: string; startTime: string },
    input: unknown,
    changes: Partial<PlanDeps> = {},
  ): Promise<PlanResult> {
    const { rds, secrets, stepFunctions, cloudWatch, environment, now, checkMigrations: check } = this;
    const { databaseUrlSecretId, instancePrice, recoveryRules } = this;
    const clients = { rds, secrets, stepFunctions, cloudWatch };
    const deps = { ...clients, environment, now, databaseUrlSecretId, instancePrice, recoveryRules };
    return plan({ execution, input }, { ...deps, checkMigrations: check, ...changes });
  }

  /** An execution that has begun, as Plan is told of it. */
  async execution(
    name: string,
    stateMachineArn = this.machineArn,
    input: unknown = {},
  ): Promise<{ arn: string; name: string; startTime: string }> {
    const unique = `${name}-${randomUUID()}`;
    const { executionArn = '', startDate } = await this.stepFunctions.send(
      new StartExecutionCommand({ stateMachineArn, name: unique, input: JSON.stringify(input) }),
    );
    if (stateMachineArn === this.machineArn)
      await until(
        () => this.stepFunctions.send(new DescribeExecutionCommand({ executionArn })),
        ({ status }) => status !== 'RUNNING',
      );
    return { arn: executionArn, name: unique, startTime: startDate?.toISOString() ?? '' };
  }

  /** A machine whose executions run until they are stopped. */
  async machineThatRuns(name: string): Promise<string> {
    const { stateMachineArn = '' } = await this.stepFunctions.send(
      new CreateStateMachineCommand({
        name,
        roleArn: 'arn:aws:iam::123456789012:role/machine',
        definition: JSON.stringify({
          StartAt: 'Wait',
          States: { Wait: { Type: 'Wait', Seconds: 100_000, End: true } },
        }),
      }),
    );
    return stateMachineArn;
  }

  async planned(more: object = {}, name = 'test', machineArn = this.machineArn): Promise<Recovery> {
    const input = { mode: 'recover', reason: 'a test', requestedBy: 'jest', ...more };
    return (await this.plan(input, name, machineArn)).recovery;
  }
}

/** Prisma's own table, as the sample app's first deployment makes it. */
export const migrationTable = `create table _prisma_migrations (
  id text primary key, checksum text not null, finished_at timestamptz, migration_name text not null, logs text,
  rolled_back_at timestamptz, started_at timestamptz not null default now(), applied_steps_count int not null default 0)`;

/** Calls a step as the state machine does: again while it throws its "not yet" error. */
export async function again<T>(notYet: string, step: () => Promise<T>): Promise<T> {
  const answer = await until(
    () =>
      step().then(
        (result) => ({ result }),
        (error: unknown) => {
          if (error instanceof Error && error.name === notYet) return undefined;
          throw error;
        },
      ),
    (result) => result !== undefined,
  );
  if (!answer) throw new Error('unreachable');
  return answer.result;
}

/**
 * What NODE_EXTRA_CA_CERTS does for a function, for this process: it is read only when Node starts. The world's authorities are
 * not among them: nothing here connects to what they vouch for, and to read them takes 40 ms a connection.
 */
function trust(caFile: string): () => void {
  const certificate = readFileSync(caFile, 'utf8');
  const original = tls.createSecureContext;
  tls.createSecureContext = (options) => original({ ...options, ca: certificate });
  return () => {
    tls.createSecureContext = original;
  };
}
