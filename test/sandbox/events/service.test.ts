import {
  DeleteRuleCommand,
  DescribeRuleCommand,
  DisableRuleCommand,
  EventBridgeClient,
  ListRuleNamesByTargetCommand,
  ListTagsForResourceCommand,
  ListTargetsByRuleCommand,
  PutEventsCommand,
  PutRuleCommand,
  PutTargetsCommand,
  RemoveTargetsCommand,
  TagResourceCommand,
  TestEventPatternCommand,
  type Target,
} from '@aws-sdk/client-eventbridge';
import { AddPermissionCommand, CreateFunctionCommand, RemovePermissionCommand } from '@aws-sdk/client-lambda';
import {
  CreateStateMachineCommand,
  ListExecutionsCommand,
  DescribeExecutionCommand,
} from '@aws-sdk/client-sfn';
import { CreateTopicCommand, SetTopicAttributesCommand, SNSClient } from '@aws-sdk/client-sns';
import { ApiError } from '../../../sandbox/core/api';
import { VirtualClock } from '../../../sandbox/core/clock';
import { deployedTo } from '../../../sandbox/deploy/deploy';
import type { Json } from '../../../sandbox/deploy/json';
import { durations } from '../../../sandbox/rds/durations';
import { Sandbox } from '../../../sandbox/sandbox';
import { document, roleWith } from '../iam/roles';
import { zipFile } from '../lambda/zip-file';

const ACCOUNT = 'eu-central-1:123456789012';
const FUNCTION = `arn:aws:lambda:${ACCOUNT}:function:listener`;
const MACHINE = `arn:aws:states:${ACCOUNT}:stateMachine:machine`;
const queueArn = (name: string): string => `arn:aws:sqs:${ACCOUNT}:${name}`;
const ruleArn = (name: string): string => `arn:aws:events:${ACCOUNT}:rule/${name}`;

