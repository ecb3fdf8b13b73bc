import { paginateDescribeDBSnapshots, type DBSnapshot } from '@aws-sdk/client-rds';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { PreMigrationSnapshotResult } from '../../lambdas/contract/gate';
import type { RetentionRules } from '../../lambdas/contract/rules';
import { preMigrationSnapshot } from '../../lambdas/steps/pre-migration-snapshot';
import { reapSnapshots } from '../../lambdas/steps/reap-snapshots';
import { readMarks, writeMarks, writeMigrations, type Role } from '../../lambdas/tags';
import { Lab } from '../lambdas/steps/lab';
import { until } from '../until';
import type { Measurement } from './measurement';

const ASKS = 1000;
/** Clients of the SDK, with 50 sockets each; a server refuses more that connect in the same moment. */
const CLIENTS = 8;
const CATALOGUE = 5000;
const EXPIRED = 150;
const DAY = 86_400_000;
const MIB = 1024 ** 2;
const RULES: RetentionRules = { dailyDays: 7, weeklyDays: 90, keepNewest: 3, newestAtMostHours: 36 };

/** What the gate and the reaper ask of RDS, counted where the sandbox is asked. */
export async function measureGate(): Promise<Measurement[]> {
  const lab = await Lab.start();
  try {
    return [...(await answers(lab)), ...(await manyAsks(lab)), ...(await bigCatalogue(lab))];
  } finally {
    await lab.stop();
  }
}

async function answers(lab: Lab): Promise<Measurement[]> {
  const event = { deploymentId: 'bench', migrations: [{ name: '1_start' }] };
  const ask = () => preMigrationSnapshot(event, lab);
  const first = await rdsCalls(lab, ask);
  const again = await rdsCalls(lab, ask);
  await until(ask, ({ status }) => status === 'available');
  const yes = await rdsCalls(lab, ask);
  return [
    { name: 'the gate, asked first', unit: 'calls', measured: first, limit: 6 },
    { name: 'the gate, asked again', unit: 'calls', measured: again, limit: 3 },
    { name: 'the gate, when it says yes', unit: 'calls', measured: yes, limit: 3 },
  ];
}

/** Calls of RDS that the work makes. */
async function rdsCalls(lab: Lab, work: () => Promise<unknown>): Promise<number> {
  let calls = 0;
  const end = lab.sandbox.context.api.intercept(({ context }, next) => {
    if (context.service === 'rds') calls++;
    return next();
  });
  try {
    await work();
  } finally {
    end();
  }
  return calls;
}

/**
 * All of them are under way at once. What the database says is asked for once: on AWS another function does that, and a database
 * of this size has no thousand sessions.
 */
async function manyAsks(lab: Lab): Promise<Measurement[]> {
  const event = { deploymentId: 'at once', migrations: [{ name: '1_start' }] };
  const database = await lab.checkMigrations({ migrations: event.migrations, schema: null });
  const clients = Array.from({ length: CLIENTS }, () => lab.sandbox.clients());
  const given = await Promise.all(
    clients.flatMap(({ rds, secrets, stepFunctions }) => {
      const deps = lab.gate({ rds, secrets, stepFunctions, checkMigrations: async () => database });
      return Array.from({ length: ASKS / CLIENTS }, () => preMigrationSnapshot(event, deps));
    }),
  );
  for (const client of clients.flatMap((set) => Object.values(set))) client.destroy();
  const made: string[] = [];
  for await (const { DBSnapshots = [] } of paginateDescribeDBSnapshots({ client: lab.rds }, {}))
    for (const { DBSnapshotIdentifier = '', TagList } of DBSnapshots)
      if (readMarks(TagList)['deployment-id'] === event.deploymentId) made.push(DBSnapshotIdentifier);
  const others = given.filter((answer) => !isAbout(answer, made[0]));
  for (const answer of others.slice(0, 1)) process.stderr.write(`${JSON.stringify(answer)}\n`);
  return [
    { name: `${ASKS} asks at once for one deployment`, unit: 'snapshots', measured: made.length, limit: 1 },
    { name: 'answers of these that say anything else', unit: 'answers', measured: others.length, limit: 0 },
  ];
}

function isAbout(answer: PreMigrationSnapshotResult, snapshotId: string | undefined): boolean {
  return (
    (answer.status === 'creating' || answer.status === 'available') &&
    'snapshotId' in answer &&
    answer.snapshotId === snapshotId
  );
}

/** A reaper in an account with thousands of snapshots, each with all the tags that it can have. */
async function bigCatalogue(lab: Lab): Promise<Measurement[]> {
  const collect = garbageCollector();
  let calls = 0;
  let before = 0;
  let atEnd = 0;
  const end = lab.sandbox.context.api.intercept(({ context, input }, next) => {
    if (context.service !== 'rds') return next();
    calls++;
    if (context.operation === 'DeleteDBSnapshot') return Promise.resolve({});
    if (context.operation !== 'DescribeDBSnapshots') return next();
    const start = Number(input['Marker'] ?? 0);
    if (start === 0) before = collect();
    const size = Math.min(Number(input['MaxRecords'] ?? 100), CATALOGUE - start);
    const more = start + size < CATALOGUE;
    if (!more) atEnd = collect();
    return Promise.resolve({
      DBSnapshots: Array.from({ length: size }, (_, index) => snapshot(start + index, lab.now())),
      ...(more && { Marker: String(start + size) }),
    });
  });
  try {
    await reapSnapshots(
      { dryRun: false, failOnWarning: false },
      { ...lab.gate(), ...ids(lab), rules: RULES },
    );
  } finally {
    end();
  }
  return [
    {
      name: `the reaper, ${CATALOGUE} snapshots, ${EXPIRED} of them expired`,
      unit: 'calls',
      measured: calls,
      limit: Math.ceil(CATALOGUE / 100) + EXPIRED + 5,
    },
    { name: 'what it keeps of them in memory', unit: 'MiB', measured: (atEnd - before) / MIB, limit: 16 },
  ];
}

function ids({ databaseUrlSecretId, masterSecretId }: Lab) {
  return { databaseUrlSecretId, masterSecretId };
}

function snapshot(index: number, now: Date): DBSnapshot {
  const id = `orders-pre-migration-${index}`;
  const role: Role = 'pre-migration';
  return {
    DBSnapshotIdentifier: id,
    DBSnapshotArn: `arn:aws:rds:eu-central-1:123456789012:snapshot:${id}`,
    Status: 'available',
    SnapshotType: 'manual',
    SnapshotCreateTime: new Date(now.getTime() - index * 60_000),
    TagList: [
      ...writeMarks({
        role,
        environment: 'production',
        'deployment-id': `build ${index}`,
        'expires-at': new Date(now.getTime() + (index >= CATALOGUE - EXPIRED ? -1 : 1) * DAY).toISOString(),
      }),
      ...writeMigrations([{ name: `20261121120000_migration_${index}`, checksum: 'c'.repeat(64) }]),
      ...Array.from({ length: 40 }, (_, tag) => ({ Key: `tag-${tag}`, Value: 'v'.repeat(256) })),
    ],
  };
}

/** Bytes of the heap that are in use once everything is collected that can be. */
function garbageCollector(): () => number {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect !== 'function') throw new Error('This Node has no garbage collector to call.');
  return () => {
    Reflect.apply(collect, undefined, []);
    return process.memoryUsage().heapUsed;
  };
}
