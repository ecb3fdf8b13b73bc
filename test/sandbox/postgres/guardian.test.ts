import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { until } from '../../until';

function processesIn(directory: string): string[] {
  return execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(directory));
}

describe('when the sandbox is killed', () => {
  it('leaves neither a process nor a directory', async () => {
    const sandbox = spawn(process.execPath, ['--import', 'tsx', join(__dirname, 'sandbox-process.ts')], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    const ended = once(sandbox, 'exit');
    const [line] = z.tuple([z.string()]).parse(await once(createInterface(sandbox.stdout), 'line'));
    const { directory } = z.object({ directory: z.string() }).parse(JSON.parse(line));
    expect(existsSync(directory)).toBe(true);
    expect(processesIn(directory).some((args) => args.includes('postgres'))).toBe(true);

    // Its whole process group, as a terminal or a CI runner would.
    if (sandbox.pid === undefined) throw new Error('The sandbox has no process.');
    process.kill(-sandbox.pid, 'SIGKILL');
    await ended;
    await until(() => !existsSync(directory) && processesIn(directory).length === 0);
  });
});
