import { CreateFunctionCommand, waitUntilFunctionActiveV2 } from '@aws-sdk/client-lambda';
import {
  CreateStateMachineCommand,
  DescribeExecutionCommand,
  StartExecutionCommand,
  type DescribeExecutionOutput,
  type SFNClient,
} from '@aws-sdk/client-sfn';
import { VirtualClock } from '../../../sandbox/core/clock';
import { deployedTo } from '../../../sandbox/deploy/deploy';
import { durations } from '../../../sandbox/rds/durations';
import { Sandbox } from '../../../sandbox/sandbox';
import { roleWith } from '../iam/roles';
import { zipFile } from '../lambda/zip-file';

/** Machines that are created by the API and run against the services of a whole sandbox, in the name of their role. */

const ARN = 'eu-central-1:123456789012';
let sandbox: Sandbox;
let stepFunctions: SFNClient;
let machines = 0;

const PERMISSIONS = {
  'lambda:InvokeFunction': `arn:aws:lambda:${ARN}:function:*`,
  'rds:DescribeDBInstances': `arn:aws:rds:${ARN}:db:*`,
  'secretsmanager:CreateSecret': `arn:aws:secretsmanager:${ARN}:secret:*`,
  'secretsmanager:GetSecretValue': `arn:aws:secretsmanager:${ARN}:secret:*`,
  'sns:Publish': `arn:aws:sns:${ARN}:*`,
  'sqs:SendMessage': `arn:aws:sqs:${ARN}:*`,
  'events:PutEvents': `arn:aws:events:${ARN}:event-bus/*`,
  'states:StartExecution': `arn:aws:states:${ARN}:stateMachine:*`,
  'states:DescribeExecution': `arn:aws:states:${ARN}:execution:*`,
  'states:StopExecution': `arn:aws:states:${ARN}:execution:*`,
} as const;
type Action = keyof typeof PERMISSIONS;

function role(name: string, actions: readonly Action[]): string {
  const made = roleWith(
    name,
    actions.map((action, index) => ({
      sid: `S${index}`,
      actions: [action],
      resources: [PERMISSIONS[action]],
      wildcardReason: 'a test',
    })),
  );
  deployedTo(sandbox.context).iam.add({
    ...made,
    trust: {
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: { Service: ['states.amazonaws.com', 'lambda.amazonaws.com'] },
          Action: 'sts:AssumeRole',
        },
      ],
    },
  });
  return made.arn;
}

async function create(definition: object, roleArn: string): Promise<string> {
  const { stateMachineArn = '' } = await stepFunctions.send(
    new CreateStateMachineCommand({
      name: `machine-${++machines}`,
      roleArn,
      definition: JSON.stringify(definition),
    }),
  );
  return stateMachineArn;
}

async function run(definition: object, roleArn: string): Promise<DescribeExecutionOutput> {
  const stateMachineArn = await create(definition, roleArn);
  const ended = new Promise<void>((resolve) => {
    const stop = sandbox.stepFunctions.onExecution(({ stateMachineArn: of, status }) => {
      if (of !== stateMachineArn || status === 'RUNNING') return;
      stop();
      resolve();
    });
  });
  const { executionArn } = await stepFunctions.send(
    new StartExecutionCommand({ stateMachineArn, input: '{}' }),
  );
  await ended;
  return stepFunctions.send(new DescribeExecutionCommand({ executionArn }));
}

const task = (resource: string, args: unknown, more: object = {}): object => ({
  Type: 'Task',
  Resource: `arn:aws:states:::${resource}`,
  Arguments: args,
  End: true,
  ...more,
});
const single = (state: object): object => ({
  QueryLanguage: 'JSONata',
  StartAt: 'Work',
  States: { Work: state },
});

beforeAll(async () => {
  sandbox = await Sandbox.start({ clock: new VirtualClock(), durations: durations('quick') });
  const clients = sandbox.clients();
  ({ stepFunctions } = clients);
  const functionRole = role('function', []);
  for (const [FunctionName, code] of [
    ['echo', 'exports.handler = async (event) => ({ echo: event });'],
    [
      'reporter',
      `const { SFNClient, SendTaskSuccessCommand } = require('@aws-sdk/client-sfn');
       exports.handler = ({ taskToken }) =>
         new SFNClient().send(new SendTaskSuccessCommand({ taskToken, output: '{"reported":true}' }));`,
    ],
  ] as const)
    await clients.lambda.send(
      new CreateFunctionCommand({
        FunctionName,
        Role: FunctionName === 'echo' ? functionRole : `arn:aws:iam::123456789012:role/unknown`,
        Runtime: 'nodejs24.x',
        Handler: 'index.handler',
        Timeout: 120,
        Code: { ZipFile: zipFile({ 'index.js': code }) },
      }),
    );
  await waitUntilFunctionActiveV2(
    { client: clients.lambda, maxWaitTime: 20, minDelay: 1 },
    { FunctionName: 'reporter' },
  );
  const administrator = sandbox.context.callers.administrator();
  await sandbox.context.api.call('sns', 'CreateTopic', { Name: 'topic' }, administrator);
  await sandbox.context.api.call('sqs', 'CreateQueue', { QueueName: 'queue' }, administrator);
});

afterAll(async () => {
  await sandbox.stop();
});

const queueUrl = async (): Promise<string> => {
  const { api, callers } = sandbox.context;
  const { QueueUrl } = await api.call('sqs', 'GetQueueUrl', { QueueName: 'queue' }, callers.administrator());
  return String(QueueUrl);
};

