import { ROLE, startStates, task, single, type Answer, type Event, type Left } from './start-states';

/** What the events say, without what differs between two runs: times, tokens, request ids. */
function told(events: readonly Event[]): unknown {
  return events.map(({ timestamp: _at, ...event }) => event);
}

const wait = (seconds: number, more: object = { End: true }): object => ({
  Type: 'Wait',
  Seconds: seconds,
  ...more,
});
const callback = (more: object = {}): object => ({
  Type: 'Task',
  Resource: 'arn:aws:states:::lambda:invoke.waitForTaskToken',
  Parameters: { FunctionName: 'work', Payload: { 'token.$': '$$.Task.Token' } },
  End: true,
  ...more,
});
const tokenIn = (input: unknown): string =>
  typeof input === 'object' && input !== null && 'token' in input ? String(input.token) : '';
const never = (): Promise<Answer> => new Promise(() => undefined);

/** Runs a machine until it has written one of `events`, ends that process, and starts another `later` milliseconds after. */
async function interrupted(
  definition: object,
  events: readonly string[],
  options: {
    before?: (input: unknown, call: number) => Answer | Promise<Answer>;
    after?: (input: unknown, call: number) => Answer | Promise<Answer>;
    later?: number;
  } = {},
) {
  const first = startStates(options.before);
  const machine = await first.create(definition);
  const hold = first.clock.hold();
  const executionArn = await first.begin(machine);
  await first.until(executionArn, events);
  const begun = (await first.describe(executionArn)).startDate.getTime();
  const left = first.leave();
  hold();
  const next = startStates(options.after, left);
  const letGo = next.clock.hold();
  await next.resumed(options.later);
  letGo();
  return { first, next, executionArn, machine, begun, left };
}

