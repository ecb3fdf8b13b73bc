import { CreateFunctionCommand, InvokeCommand, waitUntilFunctionActiveV2 } from '@aws-sdk/client-lambda';
import { CreateDBInstanceCommand, DescribeDBInstancesCommand, RDSClient } from '@aws-sdk/client-rds';
import {
  CreateSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import {
  CreateStateMachineCommand,
  DescribeExecutionCommand,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn';
import type { ServiceName } from '../../../sandbox/core/api';
import { VirtualClock } from '../../../sandbox/core/clock';
import { throttled } from '../../../sandbox/faults/declared-errors';
import type { FaultPlanInput } from '../../../sandbox/faults/plan';
import { durations } from '../../../sandbox/rds/durations';
import { Sandbox } from '../../../sandbox/sandbox';
import { until } from '../../until';
import { zipFile } from '../lambda/zip-file';

const ROLE = 'arn:aws:iam::123456789012:role/tester';
const clock = new VirtualClock();
let sandbox: Sandbox;
/** Clients that do not try again, so that a test sees each answer. */
let rds: RDSClient;
let secrets: SecretsManagerClient;

beforeAll(async () => {
  sandbox = await Sandbox.start({ clock, durations: durations('quick') });
  const settings = {
    endpoint: sandbox.context.endpoint,
    region: 'eu-central-1',
    credentials: sandbox.credentials(),
    maxAttempts: 1,
  };
  rds = new RDSClient(settings);
  secrets = new SecretsManagerClient(settings);
  await secrets.send(new CreateSecretCommand({ Name: 'one', SecretString: 'first' }));
  const { lambda } = sandbox.clients();
  // Writes twice, to see between which writes a fault came.
  await lambda.send(
    new CreateFunctionCommand({
      FunctionName: 'writer',
      Role: ROLE,
      Runtime: 'nodejs24.x',
      Handler: 'index.handler',
      Timeout: 45,
      Code: {
        ZipFile: zipFile({
          'index.js': `const { SecretsManagerClient, PutSecretValueCommand } = require('@aws-sdk/client-secrets-manager');
            const client = new SecretsManagerClient();
            exports.handler = async ({ text }) => {
              for (const part of [1, 2])
                await client.send(new PutSecretValueCommand({ SecretId: 'one', SecretString: text + part }));
              return 'written';
            };`,
        }),
      },
    }),
  );
  // Until then the function is Pending.
  await clock.advance(1000);
  await waitUntilFunctionActiveV2(
    { client: lambda, maxWaitTime: 60, minDelay: 1 },
    { FunctionName: 'writer' },
  );
});

afterAll(async () => {
  for (const client of [rds, secrets]) client.destroy();
  await sandbox.stop();
});

afterEach(() => {
  sandbox.faults.follow({});
});

/** jest's matcher is typed `any`. */
const matching = (text: RegExp): unknown => expect.stringMatching(text);

const follow = (...faults: NonNullable<FaultPlanInput['faults']>): void => {
  sandbox.faults.follow({ faults });
};
const put = (text: string): Promise<unknown> =>
  secrets.send(new PutSecretValueCommand({ SecretId: 'one', SecretString: text }));
const value = async (): Promise<string | undefined> =>
  (await sandbox.clients().secrets.send(new GetSecretValueCommand({ SecretId: 'one' }))).SecretString;
const describeInstances = (): Promise<unknown> => rds.send(new DescribeDBInstancesCommand({}));
const written = { operation: 'secretsmanager:PutSecretValue' };

async function invokeWriter(text: string): Promise<{ error: string | undefined; payload: unknown }> {
  const { FunctionError, Payload } = await sandbox
    .clients()
    .lambda.send(new InvokeCommand({ FunctionName: 'writer', Payload: JSON.stringify({ text }) }));
  return { error: FunctionError, payload: JSON.parse(Buffer.from(Payload ?? []).toString()) };
}

/** Runs one Task state and answers what became of it, as its error's name or its output. */
async function runTask(task: object): Promise<{ error: string | undefined; output: unknown }> {
  const { stepFunctions } = sandbox.clients();
  const { stateMachineArn = '' } = await stepFunctions.send(
    new CreateStateMachineCommand({
      name: `machine-${Math.random().toString(36).slice(2)}`,
      roleArn: ROLE,
      definition: JSON.stringify({
        QueryLanguage: 'JSONata',
        StartAt: 'Task',
        States: { Task: { Type: 'Task', End: true, ...task } },
      }),
    }),
  );
  const { executionArn } = await stepFunctions.send(new StartExecutionCommand({ stateMachineArn }));
  const { error, output } = await until(
    () => stepFunctions.send(new DescribeExecutionCommand({ executionArn })),
    ({ status }) => status !== 'RUNNING',
  );
  return { error, output: output === undefined ? undefined : JSON.parse(output) };
}

describe('which calls', () => {
  test('the n-th, and no other', async () => {
    follow({ fault: 'throttling', at: { ...written, call: 2 } });
    await put('a');
    await expect(put('b')).rejects.toMatchObject({ name: 'ThrottlingException' });
    await put('c');
    expect(await value()).toBe('c');
  });

  test('every n-th, so many times', async () => {
    follow({ fault: 'throttling', at: { ...written, every: 2, times: 2 } });
    const outcomes: string[] = [];
    for (let call = 1; call <= 8; call++)
      outcomes.push(
        await put(`every-${call}`).then(
          () => 'ok',
          () => 'no',
        ),
      );
    expect(outcomes).toEqual(['ok', 'no', 'ok', 'no', 'ok', 'ok', 'ok', 'ok']);
    expect(sandbox.faults.fired()).toHaveLength(2);
  });

  test('each different call once', async () => {
    follow({ fault: 'throttling', at: { operation: 'secretsmanager:*', each: 1 } });
    const get = (): Promise<unknown> => secrets.send(new GetSecretValueCommand({ SecretId: 'one' }));
    await expect(get()).rejects.toThrow('Rate exceeded');
    await get();
    await get();
    await expect(
      secrets.send(new GetSecretValueCommand({ SecretId: 'one', VersionStage: 'AWSCURRENT' })),
    ).rejects.toThrow('Rate exceeded');
    expect(sandbox.faults.fired().map(({ operation }) => operation)).toEqual([
      'secretsmanager:GetSecretValue',
      'secretsmanager:GetSecretValue',
    ]);
  });

  test('by whom and with what', async () => {
    follow(
      { fault: 'throttling', at: { ...written, by: 'writer' } },
      { fault: 'throttling', at: { ...written, with: { SecretId: 'on*', SecretString: 'this' } } },
      { fault: 'throttling', at: { ...written, by: 'adm*r', with: { SecretString: 'that' } } },
    );
    await put('other');
    await expect(put('this')).rejects.toThrow('Rate exceeded');
    await expect(put('that')).rejects.toThrow('Rate exceeded');
    expect(sandbox.faults.unfired()).toEqual([expect.objectContaining({ at: { ...written, by: 'writer' } })]);
    expect(await invokeWriter('x')).toEqual({ error: undefined, payload: 'written' });
    expect(sandbox.faults.unfired()).toEqual([]);
    expect(sandbox.faults.fired().at(-1)).toMatchObject({ caller: 'writer', operation: written.operation });
  });

  test('a new plan begins anew; a wrong one is refused and the old one is kept', async () => {
    follow({ fault: 'throttling', at: { ...written, call: 2 } });
    await put('1');
    follow({ fault: 'throttling', at: { ...written, call: 2 } });
    await put('2');
    expect(() => {
      follow({ fault: 'throttling', at: { operation: 'secretsmanager:Put' } });
    }).toThrow('no operation "Put"');
    expect(() => {
      follow({ fault: 'restart', at: written });
    }).toThrow('state directory');
    await expect(put('3')).rejects.toThrow('Rate exceeded');
  });
});

describe('what happens', () => {
  test('an error before the effect, as the service spells it', async () => {
    follow({
      fault: 'error',
      at: { operation: 'rds:CreateDBInstance' },
      code: 'InsufficientDBInstanceCapacity',
      message: 'None left in eu-central-1a.',
    });
    const create = rds.send(
      new CreateDBInstanceCommand({
        DBInstanceIdentifier: 'x',
        DBInstanceClass: 'db.t4g.micro',
        Engine: 'postgres',
      }),
    );
    await expect(create).rejects.toMatchObject({
      name: 'InsufficientDBInstanceCapacityFault',
      message: 'None left in eu-central-1a.',
      $metadata: { httpStatusCode: 400 },
    });
    expect(await describeInstances()).toMatchObject({ DBInstances: [] });
  });

  test('an error after the effect', async () => {
    follow({ fault: 'error', at: written, code: 'InternalServiceError', message: 'Sorry.', when: 'after' });
    await expect(put('effective')).rejects.toMatchObject({
      name: 'InternalServiceError',
      $metadata: { httpStatusCode: 500 },
    });
    expect(await value()).toBe('effective');
  });

  test('a lost answer: the connection breaks, and a client that tries again succeeds', async () => {
    follow({ fault: 'lost answer', at: { ...written, every: 1, times: 2 } });
    await expect(put('lost')).rejects.toThrow('socket hang up');
    expect(await value()).toBe('lost');
    await sandbox
      .clients()
      .secrets.send(new PutSecretValueCommand({ SecretId: 'one', SecretString: 'again' }));
    expect(await value()).toBe('again');
    expect(sandbox.faults.fired()).toHaveLength(2);
  });

  test.each([
    ['before', 'before1'],
    ['after', 'after2'],
  ] as const)('a function killed %s its second write', async (when, last) => {
    follow({ fault: 'kill', at: { ...written, call: 2 }, when });
    // Not made by a function: such calls do not count.
    await put('by hand');
    const { error, payload } = await invokeWriter(when);
    expect({ error, payload }).toEqual({
      error: 'Unhandled',
      payload: {
        errorType: 'Runtime.ExitError',
        errorMessage: matching(/^RequestId: [\w-]{36} Error: Runtime exited with error: signal: killed$/),
      },
    });
    expect(await value()).toBe(last);
    expect(await invokeWriter('well')).toMatchObject({ payload: 'written' });
  });

  test.each([
    ['before', 'before1'],
    ['after', 'after2'],
  ] as const)(
    'a function out of time %s its second write, on the clock and not for real',
    async (when, last) => {
      follow({ fault: 'time out', at: { ...written, call: 2 }, when });
      const [began, beganHere] = [clock.now().getTime(), Date.now()];
      const { error, payload } = await invokeWriter(when);
      expect({ error, payload }).toEqual({
        error: 'Unhandled',
        payload: {
          errorType: 'Sandbox.Timedout',
          errorMessage: matching(/^RequestId: [\w-]{36} Error: Task timed out after 45\.00 seconds$/),
        },
      });
      expect(await value()).toBe(last);
      const [passed, passedHere] = [clock.now().getTime() - began, Date.now() - beganHere];
      expect(passed).toBeGreaterThan(44_000);
      // Had it waited for real, the two would be the same.
      expect(passed).toBeGreaterThan(passedHere + 1000);
    },
  );

  test('of two invocations side by side only the one that makes the call is killed', async () => {
    follow({ fault: 'kill', at: { ...written, with: { SecretString: 'left*' } } });
    const [left, right] = await Promise.all([invokeWriter('left'), invokeWriter('right')]);
    expect(left.error).toBe('Unhandled');
    expect(right).toEqual({ error: undefined, payload: 'written' });
  });

  test('an operation that ends in a failed status', async () => {
    follow({
      fault: 'failed status',
      at: { operation: 'rds:CreateDBInstance' },
      status: 'insufficient-capacity',
    });
    await rds.send(
      new CreateDBInstanceCommand({
        DBInstanceIdentifier: 'unlucky',
        DBInstanceClass: 'db.t4g.micro',
        Engine: 'postgres',
        AllocatedStorage: 20,
        MasterUsername: 'master',
        MasterUserPassword: 'not-Needed1',
      }),
    );
    const { DBInstances } = await until(
      async () => {
        await clock.sleep(60_000);
        return rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: 'unlucky' }));
      },
      (answer) => answer.DBInstances?.[0]?.DBInstanceStatus !== 'creating',
    );
    expect(DBInstances?.[0]?.DBInstanceStatus).toBe('insufficient-capacity');
  });
});

