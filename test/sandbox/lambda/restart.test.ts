import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { Callers, SANDBOX_ACCOUNT } from '../../../sandbox/core/account';
import { Api, ApiError } from '../../../sandbox/core/api';
import { held, VirtualClock } from '../../../sandbox/core/clock';
import { fromBytes, toBytes } from '../../../sandbox/core/plain-data';
import type { Lasting } from '../../../sandbox/core/state-directory';
import { LambdaService } from '../../../sandbox/lambda/service';
import { zipFile } from './zip-file';
import { until } from '../../until';

const ROLE = 'arn:aws:iam::123456789012:role/function-role';
const directory = mkdtempSync(join(tmpdir(), 'lambda-restart-'));
const Queued = z.object({ queue: z.tuple([z.object({ failures: z.number() })]) });
const processes: { end(): Promise<void> }[] = [];

afterAll(async () => {
  for (const each of processes) await each.end();
  rmSync(directory, { recursive: true, force: true });
});

/** Lambda in a process of its own, as it were, going on with what an earlier one left. */
function start(left?: { bytes: Buffer; at: Date }, concurrency?: number) {
  const clock = new VirtualClock();
  const api = new Api();
  api.intercept((_call, next) => held(clock, next));
  const callers = new Callers(SANDBOX_ACCOUNT);
  const caFile = join(directory, 'ca.pem');
  writeFileSync(caFile, '');
  let save: () => unknown = () => undefined;
  let resume: (() => Promise<void>) | undefined;
  const lambda = new LambdaService(
    {
      account: SANDBOX_ACCOUNT,
      clock,
      callers,
      api,
      directory,
      endpoint: 'http://127.0.0.1:20000',
      keep: <State>(_name: string, part: Lasting<State>) => {
        if (left) part.load(fromBytes(left.bytes) as State);
        save = () => part.save();
        resume = part.resume?.bind(part);
      },
      log: () => undefined,
    },
    { caFile, ...(concurrency !== undefined && { concurrency }) },
  );
  api.register(lambda);
  const end = async (): Promise<void> => {
    clock.stop();
    await api.stop();
  };
  processes.push({ end });
  return {
    lambda,
    clock,
    call: (operation: string, input: object) => api.call('lambda', operation, input, callers.administrator()),
    /** Of the one event that is in the queue. */
    failures: () => Queued.parse(save()).queue[0].failures,
    leave: async () => {
      const now = { bytes: toBytes(save()), at: clock.now() };
      clock.hold();
      await end();
      return now;
    },
    resumed: async (later = 0) => {
      if (left) await clock.advance(left.at.getTime() + later - clock.now().getTime());
      await resume?.();
    },
  };
}

const settings = { Role: ROLE, Runtime: 'nodejs24.x', Handler: 'index.handler', Timeout: 120 } as const;

test('functions are there in another process with all that belongs to them, and run', async () => {
  const first = start();
  const assembly = join(directory, 'assembly');
  mkdirSync(assembly);
  writeFileSync(join(assembly, 'index.js'), 'exports.handler = async () => "deployed";');
  await first.lambda.deployFunction({ ...settings, FunctionName: 'deployed' }, assembly);
  await first.call('CreateFunction', {
    ...settings,
    FunctionName: 'made',
    Code: { ZipFile: zipFile({ 'index.js': 'exports.handler = async () => process.env.STAGE;' }) },
    Environment: { Variables: { STAGE: 'kept' } },
    Tags: { a: '1' },
  });
  await first.clock.advance(1000);
  await first.call('AddPermission', {
    FunctionName: 'made',
    StatementId: 's',
    Action: 'lambda:InvokeFunction',
    Principal: 'events.amazonaws.com',
  });
  await first.call('PutFunctionEventInvokeConfig', { FunctionName: 'made', MaximumRetryAttempts: 1 });
  await first.call('PutFunctionConcurrency', { FunctionName: 'made', ReservedConcurrentExecutions: 2 });
  await first.call('UpdateFunctionCode', {
    FunctionName: 'deployed',
    ZipFile: zipFile({ 'index.js': 'exports.handler = async () => "updated";' }),
  });
  await first.clock.advance(1000);
  const questions = ['GetFunction', 'GetPolicy', 'GetFunctionEventInvokeConfig', 'GetFunctionConcurrency'];
  const before = await Promise.all(questions.map((each) => first.call(each, { FunctionName: 'made' })));
  const left = await first.leave();
  rmSync(assembly, { recursive: true });
  const next = start(left);
  await next.resumed();
  expect(await Promise.all(questions.map((each) => next.call(each, { FunctionName: 'made' })))).toEqual(
    before,
  );
  const payload = async (name: string): Promise<string> =>
    String((await next.call('Invoke', { FunctionName: name }))['Payload']);
  expect(await payload('made')).toBe('"kept"');
  expect(await payload('deployed')).toBe('"updated"');
  // What was deployed before the update is gone.
  expect(readdirSync(join(directory, 'lambda', 'code'))).toHaveLength(2);
});

