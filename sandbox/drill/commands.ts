import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Sandbox } from '../sandbox';

/** What a command has to know of a sandbox. */
type Called = Pick<Sandbox, 'context' | 'credentials'>;

const ROOT = join(__dirname, '..', '..');

/** What a command of an operator's did. */
export interface Ran {
  readonly exitCode: number;
  readonly printed: string;
}

/**
 * `npm run adopt`, as an operator runs it, in a process of its own. Answers with what it printed; the stacks as they are to be are
 * in `output`.
 */
export async function runAdopt(sandbox: Called, environment: string, output: string): Promise<Ran> {
  return run(sandbox, process.execPath, [
    '--import',
    'tsx',
    'bin/adopt.ts',
    '--env',
    environment,
    '--output',
    output,
  ]);
}

/**
 * A command line with `npx cdk`, as an operator types it. `assembly` stands for the app: as `npx cdk` would synthesise it, without
 * the time that takes.
 */
export async function runCdk(sandbox: Called, command: string, assembly: string): Promise<Ran> {
  return run(sandbox, '/bin/sh', ['-c', command], {
    CDK_APP: assembly,
    // It asks nothing of the internet, and tells nobody there.
    CDK_NOTICES: 'false',
    CDK_DISABLE_CLI_TELEMETRY: 'true',
    FORCE_COLOR: '0',
  });
}

async function run(
  sandbox: Called,
  file: string,
  parameters: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<Ran> {
  const { accessKeyId, secretAccessKey, sessionToken } = sandbox.credentials();
  const child = spawn(file, parameters, {
    cwd: ROOT,
    env: {
      ...process.env,
      AWS_ENDPOINT_URL: sandbox.context.endpoint,
      AWS_REGION: sandbox.context.account.region,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_SESSION_TOKEN: sessionToken,
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A command line is several processes, which end together.
    detached: true,
  });
  // Whoever ends meanwhile wants no more of it.
  const end = (): void => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  };
  process.once('exit', end);
  const [stdout, stderr, exitCode] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => {
        resolve(code ?? 1);
      });
    }),
  ]).finally(() => {
    process.off('exit', end);
  });
  return { exitCode, printed: stdout + stderr };
}
