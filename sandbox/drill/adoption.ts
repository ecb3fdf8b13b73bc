import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Sandbox } from '../sandbox';

const ROOT = join(__dirname, '..', '..');

/**
 * `npm run adopt`, as an operator runs it, in a process of its own. Answers with what it printed; the stacks as they are to be are
 * in `output`.
 */
export async function runAdopt(
  sandbox: Sandbox,
  environment: string,
  output: string,
): Promise<{ readonly exitCode: number; readonly printed: string }> {
  const { accessKeyId, secretAccessKey } = sandbox.credentials();
  const adopt = spawn(
    process.execPath,
    ['--import', 'tsx', 'bin/adopt.ts', '--env', environment, '--output', output],
    {
      cwd: ROOT,
      env: {
        ...process.env,
        AWS_ENDPOINT_URL: sandbox.context.endpoint,
        AWS_REGION: sandbox.context.account.region,
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  // Whoever ends meanwhile wants no more of it.
  const end = (): void => void adopt.kill('SIGKILL');
  process.once('exit', end);
  const [stdout, stderr, exitCode] = await Promise.all([
    text(adopt.stdout),
    text(adopt.stderr),
    new Promise<number>((resolve) => {
      adopt.once('close', (code) => {
        resolve(code ?? 1);
      });
    }),
  ]).finally(() => {
    process.off('exit', end);
  });
  return { exitCode, printed: stdout + stderr };
}