test('an event is tried again when it is time, one that was under way at once', async () => {
  const file = join(directory, 'attempts');
  const first = start();
  await first.call('CreateFunction', {
    ...settings,
    FunctionName: 'event',
    Code: {
      ZipFile: zipFile({
        'index.js': `exports.handler = async ({ under }, { awsRequestId }) => {
          require('node:fs').appendFileSync(${JSON.stringify(file)} + (under ? '-way' : ''), Date.now() + ' ' + awsRequestId + '\\n');
          if (under && require('node:fs').existsSync(${JSON.stringify(join(directory, 'wait'))})) return new Promise((resolve) => setTimeout(resolve, 60000));
          if (!under) throw new Error('no');
        };`,
      }),
    },
  });
  await first.clock.advance(1000);
  const lines = (name: string): string[] =>
    existsSync(name) ? readFileSync(name, 'utf8').trim().split('\n') : [];
  writeFileSync(join(directory, 'wait'), '');
  const invoke = (event: object) =>
    first.call('Invoke', {
      FunctionName: 'event',
      InvocationType: 'Event',
      Payload: Buffer.from(JSON.stringify(event)),
    });
  const hold = first.clock.hold();
  await invoke({});
  await until(() => first.failures() === 1);
  await invoke({ under: true });
  await until(() => lines(`${file}-way`).length === 1);
  const left = await first.leave();
  hold();
  rmSync(join(directory, 'wait'));
  const next = start(left);
  await next.resumed(20_000);
  await until(() => lines(`${file}-way`).length === 2 && lines(file).length === 3);
  const times = lines(file).map((line) => Number(line.split(' ')[0]));
  const minutes = times.slice(1).map((time, index) => Math.round((time - (times[index] ?? 0)) / 60_000));
  expect(minutes).toEqual([1, 2]);
  for (const name of [file, `${file}-way`])
    expect(new Set(lines(name).map((line) => line.split(' ')[1])).size).toBe(1);
});

test('an account knows how many invocations it may run, and how many are left by reservations', async () => {
  const { call } = start(undefined, 102);
  await call('CreateFunction', {
    ...settings,
    FunctionName: 'reserving',
    Code: { ZipFile: zipFile({ 'index.js': '' }) },
  });
  await call('PutFunctionConcurrency', { FunctionName: 'reserving', ReservedConcurrentExecutions: 2 });
  expect(await call('GetAccountSettings', {})).toMatchObject({
    AccountLimit: { ConcurrentExecutions: 102, UnreservedConcurrentExecutions: 100 },
    AccountUsage: { FunctionCount: 1 },
  });
});

test('throttles all functions together beyond what the account may run', async () => {
  const { call, clock } = start(undefined, 1);
  const code = {
    ZipFile: zipFile({
      'index.js': 'exports.handler = () => new Promise((resolve) => setTimeout(resolve, 300));',
    }),
  };
  for (const FunctionName of ['one', 'two'])
    await call('CreateFunction', { ...settings, FunctionName, Code: code });
  await clock.advance(1000);
  const first = call('Invoke', { FunctionName: 'one' });
  const refused = await call('Invoke', { FunctionName: 'two' }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(ApiError);
  expect(refused).toMatchObject({
    code: 'TooManyRequestsException',
    members: { Reason: 'ConcurrentInvocationLimitExceeded' },
  });
  await first;
});
