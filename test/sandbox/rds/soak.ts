import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateDBInstanceCommand,
  CreateDBSnapshotCommand,
  DeleteDBInstanceCommand,
  DeleteDBSnapshotCommand,
  DescribeDBInstancesCommand,
  DescribeDBSnapshotsCommand,
  RestoreDBInstanceFromDBSnapshotCommand,
  type RDSClient,
} from '@aws-sdk/client-rds';
import { Client } from 'pg';
import { VirtualClock } from '../../../sandbox/core/clock';
import { durations } from '../../../sandbox/rds/durations';
import { Sandbox } from '../../../sandbox/sandbox';
import { until } from '../../until';

const PASSWORD = 'soak-Password1';

/** What is left of the rounds, in one line for each leftover. */
export interface SoakReport {
  readonly rounds: number;
  readonly milliseconds: number;
  readonly leftovers: readonly string[];
}

/**
 * Creates an instance, writes to it, takes a snapshot, restores it, compares, and deletes everything, again and again,
 * `abreast` at a time; then looks for what was left behind, while the sandbox runs and after it has stopped.
 */
export async function soak(
  rounds: number,
  abreast: number,
  onRound: (done: number) => void = () => undefined,
): Promise<SoakReport> {
  const started = Date.now();
  const temporary = mkdtempSync(join(tmpdir(), 'soak-'));
  chmodSync(temporary, 0o755);
  const stateDirectory = join(temporary, 'state');
  const sandbox = await Sandbox.start({
    clock: new VirtualClock(),
    durations: durations('aws', 1),
    stateDirectory,
  });
  const leftovers: string[] = [];
  const addresses = new Set<string>();
  try {
    const { rds } = sandbox.clients();
    const { caFile } = sandbox.postgres.authority;
    let next = 0;
    let done = 0;
    const work = async (): Promise<void> => {
      for (let round = next++; round < rounds; round = next++) {
        for (const address of await playRound(rds, caFile, round)) addresses.add(address);
        onRound(++done);
      }
    };
    await Promise.all(Array.from({ length: abreast }, work));

    const { DBInstances = [] } = await rds.send(new DescribeDBInstancesCommand({}));
    const { DBSnapshots = [] } = await rds.send(new DescribeDBSnapshotsCommand({}));
    leftovers.push(
      ...DBInstances.map(({ DBInstanceIdentifier = '' }) => `instance ${DBInstanceIdentifier}`),
      ...DBSnapshots.map(({ DBSnapshotIdentifier = '' }) => `snapshot ${DBSnapshotIdentifier}`),
      ...processesIn(stateDirectory)
        .filter((line) => line.includes('postgres -D'))
        .map((line) => `while running, process ${line}`),
    );
    await settle(() => filesOfInstances(stateDirectory).length === 0);
    leftovers.push(...filesOfInstances(stateDirectory).map((path) => `while running, file ${path}`));
    rds.destroy();
  } finally {
    await sandbox.stop();
  }
  await settle(() => processesIn(temporary).length === 0);
  leftovers.push(
    ...processesIn(temporary).map((line) => `process ${line}`),
    ...(await listeners([...addresses])).map((address) => `port ${address}`),
  );
  rmSync(temporary, { recursive: true });
  return { rounds, milliseconds: Date.now() - started, leftovers };
}