describe('an execution that another process goes on with', () => {
  it('waits for the rest of its time only', async () => {
    const { next, executionArn, begun } = await interrupted(single(wait(600)), ['WaitStateEntered'], {
      later: 200_000,
    });
    const { status, stopDate } = await next.ended(executionArn);
    expect(status).toBe('SUCCEEDED');
    expect(Math.round(((stopDate?.getTime() ?? 0) - begun) / 1000)).toBe(600);
    expect(await next.types(executionArn)).toEqual([
      'ExecutionStarted',
      'WaitStateEntered',
      'WaitStateExited',
      'ExecutionSucceeded',
    ]);
  });

  it('tries again after the rest of the back-off, with the tries that are left', async () => {
    const retry = { ErrorEquals: ['Broken'], IntervalSeconds: 300, BackoffRate: 1, MaxAttempts: 2 };
    const broken = (): Answer => ({ errorType: 'Broken' });
    const { next, executionArn, begun } = await interrupted(
      single(task({ Retry: [retry] })),
      ['LambdaFunctionFailed'],
      { before: broken, after: broken, later: 100_000 },
    );
    expect(await next.ended(executionArn)).toMatchObject({ status: 'FAILED', error: 'Broken' });
    expect(next.calls.map(({ at }) => Math.round((at - begun) / 1000))).toEqual([300, 600]);
    expect((await next.types(executionArn)).filter((type) => type === 'LambdaFunctionFailed')).toHaveLength(
      3,
    );
  });

  it('calls a function again whose answer was not there, and writes nothing twice', async () => {
    const definition = single(task());
    const undisturbed = startStates(() => ({ payload: 7 }));
    const other = await undisturbed.begin(await undisturbed.create(definition));
    await undisturbed.ended(other);
    const { first, next, executionArn } = await interrupted(definition, ['LambdaFunctionStarted'], {
      before: never,
      after: () => ({ payload: 7 }),
    });
    expect(await next.ended(executionArn)).toMatchObject({ status: 'SUCCEEDED', output: '7' });
    expect([first.calls.length, next.calls.length]).toEqual([1, 1]);
    expect(told((await next.history(executionArn)).events)).toEqual(
      told((await undisturbed.history(other)).events),
    );
  });

  it('keeps the limits in time of task and machine', async () => {
    const slow = await interrupted(single(callback({ TimeoutSeconds: 900 })), ['TaskSubmitted'], {
      later: 300_000,
    });
    const timedOut = await slow.next.ended(slow.executionArn);
    expect(timedOut).toMatchObject({ status: 'FAILED', error: 'States.Timeout' });
    expect(Math.round(((timedOut.stopDate?.getTime() ?? 0) - slow.begun) / 1000)).toBe(900);
    const whole = await interrupted({ ...single(wait(5000)), TimeoutSeconds: 900 }, ['WaitStateEntered'], {
      later: 300_000,
    });
    const ended = await whole.next.ended(whole.executionArn);
    expect(ended.status).toBe('TIMED_OUT');
    expect(Math.round(((ended.stopDate?.getTime() ?? 0) - whole.begun) / 1000)).toBe(900);
  });

  it('waits for the same token, does not call again, and keeps the deadline of its heartbeat', async () => {
    const definition = single(callback({ HeartbeatSeconds: 600 }));
    const { first, next, executionArn, begun } = await interrupted(definition, ['TaskSubmitted'], {
      later: 400_000,
    });
    const hold = next.clock.hold();
    const taskToken = tokenIn(first.calls[0]?.input);
    await next.call('SendTaskHeartbeat', { taskToken });
    hold();
    const silent = await next.ended(executionArn);
    expect(silent).toMatchObject({ status: 'FAILED', error: 'States.Timeout' });
    expect(Math.round(((silent.stopDate?.getTime() ?? 0) - begun) / 1000)).toBe(1000);
    expect(next.calls).toEqual([]);

    const answered = await interrupted(definition, ['TaskSubmitted']);
    await answered.next.call('SendTaskSuccess', {
      taskToken: tokenIn(answered.first.calls[0]?.input),
      output: '"told"',
    });
    expect(await answered.next.ended(answered.executionArn)).toMatchObject({
      status: 'SUCCEEDED',
      output: '"told"',
    });
    const last = startStates(undefined, answered.next.leave());
    await expect(
      last.call('SendTaskSuccess', { taskToken: tokenIn(answered.first.calls[0]?.input), output: '1' }),
    ).rejects.toMatchObject({ code: 'TaskTimedOut' });
  });

  it('has what was reported for its token before the call had answered', async () => {
    const first = startStates(never);
    const executionArn = await first.begin(await first.create(single(callback())));
    while (first.calls.length === 0) await new Promise(setImmediate);
    const taskToken = tokenIn(first.calls[0]?.input);
    await first.call('SendTaskFailure', { taskToken, error: 'Mine', cause: 'early' });
    const next = startStates(undefined, first.leave());
    await next.resumed();
    expect(await next.ended(executionArn)).toMatchObject({ status: 'FAILED', error: 'Mine', cause: 'early' });
    expect(tokenIn(next.calls[0]?.input)).toBe(taskToken);
  });

  it('waits for the same nested execution', async () => {
    const first = startStates();
    const nested = await first.create(
      {
        StartAt: 'Wait',
        States: { Wait: wait(600, { Next: 'Say' }), Say: { Type: 'Pass', Result: 'inner', End: true } },
      },
      'inner',
    );
    const outer = await first.create(
      single({
        Type: 'Task',
        Resource: 'arn:aws:states:::states:startExecution.sync:2',
        Parameters: { StateMachineArn: nested, Name: 'one' },
        OutputPath: '$.Output',
        End: true,
      }),
      'outer',
    );
    const hold = first.clock.hold();
    const executionArn = await first.begin(outer);
    await first.until(executionArn, ['TaskSubmitted']);
    const next = startStates(undefined, first.leave());
    hold();
    await next.resumed();
    expect(await next.ended(executionArn)).toMatchObject({ status: 'SUCCEEDED', output: '"inner"' });
    const { executions } = await next.call('ListExecutions', { stateMachineArn: nested });
    expect(executions).toHaveLength(1);
    expect((await next.types(executionArn)).filter((type) => type.startsWith('Task'))).toEqual([
      'TaskStateEntered',
      'TaskScheduled',
      'TaskStarted',
      'TaskSubmitted',
      'TaskSucceeded',
      'TaskStateExited',
    ]);
  });

  it('goes on in every branch and iteration where that one was', async () => {
    const definition = {
      StartAt: 'All',
      States: {
        All: {
          Type: 'Parallel',
          End: true,
          Branches: [
            { StartAt: 'Done', States: { Done: { Type: 'Pass', Result: 'done', End: true } } },
            { StartAt: 'Pause', States: { Pause: wait(60, { Next: 'Work' }), Work: task() } },
            {
              StartAt: 'Each',
              States: {
                Each: {
                  Type: 'Map',
                  MaxConcurrency: 2,
                  ItemsPath: '$.items',
                  End: true,
                  ItemProcessor: {
                    StartAt: 'First',
                    States: { First: task({ Next: 'Second', End: undefined }), Second: task() },
                  },
                },
              },
            },
          ],
        },
      },
    };
    const answers = (input: unknown): Answer => ({
      payload: typeof input === 'number' ? input + 1 : 'paused',
    });
    const run = async (
      endsAt: number,
    ): Promise<{ output: string | undefined; types: Record<string, number> }> => {
      const first = startStates((input, call) => (call > endsAt ? never() : answers(input)));
      const executionArn = await first.begin(await first.create(definition), { items: [10, 20, 30, 40, 50] });
      let last = first;
      if (endsAt < Infinity) {
        while (first.calls.length <= endsAt) await new Promise(setImmediate);
        await new Promise(setImmediate);
        last = startStates(answers, first.leave());
        await last.resumed();
      }
      const { output } = await last.ended(executionArn);
      const types: Record<string, number> = {};
      for (const type of await last.types(executionArn)) types[type] = (types[type] ?? 0) + 1;
      return { output, types };
    };
    const undisturbed = await run(Infinity);
    expect(JSON.parse(undisturbed.output ?? '')).toEqual(['done', 'paused', [12, 22, 32, 42, 52]]);
    for (let call = 0; call < 11; call++) expect(await run(call)).toEqual(undisturbed);
  });
});

