import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  CopyDBSnapshotCommand,
  CreateDBInstanceCommand,
  CreateDBParameterGroupCommand,
  CreateDBSnapshotCommand,
  DeleteDBInstanceCommand,
  DeleteDBSnapshotCommand,
  DescribeDBInstancesCommand,
  DescribeDBSnapshotsCommand,
  ModifyDBInstanceCommand,
  ModifyDBParameterGroupCommand,
  RDSClient,
  RebootDBInstanceCommand,
  RestoreDBInstanceFromDBSnapshotCommand,
  RestoreDBInstanceToPointInTimeCommand,
  StartDBInstanceCommand,
  StopDBInstanceCommand,
  type DBInstance,
} from '@aws-sdk/client-rds';
import { Client } from 'pg';
import { z } from 'zod';
import { until } from '../../until';

/** What becomes of everything that is under way when the sandbox is killed, and started again on its state directory. */

const PASSWORD = 'first-Password1';
const directory = mkdtempSync(join(tmpdir(), 'rds-restart-'));
let running: ChildProcess | undefined;
let client: RDSClient;
let ca = '';

afterAll(async () => {
  await kill('SIGKILL');
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
});

it('every kind of operation ends as it would have, and every row is there', async () => {
  await killedWhileDeleting();
  await start('virtual');
  await settled();
  expect(await statuses()).toEqual({});
  await setUp();
  await kill('SIGTERM');

  // On a real clock, on which everything takes ten minutes: longer than it takes to look, on whatever machine.
  await start('real');
  await underWay();
  await kill('SIGKILL');

  // And once more, in the middle of taking up again.
  await start('real');
  expect(await statuses()).toMatchObject({
    created: 'creating',
    'from-snapshot': 'creating',
    'to-time': 'creating',
    deleted: 'deleting',
    'deleted-with-final': 'deleting',
    stopped: 'stopping',
    rebooted: 'rebooting',
    snapshotted: 'backing-up',
    'was-stopped': 'starting',
  });
  await kill('SIGKILL');
  await start('virtual');

  await settled();
  expect(await statuses()).toEqual({
    created: 'available',
    'from-snapshot': 'available',
    'to-time': 'available',
    live: 'available',
    stopped: 'stopped',
    rebooted: 'available',
    changed: 'available',
    'new-name': 'available',
    snapshotted: 'available',
    'was-stopped': 'available',
  });
  expect(await snapshots()).toEqual({
    base: 'available',
    copy: 'available',
    'final-words': 'available',
    taken: 'available',
  });

  expect(await rows('created')).toEqual([]);
  expect(await rows('from-snapshot')).toEqual(['before the snapshot']);
  expect(await rows('to-time')).toEqual(['before the snapshot', 'before the time']);
  expect(await rows('live')).toEqual(['before the snapshot', 'before the time', 'after the time']);
  for (const id of ['rebooted', 'new-name', 'snapshotted', 'was-stopped']) {
    expect(await rows(id)).toEqual([`in ${id === 'new-name' ? 'renamed' : id}`]);
  }
  expect(await rows('changed', 'second-Password2')).toEqual(['in changed']);
  expect(await instance('changed')).toMatchObject({
    AllocatedStorage: 40,
    MonitoringInterval: 60,
    BackupRetentionPeriod: 1,
    PendingModifiedValues: {},
  });
  expect(await query('rebooted', 'show max_locks_per_transaction')).toEqual([
    { max_locks_per_transaction: '128' },
  ]);

  await client.send(
    new RestoreDBInstanceFromDBSnapshotCommand({
      DBInstanceIdentifier: 'of-final',
      DBSnapshotIdentifier: 'final-words',
      BackupRetentionPeriod: 0,
    }),
  );
  await client.send(
    new RestoreDBInstanceFromDBSnapshotCommand({
      DBInstanceIdentifier: 'of-taken',
      DBSnapshotIdentifier: 'taken',
      BackupRetentionPeriod: 0,
    }),
  );
  await settled();
  expect(await rows('of-final')).toEqual(['in deleted-with-final']);
  expect(await rows('of-taken')).toEqual(['in snapshotted']);

  // Nothing half made or forgotten is left on disk.
  const list = (...path: string[]): string[] => readdirSync(join(directory, 'rds', ...path));
  expect(list('instances')).toHaveLength(12);
  expect(list('snapshots')).toHaveLength(3);
});

