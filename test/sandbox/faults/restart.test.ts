import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateSecretCommand,
  ListSecretsCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { z } from 'zod';

const directory = mkdtempSync(join(tmpdir(), 'fault-restart-'));
chmodSync(directory, 0o755);
const plan = join(directory, 'plan.json');
const running = new Set<ChildProcess>();

afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

interface Running {
  readonly child: ChildProcess;
  readonly secrets: SecretsManagerClient;
  readonly unfired: number;
  readonly ended: Promise<string | null>;
}

async function start(): Promise<Running> {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', join(__dirname, 'restart-process.ts'), join(directory, 'state'), plan],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  running.add(child);
  const ended = new Promise<string | null>((resolve) => {
    child.once('close', (_code, signal) => {
      running.delete(child);
      resolve(signal);
    });
  });
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (chunk: Buffer) => {
      resolve(chunk.toString());
    });
    void ended.then((signal) => {
      reject(new Error(`it ended with ${String(signal)}`));
    });
  });
  const { endpoint, unfired } = z
    .object({ endpoint: z.string(), unfired: z.number() })
    .parse(JSON.parse(line));
  const credentials = { accessKeyId: 'any', secretAccessKey: 'any' };
  const secrets = new SecretsManagerClient({ endpoint, credentials, region: 'eu-central-1', maxAttempts: 1 });
  return { child, secrets, unfired, ended };
}

async function stop({ child, secrets, ended }: Running): Promise<void> {
  secrets.destroy();
  child.stdin?.end();
  await ended;
}

const names = async ({ secrets }: Running): Promise<(string | undefined)[]> =>
  ((await secrets.send(new ListSecretsCommand({}))).SecretList ?? []).map(({ Name }) => Name);

test('the sandbox is killed before a call, and after another; started again it goes on and each happens once', async () => {
  const at = { operation: 'secretsmanager:CreateSecret' };
  const faults = [
    { fault: 'restart', when: 'before', at: { ...at, with: { Name: 'one' } } },
    { fault: 'restart', when: 'after', at: { ...at, with: { Name: 'two' } } },
  ];
  writeFileSync(plan, JSON.stringify({ faults }));
  const create = (sandbox: Running, Name: string): Promise<unknown> =>
    sandbox.secrets.send(new CreateSecretCommand({ Name, SecretString: 'x' }));

  const first = await start();
  await expect(create(first, 'one')).rejects.toThrow('socket hang up');
  expect(await first.ended).toBe('SIGKILL');

  const second = await start();
  expect(second.unfired).toBe(1);
  expect(await names(second)).toEqual([]);
  await create(second, 'one');
  await expect(create(second, 'two')).rejects.toThrow('socket hang up');
  expect(await second.ended).toBe('SIGKILL');

  const third = await start();
  expect(third.unfired).toBe(0);
  expect((await names(third)).sort()).toEqual(['one', 'two']);
  await stop(third);
});