describe('what another process finds', () => {
  it('has machines, tags and ended executions as they were, and redrives them', async () => {
    const first = startStates(() => ({ errorType: 'Broken' }));
    const machine = await first.create(single(task()));
    await first.call('TagResource', { resourceArn: machine, tags: [{ key: 'a', value: '1' }] });
    const executionArn = await first.begin(machine);
    await first.ended(executionArn);
    await first.call('UpdateStateMachine', {
      stateMachineArn: machine,
      definition: JSON.stringify(single(wait(1))),
    });
    const questions = [
      ['DescribeStateMachine', { stateMachineArn: machine }],
      ['DescribeStateMachineForExecution', { executionArn }],
      ['DescribeExecution', { executionArn }],
      ['GetExecutionHistory', { executionArn }],
      ['ListTagsForResource', { resourceArn: machine }],
      ['ListExecutions', { stateMachineArn: machine }],
    ] as const;
    const before = await Promise.all(questions.map(([operation, input]) => first.call(operation, input)));
    // Twice, since what has ended is kept in another form from the second time on.
    const left: Left = startStates(undefined, first.leave()).leave();
    const next = startStates(() => ({ payload: 'well' }), left);
    await next.resumed();
    expect(await Promise.all(questions.map(([operation, input]) => next.call(operation, input)))).toEqual(
      before,
    );
    await next.call('RedriveExecution', { executionArn });
    expect(await next.ended(executionArn)).toMatchObject({
      status: 'SUCCEEDED',
      output: '"well"',
      redriveCount: 1,
    });
    expect(next.calls.map(({ role }) => role)).toEqual([ROLE]);
  });

  it('lets a machine that is being deleted go with its last execution', async () => {
    const first = startStates();
    const machine = await first.create(single(wait(60)));
    const letGo = first.clock.hold();
    const executionArn = await first.begin(machine);
    await first.call('DeleteStateMachine', { stateMachineArn: machine });
    const next = startStates(undefined, first.leave());
    letGo();
    const hold = next.clock.hold();
    await next.resumed();
    expect(await next.call('DescribeStateMachine', { stateMachineArn: machine })).toMatchObject({
      status: 'DELETING',
    });
    hold();
    await next.ended(executionArn);
    await expect(next.call('DescribeStateMachine', { stateMachineArn: machine })).rejects.toMatchObject({
      code: 'StateMachineDoesNotExist',
    });
  });
});
