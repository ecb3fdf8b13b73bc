import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DescribeDBInstancesCommand, RDSClient } from '@aws-sdk/client-rds';

const ROOT = join(__dirname, '..', '..');
const port = randomInt(20_000, 32_000);

interface Running {
  readonly child: ChildProcess;
  readonly output: { stdout: string; stderr: string };
  readonly ended: Promise<number | null>;
}

/** `npm run sandbox`, as its script starts it. */
function start(): Running {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', 'sandbox/main.ts', '--port', String(port), '--rows', '300'],
    {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, output, ended };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 50));
}

describe('npm run sandbox', () => {
  let sandbox: Running;
  let exported: Record<string, string>;

  beforeAll(async () => {
    sandbox = start();
    const ready = until(() => sandbox.output.stdout.includes('PGSSLROOTCERT'));
    await Promise.race([ready, sandbox.ended]);
    const lines = sandbox.output.stdout.trim().split('\n');
    exported = {};
    for (const line of lines) {
      const [, name = line, value = ''] = /^export ([A-Z_]+)=(.*)$/.exec(line) ?? [];
      exported[name] = value;
    }
  }, 180_000);

  afterAll(async () => {
    sandbox.child.kill('SIGKILL');
    await sandbox.ended;
  });

  test('prints what a shell needs, one export per line, and nothing else on standard output', () => {
    expect(Object.keys(exported)).toEqual([
      'AWS_ENDPOINT_URL',
      'AWS_ACCESS_KEY_ID',
      'AWS_SECRET_ACCESS_KEY',
      'AWS_REGION',
      'AWS_DEFAULT_REGION',
      'PGSSLMODE',
      'PGSSLROOTCERT',
    ]);
    expect(exported.AWS_ENDPOINT_URL).toBe(`http://127.0.0.1:${port}`);
  });

  test('answers a client that has these settings', async () => {
    const client = new RDSClient({
      endpoint: exported.AWS_ENDPOINT_URL ?? '',
      region: exported.AWS_REGION ?? '',
      credentials: {
        accessKeyId: exported.AWS_ACCESS_KEY_ID ?? '',
        secretAccessKey: exported.AWS_SECRET_ACCESS_KEY ?? '',
      },
    });
    const { DBInstances = [] } = await client.send(new DescribeDBInstancesCommand({}));
    expect(
      DBInstances.map(({ DBInstanceIdentifier, DBInstanceStatus }) => [
        DBInstanceIdentifier,
        DBInstanceStatus,
      ]),
    ).toEqual([['production-database', 'available']]);
    client.destroy();
  });

  test('a second one on the same port says so, and how to choose another', async () => {
    const second = start();
    expect(await second.ended).toBe(1);
    expect(second.output.stderr).toContain(`Port ${port} on 127.0.0.1 is taken`);
    expect(second.output.stderr).toContain('--port');
    expect(second.output.stdout).toBe('');
  });

  test('shows no password of the database', () => {
    expect(`${sandbox.output.stdout}${sandbox.output.stderr}`).not.toMatch(/postgresql:\/\/[^ ]*:[^ ]*@/);
  });

  test('ends when it is told to, and takes everything with it', async () => {
    sandbox.child.kill('SIGTERM');
    expect(await sandbox.ended).toBe(0);
    expect(existsSync(exported.PGSSLROOTCERT ?? '')).toBe(false);
  }, 60_000);
});