/** One round; answers the addresses that its servers had. */
async function playRound(rds: RDSClient, caFile: string, round: number): Promise<string[]> {
  const [live, restored, snapshot] = [`live-${round}`, `restored-${round}`, `snapshot-${round}`];
  await rds.send(
    new CreateDBInstanceCommand({
      DBInstanceIdentifier: live,
      Engine: 'postgres',
      DBInstanceClass: 'db.t4g.micro',
      AllocatedStorage: 20,
      MasterUsername: 'master',
      MasterUserPassword: PASSWORD,
      DBName: 'app',
      // Every second round with automated backups and an archive.
      BackupRetentionPeriod: round % 2,
    }),
  );
  const from = await available(rds, live);
  await query(from, caFile, `create table kept as select ${round} as round, generate_series(1, 1000) as n`);
  await rds.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: live, DBSnapshotIdentifier: snapshot }));
  await until(async () => {
    const { DBSnapshots } = await rds.send(
      new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: snapshot }),
    );
    return DBSnapshots?.[0]?.Status === 'available';
  });
  await query(from, caFile, 'drop table kept');
  await rds.send(
    new RestoreDBInstanceFromDBSnapshotCommand({
      DBInstanceIdentifier: restored,
      DBSnapshotIdentifier: snapshot,
    }),
  );
  const to = await available(rds, restored);
  const [row] = await query(to, caFile, 'select round, count(*)::int as count from kept group by round');
  if (row?.round !== round || row.count !== 1000) {
    throw new Error(`Round ${round}: restored ${JSON.stringify(row)}`);
  }
  for (const id of [live, restored]) {
    await rds.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: id, SkipFinalSnapshot: true }));
  }
  await rds.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: snapshot }));
  for (const id of [live, restored]) {
    await until(async () =>
      rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: id })).then(
        () => false,
        (error: unknown) => {
          if (error instanceof Error && error.name === 'DBInstanceNotFoundFault') return true;
          throw error;
        },
      ),
    );
  }
  return [from, to].map(({ host, port }) => `${host}:${port}`);
}

interface Endpoint {
  readonly host: string;
  readonly port: number;
}

async function available(rds: RDSClient, id: string): Promise<Endpoint> {
  let endpoint: Endpoint | undefined;
  await until(async () => {
    const { DBInstances } = await rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: id }));
    const [instance] = DBInstances ?? [];
    if (instance?.DBInstanceStatus !== 'available') return false;
    endpoint = { host: instance.Endpoint?.Address ?? '', port: instance.Endpoint?.Port ?? 0 };
    return true;
  });
  if (!endpoint) throw new Error(`${id} has no endpoint.`);
  return endpoint;
}

async function query(
  { host, port }: Endpoint,
  caFile: string,
  sql: string,
): Promise<Record<string, unknown>[]> {
  const client = new Client({
    host,
    port,
    user: 'master',
    password: PASSWORD,
    database: 'app',
    ssl: { ca: readFileSync(caFile, 'utf8') },
  });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Waits for what ends by itself; what does not is told as left over. */
const settle = (isSo: () => boolean): Promise<unknown> => until(isSo).catch(() => undefined);

function processesIn(directory: string): string[] {
  return execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(directory));
}

/** What the instances, snapshots and automated backups have on disk. */
function filesOfInstances(stateDirectory: string): string[] {
  return ['instances', 'snapshots', 'automated'].flatMap((kind) => {
    const directory = join(stateDirectory, 'rds', kind);
    return list(directory).flatMap((name) =>
      kind === 'automated'
        ? list(join(directory, name)).map((inner) => join(kind, name, inner))
        : join(kind, name),
    );
  });
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Those of the addresses at which somebody still listens. */
async function listeners(addresses: readonly string[]): Promise<string[]> {
  const answers = await Promise.all(addresses.map(isAnswered));
  return addresses.filter((_address, index) => answers[index]);
}

function isAnswered(address: string): Promise<boolean> {
  const [host = '', port = ''] = address.split(':');
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port) });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}

/** `node --import tsx test/sandbox/rds/soak.ts 200`: as a program, with its report on standard output. */
async function main(): Promise<void> {
  const [, , rounds = '200', abreast = '3'] = process.argv;
  const report = await soak(Number(rounds), Number(abreast), (done) => {
    if (done % 10 === 0) process.stderr.write(`${done} rounds\n`);
  });
  process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
  process.exitCode = report.leftovers.length > 0 ? 1 : 0;
}

if (process.argv[1] === __filename) void main();
