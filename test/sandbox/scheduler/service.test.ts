import {
  CreateScheduleCommand,
  DeleteScheduleCommand,
  GetScheduleCommand,
  GetScheduleGroupCommand,
  ListScheduleGroupsCommand,
  ListSchedulesCommand,
  SchedulerClient,
  UpdateScheduleCommand,
  type CreateScheduleCommandInput,
} from '@aws-sdk/client-scheduler';
import { App, Stack, aws_scheduler as scheduler, aws_sqs as sqs } from 'aws-cdk-lib';
import { VirtualClock } from '../../../sandbox/core/clock';
import { deployedTo } from '../../../sandbox/deploy/deploy';
import { durations } from '../../../sandbox/rds/durations';
import { Sandbox } from '../../../sandbox/sandbox';
import { roleWith } from '../iam/roles';

const ACCOUNT = 'eu-central-1:123456789012';
const queueArn = (name: string): string => `arn:aws:sqs:${ACCOUNT}:${name}`;
const role = (name: string): string => `arn:aws:iam::123456789012:role/${name}`;
const HOUR = 3_600_000;

describe('Scheduler', () => {
  const clock = new VirtualClock();
  let sandbox: Sandbox;
  let client: SchedulerClient;

  beforeAll(async () => {
    sandbox = await Sandbox.start({ clock, durations: durations('quick') });
    client = new SchedulerClient({
      endpoint: sandbox.context.endpoint,
      region: 'eu-central-1',
      credentials: sandbox.credentials(),
    });
    for (const QueueName of ['work', 'dead'])
      await sandbox.context.api.call(
        'sqs',
        'CreateQueue',
        { QueueName },
        sandbox.context.callers.administrator(),
      );
    const { iam } = deployedTo(sandbox.context);
    const trusted = 'scheduler.amazonaws.com';
    const send = (queues: string[]): Parameters<typeof roleWith>[1] => [
      { sid: 'Send', actions: ['sqs:SendMessage'], resources: queues.map(queueArn) },
    ];
    iam.add(roleWith('able', send(['work', 'dead']), { trusted }));
    iam.add(roleWith('half', send(['dead']), { trusted }));
    iam.add(roleWith('distrustful', send(['work']), { trusted: 'events.amazonaws.com' }));
  });
  afterAll(async () => {
    client.destroy();
    await sandbox.stop();
  });

  type Input = CreateScheduleCommandInput;
  const definition = (
    Name: string,
    more: Partial<Input> = {},
    target: Partial<Input['Target']> = {},
  ): Input => ({
    Name,
    ScheduleExpression: 'rate(1 hour)',
    FlexibleTimeWindow: { Mode: 'OFF' },
    ...more,
    Target: { Arn: queueArn('work'), RoleArn: role('able'), Input: Name, ...target },
  });
  const create = (...given: Parameters<typeof definition>): Promise<object> =>
    client.send(new CreateScheduleCommand(definition(...given)));
  const remove = (Name: string): Promise<object> => client.send(new DeleteScheduleCommand({ Name }));
  /** Takes the messages out of a queue. */
  async function taken(
    name: string,
  ): Promise<{ body: string; at: number; attributes: Record<string, unknown> }[]> {
    const messages = sandbox.sqs.inspect().find((queue) => queue.name === name)?.messages ?? [];
    await sandbox.context.api.call(
      'sqs',
      'PurgeQueue',
      { QueueUrl: name },
      sandbox.context.callers.administrator(),
    );
    return messages.map(({ body, sentAt, attributes }) => ({
      body,
      at: sentAt,
      attributes: Object.fromEntries(
        Object.entries(attributes).map(([key, value]) => [key, value.StringValue]),
      ),
    }));
  }

  it('sends its input whenever it is due, until it is changed, disabled or deleted', async () => {
    await create('hourly', {}, { Input: '<aws.scheduler.schedule-arn> <aws.scheduler.scheduled-time>' });
    await clock.advance(3.5 * HOUR);
    const messages = await taken('work');
    expect(messages).toHaveLength(3);
    expect(messages[0]?.body).toMatch(/^arn:aws:scheduler:\S+:schedule\/default\/hourly 20\d\d-\S+Z$/);
    await client.send(
      new UpdateScheduleCommand(definition('hourly', { ScheduleExpression: 'rate(2 hours)' })),
    );
    await clock.advance(2.5 * HOUR);
    expect(await taken('work')).toHaveLength(1);
    await client.send(new UpdateScheduleCommand(definition('hourly', { State: 'DISABLED' })));
    await clock.advance(5 * HOUR);
    expect(await taken('work')).toEqual([]);
    await remove('hourly');
    await expect(client.send(new GetScheduleCommand({ Name: 'hourly' }))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
      message: 'Schedule hourly does not exist.',
    });
  });

  it('keeps to its start and its end, and goes when it is done if it is to', async () => {
    const from = (hours: number): Date => new Date(clock.now().getTime() + hours * HOUR);
    await create('bounded', { StartDate: from(2), EndDate: from(4.5), ActionAfterCompletion: 'DELETE' });
    await clock.advance(1.9 * HOUR);
    expect(await taken('work')).toEqual([]);
    await clock.advance(8 * HOUR);
    expect(await taken('work')).toHaveLength(3);
    await expect(client.send(new GetScheduleCommand({ Name: 'bounded' }))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    });
    await create('once', { ScheduleExpression: `at(${from(1).toISOString().slice(0, 19)})` });
    await clock.advance(3 * HOUR);
    expect(await taken('work')).toHaveLength(1);
    expect((await client.send(new GetScheduleCommand({ Name: 'once' }))).State).toBe('ENABLED');
    await remove('once');
  });

  it('comes some time within its flexible window', async () => {
    const since = clock.now().getTime();
    await create('flexible', { FlexibleTimeWindow: { Mode: 'FLEXIBLE', MaximumWindowInMinutes: 30 } });
    await clock.advance(20.9 * HOUR);
    const late = (await taken('work')).map(({ at }) => (at - since) % HOUR);
    expect(late.length).toBeGreaterThanOrEqual(20);
    expect(Math.max(...late)).toBeLessThan(30 * 60_000);
    expect(new Set(late.map((milliseconds) => Math.floor(milliseconds / 60_000))).size).toBeGreaterThan(5);
    await remove('flexible');
  });

  it('tries again what its role may not do, and leaves it in the dead-letter queue', async () => {
    const outcomes: string[] = [];
    const end = sandbox.scheduler.onDelivery((_group, outcome) => outcomes.push(outcome));
    await create(
      'refused',
      { ScheduleExpression: 'rate(1 day)' },
      {
        RoleArn: role('half'),
        RetryPolicy: { MaximumRetryAttempts: 2 },
        DeadLetterConfig: { Arn: queueArn('dead') },
      },
    );
    await clock.advance(25 * HOUR);
    end();
    expect(outcomes).toEqual(['failed', 'failed', 'failed', 'dropped', 'dead-lettered']);
    expect(await taken('dead')).toMatchObject([
      {
        body: 'refused',
        attributes: {
          SCHEDULE_ARN: `arn:aws:scheduler:${ACCOUNT}:schedule/default/refused`,
          TARGET_ARN: queueArn('work'),
          ERROR_CODE: 'AccessDenied',
          ERROR_MESSAGE: expect.stringContaining('is not authorized to perform: sqs:sendmessage') as string,
          RETRY_ATTEMPTS: '2',
          EXHAUSTED_RETRY_CONDITION: 'MaximumRetryAttempts',
          IS_PAYLOAD_TRUNCATED: 'false',
        },
      },
    ]);
    await remove('refused');
  });

  it('refuses what could never run', async () => {
    const refused = async (
      message: string | RegExp,
      ...given: Parameters<typeof definition>
    ): Promise<void> => {
      await expect(create(...given)).rejects.toMatchObject({
        name: 'ValidationException',
        message: expect.stringMatching(message) as string,
      });
    };
    await refused(/^Invalid Schedule Expression rate\(1 fortnight\)\.$/, 'x', {
      ScheduleExpression: 'rate(1 fortnight)',
    });
    await refused('assume the role', 'x', {}, { RoleArn: role('distrustful') });
    await refused('MaximumWindowInMinutes', 'x', { FlexibleTimeWindow: { Mode: 'FLEXIBLE' } });
    await refused('EndDate', 'x', { StartDate: new Date('2030-01-02'), EndDate: new Date('2030-01-01') });
    await refused('less than or equal to 185', 'x', {}, { RetryPolicy: { MaximumRetryAttempts: 186 } });
    await refused('no standard SQS queue', 'x', {}, { DeadLetterConfig: { Arn: queueArn('x.fifo') } });
    await expect(
      create('x', {}, { Arn: 'arn:aws:scheduler:::aws-sdk:rds:stopDBInstance' }),
    ).rejects.toMatchObject({
      name: 'NotImplementedInSandbox',
    });
    await expect(create('x', { GroupName: 'own' })).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
      message: 'Schedule group own does not exist.',
    });
  });

  it('lists schedules page by page, and makes each once', async () => {
    const same = { ...definition('list-1'), ClientToken: 'token' };
    const { ScheduleArn } = await client.send(new CreateScheduleCommand(same));
    expect((await client.send(new CreateScheduleCommand(same))).ScheduleArn).toBe(ScheduleArn);
    await expect(create('list-1')).rejects.toMatchObject({ name: 'ConflictException' });
    await create('list-2', { State: 'DISABLED' });
    const first = await client.send(new ListSchedulesCommand({ NamePrefix: 'list-', MaxResults: 1 }));
    const second = await client.send(
      new ListSchedulesCommand({ NamePrefix: 'list-', MaxResults: 1, NextToken: first.NextToken }),
    );
    expect([first, second].map(({ Schedules }) => Schedules?.map(({ Name }) => Name))).toEqual([
      ['list-1'],
      ['list-2'],
    ]);
    expect(second.NextToken).toBeUndefined();
    expect(await client.send(new GetScheduleCommand({ Name: 'list-2' }))).toMatchObject({
      State: 'DISABLED',
      ScheduleExpressionTimezone: 'UTC',
      Target: { RetryPolicy: { MaximumRetryAttempts: 185, MaximumEventAgeInSeconds: 86_400 } },
    });
    expect(await client.send(new GetScheduleGroupCommand({ Name: 'default' }))).toMatchObject({
      State: 'ACTIVE',
    });
    expect((await client.send(new ListScheduleGroupsCommand({}))).ScheduleGroups).toHaveLength(1);
  });

  it('is deployed from a template', async () => {
    const app = new App();
    const stack = new Stack(app, 'Nightly', { env: { account: '123456789012', region: 'eu-central-1' } });
    const queue = new sqs.Queue(stack, 'DeadLetters', { queueName: 'template-dead', enforceSSL: true });
    new scheduler.CfnSchedule(stack, 'Schedule', {
      name: 'from-template',
      scheduleExpression: 'cron(0 3 * * ? *)',
      scheduleExpressionTimezone: 'Europe/Berlin',
      flexibleTimeWindow: { mode: 'OFF' },
      target: {
        arn: queueArn('work'),
        roleArn: role('able'),
        input: 'nightly',
        deadLetterConfig: { arn: queue.queueArn },
        retryPolicy: { maximumRetryAttempts: 3 },
      },
    });
    await sandbox.deploy(app.synth().directory, ['Nightly']);
    expect(await client.send(new GetScheduleCommand({ Name: 'from-template' }))).toMatchObject({
      ScheduleExpressionTimezone: 'Europe/Berlin',
      Target: {
        DeadLetterConfig: { Arn: queueArn('template-dead') },
        RetryPolicy: { MaximumRetryAttempts: 3 },
      },
    });
    await taken('work');
    await clock.advance(24 * HOUR);
    expect((await taken('work')).filter(({ body }) => body === 'nightly')).toHaveLength(1);
  });
});
