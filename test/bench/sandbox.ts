import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  CreateDBInstanceCommand,
  CreateDBSnapshotCommand,
  DeleteDBInstanceCommand,
  DescribeDBInstancesCommand,
  RestoreDBInstanceFromDBSnapshotCommand,
  waitUntilDBInstanceAvailable,
  waitUntilDBSnapshotAvailable,
  type DBInstance,
  type RDSClient,
} from '@aws-sdk/client-rds';
import { Client } from 'pg';
import { RealClock } from '../../sandbox/core/clock';
import { durations } from '../../sandbox/rds/durations';
import { Sandbox } from '../../sandbox/sandbox';
import { DESCRIBE } from './describe-request';
import type { Measurement } from './measurement';
import { memoryOfTree } from './memory';

const run = promisify(execFile);
const PASSWORD = 'bench-Password1';
/** Calls that are timed. */
const CALLS = 4000;
const SERVERS = 50;
const GIB = 1024 ** 3;
/** The waiters of the SDK, asking as often as they can. */
const OFTEN = { maxWaitTime: 300, minDelay: 0.02, maxDelay: 0.02 };

/** How quick and how small the sandbox is, beside the bare work. */
export async function measureSandbox(): Promise<Measurement[]> {
  const start = await firstCall();
  const sandbox = await Sandbox.start({ clock: new RealClock(), durations: durations('quick') });
  try {
    const { rds } = sandbox.clients();
    const empty = await timed(() => create(rds, 'empty'));
    const calls = await describes(sandbox.context.endpoint);
    const [restore, copy] = await restoreOfOneGigabyte(sandbox, rds);
    const memory = await manyServers(sandbox);
    return [
      start,
      { name: 'an empty instance', unit: 's', measured: empty, limit: 1.5 },
      calls,
      { name: 'restore of 1 GiB, beside a copy', unit: 's', measured: restore, floor: copy, limit: 1.5 },
      { name: `${SERVERS} servers at once`, unit: 'MiB', measured: memory, limit: 3 * 1024 },
    ];
  } finally {
    await sandbox.stop();
  }
}

/** From the start of the process to the first answer. */
async function firstCall(): Promise<Measurement> {
  const untilAnswered = async (): Promise<void> => {
    const child = spawn(process.execPath, ['--import', 'tsx', join(__dirname, 'first-call.ts')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    answered = performance.now();
    await once(child, 'exit');
  };
  let answered = 0;
  // The first run fills the caches of files and of compiled sources.
  await untilAnswered();
  const began = performance.now();
  await untilAnswered();
  return { name: 'start to first answered call', unit: 's', measured: (answered - began) / 1000, limit: 2 };
}

async function create(rds: RDSClient, id: string): Promise<DBInstance> {
  await rds.send(
    new CreateDBInstanceCommand({
      DBInstanceIdentifier: id,
      Engine: 'postgres',
      DBInstanceClass: 'db.t4g.micro',
      AllocatedStorage: 20,
      MasterUsername: 'bench',
      MasterUserPassword: PASSWORD,
      DBName: 'app',
      BackupRetentionPeriod: 0,
    }),
  );
  return available(rds, id);
}

async function available(rds: RDSClient, id: string): Promise<DBInstance> {
  await waitUntilDBInstanceAvailable({ client: rds, ...OFTEN }, { DBInstanceIdentifier: id });
  const { DBInstances } = await rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: id }));
  const instance = DBInstances?.[0];
  if (!instance) throw new Error(`Instance ${id} is gone.`);
  return instance;
}

/** One describe beside an HTTP server that answers everything with the same bytes; milliseconds per call. */
async function describes(endpoint: string): Promise<Measurement> {
  const answer = await (await fetch(endpoint, DESCRIBE)).text();
  const bare = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(200, { 'content-type': 'text/xml' }).end(answer));
  });
  await once(bare.listen(0, '127.0.0.1'), 'listening');
  const address = bare.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const floor = await perCall(`http://127.0.0.1:${String(port)}`);
  bare.close();
  bare.closeAllConnections();
  return { name: 'a describe', unit: 'ms', measured: await perCall(endpoint), floor, limit: 1 / floor };
}

async function perCall(endpoint: string): Promise<number> {
  const script = join(__dirname, 'describes.ts');
  const { stdout } = await run(process.execPath, ['--import', 'tsx', script, endpoint, String(CALLS)]);
  return Number(stdout) / CALLS;
}

/** Seconds that a restore takes, and a plain recursive copy of the same data directory. */
async function restoreOfOneGigabyte(sandbox: Sandbox, rds: RDSClient): Promise<[number, number]> {
  const { Endpoint, DbiResourceId } = await create(rds, 'large');
  const client = new Client({
    host: Endpoint?.Address,
    port: Endpoint?.Port,
    user: 'bench',
    password: PASSWORD,
    database: 'app',
    ssl: { ca: readFileSync(sandbox.postgres.authority.caFile, 'utf8') },
  });
  await client.connect();
  await client.query(
    `create table filler as select i, repeat(md5(i::text), 30) as text from generate_series(1, ${GIB / 1024}) i`,
  );
  await client.query('checkpoint');
  await client.end();
  await rds.send(
    new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'large', DBSnapshotIdentifier: 'large' }),
  );
  await waitUntilDBSnapshotAvailable({ client: rds, ...OFTEN }, { DBSnapshotIdentifier: 'large' });
  const restore = await timed(async () => {
    await rds.send(
      new RestoreDBInstanceFromDBSnapshotCommand({
        DBInstanceIdentifier: 'restored',
        DBSnapshotIdentifier: 'large',
        BackupRetentionPeriod: 0,
      }),
    );
    await available(rds, 'restored');
  });
  const target = await mkdtemp(join(tmpdir(), 'bench-copy-'));
  try {
    const source = join(sandbox.context.directory, 'rds', 'instances', DbiResourceId ?? '');
    const copy = await timed(() => run('cp', ['-r', source, target]));
    return [restore, copy];
  } finally {
    await rm(target, { recursive: true, force: true });
    for (const id of ['large', 'restored'])
      await rds.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: id, SkipFinalSnapshot: true }));
  }
}

/** MiB of this process and all its servers, each with a session. AWS's quota is 40 instances: so these are bare servers. */
async function manyServers({ postgres, context }: Sandbox): Promise<number> {
  const ca = readFileSync(postgres.authority.caFile, 'utf8');
  const sessions: Client[] = [];
  for (let index = 0; index < SERVERS; index++) {
    const address = await postgres.reserveAddress(5432);
    await postgres.create({
      directory: join(context.directory, `server-${index}`),
      address,
      parameters: {},
      forceTls: true,
      masterUsername: 'bench',
      masterPassword: PASSWORD,
      databaseName: 'app',
    });
    const session = new Client({
      host: address.host,
      port: address.port,
      user: 'bench',
      password: PASSWORD,
      database: 'app',
      ssl: { ca },
    });
    await session.connect();
    await session.query('select count(*) from pg_class');
    sessions.push(session);
  }
  const memory = memoryOfTree(process.pid) / 1024;
  await Promise.all(sessions.map((session) => session.end()));
  return memory;
}

/** Seconds. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}