/** Killed when the data of an instance is gone, and its state on disk still says that it runs and is being deleted. */
async function killedWhileDeleting(): Promise<void> {
  await start('virtual', 'dies-deleting');
  await create('half-deleted', 0);
  await settled();
  const died = running && once(running, 'exit');
  await client.send(
    new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'half-deleted', SkipFinalSnapshot: true }),
  );
  expect(await died).toEqual([null, 'SIGKILL']);
  running = undefined;
}

/** Instances with a row each, a snapshot, an instance that is stopped, and a restore point. */
async function setUp(): Promise<void> {
  await client.send(
    new CreateDBParameterGroupCommand({
      DBParameterGroupName: 'app',
      DBParameterGroupFamily: 'postgres17',
      Description: 'of the app',
    }),
  );
  const names = [
    'rebooted',
    'changed',
    'renamed',
    'snapshotted',
    'was-stopped',
    'stopped',
    'deleted',
    'deleted-with-final',
  ];
  await Promise.all([create('live', 1), ...names.map((id) => create(id, 0))]);
  await settled();
  await Promise.all(names.map((id) => write(id, `in ${id}`)));
  await write('live', 'before the snapshot');
  await client.send(
    new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'live', DBSnapshotIdentifier: 'base' }),
  );
  await client.send(new StopDBInstanceCommand({ DBInstanceIdentifier: 'was-stopped' }));
  await settled();
  await client.send(
    new CopyDBSnapshotCommand({ SourceDBSnapshotIdentifier: 'base', TargetDBSnapshotIdentifier: 'doomed' }),
  );
  await settled();
  await write('live', 'before the time');
}

/** Begins one operation of every kind. */
async function underWay(): Promise<void> {
  await pause();
  const { LatestRestorableTime: RestoreTime } = (await instance('live')) ?? {};
  await pause();
  await write('live', 'after the time');
  await Promise.all([
    create('created', 1),
    client.send(
      new RestoreDBInstanceFromDBSnapshotCommand({
        DBInstanceIdentifier: 'from-snapshot',
        DBSnapshotIdentifier: 'base',
      }),
    ),
    client.send(
      new RestoreDBInstanceToPointInTimeCommand({
        SourceDBInstanceIdentifier: 'live',
        TargetDBInstanceIdentifier: 'to-time',
        RestoreTime,
      }),
    ),
    client.send(
      new CopyDBSnapshotCommand({ SourceDBSnapshotIdentifier: 'base', TargetDBSnapshotIdentifier: 'copy' }),
    ),
    client.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: 'doomed' })),
    client.send(
      new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'snapshotted', DBSnapshotIdentifier: 'taken' }),
    ),
    client.send(new StopDBInstanceCommand({ DBInstanceIdentifier: 'stopped' })),
    client.send(new StartDBInstanceCommand({ DBInstanceIdentifier: 'was-stopped' })),
    client.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'deleted', SkipFinalSnapshot: true })),
    client.send(
      new DeleteDBInstanceCommand({
        DBInstanceIdentifier: 'deleted-with-final',
        FinalDBSnapshotIdentifier: 'final-words',
      }),
    ),
    client.send(
      new ModifyDBInstanceCommand({
        DBInstanceIdentifier: 'renamed',
        NewDBInstanceIdentifier: 'new-name',
        ApplyImmediately: true,
      }),
    ),
    client.send(
      new ModifyDBInstanceCommand({
        DBInstanceIdentifier: 'changed',
        AllocatedStorage: 40,
        BackupRetentionPeriod: 1,
        MonitoringInterval: 60,
        MonitoringRoleArn: 'arn:aws:iam::123456789012:role/monitoring',
        MasterUserPassword: 'second-Password2',
        ApplyImmediately: true,
      }),
    ),
    client
      .send(
        new ModifyDBParameterGroupCommand({
          DBParameterGroupName: 'app',
          Parameters: [
            {
              ParameterName: 'max_locks_per_transaction',
              ParameterValue: '128',
              ApplyMethod: 'pending-reboot',
            },
          ],
        }),
      )
      .then(() => client.send(new RebootDBInstanceCommand({ DBInstanceIdentifier: 'rebooted' }))),
  ]);
}

