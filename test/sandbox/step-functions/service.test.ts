import { ApiError } from '../../../sandbox/core/api';
import { ROLE, single, startStates as start, task } from './start-states';

describe('retry and catch', () => {
  it('waits between tries as IntervalSeconds, BackoffRate and MaxDelaySeconds say, on the virtual clock', async () => {
    const sandbox = start((_input, call) => (call < 5 ? { errorType: 'NotYet' } : { payload: 'done' }));
    const machine = await sandbox.create(
      single(
        task({
          Retry: [
            {
              ErrorEquals: ['NotYet'],
              IntervalSeconds: 10,
              BackoffRate: 2,
              MaxDelaySeconds: 30,
              MaxAttempts: 4,
            },
          ],
        }),
      ),
    );
    const { status, output } = await sandbox.ended(await sandbox.begin(machine));
    expect({ status, output }).toEqual({ status: 'SUCCEEDED', output: '"done"' });
    const waits = sandbox.calls.slice(1).map(({ at }, index) => at - (sandbox.calls[index]?.at ?? 0));
    expect(waits.map((wait) => Math.round(wait / 1000))).toEqual([10, 20, 30, 30]);
    expect(sandbox.calls[0]?.role).toBe(ROLE);
  });

  it('hands the error to the Catch that names it, and fails with it when none does', async () => {
    const sandbox = start(() => ({ errorType: 'Broken' }));
    const machine = await sandbox.create({
      StartAt: 'Work',
      QueryLanguage: 'JSONata',
      States: {
        Work: {
          ...task({
            Catch: [
              { ErrorEquals: ['Other'], Next: 'No' },
              { ErrorEquals: ['Broken'], Next: 'Fail', Assign: { first: '{% $states.errorOutput %}' } },
            ],
          }),
        },
        No: { Type: 'Succeed' },
        Fail: { Type: 'Fail', Error: '{% $first.Error %}', Cause: '{% $first.Cause %}' },
      },
    });
    const { status, error, cause } = await sandbox.ended(await sandbox.begin(machine));
    expect({ status, error }).toEqual({ status: 'FAILED', error: 'Broken' });
    expect(JSON.parse(cause ?? '')).toEqual({ errorMessage: 'no', errorType: 'Broken', trace: [] });
  });
});

describe('redrive', () => {
  it('goes on from the branch that failed, with variables as they were', async () => {
    let healthy = false;
    const sandbox = start((input) =>
      input === 'bad' && !healthy ? { errorType: 'Broken' } : { payload: { did: input } },
    );
    const machine = await sandbox.create({
      StartAt: 'Remember',
      QueryLanguage: 'JSONata',
      States: {
        Remember: { Type: 'Pass', Assign: { seen: 'before' }, Next: 'Both' },
        Both: {
          Type: 'Parallel',
          Branches: [
            { StartAt: 'Good', States: { Good: task({ Arguments: 'good' }) } },
            {
              StartAt: 'Wait',
              States: {
                Wait: { Type: 'Wait', Seconds: 60, Next: 'Bad' },
                Bad: task({ Arguments: 'bad' }),
              },
            },
          ],
          Output: { did: '{% $states.result.did %}', seen: '{% $seen %}' },
          End: true,
        },
      },
    });
    const executionArn = await sandbox.begin(machine);
    const failed = await sandbox.ended(executionArn);
    expect(failed).toMatchObject({ status: 'FAILED', error: 'Broken', redriveStatus: 'REDRIVABLE' });
    healthy = true;
    await sandbox.call('RedriveExecution', { executionArn });
    const redriven = await sandbox.ended(executionArn);
    expect(redriven).toMatchObject({ status: 'SUCCEEDED', redriveCount: 1, redriveStatus: 'NOT_REDRIVABLE' });
    expect(JSON.parse(redriven.output ?? '')).toEqual({ did: ['good', 'bad'], seen: 'before' });
    expect(sandbox.calls.map(({ input }) => input)).toEqual(['good', 'bad', 'bad']);
    const types = await sandbox.types(executionArn);
    expect(types.slice(types.indexOf('ExecutionRedriven'))).toEqual([
      'ExecutionRedriven',
      'LambdaFunctionScheduled',
      'LambdaFunctionStarted',
      'LambdaFunctionSucceeded',
      'TaskStateExited',
      'ParallelStateSucceeded',
      'ParallelStateExited',
      'ExecutionSucceeded',
    ]);
    await expect(sandbox.call('RedriveExecution', { executionArn })).rejects.toMatchObject({
      code: 'ExecutionNotRedrivable',
    });
  });
});

