import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cp, mkdtemp, rm, chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { startPostgres } from '../../sandbox/postgres/postgres';
import { prisma } from '../../sandbox/prisma/cli';
import { fill } from '../../sandbox/sample-app/fill';
import { prepareProject } from '../../sandbox/sample-app/project';
import type { Measurement } from './measurement';
import { memoryOfTree } from './memory';

const ROOT = join(__dirname, '..', '..');
const ROWS = 100_000;

/** Time and memory of the drill with 100,000 rows; the floor is what PostgreSQL and Prisma alone need for the same database. */
export async function measureDrill(): Promise<Measurement[]> {
  const floor = await bareDatabase();
  const { seconds, peakMiB } = await drill();
  return [
    { name: `drill, ${ROWS.toLocaleString('en')} rows`, unit: 's', measured: seconds, limit: 30 },
    { name: 'the same, beside the bare work', unit: 's', measured: seconds, floor, limit: 30 / floor },
    { name: 'memory of all its processes', unit: 'MiB', measured: peakMiB, limit: 1024 },
  ];
}

async function drill(): Promise<{ seconds: number; peakMiB: number }> {
  const began = Date.now();
  const child = spawn('npm', ['run', '--silent', 'drill', '--', '--rows', String(ROWS), '--json'], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  let peak = 0;
  const sampling = setInterval(() => {
    peak = Math.max(peak, memoryOfTree(child.pid ?? 0));
  }, 200);
  const code = await new Promise<number | null>((resolve) => child.once('exit', resolve));
  clearInterval(sampling);
  if (code !== 0) throw new Error(`The drill ended with ${String(code)}.`);
  return { seconds: (Date.now() - began) / 1000, peakMiB: peak / 1024 };
}

/** initdb, start, Prisma's migrations (twice), the rows, a copy for the backup and one for the restore. */
async function bareDatabase(): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-floor-'));
  await chmod(directory, 0o755);
  const began = Date.now();
  const postgres = await startPostgres({ directory: join(directory, 'postgres'), log: () => undefined });
  try {
    const address = await postgres.reserveAddress(5432);
    const server = await postgres.create({
      directory: join(directory, 'data'),
      address,
      parameters: {},
      forceTls: true,
      masterUsername: 'bench',
      masterPassword: 'bench',
      databaseName: 'app',
    });
    const databaseUrl = `postgresql://bench:bench@${address.host}:${address.port}/app?sslmode=verify-full`;
    const project = await prepareProject(join(directory, 'project'));
    const { caFile } = postgres.authority;
    for (let run = 0; run < 2; run++)
      await prisma(['migrate', 'deploy'], { databaseUrl, projectDirectory: project.directory, caFile });
    const client = new Client({
      host: address.host,
      port: address.port,
      user: 'bench',
      password: 'bench',
      database: 'app',
      ssl: { ca: readFileSync(caFile, 'utf8') },
    });
    await client.connect();
    await fill(client, { rows: ROWS });
    await client.end();
    await server.stop();
    for (const copy of ['backup', 'restored'])
      await cp(join(directory, 'data'), join(directory, copy), { recursive: true });
    return (Date.now() - began) / 1000;
  } finally {
    await postgres.stop();
    await rm(directory, { recursive: true, force: true });
  }
}
