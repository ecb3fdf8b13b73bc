import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { Callers, SANDBOX_ACCOUNT } from '../../../sandbox/core/account';
import { Api } from '../../../sandbox/core/api';
import { held, VirtualClock } from '../../../sandbox/core/clock';
import { LambdaService } from '../../../sandbox/lambda/service';
import { zipFile } from './zip-file';
import { until } from '../../until';

const ROLE = 'arn:aws:iam::123456789012:role/function-role';
const directory = mkdtempSync(join(tmpdir(), 'lambda-test-'));
const caFile = join(directory, 'ca.pem');
const clock = new VirtualClock();
const api = new Api();
const callers = new Callers(SANDBOX_ACCOUNT);
const logged: string[] = [];
let lambda: LambdaService;

beforeAll(() => {
  writeFileSync(caFile, '');
  api.intercept((_call, next) => held(clock, next));
  lambda = new LambdaService(
    {
      account: SANDBOX_ACCOUNT,
      clock,
      callers,
      api,
      directory,
      endpoint: 'http://127.0.0.1:20000',
      keep: () => undefined,
      log: (line) => logged.push(line),
    },
    { caFile, maxIdleEnvironments: 2 },
  );
  api.register(lambda);
});

afterAll(async () => {
  clock.stop();
  await api.stop();
  rmSync(directory, { recursive: true, force: true });
});

const Answer = z.object({
  StatusCode: z.number(),
  Payload: z.instanceof(Buffer).optional(),
  FunctionError: z.string().optional(),
  LogResult: z.string().optional(),
});
const Failure = z.object({
  errorType: z.string(),
  errorMessage: z.string(),
  trace: z.array(z.string()).optional(),
});

async function call(operation: string, input: object): Promise<Record<string, unknown>> {
  return api.call('lambda', operation, input, callers.administrator());
}

interface Options {
  readonly handler?: string;
  readonly environment?: Record<string, string>;
  readonly timeout?: number;
  readonly memory?: number;
  readonly others?: object;
}

/** Makes a function of these files and returns what invokes it. */
async function make(name: string, files: string | Record<string, string>, options: Options = {}) {
  await call('CreateFunction', {
    FunctionName: name,
    Role: ROLE,
    Runtime: 'nodejs24.x',
    Handler: options.handler ?? 'index.handler',
    Code: { ZipFile: zipFile(typeof files === 'string' ? { 'index.js': files } : files) },
    Timeout: options.timeout ?? 120,
    ...(options.memory !== undefined && { MemorySize: options.memory }),
    ...(options.environment && { Environment: { Variables: options.environment } }),
    ...options.others,
  });
  await clock.advance(1000);
  return async (event: unknown = {}, more: object = {}) => {
    const answer = Answer.parse(
      await call('Invoke', { FunctionName: name, Payload: Buffer.from(JSON.stringify(event)), ...more }),
    );
    const text = answer.Payload?.toString() ?? '';
    return { ...answer, text, payload: text === '' ? undefined : (JSON.parse(text) as unknown) };
  };
}

function failureOf(answer: {
  FunctionError?: string | undefined;
  payload: unknown;
}): z.infer<typeof Failure> {
  expect(answer.FunctionError).toBe('Unhandled');
  return Failure.parse(answer.payload);
}