describe('EventBridge', () => {
  const clock = new VirtualClock();
  let sandbox: Sandbox;
  let events: EventBridgeClient;
  let sns: SNSClient;

  beforeAll(async () => {
    sandbox = await Sandbox.start({ clock, durations: durations('quick') });
    const options = {
      endpoint: sandbox.context.endpoint,
      region: 'eu-central-1',
      credentials: sandbox.credentials(),
    };
    events = new EventBridgeClient(options);
    sns = new SNSClient(options);
    for (const name of ['inbox', 'dead', 'closed'])
      await admin('sqs', 'CreateQueue', {
        QueueName: name,
        Attributes: name === 'closed' ? {} : { Policy: policy(`sqs:SendMessage`, queueArn(name)) },
      });
    const { iam } = deployedTo(sandbox.context);
    iam.add(roleWith('function', []));
    iam.add(roleWith('machine', [], { trusted: 'states.amazonaws.com' }));
    iam.add(
      roleWith('starter', [{ sid: 'Start', actions: ['states:StartExecution'], resources: [MACHINE] }], {
        trusted: 'events.amazonaws.com',
      }),
    );
    iam.add(roleWith('powerless', [], { trusted: 'events.amazonaws.com' }));
    iam.add(roleWith('stranger', [], { trusted: 'lambda.amazonaws.com' }));
    const { lambda, stepFunctions } = sandbox.clients();
    await lambda.send(
      new CreateFunctionCommand({
        FunctionName: 'listener',
        Role: 'arn:aws:iam::123456789012:role/function',
        Runtime: 'nodejs24.x',
        Handler: 'index.handler',
        Code: {
          ZipFile: zipFile({
            'index.js': 'exports.handler = async (event) => console.log(JSON.stringify(event));',
          }),
        },
      }),
    );
    // A new function is not ready at once.
    await clock.sleep(30_000);
    await stepFunctions.send(
      new CreateStateMachineCommand({
        name: 'machine',
        roleArn: 'arn:aws:iam::123456789012:role/machine',
        definition: '{"StartAt":"S","States":{"S":{"Type":"Succeed"}}}',
      }),
    );
  });
  afterAll(async () => {
    events.destroy();
    sns.destroy();
    await sandbox.stop();
  });

  const admin = (service: 'sqs', operation: string, input: object): Promise<object> =>
    sandbox.context.api.call(service, operation, input, sandbox.context.callers.administrator());
  /** Lets EventBridge in, for any rule. */
  const policy = (action: string, resource: string, condition?: Json): string =>
    JSON.stringify(
      document([
        {
          Effect: 'Allow',
          Principal: { Service: 'events.amazonaws.com' },
          Action: action,
          Resource: resource,
          ...(condition !== undefined && { Condition: condition }),
        },
      ]),
    );
  const role = (name: string): string => `arn:aws:iam::123456789012:role/${name}`;

  /** A rule for the detail type of its name. */
  async function rule(name: string, ...targets: Omit<Target, 'Id'>[]): Promise<void> {
    await events.send(
      new PutRuleCommand({ Name: name, EventPattern: JSON.stringify({ 'detail-type': [name] }) }),
    );
    await events.send(
      new PutTargetsCommand({
        Rule: name,
        Targets: targets.map((target, index) => ({ ...target, Id: String(index) })),
      }),
    );
  }
  async function put(type: string, detail: object = {}): Promise<void> {
    const { FailedEntryCount } = await events.send(
      new PutEventsCommand({
        Entries: [{ Source: 'test', DetailType: type, Detail: JSON.stringify(detail) }],
      }),
    );
    expect(FailedEntryCount).toBe(0);
  }
  async function received(
    queue: string,
  ): Promise<{ body: string; attributes: Record<string, string | undefined> }[]> {
    const messages = sandbox.sqs.inspect().find(({ name }) => name === queue)?.messages ?? [];
    const found = messages.map(({ body, attributes }) => ({
      body,
      attributes: Object.fromEntries(
        Object.entries(attributes).map(([name, { StringValue }]) => [name, StringValue]),
      ),
    }));
    await admin('sqs', 'PurgeQueue', { QueueUrl: queue });
    return found;
  }

  it('hands an event that fits to the targets of the rule, whole, in parts or rewritten', async () => {
    const target = { Arn: queueArn('inbox') };
    await rule(
      'forms',
      target,
      { ...target, InputPath: '$.detail.items[1]' },
      { ...target, Input: '{"fixed":true}' },
      {
        ...target,
        InputTransformer: {
          InputPathsMap: { id: '$.detail.id', all: '$.detail', absent: '$.detail.absent' },
          InputTemplate:
            '{"text":"<id> in <all> by <aws.events.rule-name>","id":<id>,"all":<all>,"absent":<absent>}',
        },
      },
    );
    await put('another');
    await put('forms', { id: 'a"b', items: [1, { two: 2 }] });
    const [whole, ...others] = (await received('inbox')).map(({ body }): unknown => JSON.parse(body));
    expect(whole).toEqual({
      version: '0',
      id: expect.any(String) as string,
      'detail-type': 'forms',
      source: 'test',
      account: '123456789012',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/) as string,
      region: 'eu-central-1',
      resources: [],
      detail: { id: 'a"b', items: [1, { two: 2 }] },
    });
    expect(others).toEqual([
      { two: 2 },
      { fixed: true },
      {
        text: expect.stringMatching(/^a"b in \{id:.*\} by forms$/) as string,
        id: 'a"b',
        all: { id: 'a"b', items: [1, { two: 2 }] },
        absent: '',
      },
    ]);
  });

  it('invokes a function only if the policy of the function lets the rule', async () => {
    await rule('to-function', { Arn: FUNCTION, DeadLetterConfig: { Arn: queueArn('dead') } });
    await put('to-function', { attempt: 1 });
    expect(await received('dead')).toMatchObject([
      {
        body: expect.stringContaining('"attempt":1') as string,
        attributes: {
          RULE_ARN: ruleArn('to-function'),
          TARGET_ARN: FUNCTION,
          ERROR_CODE: 'NO_PERMISSIONS',
          ERROR_MESSAGE: expect.stringContaining(
            'because no resource-based policy allows the lambda:InvokeFunction action',
          ) as string,
          RETRY_ATTEMPTS: '0',
        },
      },
    ]);
    const { lambda } = sandbox.clients();
    const allow = (StatementId: string, rule: string): Promise<object> =>
      lambda.send(
        new AddPermissionCommand({
          FunctionName: 'listener',
          StatementId,
          Action: 'lambda:InvokeFunction',
          Principal: 'events.amazonaws.com',
          SourceArn: ruleArn(rule),
        }),
      );
    await allow('other', 'another-rule');
    await put('to-function', { attempt: 2 });
    expect(await received('dead')).toHaveLength(1);
    await allow('own', 'to-function');
    await put('to-function', { attempt: 3 });
    expect(await received('dead')).toEqual([]);
    await clock.sleep(1000);
    expect(sandbox.lambda.logs('listener').filter((line) => line.includes('"attempt":3'))).toHaveLength(1);
    await lambda.send(new RemovePermissionCommand({ FunctionName: 'listener', StatementId: 'own' }));
    await put('to-function', { attempt: 4 });
    expect(await received('dead')).toHaveLength(1);
  });

  it('starts an execution in the role of the target, which must trust it and be allowed to', async () => {
    const dead = { DeadLetterConfig: { Arn: queueArn('dead') } };
    await expect(rule('to-machine', { Arn: MACHINE })).rejects.toThrow(
      `RoleArn is required for target ${MACHINE}.`,
    );
    await expect(rule('to-machine', { Arn: MACHINE, RoleArn: role('stranger') })).rejects.toThrow(
      `Provided role '${role('stranger')}' cannot be assumed by principal 'events.amazonaws.com'.`,
    );
    await rule('to-machine', { Arn: MACHINE, RoleArn: role('powerless'), ...dead });
    await put('to-machine');
    expect(await received('dead')).toMatchObject([{ attributes: { ERROR_CODE: 'NO_PERMISSIONS' } }]);
    await rule('to-machine', { Arn: MACHINE, RoleArn: role('starter'), ...dead });
    await put('to-machine', { database: 'orders' });
    const { stepFunctions } = sandbox.clients();
    const { executions } = await stepFunctions.send(new ListExecutionsCommand({ stateMachineArn: MACHINE }));
    expect(executions).toHaveLength(1);
    const { input } = await stepFunctions.send(
      new DescribeExecutionCommand({ executionArn: executions?.[0]?.executionArn }),
    );
    expect(JSON.parse(input ?? '')).toMatchObject({ detail: { database: 'orders' } });
    expect(
      sandbox.events.events.filter((event) => event.source === 'aws.states').map(({ detail }) => detail),
    ).toMatchObject([{ status: 'RUNNING' }, { status: 'SUCCEEDED' }]);
  });

  it('publishes to a topic only if the policy of the topic lets it: the one that SNS makes does not', async () => {
    const { TopicArn = '' } = await sns.send(new CreateTopicCommand({ Name: 'topic' }));
    await rule('to-topic', { Arn: TopicArn });
    await put('to-topic', { attempt: 1 });
    expect(sandbox.sns.messages).toEqual([]);
    await sns.send(
      new SetTopicAttributesCommand({
        TopicArn,
        AttributeName: 'Policy',
        AttributeValue: policy('sns:Publish', TopicArn, {
          ArnEquals: { 'aws:SourceArn': ruleArn('to-topic') },
        }),
      }),
    );
    await put('to-topic', { attempt: 2 });
    expect(sandbox.sns.messages.map(({ message }) => message)).toEqual([
      expect.stringContaining('"attempt":2'),
    ]);
  });

  it('loses what neither the target nor the dead-letter queue takes', async () => {
    const outcomes: string[] = [];
    const end = sandbox.events.onDelivery((name, outcome) => outcomes.push(`${name} ${outcome}`));
    await rule('nowhere', { Arn: queueArn('none'), DeadLetterConfig: { Arn: queueArn('closed') } });
    await put('nowhere');
    end();
    expect(outcomes).toEqual(['nowhere failed', 'nowhere dropped', 'nowhere lost']);
    expect(await received('closed')).toEqual([]);
  });

  it('tries again what may pass, as often and as long as it is told', async () => {
    let calls = 0;
    const mend = sandbox.context.api.intercept(async ({ context, input }, next) => {
      if (context.operation !== 'SendMessage' || input['QueueUrl'] !== queueArn('inbox')) return next();
      calls++;
      if (calls !== 3) throw new ApiError('ThrottlingException', 'Rate exceeded', 400);
      return next();
    });
    const target = { Arn: queueArn('inbox'), DeadLetterConfig: { Arn: queueArn('dead') } };
    await rule('throttled', {
      ...target,
      RetryPolicy: { MaximumRetryAttempts: 2, MaximumEventAgeInSeconds: 3600 },
    });
    await put('throttled');
    expect(calls).toBe(1);
    await clock.advance(3_600_000);
    expect([calls, (await received('inbox')).length]).toEqual([3, 1]);
    await put('throttled');
    await clock.advance(3_600_000);
    expect(calls).toBe(6);
    expect(await received('dead')).toMatchObject([
      {
        attributes: {
          ERROR_CODE: 'THROTTLING',
          RETRY_ATTEMPTS: '2',
          EXHAUSTED_RETRY_CONDITION: 'MaximumRetryAttempts',
        },
      },
    ]);
    await rule('throttled', { ...target, RetryPolicy: { MaximumEventAgeInSeconds: 60 } });
    await put('throttled');
    await clock.advance(3_600_000);
    expect(await received('dead')).toMatchObject([
      { attributes: { RETRY_ATTEMPTS: '1', EXHAUSTED_RETRY_CONDITION: 'MaximumEventAgeInSeconds' } },
    ]);
    mend();
  });

  it('runs scheduled rules on the clock, until they are disabled', async () => {
    await events.send(new PutRuleCommand({ Name: 'hourly', ScheduleExpression: 'rate(1 hour)' }));
    await events.send(
      new PutTargetsCommand({
        Rule: 'hourly',
        Targets: [{ Id: '1', Arn: queueArn('inbox'), InputPath: '$.resources' }],
      }),
    );
    await clock.advance(2.5 * 3_600_000);
    expect((await received('inbox')).map(({ body }): unknown => JSON.parse(body))).toEqual([
      [ruleArn('hourly')],
      [ruleArn('hourly')],
    ]);
    await events.send(new DisableRuleCommand({ Name: 'hourly' }));
    await clock.advance(3 * 3_600_000);
    expect(await received('inbox')).toEqual([]);
    for (const expression of [
      'rate(1 hours)',
      'rate(5 minute)',
      'cron(0 3 * * * *)',
      'at(2026-11-21T10:00:00)',
    ])
      await expect(
        events.send(new PutRuleCommand({ Name: 'bad', ScheduleExpression: expression })),
      ).rejects.toMatchObject({
        name: 'ValidationException',
        message: 'Parameter ScheduleExpression is not valid.',
      });
  });

  it('refuses what it can not take', async () => {
    await rule('strict', { Arn: queueArn('inbox') });
    const target = { Id: 'x', Arn: queueArn('inbox') };
    const targets = (more: object): Promise<object> =>
      events.send(new PutTargetsCommand({ Rule: 'strict', Targets: [{ ...target, ...more }] }));
    await expect(targets({ Input: 'no JSON' })).rejects.toThrow('JSON syntax error in input for target.');
    await expect(targets({ Input: '1', InputPath: '$.detail' })).rejects.toThrow('Only one of Input');
    await expect(
      targets({ InputTransformer: { InputPathsMap: {}, InputTemplate: '<unknown>' } }),
    ).rejects.toMatchObject({ name: 'ValidationException' });
    await expect(targets({ RetryPolicy: { MaximumRetryAttempts: 186 } })).rejects.toThrow(
      'less than or equal to 185',
    );
    await expect(targets({ EcsParameters: { TaskDefinitionArn: 'x' } })).rejects.toThrow(
      'does not implement events:PutTargets with EcsParameters',
    );
    await expect(
      targets({ Arn: 'arn:aws:kinesis:eu-central-1:123456789012:stream/x' }),
    ).rejects.toMatchObject({
      name: 'NotImplementedInSandbox',
    });
    await expect(
      events.send(
        new PutTargetsCommand({
          Rule: 'strict',
          Targets: Array.from({ length: 6 }, (_, index) => ({ ...target, Id: `t${index}` })),
        }),
      ),
    ).rejects.toMatchObject({ name: 'LimitExceededException' });
    await expect(events.send(new PutRuleCommand({ Name: 'x' }))).rejects.toThrow(
      'Parameter(s) EventPattern or ScheduleExpression must be specified.',
    );
    const { Entries } = await events.send(
      new PutEventsCommand({
        Entries: [
          { Source: 'aws.rds', DetailType: 'forged', Detail: '{}' },
          { Source: 'test', DetailType: 'broken', Detail: '[1]' },
          { Source: 'test', Detail: '{}' },
        ],
      }),
    );
    expect(Entries?.map(({ ErrorCode }) => ErrorCode)).toEqual([
      'NotAuthorizedForSourceException',
      'MalformedDetail',
      'InvalidArgument',
    ]);
    await expect(
      events.send(
        new PutEventsCommand({
          Entries: Array.from({ length: 11 }, () => ({ Source: 's', DetailType: 't', Detail: '{}' })),
        }),
      ),
    ).rejects.toMatchObject({ name: 'ValidationException' });
    await expect(
      events.send(
        new PutEventsCommand({
          Entries: [{ Source: 's', DetailType: 't', Detail: '{}', EventBusName: 'own' }],
        }),
      ),
    ).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  });

  it('answers what rules there are', async () => {
    await rule('kept', { Arn: queueArn('inbox') });
    expect(await events.send(new DescribeRuleCommand({ Name: 'kept' }))).toMatchObject({
      Arn: ruleArn('kept'),
      State: 'ENABLED',
      EventPattern: '{"detail-type":["kept"]}',
    });
    expect(await events.send(new ListTargetsByRuleCommand({ Rule: 'kept' }))).toMatchObject({
      Targets: [{ Id: '0', Arn: queueArn('inbox') }],
    });
    expect(
      (await events.send(new ListRuleNamesByTargetCommand({ TargetArn: queueArn('inbox') }))).RuleNames,
    ).toContain('kept');
    await events.send(
      new TagResourceCommand({ ResourceARN: ruleArn('kept'), Tags: [{ Key: 'a', Value: '1' }] }),
    );
    expect(
      (await events.send(new ListTagsForResourceCommand({ ResourceARN: ruleArn('kept') }))).Tags,
    ).toEqual([{ Key: 'a', Value: '1' }]);
    expect(
      await events.send(
        new TestEventPatternCommand({ EventPattern: '{"source":["a"]}', Event: '{"source":"a"}' }),
      ),
    ).toMatchObject({ Result: true });
    await expect(events.send(new DeleteRuleCommand({ Name: 'kept' }))).rejects.toThrow(
      "Rule can't be deleted since it has targets.",
    );
    await events.send(new RemoveTargetsCommand({ Rule: 'kept', Ids: ['0'] }));
    await events.send(new DeleteRuleCommand({ Name: 'kept' }));
    await expect(events.send(new DescribeRuleCommand({ Name: 'kept' }))).rejects.toThrow(
      'Rule kept does not exist on EventBus default.',
    );
  });
});