test('every integration works with leave, on the real service', async () => {
  const all = role(
    'all',
    Object.keys(PERMISSIONS).filter((action): action is Action => action in PERMISSIONS),
  );
  const nested = await create(single({ Type: 'Pass', Output: { inner: 1 }, End: true }), all);
  const branch = (state: object): object => ({ StartAt: 'Work', States: { Work: state } });
  const { status, output, cause } = await run(
    single({
      Type: 'Parallel',
      End: true,
      Branches: [
        branch(
          task(
            'lambda:invoke',
            { FunctionName: 'echo', Payload: { n: 1 } },
            { Output: '{% $states.result.Payload %}' },
          ),
        ),
        branch(
          task('lambda:invoke.waitForTaskToken', {
            FunctionName: 'reporter',
            Payload: { taskToken: '{% $states.context.Task.Token %}' },
          }),
        ),
        branch(task('aws-sdk:rds:describeDBInstances', {})),
        branch(
          task(
            'aws-sdk:secretsmanager:createSecret',
            { Name: 'secret', SecretString: 'hidden' },
            { Output: '{% $states.result.Name %}' },
          ),
        ),
        branch(
          task(
            'sns:publish',
            { TopicArn: `arn:aws:sns:${ARN}:topic`, Message: { said: 'yes' } },
            { Output: '{% $exists($states.result.MessageId) %}' },
          ),
        ),
        branch(
          task(
            'sqs:sendMessage',
            { QueueUrl: await queueUrl(), MessageBody: { queued: true } },
            { Output: '{% $exists($states.result.MessageId) %}' },
          ),
        ),
        branch(
          task(
            'events:putEvents',
            { Entries: [{ Source: 'mine', DetailType: 'type', Detail: { a: 1 } }] },
            { Output: '{% $states.result.FailedEntryCount %}' },
          ),
        ),
        branch(
          task(
            'states:startExecution.sync:2',
            { StateMachineArn: nested, Input: {} },
            { Output: '{% $states.result.Output %}' },
          ),
        ),
      ],
    }),
    all,
  );
  expect({ status, cause }).toEqual({ status: 'SUCCEEDED', cause: undefined });
  expect(JSON.parse(output ?? '')).toEqual([
    { echo: { n: 1 } },
    { reported: true },
    { DbInstances: [] },
    'secret',
    true,
    true,
    0,
    { inner: 1 },
  ]);
  expect(sandbox.sns.messages.map(({ message }) => message)).toEqual(['{"said":"yes"}']);
});

test.each([
  ['lambda:invoke', { FunctionName: 'echo' }, 'Lambda.AWSLambdaException', 'lambda:InvokeFunction'],
  ['aws-sdk:rds:describeDBInstances', {}, 'Rds.RdsException', 'rds:DescribeDBInstances'],
  [
    'aws-sdk:secretsmanager:getSecretValue',
    { SecretId: 'secret' },
    'SecretsManager.SecretsManagerException',
    'secretsmanager:GetSecretValue',
  ],
  [
    'sns:publish',
    { TopicArn: `arn:aws:sns:${ARN}:topic`, Message: 'm' },
    'SNS.AuthorizationErrorException',
    'SNS:Publish',
  ],
])('%s fails without leave, in the words of its service', async (resource, args, error, action) => {
  const description = await run(single(task(resource, args)), role(`none-${machines}`, []));
  expect(description).toMatchObject({ status: 'FAILED', error });
  expect(description.cause).toContain(`is not authorized to perform: ${action} on resource: `);
});

test('errors of services have the names that Step Functions gives them', async () => {
  const one = role('one', ['rds:DescribeDBInstances', 'secretsmanager:GetSecretValue', 'events:PutEvents']);
  const missing = await run(
    single(task('aws-sdk:rds:describeDBInstances', { DbInstanceIdentifier: 'nowhere' })),
    one,
  );
  expect(missing).toMatchObject({ status: 'FAILED', error: 'Rds.DbInstanceNotFoundException' });
  const secret = await run(
    single(task('aws-sdk:secretsmanager:getSecretValue', { SecretId: 'nowhere' })),
    one,
  );
  expect(secret).toMatchObject({ status: 'FAILED', error: 'SecretsManager.ResourceNotFoundException' });
  const entry = await run(
    single(
      task('events:putEvents', { Entries: [{ Source: 'mine', DetailType: 'type', Detail: 'no JSON' }] }),
    ),
    one,
  );
  expect(entry).toMatchObject({ status: 'FAILED', error: 'EventBridge.FailedEntry' });
});

test('what the sandbox does not do ends the execution, and no Catch takes it', async () => {
  const described = await run(
    {
      QueryLanguage: 'JSONata',
      StartAt: 'Work',
      States: {
        Work: task(
          'aws-sdk:rds:createDBCluster',
          {
            DbClusterIdentifier: 'a',
            Engine: 'aurora-postgresql',
          },
          { Catch: [{ ErrorEquals: ['States.ALL'], Next: 'Caught' }] },
        ),
        Caught: { Type: 'Succeed' },
      },
    },
    'arn:aws:iam::123456789012:role/unknown',
  );
  expect(described).toMatchObject({ status: 'FAILED', error: 'States.Runtime' });
  expect(described.cause).toContain('The sandbox does not implement rds:CreateDBCluster');
});

test('the time of expressions is that of the sandbox', async () => {
  await sandbox.context.clock.advance(400 * 24 * 3_600_000);
  const { output } = await run(
    single({ Type: 'Pass', Output: '{% [$millis(), $toMillis($now()), $now("[Y]")] %}', End: true }),
    'arn:aws:iam::123456789012:role/unknown',
  );
  const now = sandbox.context.clock.now();
  const [millis, text, year]: unknown[] = JSON.parse(output ?? '[]') as unknown[];
  for (const time of [millis, text]) expect(Math.abs(Number(time) - now.getTime())).toBeLessThan(60_000);
  expect(year).toBe(String(now.getUTCFullYear()));
});
