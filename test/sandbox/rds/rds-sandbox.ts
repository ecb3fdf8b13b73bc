import { randomInt } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RDSClient, type DBInstance } from '@aws-sdk/client-rds';
import {
  CreateDBInstanceCommand,
  DescribeDBInstancesCommand,
  DescribeDBSnapshotsCommand,
  type CreateDBInstanceMessage,
  type DBSnapshot,
} from '@aws-sdk/client-rds';
import { Client } from 'pg';
import { z } from 'zod';
import { Callers, SANDBOX_ACCOUNT } from '../../../sandbox/core/account';
import { Api } from '../../../sandbox/core/api';
import { held, VirtualClock, type Clock } from '../../../sandbox/core/clock';
import type { Postgres } from '../../../sandbox/postgres/contract';
import { startPostgres } from '../../../sandbox/postgres/postgres';
import { durations, type DurationProfileName } from '../../../sandbox/rds/durations';
import { RdsService } from '../../../sandbox/rds/service';
import { PortTaken, startServer, type RunningServer } from '../../../sandbox/wire/server';
import { until } from '../../until';

export const MASTER_PASSWORD = 'first-Password1';

/** An RDS of its own, reached through the real SDK client over HTTP. */
export class RdsSandbox {
  private constructor(
    readonly clock: Clock,
    readonly client: RDSClient,
    readonly api: Api,
    readonly service: RdsService,
    private readonly postgres: Postgres,
    readonly log: readonly string[],
    private readonly end: () => Promise<void>,
  ) {}

  static async start(profile: DurationProfileName, clock: Clock = new VirtualClock()): Promise<RdsSandbox> {
    const directory = mkdtempSync(join(tmpdir(), 'rds-test-'));
    chmodSync(directory, 0o755);
    const lines: string[] = [];
    const log = (line: string): void => {
      lines.push(line);
    };
    const api = new Api();
    api.intercept((_call, next) => held(clock, next));
    const callers = new Callers(SANDBOX_ACCOUNT);
    const postgres = await startPostgres({
      directory: join(directory, 'postgres'),
      removeDirectoryOnExit: directory,
      log,
    });
    const server = await serve({ api, callers, log });
    const endpoint = `http://127.0.0.1:${server.port}`;
    const context = {
      account: SANDBOX_ACCOUNT,
      clock,
      callers,
      api,
      directory,
      endpoint,
      keep: () => undefined,
      log,
    };
    const service = new RdsService(context, { postgres, durations: durations(profile) });
    api.register(service);
    const client = new RDSClient({
      endpoint,
      region: SANDBOX_ACCOUNT.region,
      credentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'test' },
      maxAttempts: 1,
    });
    return new RdsSandbox(clock, client, api, service, postgres, lines, async () => {
      clock.stop();
      await service.stop();
      await postgres.stop();
      await server.close();
      client.destroy();
      await rm(directory, { recursive: true, force: true });
    });
  }

  stop(): Promise<void> {
    return this.end();
  }

  async create(id: string, more: Partial<CreateDBInstanceMessage> = {}): Promise<DBInstance> {
    await this.client.send(
      new CreateDBInstanceCommand({
        DBInstanceIdentifier: id,
        Engine: 'postgres',
        DBInstanceClass: 'db.t4g.micro',
        AllocatedStorage: 20,
        MasterUsername: 'master',
        MasterUserPassword: MASTER_PASSWORD,
        DBName: 'app',
        ...more,
      }),
    );
    return this.available(id);
  }

  async instance(id: string): Promise<DBInstance> {
    const { DBInstances } = await this.client.send(
      new DescribeDBInstancesCommand({ DBInstanceIdentifier: id }),
    );
    const [instance] = DBInstances ?? [];
    if (!instance) throw new Error(`no ${id}`);
    return instance;
  }

  /** The instance once it is available with nothing left to apply. */
  async available(id: string): Promise<DBInstance> {
    return until(
      () => this.instance(id),
      (instance) =>
        instance.DBInstanceStatus === 'available' &&
        Object.keys(instance.PendingModifiedValues ?? {}).length === 0 &&
        instance.DBParameterGroups?.[0]?.ParameterApplyStatus !== 'applying',
    );
  }

  /** Waits until there is no such instance any more. */
  async gone(id: string): Promise<void> {
    await until(
      () =>
        this.instance(id).then(
          () => '',
          (error: unknown) => (error instanceof Error ? error.name : ''),
        ),
      (name) => name === 'DBInstanceNotFoundFault',
    );
  }

  async snapshot(id: string): Promise<DBSnapshot> {
    const { DBSnapshots } = await this.client.send(
      new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: id }),
    );
    const [snapshot] = DBSnapshots ?? [];
    if (!snapshot) throw new Error(`no ${id}`);
    return snapshot;
  }

  async snapshotAvailable(id: string): Promise<DBSnapshot> {
    return until(
      () => this.snapshot(id),
      ({ Status }) => Status === 'available',
    );
  }

  /**
   * The statuses that an instance goes through on the virtual clock until `last`, with the minutes that each was seen; looks
   * every five seconds of the clock.
   */
  async statuses(id: string, last: string): Promise<Map<string, number>> {
    const seen = new Map<string, number>();
    for (let look = 0; look < 5000; look++) {
      const answer = await this.api.call(
        'rds',
        'DescribeDBInstances',
        { DBInstanceIdentifier: id },
        { arn: 'arn:aws:iam::123456789012:role/test' },
      );
      const { DBInstances } = z
        .object({ DBInstances: z.array(z.object({ DBInstanceStatus: z.string() })).length(1) })
        .parse(answer);
      const status = DBInstances[0]?.DBInstanceStatus ?? '';
      seen.set(status, (seen.get(status) ?? 0) + 5 / 60);
      if (status === last && seen.size > 1) return seen;
      await this.clock.sleep(5000);
    }
    throw new Error(`never ${last}: ${JSON.stringify([...seen])}`);
  }

  /** The name of the error with which the call ends. */
  async refusal(call: Promise<unknown>): Promise<{ name: string; message: string }> {
    try {
      await call;
    } catch (error) {
      if (error instanceof Error) return { name: error.name, message: error.message };
    }
    throw new Error('The call was not refused.');
  }

  /** Runs SQL as the master user, as an application does: through the endpoint, with a checked certificate. */
  async query(id: string, sql: string, password = MASTER_PASSWORD): Promise<Record<string, unknown>[]> {
    const { Endpoint } = await this.instance(id);
    const client = new Client({
      host: Endpoint?.Address ?? '',
      port: Endpoint?.Port ?? 0,
      user: 'master',
      password,
      database: 'app',
      ssl: { ca: readFileSync(this.postgres.authority.caFile, 'utf8') },
    });
    client.on('error', () => undefined);
    await client.connect();
    try {
      const { rows } = await client.query<Record<string, unknown>>(sql);
      return rows;
    } finally {
      await client.end();
    }
  }
}

/** Serves on a free port below the range that the system gives to clients. */
async function serve(options: Omit<Parameters<typeof startServer>[0], 'port'>): Promise<RunningServer> {
  for (;;) {
    try {
      return await startServer({ ...options, port: randomInt(20_000, 32_000) });
    } catch (error) {
      if (!(error instanceof PortTaken)) throw error;
    }
  }
}
