import {
  CreateStateMachineCommand,
  DescribeExecutionCommand,
  StartExecutionCommand,
  StopExecutionCommand,
} from '@aws-sdk/client-sfn';
import { z } from 'zod';
import type { DecideResult, Question } from '../../../lambdas/contract/questions';
import { standingOf } from '../../../lambdas/questions';
import { decide } from '../../../lambdas/steps/decide';
import { AnswerLost } from '../../../sandbox/core/api';
import { RealClock } from '../../../sandbox/core/clock';
import { durations } from '../../../sandbox/rds/durations';
import { Sandbox } from '../../../sandbox/sandbox';
import { again } from './lab';
import { until } from '../../until';

// GIVEN machines that ask two questions, as the recovery machine does
let sandbox: Sandbox;
let stepFunctions: ReturnType<Sandbox['clients']>['stepFunctions'];
const role = 'arn:aws:iam::123456789012:role/machine';

beforeAll(async () => {
  sandbox = await Sandbox.start({ clock: new RealClock(), durations: durations('quick') });
  ({ stepFunctions } = sandbox.clients());
});

afterAll(async () => {
  stepFunctions.destroy();
  await sandbox.stop();
});

async function machineThatAsks(name: string, TimeoutSeconds = 600): Promise<string> {
  const { api } = sandbox.context;
  const { TopicArn } = z
    .object({ TopicArn: z.string() })
    .parse(await api.call('sns', 'CreateTopic', { Name: 'events' }, { arn: role }));
  const ask = (question: Question, next: object): object => ({
    Type: 'Task',
    Resource: 'arn:aws:states:::sns:publish.waitForTaskToken',
    Arguments: {
      TopicArn,
      MessageStructure: 'json',
      Message: { default: `${question}?`, question, token: '{% $states.context.Task.Token %}' },
    },
    TimeoutSeconds,
    ...next,
  });
  const { stateMachineArn = '' } = await stepFunctions.send(
    new CreateStateMachineCommand({
      name,
      roleArn: role,
      definition: JSON.stringify({
        QueryLanguage: 'JSONata',
        StartAt: 'AskForCutover',
        States: {
          AskForCutover: ask('cutover', { Next: 'AskForRetirement' }),
          AskForRetirement: ask('retirement', { End: true }),
        },
      }),
    }),
  );
  return stateMachineArn;
}

/** Starts an execution, which asks about the cutover at once. */
async function asking(stateMachineArn: string, name: string): Promise<string> {
  const { executionArn = '' } = await stepFunctions.send(
    new StartExecutionCommand({ stateMachineArn, name }),
  );
  await asked(executionArn, 'cutover');
  return executionArn;
}

async function asked(executionArn: string, question: Question): Promise<void> {
  await until(
    () => standingOf(stepFunctions, executionArn, question),
    ({ is }) => is === 'waiting',
  );
}

interface Said {
  readonly execution?: string;
  readonly question?: Question;
  readonly decision?: 'approve' | 'reject';
  readonly by?: string;
}

/** Asks again where the history does not say yet who was faster. */
const says = (
  machineArn: string,
  { by = 'ada', question = 'cutover', decision = 'approve', ...more }: Said,
): Promise<DecideResult> =>
  again('AwsUnavailable', () =>
    decide(
      { question, decision, by, reason: 'it is time', ...more },
      { stepFunctions, machineArn, now: () => new Date('2026-11-21T03:00:00Z') },
    ),
  );

/** Of an execution, once it has ended. */
async function ended(executionArn: string) {
  const { status, output, error, cause } = await until(
    () => stepFunctions.send(new DescribeExecutionCommand({ executionArn })),
    (execution) => execution.status !== 'RUNNING',
  );
  return { status, output, error, cause };
}

const yesOfAda = {
  question: 'cutover',
  decision: 'approved',
  by: 'ada',
  reason: 'it is time',
  at: '2026-11-21T03:00:00.000Z',
};