async function start(clock: 'real' | 'virtual', ...ending: 'dies-deleting'[]): Promise<void> {
  const process_ = spawn(
    process.execPath,
    ['--import', 'tsx', join(__dirname, 'restart-process.ts'), directory, clock, ...ending],
    { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  );
  running = process_;
  let errors = '';
  process_.stderr.on('data', (text) => (errors += String(text)));
  const line = await Promise.race([
    once(createInterface(process_.stdout), 'line').then(([first]) => String(first)),
    once(process_, 'exit').then(() => {
      throw new Error(`The sandbox did not start: ${errors}`);
    }),
  ]);
  const { endpoint, caFile } = z.object({ endpoint: z.string(), caFile: z.string() }).parse(JSON.parse(line));
  const authority = readFileSync(caFile, 'utf8');
  // Clients go on trusting the authority that they trusted before.
  if (ca !== '') expect(authority).toBe(ca);
  ca = authority;
  client = new RDSClient({
    endpoint,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'test' },
  });
}

async function kill(signal: NodeJS.Signals): Promise<void> {
  const pid = running?.pid;
  if (!running || pid === undefined) return;
  const ended = once(running, 'exit');
  process.kill(signal === 'SIGKILL' ? -pid : pid, signal);
  await ended;
  running = undefined;
}

function create(id: string, BackupRetentionPeriod: number): Promise<unknown> {
  return client.send(
    new CreateDBInstanceCommand({
      DBInstanceIdentifier: id,
      Engine: 'postgres',
      DBInstanceClass: 'db.t4g.micro',
      AllocatedStorage: 20,
      MasterUsername: 'master',
      MasterUserPassword: PASSWORD,
      DBName: 'app',
      BackupRetentionPeriod,
      ...(id === 'rebooted' && { DBParameterGroupName: 'app' }),
    }),
  );
}

async function instance(id: string): Promise<DBInstance | undefined> {
  const { DBInstances } = await client.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: id }));
  return DBInstances?.[0];
}

async function statuses(): Promise<Record<string, string | undefined>> {
  const { DBInstances = [] } = await client.send(new DescribeDBInstancesCommand({}));
  return Object.fromEntries(
    DBInstances.map(({ DBInstanceIdentifier = '', DBInstanceStatus }) => [
      DBInstanceIdentifier,
      DBInstanceStatus,
    ]),
  );
}

async function snapshots(): Promise<Record<string, string | undefined>> {
  const { DBSnapshots = [] } = await client.send(new DescribeDBSnapshotsCommand({ SnapshotType: 'manual' }));
  return Object.fromEntries(
    DBSnapshots.map(({ DBSnapshotIdentifier = '', Status }) => [DBSnapshotIdentifier, Status]),
  );
}

/** Waits until nothing is under way any more. */
async function settled(): Promise<void> {
  await until(unsettled, (those) => those.length === 0);
}

async function unsettled(): Promise<string[]> {
  const { DBInstances = [] } = await client.send(new DescribeDBInstancesCommand({}));
  const busy = DBInstances.filter(
    ({ DBInstanceStatus = '', PendingModifiedValues }) =>
      !['available', 'stopped'].includes(DBInstanceStatus) ||
      Object.keys(PendingModifiedValues ?? {}).length > 0,
  );
  const taking = Object.entries(await snapshots()).filter(([, status]) => status !== 'available');
  return [...busy.map(({ DBInstanceIdentifier = '' }) => DBInstanceIdentifier), ...taking.map(([id]) => id)];
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));

async function query(id: string, sql: string, password = PASSWORD): Promise<Record<string, unknown>[]> {
  const { Endpoint } = (await instance(id)) ?? {};
  const database = new Client({
    host: Endpoint?.Address ?? '',
    port: Endpoint?.Port ?? 0,
    user: 'master',
    password,
    database: 'app',
    ssl: { ca },
  });
  database.on('error', () => undefined);
  await database.connect();
  try {
    return (await database.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await database.end();
  }
}

async function write(id: string, text: string): Promise<void> {
  await query(
    id,
    `create table if not exists note (id serial, text text); insert into note (text) values ('${text}')`,
  );
}

async function rows(id: string, password?: string): Promise<unknown[]> {
  const [there] = await query(id, `select to_regclass('note') as there`, password);
  if (there?.there === null) return [];
  return (await query(id, 'select text from note order by id', password)).map(({ text }) => text);
}
