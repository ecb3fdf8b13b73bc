import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { until } from '../../until';

const ENVIRONMENT = join(__dirname, '../../../sandbox/lambda/environment.ts');

test('an environment ends with the sandbox, even when that is killed and the handler never pauses', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'lambda-orphan-'));
  writeFileSync(join(directory, 'index.js'), 'exports.handler = async () => { for (;;); };');
  const script = join(directory, 'sandbox.ts');
  writeFileSync(
    script,
    `import { ExecutionEnvironment } from ${JSON.stringify(ENVIRONMENT)};
     const environment = new ExecutionEnvironment({
       codeDirectory: ${JSON.stringify(directory)}, codeSha256: 'any', memoryMegabytes: 128, clockOffset: () => 0, routes: [],
       certificates: '', id: 'id', endpoint: 'http://127.0.0.1:1', admits: () => true,
       variables: { _HANDLER: 'index.handler', LAMBDA_TASK_ROOT: ${JSON.stringify(directory)} },
     });
     void environment.start('id', 10_000).then(() => {
       void environment.invoke({ requestId: 'id', event: '{}', timeoutMilliseconds: 60_000, wholeTimeoutMilliseconds: 60_000, functionArn: '', logGroup: '', logStream: '', clientContext: undefined });
       setTimeout(() => console.log(environment.pid), 100);
     });`,
  );
  const sandbox = spawn(process.execPath, ['--import', 'tsx', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: sandbox.stdout }), 'line')) as [string];
  const pid = Number(line);
  expect(alive(pid)).toBe(true);
  sandbox.kill('SIGKILL');
  await until(() => !alive(pid));
  rmSync(directory, { recursive: true });
});

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