test('a yes counts once, is found again, and is about this question only', async () => {
  const machine = await machineThatAsks('questions');
  const execution = await asking(machine, 'night');

  // WHEN Ada says yes to the only one that asks
  expect(await says(machine, {})).toEqual({ execution: 'night', recorded: yesOfAda, isNew: true });
  await asked(execution, 'retirement');

  // THEN saying it again, by whomever, changes nothing: neither does it answer the next question
  const same = { execution: 'night', recorded: yesOfAda, isNew: false };
  expect(await says(machine, { execution: 'night' })).toEqual(same);
  expect(await says(machine, { execution, by: 'grace' })).toEqual(same);
  await expect(says(machine, { execution, decision: 'reject', by: 'grace' })).rejects.toMatchObject({
    name: 'DecidedOtherwise',
    message: expect.stringContaining(
      'ada approved the cutover of recovery night at 2026-11-21T03:00:00.000Z: it is time',
    ) as string,
  });
  await asked(execution, 'retirement');

  // WHEN the next one is answered with a no
  await says(machine, { question: 'retirement', decision: 'reject', by: 'grace' });

  // THEN it fails, and says who said so and why; that can be asked for afterwards
  const { status, error, cause } = await ended(execution);
  expect({ status, error }).toEqual({ status: 'FAILED', error: 'NotApproved' });
  expect(JSON.parse(cause ?? '')).toMatchObject({
    errorMessage: 'grace rejected the retirement at 2026-11-21T03:00:00.000Z: it is time',
    decision: { question: 'retirement', decision: 'rejected', by: 'grace' },
  });
  await expect(says(machine, { execution, question: 'retirement' })).rejects.toMatchObject({
    name: 'DecidedOtherwise',
  });
  // Whoever comes late and does not know which execution it was is told what became of it.
  for (const [question, message] of [
    [
      'cutover',
      /any more\. ada approved the cutover of recovery night at 2026-11-21T03:00:00\.000Z: it is time\. Hint: .*first answer/,
    ],
    [
      'retirement',
      /any more\. grace rejected the retirement of recovery night at .* Hint: .*the old instance is kept\. Redrive/,
    ],
    ['rename', /none of the newest 25 executions has asked/],
  ] as const)
    await expect(says(machine, { question })).rejects.toMatchObject({
      name: 'NothingToDecide',
      message: expect.stringMatching(message) as string,
    });
});

test('of many who answer at once one is heard, and all are told the same', async () => {
  const machine = await machineThatAsks('crowd');
  await asking(machine, 'night');

  const answers = await Promise.allSettled(
    [...Array(10).keys()].map((person) =>
      says(machine, {
        execution: 'night',
        by: `person ${person}`,
        decision: person % 2 === 0 ? 'approve' : 'reject',
      }),
    ),
  );

  const heard = answers.flatMap((answer): DecideResult[] =>
    answer.status === 'fulfilled' ? [answer.value] : [],
  );
  expect(heard.filter(({ isNew }) => isNew)).toHaveLength(1);
  expect(new Set(heard.map(({ recorded }) => recorded.by)).size).toBe(1);
  for (const answer of answers)
    if (answer.status === 'rejected')
      expect(answer.reason).toMatchObject({
        name: 'DecidedOtherwise',
        message: expect.stringContaining(heard[0]?.recorded.by ?? '?') as string,
      });
});

test('an answer that arrived, and of which that was not heard, is not given twice', async () => {
  const machine = await machineThatAsks('deaf');
  const execution = await asking(machine, 'night');
  let lost = 0;
  const unhook = sandbox.context.api.intercept(async ({ context }, next) => {
    const output = await next();
    if (context.operation !== 'SendTaskSuccess' || lost++ > 0) return output;
    throw new AnswerLost();
  });

  const answer = await says(machine, { execution });

  unhook();
  expect(lost).toBe(1);
  expect(answer).toEqual({ execution: 'night', recorded: yesOfAda, isNew: false });
  await asked(execution, 'retirement');
});

test('nothing is decided where nothing, or too much, waits', async () => {
  const machine = await machineThatAsks('two');
  const refused = (said: Said, text: string) =>
    expect(says(machine, said)).rejects.toMatchObject({
      name: 'NothingToDecide',
      message: expect.stringContaining(text) as string,
    });
  await refused({}, 'No recovery waits for an answer about the cutover');
  await refused({ execution: 'no-such' }, 'Recovery no-such has not asked about the cutover');

  const first = await asking(machine, 'first');
  await asking(machine, 'second');
  await refused({}, 'Several recoveries wait for an answer about the cutover: ');
  await refused({ question: 'retirement' }, 'No recovery waits for an answer about the retirement');
  await refused({ execution: 'first', question: 'retirement' }, 'has not asked about the retirement');
  await expect(
    says(machine, { execution: 'arn:aws:states:x:1:execution:other:first' }),
  ).rejects.toMatchObject({
    name: 'InvalidInput',
  });

  // One that was stopped cannot be answered, and does not count among those that wait.
  await stepFunctions.send(new StopExecutionCommand({ executionArn: first }));
  await refused({ execution: 'first' }, 'waits for no answer any more: the execution is ABORTED');
  expect(await says(machine, {})).toMatchObject({ execution: 'second', isNew: true });
});

test('too late is too late', async () => {
  const machine = await machineThatAsks('hurry', 1);
  const { executionArn = '' } = await stepFunctions.send(
    new StartExecutionCommand({ stateMachineArn: machine, name: 'night' }),
  );
  expect(await ended(executionArn)).toMatchObject({ status: 'FAILED', error: 'States.Timeout' });
  await expect(says(machine, { execution: 'night' })).rejects.toMatchObject({
    name: 'NothingToDecide',
    message: expect.stringContaining('nobody answered in time') as string,
  });
  await expect(says(machine, {})).rejects.toMatchObject({
    name: 'NothingToDecide',
    message: expect.stringMatching(
      /^Recovery night has asked about the cutover, .*: nobody answered in time, which counts as no: nobody was locked out, and both databases are kept\. Hint: Redrive/,
    ) as string,
  });
});
