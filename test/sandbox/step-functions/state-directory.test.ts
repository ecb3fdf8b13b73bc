import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateFunctionCommand, GetFunctionConfigurationCommand } from '@aws-sdk/client-lambda';
import {
  CreateStateMachineCommand,
  DescribeExecutionCommand,
  GetExecutionHistoryCommand,
  SendTaskSuccessCommand,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn';
import { VirtualClock } from '../../../sandbox/core/clock';
import { durations } from '../../../sandbox/rds/durations';
import { Sandbox } from '../../../sandbox/sandbox';
import { zipFile } from '../lambda/zip-file';
import { until } from '../../until';

const ROLE = 'arn:aws:iam::123456789012:role/machine';

test('a sandbox that is started again goes on with executions, functions and tokens', async () => {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'states-'));
  const start = (): Promise<Sandbox> =>
    Sandbox.start({ clock: new VirtualClock(), durations: durations('quick'), stateDirectory });
  let sandbox = await start();
  try {
    let clients = sandbox.clients();
    await clients.lambda.send(
      new CreateFunctionCommand({
        FunctionName: 'echo',
        Role: ROLE,
        Runtime: 'nodejs24.x',
        Handler: 'index.handler',
        Timeout: 120,
        Code: { ZipFile: zipFile({ 'index.js': 'exports.handler = async (event) => event;' }) },
      }),
    );
    await sandbox.context.clock.advance(1000);
    const { stateMachineArn } = await clients.stepFunctions.send(
      new CreateStateMachineCommand({
        name: 'machine',
        roleArn: ROLE,
        definition: JSON.stringify({
          QueryLanguage: 'JSONata',
          StartAt: 'Ask',
          States: {
            Ask: {
              Type: 'Task',
              Resource: 'arn:aws:states:::lambda:invoke.waitForTaskToken',
              Arguments: { FunctionName: 'echo', Payload: { token: '{% $states.context.Task.Token %}' } },
              Assign: { told: '{% $states.result %}' },
              Next: 'Wait',
            },
            Wait: { Type: 'Wait', Seconds: 3600, Next: 'Call' },
            Call: {
              Type: 'Task',
              Resource: 'arn:aws:states:::lambda:invoke',
              Arguments: { FunctionName: 'echo', Payload: '{% $told %}' },
              Output: '{% $states.result.Payload %}',
              End: true,
            },
          },
        }),
      }),
    );
    const { executionArn } = await clients.stepFunctions.send(
      new StartExecutionCommand({ stateMachineArn, name: 'run' }),
    );
    const types = async (): Promise<(string | undefined)[]> => {
      const { events = [] } = await clients.stepFunctions.send(
        new GetExecutionHistoryCommand({ executionArn }),
      );
      return events.map(({ type }) => type);
    };
    await until(async () => (await types()).includes('TaskSubmitted'));
    const { events = [] } = await clients.stepFunctions.send(
      new GetExecutionHistoryCommand({ executionArn }),
    );
    const scheduled = events.find(({ type }) => type === 'TaskScheduled')?.taskScheduledEventDetails
      ?.parameters;
    const taskToken = /"token":"([^"]+)"/.exec(scheduled ?? '')?.[1];

    await sandbox.stop();
    sandbox = await start();
    clients = sandbox.clients();
    expect(
      await clients.lambda.send(new GetFunctionConfigurationCommand({ FunctionName: 'echo' })),
    ).toMatchObject({ State: 'Active' });
    const letGo = sandbox.context.clock.hold();
    await clients.stepFunctions.send(new SendTaskSuccessCommand({ taskToken, output: '{"said":"yes"}' }));
    await until(async () => (await types()).includes('WaitStateEntered'));

    await sandbox.stop();
    letGo();
    sandbox = await start();
    clients = sandbox.clients();
    const ended = new Promise<void>((resolve) => {
      sandbox.stepFunctions.onExecution(({ status }) => {
        if (status !== 'RUNNING') resolve();
      });
    });
    const { status: present } = await clients.stepFunctions.send(
      new DescribeExecutionCommand({ executionArn }),
    );
    if (present === 'RUNNING') await ended;
    const { status, output, startDate, stopDate } = await clients.stepFunctions.send(
      new DescribeExecutionCommand({ executionArn }),
    );
    expect({ status, output }).toEqual({ status: 'SUCCEEDED', output: '{"said":"yes"}' });
    expect((stopDate?.getTime() ?? 0) - (startDate?.getTime() ?? 0)).toBeGreaterThanOrEqual(3_600_000);
    expect(await types()).toEqual([
      'ExecutionStarted',
      ...[
        'TaskStateEntered',
        'TaskScheduled',
        'TaskStarted',
        'TaskSubmitted',
        'TaskSucceeded',
        'TaskStateExited',
      ],
      ...['WaitStateEntered', 'WaitStateExited'],
      ...['TaskStateEntered', 'TaskScheduled', 'TaskStarted', 'TaskSucceeded', 'TaskStateExited'],
      'ExecutionSucceeded',
    ]);
  } finally {
    await sandbox.stop();
    rmSync(stateDirectory, { recursive: true, force: true });
  }
});
