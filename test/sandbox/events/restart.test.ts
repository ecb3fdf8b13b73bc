import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CloudWatchClient,
  DescribeAlarmsCommand,
  PutCompositeAlarmCommand,
  PutMetricAlarmCommand,
  PutMetricDataCommand,
  type AlarmType,
} from '@aws-sdk/client-cloudwatch';
import {
  EventBridgeClient,
  PutEventsCommand,
  PutRuleCommand,
  PutTargetsCommand,
} from '@aws-sdk/client-eventbridge';
import { CreateScheduleCommand, SchedulerClient } from '@aws-sdk/client-scheduler';
import {
  CreateTopicCommand,
  ListSubscriptionsByTopicCommand,
  SNSClient,
  SubscribeCommand,
} from '@aws-sdk/client-sns';
import { ApiError } from '../../../sandbox/core/api';
import { VirtualClock } from '../../../sandbox/core/clock';
import { durations } from '../../../sandbox/rds/durations';
import { Sandbox } from '../../../sandbox/sandbox';

const ACCOUNT = 'eu-central-1:123456789012';
const HOUR = 3_600_000;

/** What waits for time to pass goes on in the next process: retries, schedules, alarms, messages. */
test('a restarted sandbox goes on delivering, running schedules and watching', async () => {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'restart-'));
  const start = (clock: VirtualClock): Promise<Sandbox> =>
    Sandbox.start({ clock, durations: durations('quick'), stateDirectory });
  const clients = (
    running: Sandbox,
  ): {
    events: EventBridgeClient;
    scheduler: SchedulerClient;
    sns: SNSClient;
    cloudWatch: CloudWatchClient;
  } => {
    const { endpoint } = running.context;
    const options = { endpoint, region: 'eu-central-1', credentials: running.credentials() };
    return {
      events: new EventBridgeClient(options),
      scheduler: new SchedulerClient(options),
      sns: new SNSClient(options),
      cloudWatch: new CloudWatchClient(options),
    };
  };
  const bodies = (sandbox: Sandbox, queue: string): string[] =>
    sandbox.sqs
      .inspect()
      .find(({ name }) => name === queue)
      ?.messages.map(({ body }) => body) ?? [];
  let sandbox: Sandbox | undefined;
  try {
    sandbox = await start(new VirtualClock());
    const admin = sandbox.context.callers.administrator();
    const policy = {
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: { Service: 'events.amazonaws.com' },
          Action: 'sqs:SendMessage',
          Resource: '*',
        },
      ],
    };
    for (const QueueName of ['events', 'schedules'])
      await sandbox.context.api.call(
        'sqs',
        'CreateQueue',
        { QueueName, Attributes: { Policy: JSON.stringify(policy) } },
        admin,
      );
    const before = clients(sandbox);
    const broken = sandbox.context.api.intercept(async ({ context, input }, next) => {
      if (context.operation === 'SendMessage' && String(input['QueueUrl']).endsWith('events'))
        throw new ApiError('ThrottlingException', 'Rate exceeded');
      return next();
    });
    await before.events.send(new PutRuleCommand({ Name: 'r', EventPattern: '{"source":["test"]}' }));
    await before.events.send(
      new PutTargetsCommand({
        Rule: 'r',
        Targets: [{ Id: '1', Arn: `arn:aws:sqs:${ACCOUNT}:events`, Input: '"late"' }],
      }),
    );
    await before.events.send(
      new PutEventsCommand({ Entries: [{ Source: 'test', DetailType: 't', Detail: '{}' }] }),
    );
    await before.scheduler.send(
      new CreateScheduleCommand({
        Name: 'hourly',
        ScheduleExpression: 'rate(1 hour)',
        FlexibleTimeWindow: { Mode: 'OFF' },
        Target: {
          Arn: `arn:aws:sqs:${ACCOUNT}:schedules`,
          RoleArn: 'arn:aws:iam::123456789012:role/any',
          Input: 'due',
        },
      }),
    );
    const { TopicArn } = await before.sns.send(new CreateTopicCommand({ Name: 'topic' }));
    await before.sns.send(new SubscribeCommand({ TopicArn, Protocol: 'email', Endpoint: 'a@example.com' }));
    await before.cloudWatch.send(
      new PutMetricAlarmCommand({
        AlarmName: 'x',
        Namespace: 'Drill',
        MetricName: 'm',
        Statistic: 'Sum',
        Period: 60,
        EvaluationPeriods: 1,
        Threshold: 1,
        ComparisonOperator: 'GreaterThanOrEqualToThreshold',
        TreatMissingData: 'ignore',
      }),
    );
    await before.cloudWatch.send(new PutCompositeAlarmCommand({ AlarmName: 'on-x', AlarmRule: 'ALARM(x)' }));
    await before.cloudWatch.send(
      new PutMetricDataCommand({ Namespace: 'Drill', MetricData: [{ MetricName: 'm', Value: 5 }] }),
    );
    expect(bodies(sandbox, 'events')).toEqual([]);
    broken();
    for (const client of Object.values(before)) client.destroy();
    await sandbox.stop();

    const clock = new VirtualClock();
    sandbox = await start(clock);
    await clock.advance(2.5 * HOUR);
    expect(bodies(sandbox, 'events')).toEqual(['"late"']);
    expect(bodies(sandbox, 'schedules')).toEqual(['due', 'due']);
    expect(sandbox.sns.inbox).toMatchObject([{ to: 'a@example.com' }]);
    const after = clients(sandbox);
    expect(
      (await after.sns.send(new ListSubscriptionsByTopicCommand({ TopicArn }))).Subscriptions,
    ).toHaveLength(1);
    const AlarmTypes: AlarmType[] = ['MetricAlarm', 'CompositeAlarm'];
    expect(await after.cloudWatch.send(new DescribeAlarmsCommand({ AlarmTypes }))).toMatchObject({
      MetricAlarms: [{ AlarmName: 'x', StateValue: 'ALARM' }],
      CompositeAlarms: [{ AlarmName: 'on-x', StateValue: 'ALARM' }],
    });
    for (const client of Object.values(after)) client.destroy();
  } finally {
    await sandbox?.stop();
    rmSync(stateDirectory, { recursive: true, force: true });
  }
});