describe('executions', () => {
  const waiting = single({
    Type: 'Task',
    Resource: 'arn:aws:states:::lambda:invoke.waitForTaskToken',
    Parameters: { FunctionName: 'work', Payload: { 'token.$': '$$.Task.Token' } },
    End: true,
  });
  const token = (calls: { input: unknown }[]): string => {
    const [call] = calls;
    const input: unknown = call?.input;
    return typeof input === 'object' && input !== null && 'token' in input ? String(input.token) : '';
  };

  it('are the same for the same name and input while they run, and refused for another input or later', async () => {
    const sandbox = start();
    const machine = await sandbox.create(waiting);
    const first = await sandbox.call('StartExecution', { stateMachineArn: machine, name: 'a', input: '{}' });
    expect(
      await sandbox.call('StartExecution', { stateMachineArn: machine, name: 'a', input: '{}' }),
    ).toEqual(first);
    const exists = { code: 'ExecutionAlreadyExists' };
    const again = { stateMachineArn: machine, name: 'a' };
    await expect(sandbox.call('StartExecution', { ...again, input: '[]' })).rejects.toMatchObject(exists);
    const executionArn = String(first['executionArn']);
    const stopped = await sandbox.call('StopExecution', { executionArn, error: 'Mine', cause: 'enough' });
    expect(stopped['stopDate']).toBeInstanceOf(Date);
    expect(await sandbox.describe(executionArn)).toMatchObject({
      status: 'ABORTED',
      error: 'Mine',
      cause: 'enough',
    });
    expect((await sandbox.types(executionArn)).at(-1)).toBe('ExecutionAborted');
    await expect(sandbox.call('StartExecution', { ...again, input: '{}' })).rejects.toMatchObject(exists);
  });

  it('wait for their token, which is good once', async () => {
    const sandbox = start();
    const executionArn = await sandbox.begin(await sandbox.create(waiting));
    while (!(await sandbox.types(executionArn)).includes('TaskSubmitted')) await new Promise(setImmediate);
    const taskToken = token(sandbox.calls);
    await expect(sandbox.call('SendTaskSuccess', { taskToken, output: '{' })).rejects.toMatchObject({
      code: 'InvalidOutput',
    });
    await sandbox.call('SendTaskSuccess', { taskToken, output: '{"said":"yes"}' });
    expect(await sandbox.ended(executionArn)).toMatchObject({
      status: 'SUCCEEDED',
      output: '{"said":"yes"}',
    });
    await expect(sandbox.call('SendTaskSuccess', { taskToken, output: '{}' })).rejects.toMatchObject({
      code: 'TaskTimedOut',
    });
    await expect(sandbox.call('SendTaskHeartbeat', { taskToken: 'x' })).rejects.toBeInstanceOf(ApiError);
  });

  it('end at 25,000 events', async () => {
    const sandbox = start();
    const machine = await sandbox.create({
      StartAt: 'A',
      States: { A: { Type: 'Pass', Next: 'B' }, B: { Type: 'Pass', Next: 'A' } },
    });
    const executionArn = await sandbox.begin(machine);
    const { status, cause } = await sandbox.ended(executionArn);
    expect({ status, cause }).toEqual({
      status: 'FAILED',
      cause: 'The execution reached the maximum number of history events (25000).',
    });
    const last = await sandbox.history(executionArn, { reverseOrder: true, maxResults: 1 });
    expect(last.events[0]).toMatchObject({ id: 25_000, type: 'ExecutionFailed' });
    const page = await sandbox.history(executionArn, {
      reverseOrder: true,
      maxResults: 1,
      nextToken: last.nextToken,
    });
    expect(page.events[0]?.id).toBe(24_999);
  });

  it('get States.DataLimitExceeded for a result larger than 256 KiB, which only a Catch that names it takes', async () => {
    const sandbox = start(() => ({ payload: 'x'.repeat(262_144) }));
    const machine = await sandbox.create({
      StartAt: 'Work',
      States: {
        Work: task({
          Catch: [
            { ErrorEquals: ['States.ALL'], Next: 'Any' },
            { ErrorEquals: ['States.DataLimitExceeded'], Next: 'TooLarge' },
          ],
        }),
        Any: { Type: 'Pass', Result: 'any', End: true },
        TooLarge: { Type: 'Pass', Result: 'too large', End: true },
      },
    });
    expect(await sandbox.ended(await sandbox.begin(machine))).toMatchObject({
      status: 'SUCCEEDED',
      output: '"too large"',
    });
  });

  it('time out by TimeoutSeconds and HeartbeatSeconds', async () => {
    const sandbox = start();
    const limited = (limits: object) => ({
      ...waiting,
      States: {
        Work: {
          Type: 'Task',
          Resource: 'arn:aws:states:::lambda:invoke.waitForTaskToken',
          Parameters: { FunctionName: 'work', Payload: { 'token.$': '$$.Task.Token' } },
          ...limits,
          Catch: [{ ErrorEquals: ['States.HeartbeatTimeout'], Next: 'Silent' }],
          End: true,
        },
        Silent: { Type: 'Pass', Result: 'silent', End: true },
      },
    });
    const slow = await sandbox.create(limited({ TimeoutSeconds: 3600 }), 'slow');
    const slowRun = await sandbox.ended(await sandbox.begin(slow));
    expect(slowRun).toMatchObject({ status: 'FAILED', error: 'States.Timeout' });
    expect((slowRun.stopDate?.getTime() ?? 0) - slowRun.startDate.getTime()).toBeGreaterThanOrEqual(
      3_600_000,
    );
    const silent = await sandbox.create(limited({ HeartbeatSeconds: 60 }), 'silent');
    expect(await sandbox.ended(await sandbox.begin(silent))).toMatchObject({
      status: 'SUCCEEDED',
      output: '"silent"',
    });
  });
});