describe('calls of a state machine', () => {
  const invoke = {
    Resource: 'arn:aws:states:::lambda:invoke',
    Arguments: { FunctionName: 'writer', Payload: { text: 'm' } },
    Output: '{% $states.result.Payload %}',
  };

  test.each([
    [{ fault: 'throttling' }, 'Lambda.TooManyRequestsException'],
    [{ fault: 'lost answer' }, 'Lambda.SdkClientException'],
    [{ fault: 'error', code: 'ServiceException', message: 'no' }, 'Lambda.ServiceException'],
  ] as const)('%j of lambda:Invoke is %s', async (what, name) => {
    follow({ ...what, at: { operation: 'lambda:Invoke', by: 'tester', with: { FunctionName: 'writer' } } });
    expect((await runTask(invoke)).error).toBe(name);
  });

  test('are tried again as the state says', async () => {
    follow(
      { fault: 'kill', at: { ...written, by: 'writer', call: 2 } },
      { fault: 'throttling', at: { operation: 'lambda:Invoke' } },
    );
    const Retry = [{ ErrorEquals: ['Lambda.TooManyRequestsException', 'Runtime.ExitError'] }];
    expect((await runTask({ ...invoke, Retry })).output).toBe('written');
    expect(sandbox.faults.unfired()).toEqual([]);
  });

  test('of an SDK integration', async () => {
    const task = { Resource: 'arn:aws:states:::aws-sdk:rds:describeDBInstances', Arguments: {} };
    follow({ fault: 'throttling', at: { operation: 'rds:DescribeDBInstances', by: 'tester' } });
    expect((await runTask(task)).error).toBe('Rds.RdsException');
    follow({ fault: 'lost answer', at: { operation: 'rds:DescribeDBInstances' } });
    expect((await runTask(task)).error).toBe('Rds.SdkClientException');
  });
});

