import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { commandContext } from '../bin/command-context';

const ROOT = join(__dirname, '..');

/**
 * Synthesises the CDK app for some environments into `directory`, in a process of its own, as `cdk synth` would.
 *
 * @param file the app, where it is not the one that is deployed
 * @throws Error with what the app wrote when it fails
 */
export async function synthesise(
  directory: string,
  environments: readonly string[],
  file = 'bin/app.ts',
): Promise<void> {
  const app = spawn(process.execPath, ['--import', 'tsx', file], {
    cwd: ROOT,
    env: {
      ...process.env,
      // The checks of the templates are CI's, and take seconds.
      CDK_VALIDATION: 'false',
      CDK_OUTDIR: directory,
      CDK_CONTEXT_JSON: JSON.stringify({
        // It finds no difference to what it would synthesise itself.
        ...commandContext(),
        environments: environments.join(','),
      }),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // Whoever ends meanwhile wants no more of it.
  const end = (): void => void app.kill('SIGKILL');
  process.once('exit', end);
  let output = '';
  for (const stream of [app.stdout, app.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise<number | null>((resolve, reject) => {
    app.once('error', reject);
    app.once('close', resolve);
  }).finally(() => process.off('exit', end));
  if (code !== 0)
    throw new Error(`The CDK app could not be synthesised (exit code ${code ?? 'none'}):\n${output}`);
}