function tail({ LogResult }: { LogResult?: string | undefined }): string[] {
  return Buffer.from(LogResult ?? '', 'base64')
    .toString()
    .split('\n');
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('a handler', () => {
  test('gets its event and answers, from CommonJS and from ES modules, nested folders and members', async () => {
    const common = await make('common', 'exports.handler = async (event) => ({ twice: event.n * 2 });');
    expect((await common({ n: 21 })).payload).toEqual({ twice: 42 });
    const module = await make('module', { 'index.mjs': 'export const handler = async () => "module";' });
    expect((await module()).payload).toBe('module');
    const nested = await make(
      'nested',
      { 'package.json': '{}', 'src/a/index.js': 'exports.deep = { handler: async () => "deep" };' },
      { handler: 'src/a/index.deep.handler' },
    );
    expect((await nested()).payload).toBe('deep');
  });

  test('may answer by callback, and answers null where it answers nothing', async () => {
    const callback = await make(
      'callback',
      'exports.handler = (event, context, done) => { setTimeout(() => done(null, "called"), 20); };',
    );
    expect((await callback()).payload).toBe('called');
    const failing = await make(
      'callback-fails',
      'exports.handler = (e, c, done) => done(new TypeError("no"));',
    );
    expect(failureOf(await failing())).toMatchObject({ errorType: 'TypeError', errorMessage: 'no' });
    const silent = await make('silent', 'exports.handler = () => {};');
    expect((await silent()).text).toBe('null');
    const stuck = await make('stuck', 'exports.handler = () => new Promise(() => {});');
    expect(failureOf(await stuck()).errorType).toBe('Runtime.NodeJsExit');
  });

  test('has a context', async () => {
    const invoke = await make(
      'context',
      'exports.handler = async (event, context) => ({ ...context, remaining: context.getRemainingTimeInMillis() });',
      { timeout: 900, memory: 256 },
    );
    const Context = z.object({ awsRequestId: z.uuid(), remaining: z.number() });
    const { payload } = await invoke(
      {},
      { FunctionName: 'arn:aws:lambda:eu-central-1:123456789012:function:context:$LATEST' },
    );
    expect(payload).toMatchObject({
      functionName: 'context',
      functionVersion: '$LATEST',
      memoryLimitInMB: '256',
      invokedFunctionArn: 'arn:aws:lambda:eu-central-1:123456789012:function:context',
      logGroupName: '/aws/lambda/context',
    });
    const { remaining } = Context.parse(payload);
    expect(remaining).toBeGreaterThan(600_000);
    expect(remaining).toBeLessThanOrEqual(900_000);
  });

  test('that throws fails with name, message and trace', async () => {
    const invoke = await make(
      'throws',
      `class InstanceNotReady extends Error { constructor(m) { super(m); this.name = 'InstanceNotReady'; } }
       exports.handler = async () => { throw new InstanceNotReady('still creating'); };`,
    );
    const failure = failureOf(await invoke());
    expect(failure).toMatchObject({ errorType: 'InstanceNotReady', errorMessage: 'still creating' });
    expect(failure.trace?.[0]).toBe('InstanceNotReady: still creating');
    const text = await make('throws-text', 'exports.handler = async () => { throw "text"; };');
    expect(failureOf(await text())).toEqual({ errorType: 'string', errorMessage: 'text', trace: [] });
  });

  test('that leaves an error uncaught or a rejection unhandled fails, and the next call works', async () => {
    const invoke = await make(
      'uncaught',
      `exports.handler = (event) => {
         if (event.how === 'throw') setTimeout(() => { throw new RangeError('later'); }, 1);
         if (event.how === 'reject') void Promise.reject(new Error('nobody listens'));
         return event.how ? new Promise((resolve) => setTimeout(resolve, 5000)) : Promise.resolve(1);
       };`,
    );
    expect(failureOf(await invoke({ how: 'throw' }))).toMatchObject({
      errorType: 'RangeError',
      errorMessage: 'later',
    });
    expect(failureOf(await invoke({ how: 'reject' }))).toMatchObject({
      errorType: 'Runtime.UnhandledPromiseRejection',
      errorMessage: 'Error: nobody listens',
    });
    expect((await invoke()).payload).toBe(1);
  });

  test.each([
    [
      'module',
      { 'other.js': '' },
      'index.handler',
      'Runtime.ImportModuleError',
      /Cannot find module 'index'/,
    ],
    [
      'package',
      { 'index.js': "require('not-bundled')" },
      'index.handler',
      'Runtime.ImportModuleError',
      /Cannot find module 'not-bundled'/,
    ],
    [
      'member',
      { 'index.js': '' },
      'index.handler',
      'Runtime.HandlerNotFound',
      /index.handler is undefined or not exported/,
    ],
    [
      'syntax',
      { 'index.js': 'exports.handler = (' },
      'index.handler',
      'Runtime.UserCodeSyntaxError',
      /SyntaxError/,
    ],
    ['name', { 'index.js': '' }, 'index', 'Runtime.MalformedHandlerName', /Bad handler/],
    ['throwing', { 'index.js': 'throw new EvalError("at load")' }, 'index.handler', 'EvalError', /at load/],
    ['exiting', { 'index.js': 'process.exit(3)' }, 'index.handler', 'Runtime.ExitError', /exit status 3/],
  ])('that cannot be loaded says why: %s', async (name, files, handler, errorType, message) => {
    const invoke = await make(`load-${name}`, files, { handler });
    const failure = failureOf(await invoke());
    expect(failure.errorType).toBe(errorType);
    expect(failure.errorMessage).toMatch(message);
  });
});

describe('an execution environment', () => {
  test('has the environment of the function and nothing of the sandbox', async () => {
    process.env['OF_THE_SANDBOX'] = 'leaks';
    const invoke = await make('variables', 'exports.handler = async () => ({ ...process.env });', {
      environment: { ENVIRONMENT: 'production', NODE_EXTRA_CA_CERTS: '/var/runtime/ca-cert.pem' },
    });
    const variables = z.record(z.string(), z.string()).parse((await invoke()).payload);
    delete process.env['OF_THE_SANDBOX'];
    expect(callers.find(variables['AWS_ACCESS_KEY_ID'] ?? '')).toMatchObject({
      arn: ROLE,
      functionName: 'variables',
    });
    expect(variables).toMatchObject({
      ENVIRONMENT: 'production',
      NODE_EXTRA_CA_CERTS: caFile,
      AWS_ENDPOINT_URL: 'http://127.0.0.1:20000',
      AWS_REGION: 'eu-central-1',
      AWS_LAMBDA_FUNCTION_NAME: 'variables',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '128',
      _HANDLER: 'index.handler',
      TZ: ':UTC',
    });
    expect(variables['HOME']).toBe(join(directory, 'lambda', 'home'));
    expect(variables).not.toHaveProperty('OF_THE_SANDBOX');
    expect(Object.keys(variables).filter((name) => name.startsWith('NODE_CHANNEL'))).toEqual([]);
  });

  test("has the SDK of Lambda's runtime, and no other package of this project", async () => {
    const invoke = await make(
      'sdk',
      `exports.handler = async (event) => Object.keys(require(event.package)).includes(event.member);`,
    );
    expect((await invoke({ package: '@aws-sdk/client-lambda', member: 'InvokeCommand' })).payload).toBe(true);
    expect(failureOf(await invoke({ package: 'zod', member: 'z' })).errorMessage).toContain(
      "Cannot find module 'zod'",
    );
  });

  test('stays warm, and a busy function gets another one', async () => {
    const invoke = await make(
      'warm',
      `let calls = 0;
       exports.handler = async ({ wait = 0 }) => {
         await new Promise((resolve) => setTimeout(resolve, wait));
         return { pid: process.pid, calls: ++calls };
       };`,
    );
    const Call = z.object({ pid: z.number(), calls: z.number() });
    const first = Call.parse((await invoke()).payload);
    expect(Call.parse((await invoke()).payload)).toEqual({ pid: first.pid, calls: 2 });
    const both = await Promise.all([invoke({ wait: 300 }), invoke({ wait: 300 })]);
    const pids = both.map(({ payload }) => Call.parse(payload).pid);
    expect(new Set(pids).size).toBe(2);
    expect(pids).toContain(first.pid);
  });

  test('that is idle ends when more than the allowed number are', async () => {
    const pids: number[] = [];
    for (const name of ['idle-a', 'idle-b', 'idle-c']) {
      const invoke = await make(name, 'exports.handler = async () => process.pid;');
      pids.push(z.number().parse((await invoke()).payload));
    }
    expect(pids.map(alive)).toEqual([false, true, true]);
  });

  test('is new after the configuration or the code has changed', async () => {
    const invoke = await make('changing', 'exports.handler = async () => process.env.STAGE ?? "none";');
    expect((await invoke()).payload).toBe('none');
    await call('UpdateFunctionConfiguration', {
      FunctionName: 'changing',
      Environment: { Variables: { STAGE: 'two' } },
    });
    await clock.advance(1000);
    expect((await invoke()).payload).toBe('two');
    const before = await call('GetFunctionConfiguration', { FunctionName: 'changing' });
    await call('UpdateFunctionCode', {
      FunctionName: 'changing',
      ZipFile: zipFile({ 'index.js': 'exports.handler = async () => "new code";' }),
    });
    expect((await invoke()).payload).toBe('new code');
    const after = await call('GetFunctionConfiguration', { FunctionName: 'changing' });
    expect(after['CodeSha256']).not.toBe(before['CodeSha256']);
    expect(after['Environment']).toEqual({ Variables: { STAGE: 'two' } });
  });

  test('is killed when its time is up, even in a busy loop; the next call works', async () => {
    const invoke = await make(
      'slow',
      `exports.handler = async ({ how }) => {
         if (how === 'loop') for (;;);
         if (how === 'wait') await new Promise((resolve) => setTimeout(resolve, 60_000));
         return process.pid;
       };`,
      { timeout: 2 },
    );
    for (const how of ['loop', 'wait']) {
      const pid = z.number().parse((await invoke()).payload);
      const answer = await invoke({ how }, { LogType: 'Tail' });
      const failure = failureOf(answer);
      expect(tail(answer).slice(-3)).toEqual([
        expect.stringMatching(/^[\d-]{10}T[\d:.]+Z [0-9a-f-]{36} Task timed out after 2\.00 seconds$/),
        expect.stringMatching(/^END /),
        expect.stringMatching(/^REPORT .*\tStatus: timeout$/),
      ]);
      expect(failure.errorType).toBe('Sandbox.Timedout');
      expect(failure.errorMessage).toMatch(
        /^RequestId: [0-9a-f-]{36} Error: Task timed out after 2\.00 seconds$/,
      );
      expect(alive(pid)).toBe(false);
    }
    expect((await invoke()).FunctionError).toBeUndefined();
  });

  test('that exits or runs out of memory fails with its status or signal', async () => {
    const exits = await make('exits', 'exports.handler = async ({ code }) => { process.exit(code); };');
    expect(failureOf(await exits({ code: 7 }))).toMatchObject({
      errorType: 'Runtime.ExitError',
      errorMessage: expect.stringMatching(/Error: Runtime exited with error: exit status 7$/) as string,
    });
    expect(failureOf(await exits({ code: 0 })).errorMessage).toMatch(
      /Runtime exited without providing a reason$/,
    );
    const hungry = await make(
      'hungry',
      'exports.handler = async () => { const all = []; for (;;) all.push(new Array(100_000).fill({ n: all.length })); };',
      { memory: 128 },
    );
    expect(failureOf(await hungry())).toMatchObject({
      errorType: 'Runtime.ExitError',
      // By V8, or by Lambda, which looks at all of the process's memory.
      errorMessage: expect.stringMatching(/signal: (aborted|killed)$/) as string,
    });
    const buffers = await make(
      'buffers',
      `exports.handler = async () => {
         const all = [];
         for (;;) { all.push(Buffer.alloc(8 * 2 ** 20, 1)); await new Promise((resolve) => setTimeout(resolve, 5)); }
       };`,
      { memory: 160 },
    );
    const killed = await buffers({}, { LogType: 'Tail' });
    expect(failureOf(killed)).toMatchObject({
      errorType: 'Runtime.ExitError',
      errorMessage: expect.stringMatching(
        /^RequestId: .{36} Error: Runtime exited with error: signal: killed$/,
      ) as string,
    });
    expect(tail(killed).at(-1)).toMatch(
      /Memory Size: 160 MB\tMax Memory Used: 160 MB\t.*Status: error\tError Type: Runtime.ExitError$/,
    );
  });

  test("shows the sandbox's time in Date, whatever day it is there", async () => {
    const invoke = await make(
      'time',
      'exports.handler = async () => ({ now: Date.now(), date: new Date().toISOString(), fixed: new Date(0).getTime(), own: new Date() instanceof Date, made: new (new Date().constructor)().getTime(), text: Date() });',
    );
    const Times = z.object({
      now: z.number(),
      date: z.iso.datetime(),
      fixed: z.literal(0),
      own: z.literal(true),
      made: z.number(),
      text: z.string(),
    });
    for (let day = 0; day < 2; day++) {
      const before = clock.now().getTime();
      const times = Times.parse((await invoke()).payload);
      const after = clock.now().getTime();
      // The text has whole seconds.
      for (const time of [times.now, Date.parse(times.date), times.made, Date.parse(times.text)]) {
        expect(time).toBeGreaterThanOrEqual(before - 1000);
        expect(time).toBeLessThanOrEqual(after + 1);
      }
      await clock.advance(24 * 3_600_000);
    }
  });

  test('talks to names that lead into the sandbox', async () => {
    const invoke = await make(
      'routed',
      `const https = require('node:https');
       exports.handler = () => new Promise((resolve) => {
         https.get({ hostname: 'nowhere.invalid', path: '/' }, () => resolve('answered')).on('error', (error) => resolve(error.code));
       });`,
    );
    // The latter where there is no network.
    expect((await invoke()).payload).toMatch(/^(ENOTFOUND|EAI_AGAIN)$/);
    const tcp: Server = createServer();
    let connections = 0;
    tcp.on('connection', (socket) => {
      connections++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
    const address = tcp.address();
    if (address === null || typeof address === 'string') throw new Error('no address');
    await lambda.route({
      host: 'nowhere.invalid',
      port: 443,
      address: { host: '127.0.0.1', port: address.port },
    });
    expect((await invoke()).payload).toBe('ECONNRESET');
    expect(connections).toBe(1);
    tcp.close();
  });
});

describe('logs', () => {
  test('have the lines of the call, with those of Lambda around them; the tail comes with the answer', async () => {
    const invoke = await make(
      'lines',
      `exports.handler = async ({ n }) => {
         console.log('line %d', n); console.error({ of: n }); process.stdout.write('no newline ' + n); process.stderr.write('err ' + n);
       };`,
    );
    for (const n of [1, 2]) {
      const lines = tail(await invoke({ n }, { LogType: 'Tail' }));
      expect(lines[0]).toMatch(/^START RequestId: [0-9a-f-]{36} Version: \$LATEST$/);
      expect(lines.filter((line) => line.endsWith(`INFO\tline ${n}`))).toHaveLength(1);
      expect(lines.filter((line) => line.endsWith(`ERROR\t{ of: ${n} }`))).toHaveLength(1);
      expect(lines).toContain(`no newline ${n}`);
      expect(lines).toContain(`err ${n}`);
      expect(lines.at(-1)).toMatch(/^REPORT RequestId: .*Memory Size: 128 MB/);
      expect(lines.join('\n')).not.toContain(`line ${3 - n}`);
      expect(lambda.logs('lines').slice(-lines.length)).toEqual(lines);
    }
  });
});

describe('loading', () => {
  test('is not counted to the invocation, and is tried once more within it', async () => {
    const file = join(directory, 'loads');
    const invoke = await make(
      'loads',
      `const fs = require('node:fs');
       fs.appendFileSync(${JSON.stringify(file)}, 'x');
       if (fs.readFileSync(${JSON.stringify(file)}, 'utf8').length === 1) throw new Error('the first time');
       exports.handler = async () => 'loaded';`,
    );
    const first = await invoke({}, { LogType: 'Tail' });
    expect(first.payload).toBe('loaded');
    expect(tail(first)[0]).toMatch(
      /^INIT_REPORT Init Duration: [\d.]+ ms\tPhase: init\tStatus: error\tError Type: Error$/,
    );
    expect(tail(first).at(-1)).not.toContain('Init Duration');
    const fine = await make('loads-well', 'exports.handler = async () => 1;');
    expect(tail(await fine({}, { LogType: 'Tail' })).at(-1)).toMatch(/Init Duration: [\d.]+ ms$/);
    expect(tail(await fine({}, { LogType: 'Tail' })).at(-1)).not.toContain('Init Duration');
  });
});

describe('asynchronous invocations', () => {
  const sent: { service: string; operation: string; input: Record<string, unknown>; caller: string }[] = [];
  const TARGETS = { sns: 'Publish', sqs: 'SendMessage', events: 'PutEvents' } as const;

  beforeAll(() => {
    for (const service of ['sns', 'sqs', 'events'] as const)
      api.register({
        name: service,
        operations: {
          [TARGETS[service]]: async (input: Record<string, unknown>, context) => {
            sent.push({ service, operation: context.operation, input, caller: context.caller.arn });
            return Promise.resolve({});
          },
        },
      });
  });

  const RecordText = z.string().transform((text): unknown => JSON.parse(text));
  const record = (service: string, member: string): unknown =>
    RecordText.parse(sent.find((each) => each.service === service)?.input[member]);

  test('send records of what failed and succeeded, and what failed to the dead-letter queue', async () => {
    const queue = 'arn:aws:sqs:eu-central-1:123456789012:failed';
    const topic = 'arn:aws:sns:eu-central-1:123456789012:dead';
    const failing = await make('fails', 'exports.handler = async () => { throw new RangeError("no"); };', {
      others: { DeadLetterConfig: { TargetArn: topic } },
    });
    await call('PutFunctionEventInvokeConfig', {
      FunctionName: 'fails',
      MaximumRetryAttempts: 1,
      DestinationConfig: { OnFailure: { Destination: queue } },
    });
    sent.length = 0;
    await failing({ n: 1 }, { InvocationType: 'Event' });
    await until(() => sent.length === 2);
    expect(sent.map(({ caller }) => caller)).toEqual([ROLE, ROLE]);
    expect(record('sqs', 'MessageBody')).toMatchObject({
      version: '1.0',
      requestContext: {
        functionArn: 'arn:aws:lambda:eu-central-1:123456789012:function:fails:$LATEST',
        condition: 'RetriesExhausted',
        approximateInvokeCount: 2,
      },
      requestPayload: { n: 1 },
      responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
      responsePayload: { errorType: 'RangeError', errorMessage: 'no' },
    });
    expect(record('sns', 'Message')).toEqual({ n: 1 });
    expect(sent.find(({ service }) => service === 'sns')?.input['MessageAttributes']).toMatchObject({
      ErrorMessage: { DataType: 'String', StringValue: 'no' },
    });

    const well = await make('well', 'exports.handler = async ({ n }) => n + 1;');
    await call('PutFunctionEventInvokeConfig', {
      FunctionName: 'well',
      DestinationConfig: {
        OnSuccess: { Destination: 'arn:aws:events:eu-central-1:123456789012:event-bus/default' },
      },
    });
    sent.length = 0;
    await well({ n: 1 }, { InvocationType: 'Event' });
    await until(() => sent.length === 1);
    expect(sent[0]?.input['Entries']).toMatchObject([
      { Source: 'lambda', DetailType: 'Lambda Function Invocation Result - Success' },
    ]);
    await expect(
      call('PutFunctionEventInvokeConfig', {
        FunctionName: 'well',
        DestinationConfig: { OnFailure: { Destination: 'arn:aws:s3:::bucket' } },
      }),
    ).rejects.toMatchObject({ code: 'NotImplementedInSandbox' });
    await expect(
      call('PutFunctionEventInvokeConfig', { FunctionName: 'well', MaximumRetryAttempts: 3 }),
    ).rejects.toMatchObject({ code: 'ValidationException' });
  });

  test('keep their request id in every attempt, and are dropped when they are too old', async () => {
    const file = join(directory, 'ids');
    const invoke = await make(
      'ids',
      `exports.handler = async (event, context) => {
         require('node:fs').appendFileSync(${JSON.stringify(file)}, context.awsRequestId + '\\n'); throw new Error('no');
       };`,
    );
    await call('PutFunctionEventInvokeConfig', {
      FunctionName: 'ids',
      MaximumEventAgeInSeconds: 90,
      DestinationConfig: { OnFailure: { Destination: 'arn:aws:sqs:eu-central-1:123456789012:failed' } },
    });
    sent.length = 0;
    await invoke({}, { InvocationType: 'Event' });
    await until(() => sent.length === 1);
    const ids = readFileSync(file, 'utf8').trim().split('\n');
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
    expect(record('sqs', 'MessageBody')).toMatchObject({ requestContext: { condition: 'EventAgeExceeded' } });
  });

  test('wait while there is no room', async () => {
    const invocations: string[] = [];
    const end = lambda.onInvocation(({ functionName, throttled, error }) => {
      invocations.push(`${functionName} ${throttled ? 'throttled' : error ? 'failed' : 'ran'}`);
    });
    const invoke = await make(
      'room',
      'exports.handler = () => new Promise((resolve) => setTimeout(resolve, 200, 1));',
    );
    await call('PutFunctionConcurrency', { FunctionName: 'room', ReservedConcurrentExecutions: 1 });
    const first = invoke();
    await invoke({}, { InvocationType: 'Event' });
    await first;
    await until(() => invocations.filter((each) => each === 'room ran').length === 2);
    expect(invocations).toContain('room throttled');
    end();
  });
});

describe('the API', () => {
  test('limits payloads', async () => {
    const invoke = await make('echo', 'exports.handler = async ({ size }) => "x".repeat(size ?? 0);');
    expect((await invoke({ size: 6_000_000 })).text).toHaveLength(6_000_002);
    expect(failureOf(await invoke({ size: 6_400_000 }))).toEqual({
      errorType: 'Function.ResponseSizeTooLarge',
      errorMessage: 'Response payload size exceeded maximum allowed payload size (6291556 bytes).',
    });
    await expect(invoke('x'.repeat(6_300_000))).rejects.toMatchObject({
      code: 'RequestTooLargeException',
      status: 413,
    });
    await expect(invoke('x'.repeat(1_100_000), { InvocationType: 'Event' })).rejects.toMatchObject({
      code: 'RequestTooLargeException',
    });
    await expect(call('Invoke', { FunctionName: 'echo', Payload: Buffer.from('{') })).rejects.toMatchObject({
      code: 'InvalidRequestContentException',
    });
  });

  test('answers a dry run without running', async () => {
    const file = join(directory, 'ran');
    const invoke = await make(
      'dry',
      `exports.handler = async () => require('node:fs').writeFileSync(${JSON.stringify(file)}, '');`,
    );
    expect((await invoke({}, { InvocationType: 'DryRun' })).StatusCode).toBe(204);
    expect(existsSync(file)).toBe(false);
    await invoke();
    expect(existsSync(file)).toBe(true);
  });

  test('tries an event three times, one and two minutes apart on the clock', async () => {
    const file = join(directory, 'attempts');
    writeFileSync(file, '');
    const invoke = await make(
      'event',
      `exports.handler = async () => { require('node:fs').appendFileSync(${JSON.stringify(file)}, Date.now() + '\\n'); throw new Error('again'); };`,
    );
    const answer = await invoke({}, { InvocationType: 'Event' });
    expect(answer).toMatchObject({ StatusCode: 202, payload: undefined });
    await until(() =>
      logged.some((line) => line.includes('lambda event: event dropped after 3 attempts: Error: again')),
    );
    const [first = 0, second = 0, third = 0] = readFileSync(file, 'utf8').trim().split('\n').map(Number);
    expect(Math.round((second - first) / 60_000)).toBe(1);
    expect(Math.round((third - second) / 60_000)).toBe(2);
    await call('PutFunctionEventInvokeConfig', { FunctionName: 'event', MaximumRetryAttempts: 0 });
    await invoke({}, { InvocationType: 'Event' });
    await until(() => logged.some((line) => line.includes('lambda event: event dropped after 1 attempts')));
  });

  test('throttles beyond the reserved concurrency', async () => {
    const invoke = await make(
      'reserved',
      'exports.handler = () => new Promise((resolve) => setTimeout(resolve, 300, 1));',
    );
    await call('PutFunctionConcurrency', { FunctionName: 'reserved', ReservedConcurrentExecutions: 1 });
    const first = invoke();
    await expect(invoke()).rejects.toMatchObject({ code: 'TooManyRequestsException', status: 429 });
    expect((await first).payload).toBe(1);
    expect(await call('GetFunctionConcurrency', { FunctionName: 'reserved' })).toEqual({
      ReservedConcurrentExecutions: 1,
    });
    await call('DeleteFunctionConcurrency', { FunctionName: 'reserved' });
    expect(await call('GetFunctionConcurrency', { FunctionName: 'reserved' })).toEqual({});
    await expect(
      call('PutFunctionConcurrency', { FunctionName: 'reserved', ReservedConcurrentExecutions: 901 }),
    ).rejects.toMatchObject({
      code: 'InvalidParameterValueException',
      message: expect.stringContaining('below its minimum value of [100]') as string,
    });
  });

  test('a function comes into being, and changes, one change at a time', async () => {
    const code = { ZipFile: zipFile({ 'index.js': 'exports.handler = async () => 1;' }) };
    const made = await call('CreateFunction', {
      FunctionName: 'becoming',
      Role: ROLE,
      Runtime: 'nodejs24.x',
      Handler: 'index.handler',
      Code: code,
    });
    expect(made).toMatchObject({ State: 'Pending', StateReasonCode: 'Creating' });
    await expect(call('Invoke', { FunctionName: 'becoming' })).rejects.toMatchObject({
      code: 'ResourceConflictException',
      status: 409,
      message: expect.stringContaining('in the following state: Pending') as string,
    });
    await clock.advance(1000);
    const changed = await call('UpdateFunctionConfiguration', { FunctionName: 'becoming', Timeout: 5 });
    expect(changed).toMatchObject({ State: 'Active', LastUpdateStatus: 'InProgress', Timeout: 5 });
    await expect(
      call('UpdateFunctionCode', { FunctionName: 'becoming', ZipFile: code.ZipFile }),
    ).rejects.toMatchObject({
      code: 'ResourceConflictException',
      message: expect.stringContaining('An update is in progress for resource: arn:aws:lambda:') as string,
    });
    await clock.advance(1000);
    expect(await call('GetFunctionConfiguration', { FunctionName: 'becoming' })).toMatchObject({
      LastUpdateStatus: 'Successful',
    });
  });

  test('finds functions by name, ARN and qualifier, lists, tags and deletes them', async () => {
    await make('found', 'exports.handler = async () => 1;', {
      others: { Tags: { a: '1' }, VpcConfig: { SubnetIds: ['subnet-1'], SecurityGroupIds: ['sg-1'] } },
    });
    const found = 'arn:aws:lambda:eu-central-1:123456789012:function:found';
    for (const name of ['found', found, `${found}:$LATEST`, '123456789012:function:found', 'found:$LATEST'])
      expect(await call('GetFunctionConfiguration', { FunctionName: name })).toMatchObject({
        FunctionArn: found,
        State: 'Active',
        VpcConfig: { SubnetIds: ['subnet-1'], SecurityGroupIds: ['sg-1'] },
      });
    await call('TagResource', { Resource: found, Tags: { b: '2' } });
    await call('UntagResource', { Resource: found, TagKeys: ['a'] });
    expect(await call('ListTags', { Resource: found })).toEqual({ Tags: { b: '2' } });
    await call('AddPermission', {
      FunctionName: 'found',
      StatementId: 's',
      Action: 'lambda:InvokeFunction',
      Principal: 'events.amazonaws.com',
    });
    expect(
      lambda
        .list()
        .find(({ name }) => name === 'found')
        ?.permissions.get('s'),
    ).toMatchObject({ principal: 'events.amazonaws.com' });
    const List = z.object({
      Functions: z.array(z.object({ FunctionName: z.string() })),
      NextMarker: z.string().optional(),
    });
    const page = List.parse(await call('ListFunctions', { MaxItems: 1 }));
    const next = List.parse(await call('ListFunctions', { MaxItems: 1, Marker: page.NextMarker }));
    expect(next.Functions[0]?.FunctionName).not.toBe(page.Functions[0]?.FunctionName);
    await call('DeleteFunction', { FunctionName: 'found' });
    for (const name of ['found', found, 'echo:7'])
      await expect(call('Invoke', { FunctionName: name })).rejects.toMatchObject({
        code: 'ResourceNotFoundException',
        status: 404,
        message: expect.stringContaining('Function not found: arn:aws:lambda:') as string,
      });
  });

  test.each([
    ['a name taken', {}, 'ResourceConflictException'],
    [
      'a reserved variable',
      { Environment: { Variables: { AWS_REGION: 'x' } } },
      'InvalidParameterValueException',
    ],
    [
      'too large an environment',
      { Environment: { Variables: { A: 'x'.repeat(5000) } } },
      'InvalidParameterValueException',
    ],
    ['too long a timeout', { Timeout: 901 }, 'ValidationException'],
    ['too little memory', { MemorySize: 64 }, 'ValidationException'],
    ['no role', { Role: 'role' }, 'ValidationException'],
    ['another language', { Runtime: 'python3.13' }, 'NotImplementedInSandbox'],
    ['layers', { Layers: ['arn'] }, 'NotImplementedInSandbox'],
    [
      'a dead-letter queue that is none',
      { DeadLetterConfig: { TargetArn: 'arn:aws:s3:::b' } },
      'InvalidParameterValueException',
    ],
    ['no zip', { Code: { ZipFile: Buffer.from('PK') } }, 'InvalidParameterValueException'],
  ])('refuses %s', async (name, change, code) => {
    const request = {
      FunctionName: name === 'a name taken' ? 'echo' : 'refused',
      Role: ROLE,
      Runtime: 'nodejs24.x',
      Handler: 'index.handler',
      Code: { ZipFile: zipFile({ 'index.js': '' }) },
      ...change,
    };
    await expect(call('CreateFunction', request)).rejects.toMatchObject({ code });
  });
});