describe('throttling', () => {
  test.each<[ServiceName, string, number]>([
    ['rds', 'Throttling', 400],
    ['secretsmanager', 'ThrottlingException', 400],
    ['states', 'ThrottlingException', 400],
    ['lambda', 'TooManyRequestsException', 429],
    ['scheduler', 'ThrottlingException', 429],
  ])('%s says %s with %i', (service, code, status) => {
    expect(throttled(service)).toMatchObject({ code, status, message: 'Rate exceeded' });
  });

  test('is waited out by an SDK', async () => {
    follow({ fault: 'throttling', at: { operation: 'rds:DescribeDBInstances', every: 1, times: 2 } });
    await sandbox.clients().rds.send(new DescribeDBInstancesCommand({}));
    expect(sandbox.faults.fired()).toHaveLength(2);
  });

  test('of its own, above so many calls a second of the clock', async () => {
    sandbox.faults.follow({ rates: { rds: 5 } });
    const burst = await Promise.allSettled(Array.from({ length: 20 }, describeInstances));
    const refused = burst.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThanOrEqual(10);
    expect(refused[0]).toMatchObject({ reason: { name: 'Throttling', message: 'Rate exceeded' } });
    // Other services have none.
    await Promise.all(Array.from({ length: 20 }, value));
    await clock.advance(1000);
    await Promise.all(Array.from({ length: 5 }, describeInstances));
  });
});
