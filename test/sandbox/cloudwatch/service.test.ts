import {
  CloudWatchClient,
  DeleteAlarmsCommand,
  DescribeAlarmHistoryCommand,
  DescribeAlarmsCommand,
  DisableAlarmActionsCommand,
  GetDashboardCommand,
  GetMetricDataCommand,
  GetMetricStatisticsCommand,
  ListMetricsCommand,
  PutCompositeAlarmCommand,
  PutDashboardCommand,
  PutMetricAlarmCommand,
  PutMetricDataCommand,
  SetAlarmStateCommand,
  type MetricAlarm,
  type PutMetricAlarmCommandInput,
} from '@aws-sdk/client-cloudwatch';
import { CreateFunctionCommand, InvokeCommand } from '@aws-sdk/client-lambda';
import { CreateStateMachineCommand, StartExecutionCommand } from '@aws-sdk/client-sfn';
import { CreateTopicCommand, SetTopicAttributesCommand, SNSClient } from '@aws-sdk/client-sns';
import { z } from 'zod';
import { VirtualClock } from '../../../sandbox/core/clock';
import { deployedTo } from '../../../sandbox/deploy/deploy';
import { durations } from '../../../sandbox/rds/durations';
import { Sandbox } from '../../../sandbox/sandbox';
import { document, roleWith } from '../iam/roles';
import { zipFile } from '../lambda/zip-file';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const Notice = z.record(z.string(), z.unknown());

describe('CloudWatch', () => {
  const clock = new VirtualClock();
  let sandbox: Sandbox;
  let client: CloudWatchClient;
  let sns: SNSClient;
  let TopicArn = '';

  beforeAll(async () => {
    sandbox = await Sandbox.start({ clock, durations: durations('quick') });
    const options = {
      endpoint: sandbox.context.endpoint,
      region: 'eu-central-1',
      credentials: sandbox.credentials(),
    };
    client = new CloudWatchClient(options);
    sns = new SNSClient(options);
    TopicArn = (await sns.send(new CreateTopicCommand({ Name: 'alarms' }))).TopicArn ?? '';
    const { iam } = deployedTo(sandbox.context);
    iam.add(roleWith('function', []));
    iam.add(roleWith('machine', [], { trusted: 'states.amazonaws.com' }));
  });
  afterAll(async () => {
    client.destroy();
    sns.destroy();
    await sandbox.stop();
  });

  const put = (MetricName: string, Value: number): Promise<object> =>
    client.send(
      new PutMetricDataCommand({
        Namespace: 'Drill',
        MetricData: [
          { MetricName, Value, Dimensions: [{ Name: 'env', Value: 'production' }], Timestamp: clock.now() },
        ],
      }),
    );
  const alarm = (AlarmName: string, more: Partial<PutMetricAlarmCommandInput> = {}): Promise<object> =>
    client.send(
      new PutMetricAlarmCommand({
        AlarmName,
        Namespace: 'Drill',
        MetricName: AlarmName,
        Dimensions: [{ Name: 'env', Value: 'production' }],
        Statistic: 'Sum',
        Period: 60,
        EvaluationPeriods: 1,
        Threshold: 1,
        ComparisonOperator: 'GreaterThanOrEqualToThreshold',
        AlarmActions: [TopicArn],
        ...more,
      }),
    );
  async function described(name: string): Promise<MetricAlarm | undefined> {
    return (await client.send(new DescribeAlarmsCommand({ AlarmNames: [name] }))).MetricAlarms?.[0];
  }
  const state = async (name: string): Promise<string | undefined> => (await described(name))?.StateValue;
  /** The sum of a metric over the last hour. */
  async function sum(
    Namespace: string,
    MetricName: string,
    dimensions: Record<string, string>,
  ): Promise<number> {
    const { Datapoints = [] } = await client.send(
      new GetMetricStatisticsCommand({
        Namespace,
        MetricName,
        Dimensions: Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value })),
        StartTime: new Date(clock.now().getTime() - HOUR),
        EndTime: new Date(clock.now().getTime() + HOUR),
        Period: 60,
        Statistics: ['Sum'],
      }),
    );
    return Datapoints.reduce((total, { Sum = 0 }) => total + Sum, 0);
  }

  it('puts values together by the minute and answers their statistics', async () => {
    const start = Math.floor(clock.now().getTime() / HOUR) * HOUR - HOUR;
    const at = new Date(start + 30_000);
    await client.send(
      new PutMetricDataCommand({
        Namespace: 'Stats',
        MetricData: [
          { MetricName: 'm', Unit: 'Count', Timestamp: at, Values: [1, 5], Counts: [3, 1] },
          { MetricName: 'm', Unit: 'Count', Timestamp: new Date(at.getTime() + 10_000), Value: 10 },
          {
            MetricName: 'm',
            Unit: 'Count',
            Timestamp: new Date(at.getTime() + MINUTE),
            StatisticValues: { SampleCount: 2, Sum: 7, Minimum: 3, Maximum: 4 },
          },
        ],
      }),
    );
    const range = { StartTime: new Date(start), EndTime: new Date(start + 5 * MINUTE) };
    const statistics = async (Period: number): Promise<unknown> =>
      (
        await client.send(
          new GetMetricStatisticsCommand({
            Namespace: 'Stats',
            MetricName: 'm',
            ...range,
            Period,
            Statistics: ['SampleCount', 'Average', 'Sum', 'Minimum', 'Maximum'],
          }),
        )
      ).Datapoints;
    expect(await statistics(60)).toEqual([
      {
        Timestamp: range.StartTime,
        Unit: 'Count',
        SampleCount: 5,
        Average: 3.6,
        Sum: 18,
        Minimum: 1,
        Maximum: 10,
      },
      {
        Timestamp: new Date(start + MINUTE),
        Unit: 'Count',
        SampleCount: 2,
        Average: 3.5,
        Sum: 7,
        Minimum: 3,
        Maximum: 4,
      },
    ]);
    expect(await statistics(300)).toMatchObject([{ SampleCount: 7, Sum: 25, Minimum: 1, Maximum: 10 }]);
    const { MetricDataResults } = await client.send(
      new GetMetricDataCommand({
        ...range,
        MetricDataQueries: [
          {
            Id: 'a',
            MetricStat: { Metric: { Namespace: 'Stats', MetricName: 'm' }, Period: 60, Stat: 'Sum' },
          },
        ],
      }),
    );
    expect(MetricDataResults).toMatchObject([{ Id: 'a', Values: [7, 18], StatusCode: 'Complete' }]);
    expect((await client.send(new ListMetricsCommand({ Namespace: 'Stats' }))).Metrics).toEqual([
      { Namespace: 'Stats', MetricName: 'm', Dimensions: [] },
    ]);
  });

  it('tells the topic when an alarm changes, in the words of AWS, and puts it on the bus', async () => {
    await alarm('failures', {
      AlarmDescription: 'look',
      OKActions: [TopicArn],
      TreatMissingData: 'notBreaching',
    });
    expect(await described('failures')).toMatchObject({
      StateValue: 'INSUFFICIENT_DATA',
      StateReason: 'Unchecked: Initial alarm creation',
    });
    await clock.advance(2 * MINUTE);
    expect(await state('failures')).toBe('OK');
    await put('failures', 0);
    await clock.advance(MINUTE);
    expect(await state('failures')).toBe('OK');
    await put('failures', 5);
    await clock.advance(MINUTE);
    expect(await described('failures')).toMatchObject({
      StateValue: 'ALARM',
      StateReason: expect.stringMatching(
        /^Threshold Crossed: 1 out of the last 1 datapoint \[5\.0 \(\S+ \S+\)\] was greater than or equal to the threshold \(1\.0\) \(minimum 1 datapoint for OK -> ALARM transition\)\.$/,
      ) as string,
    });
    await clock.advance(HOUR);
    expect(await state('failures')).toBe('OK');
    const messages = sandbox.sns.messages.map(({ subject, message }) => ({
      subject,
      ...Notice.parse(JSON.parse(message)),
    }));
    expect(messages).toMatchObject([
      { subject: 'OK: "failures" in EU (Frankfurt)', OldStateValue: 'INSUFFICIENT_DATA' },
      {
        subject: 'ALARM: "failures" in EU (Frankfurt)',
        AlarmName: 'failures',
        AlarmDescription: 'look',
        AWSAccountId: '123456789012',
        NewStateValue: 'ALARM',
        OldStateValue: 'OK',
        Region: 'EU (Frankfurt)',
        AlarmArn: 'arn:aws:cloudwatch:eu-central-1:123456789012:alarm:failures',
        Trigger: {
          MetricName: 'failures',
          Namespace: 'Drill',
          Statistic: 'SUM',
          Dimensions: [{ name: 'env', value: 'production' }],
          Period: 60,
          Threshold: 1,
          TreatMissingData: 'notBreaching',
        },
      },
      { subject: 'OK: "failures" in EU (Frankfurt)', OldStateValue: 'ALARM' },
    ]);
    expect(
      sandbox.events.events.filter((event) => event.source === 'aws.cloudwatch').map(({ detail }) => detail),
    ).toMatchObject([
      { alarmName: 'failures', state: { value: 'OK' }, previousState: { value: 'INSUFFICIENT_DATA' } },
      { alarmName: 'failures', state: { value: 'ALARM' } },
      { alarmName: 'failures', state: { value: 'OK' } },
    ]);
    const { AlarmHistoryItems } = await client.send(
      new DescribeAlarmHistoryCommand({ AlarmName: 'failures', ScanBy: 'TimestampAscending' }),
    );
    expect(AlarmHistoryItems?.map(({ HistorySummary }) => HistorySummary)).toEqual([
      'Alarm "failures" created',
      'Alarm updated from INSUFFICIENT_DATA to OK',
      `Successfully executed action ${TopicArn}`,
      'Alarm updated from OK to ALARM',
      `Successfully executed action ${TopicArn}`,
      'Alarm updated from ALARM to OK',
      `Successfully executed action ${TopicArn}`,
    ]);
  });

  it('can not publish to a topic whose own policy does not name it', async () => {
    const { TopicArn: closed = '' } = await sns.send(new CreateTopicCommand({ Name: 'closed' }));
    const statement = {
      Effect: 'Deny',
      Principal: '*',
      Action: 'sns:Publish',
      Resource: closed,
      Condition: { Bool: { 'aws:SecureTransport': 'false' } },
    };
    const policy = (statements: Parameters<typeof document>[0]): Promise<object> =>
      sns.send(
        new SetTopicAttributesCommand({
          TopicArn: closed,
          AttributeName: 'Policy',
          AttributeValue: JSON.stringify(document(statements)),
        }),
      );
    await policy([statement]);
    await alarm('unheard', { AlarmActions: [closed] });
    const set = (StateValue: 'ALARM' | 'OK'): Promise<object> =>
      client.send(new SetAlarmStateCommand({ AlarmName: 'unheard', StateValue, StateReason: 'a test' }));
    await set('ALARM');
    const history = await client.send(
      new DescribeAlarmHistoryCommand({ AlarmName: 'unheard', HistoryItemType: 'Action' }),
    );
    expect(history.AlarmHistoryItems).toMatchObject([
      {
        HistorySummary: `Failed to execute action ${closed}`,
        HistoryData: expect.stringContaining(
          `Resource: arn:aws:cloudwatch:eu-central-1:123456789012:alarm:unheard is not authorized to perform: SNS:Publish on resource: ${closed} because no resource-based policy allows the SNS:Publish action`,
        ) as string,
      },
    ]);
    const before = sandbox.sns.messages.length;
    await policy([
      statement,
      {
        Effect: 'Allow',
        Principal: { Service: 'cloudwatch.amazonaws.com' },
        Action: 'sns:Publish',
        Resource: closed,
      },
    ]);
    await set('OK');
    await set('ALARM');
    expect(sandbox.sns.messages.slice(before)).toMatchObject([{ topicArn: closed }]);
    await client.send(new DisableAlarmActionsCommand({ AlarmNames: ['unheard'] }));
    await set('OK');
    await set('ALARM');
    expect(sandbox.sns.messages.slice(before)).toHaveLength(1);
  });

  it('waits for as many datapoints as it is told', async () => {
    await alarm('patient', { EvaluationPeriods: 3, DatapointsToAlarm: 2 });
    const states = [];
    for (const value of [0, 2, 0, 2, 0, 0, 0]) {
      await put('patient', value);
      await clock.advance(MINUTE);
      states.push(await state('patient'));
    }
    expect(states).toEqual(['OK', 'OK', 'OK', 'ALARM', 'OK', 'OK', 'OK']);
    await clock.advance(HOUR);
    expect(await state('patient')).toBe('INSUFFICIENT_DATA');
    await client.send(new DeleteAlarmsCommand({ AlarmNames: ['patient'] }));
    expect(await described('patient')).toBeUndefined();
  });

  it('counts what functions, executions and queues do, and what functions write as metrics', async () => {
    const { lambda, stepFunctions } = sandbox.clients();
    const emf = {
      _aws: {
        Timestamp: 0,
        CloudWatchMetrics: [
          {
            Namespace: 'Recovery',
            Dimensions: [['environment']],
            Metrics: [{ Name: 'RestoreTime', Unit: 'Seconds' }],
          },
        ],
      },
      environment: 'production',
      RestoreTime: 840,
    };
    const code = `exports.handler = async (event) => {
      if (event.fail) throw new Error('asked to');
      const document = ${JSON.stringify(emf)};
      document._aws.Timestamp = Date.now();
      console.log(JSON.stringify(document));
    };`;
    await lambda.send(
      new CreateFunctionCommand({
        FunctionName: 'measured',
        Role: 'arn:aws:iam::123456789012:role/function',
        Runtime: 'nodejs24.x',
        Handler: 'index.handler',
        Code: { ZipFile: zipFile({ 'index.js': code }) },
      }),
    );
    // A new function is not ready at once.
    await clock.sleep(30_000);
    for (const fail of [false, true, false])
      await lambda.send(
        new InvokeCommand({ FunctionName: 'measured', Payload: Buffer.from(JSON.stringify({ fail })) }),
      );
    const dimensions = { FunctionName: 'measured' };
    expect(await sum('AWS/Lambda', 'Invocations', dimensions)).toBe(3);
    expect(await sum('AWS/Lambda', 'Errors', dimensions)).toBe(1);
    expect(await sum('AWS/Lambda', 'Throttles', dimensions)).toBe(0);
    expect(await sum('AWS/Lambda', 'Duration', dimensions)).toBeGreaterThan(0);
    expect(await sum('Recovery', 'RestoreTime', { environment: 'production' })).toBe(1680);

    const { stateMachineArn = '' } = await stepFunctions.send(
      new CreateStateMachineCommand({
        name: 'failing',
        roleArn: 'arn:aws:iam::123456789012:role/machine',
        definition: '{"StartAt":"S","States":{"S":{"Type":"Fail","Error":"E"}}}',
      }),
    );
    await stepFunctions.send(new StartExecutionCommand({ stateMachineArn }));
    await clock.sleep(1000);
    const machine = { StateMachineArn: stateMachineArn };
    expect(await sum('AWS/States', 'ExecutionsStarted', machine)).toBe(1);
    expect(await sum('AWS/States', 'ExecutionsFailed', machine)).toBe(1);
    expect(await sum('AWS/States', 'ExecutionsSucceeded', machine)).toBe(0);

    const admin = sandbox.context.callers.administrator();
    await sandbox.context.api.call('sqs', 'CreateQueue', { QueueName: 'dead' }, admin);
    await alarm('not-empty', {
      Namespace: 'AWS/SQS',
      MetricName: 'ApproximateNumberOfMessagesVisible',
      Dimensions: [{ Name: 'QueueName', Value: 'dead' }],
      Statistic: 'Maximum',
      TreatMissingData: 'notBreaching',
    });
    await sandbox.context.api.call('sqs', 'SendMessage', { QueueUrl: 'dead', MessageBody: 'x' }, admin);
    await clock.advance(2 * HOUR);
    expect(await state('not-empty')).toBe('ALARM');
    await sandbox.context.api.call('sqs', 'PurgeQueue', { QueueUrl: 'dead' }, admin);
    await clock.advance(10 * MINUTE);
    expect(await state('not-empty')).toBe('OK');
  });

  it('has composite alarms follow the alarms of their rule at once, and tell of it in the words of AWS', async () => {
    const names = ['below-1', 'below-2', 'composite', 'composite-above'];
    for (const name of ['below-1', 'below-2'])
      await alarm(name, { AlarmActions: [], TreatMissingData: 'ignore' });
    const composite = (AlarmName: string, AlarmRule: string): Promise<object> =>
      client.send(new PutCompositeAlarmCommand({ AlarmName, AlarmRule, AlarmActions: [TopicArn] }));
    const set = (AlarmName: string, StateValue: 'ALARM' | 'OK'): Promise<object> =>
      client.send(new SetAlarmStateCommand({ AlarmName, StateValue, StateReason: 'a test' }));
    const states = async (): Promise<(string | undefined)[]> => {
      const { MetricAlarms = [], CompositeAlarms = [] } = await client.send(
        new DescribeAlarmsCommand({ AlarmNames: names, AlarmTypes: ['MetricAlarm', 'CompositeAlarm'] }),
      );
      return [...MetricAlarms, ...CompositeAlarms].map(({ StateValue }) => StateValue);
    };
    await expect(composite('composite', 'ALARM(nobody)')).rejects.toThrow(
      'Could not save the composite alarm as alarms [nobody] in the alarm rule do not exist',
    );
    await expect(composite('below-1', 'TRUE')).rejects.toThrow('of another type');
    await composite('composite', 'ALARM("below-1") AND ALARM(below-2)');
    await composite('composite-above', 'ALARM(arn:aws:cloudwatch:eu-central-1:123456789012:alarm:composite)');
    const told = sandbox.sns.messages.length;
    await set('below-1', 'ALARM');
    expect((await states()).slice(2)).toEqual(['OK', 'OK']);
    await set('below-2', 'ALARM');
    expect(await states()).toEqual(['ALARM', 'ALARM', 'ALARM', 'ALARM']);
    expect(
      sandbox.sns.messages
        .slice(told)
        .map(({ subject, message }) => ({ subject, ...Notice.parse(JSON.parse(message)) })),
    ).toMatchObject([
      {
        subject: 'ALARM: "composite" in EU (Frankfurt)',
        AlarmRule: 'ALARM("below-1") AND ALARM(below-2)',
        OldStateValue: 'OK',
        NewStateReason: expect.stringMatching(
          /^arn:aws:cloudwatch:eu-central-1:123456789012:alarm:below-2 transitioned to ALARM at [A-Z][a-z]+day \d\d [A-Z][a-z]+, \d{4} \d\d:\d\d:\d\d UTC$/,
        ) as string,
        TriggeringChildren: [
          {
            Arn: 'arn:aws:cloudwatch:eu-central-1:123456789012:alarm:below-2',
            State: { Value: 'ALARM' },
          },
        ],
      },
      { subject: 'ALARM: "composite-above" in EU (Frankfurt)' },
    ]);
    expect(sandbox.events.events.at(-1)?.detail).toMatchObject({
      alarmName: 'composite-above',
      configuration: { alarmRule: expect.stringContaining('alarm:composite') as string },
    });

    const { MetricAlarms, CompositeAlarms } = await client.send(
      new DescribeAlarmsCommand({ AlarmNames: names }),
    );
    expect([MetricAlarms?.length, CompositeAlarms]).toEqual([2, []]);
    const related = async (relation: object): Promise<(string | undefined)[]> => {
      const found = await client.send(new DescribeAlarmsCommand(relation));
      return [...(found.MetricAlarms ?? []), ...(found.CompositeAlarms ?? [])].map(
        ({ AlarmName }) => AlarmName,
      );
    };
    expect(await related({ ChildrenOfAlarmName: 'composite' })).toEqual(['below-1', 'below-2']);
    expect(await related({ ParentsOfAlarmName: 'composite' })).toEqual(['composite-above']);
    await expect(related({ ParentsOfAlarmName: 'composite', StateValue: 'OK' })).rejects.toThrow(
      'cannot be specified with other parameters',
    );

    const remove = (...AlarmNames: string[]): Promise<object> =>
      client.send(new DeleteAlarmsCommand({ AlarmNames }));
    await expect(remove('below-1')).rejects.toThrow(
      'Cannot delete below-1 as there are composite alarm(s) depending on it.',
    );
    // In a circle, nothing goes round for ever and nothing can be deleted.
    await composite('composite', 'ALARM(composite-above) OR ALARM(below-1)');
    await set('below-1', 'OK');
    await expect(remove('composite')).rejects.toThrow('depending on it');
    await composite('composite', 'FALSE');
    expect((await states()).slice(2)).toEqual(['OK', 'OK']);
    await remove('composite-above');
    await remove('composite', 'below-1', 'below-2');
    expect(await states()).toEqual([]);
    const history = await client.send(
      new DescribeAlarmHistoryCommand({
        AlarmName: 'composite',
        AlarmTypes: ['CompositeAlarm'],
        HistoryItemType: 'ConfigurationUpdate',
      }),
    );
    expect(history.AlarmHistoryItems).toHaveLength(3);
  });

  it('costs nothing while there is nothing to look at', async () => {
    const timersOfADay = async (): Promise<number> => {
      const schedule = jest.spyOn(clock, 'schedule');
      await clock.advance(24 * HOUR);
      const timers = schedule.mock.calls.length;
      schedule.mockRestore();
      return timers;
    };
    await clock.advance(HOUR);
    const without = await timersOfADay();
    await alarm('asleep', { TreatMissingData: 'notBreaching' });
    await clock.advance(HOUR);
    expect(await timersOfADay()).toBe(without);
    expect(await state('asleep')).toBe('OK');
    await put('asleep', 3);
    await clock.advance(MINUTE);
    expect(await state('asleep')).toBe('ALARM');
  });

  it('refuses by name what it does not have, and what AWS does not take', async () => {
    const missing = { name: 'NotImplementedInSandbox' };
    await expect(alarm('x', { Period: 10 })).rejects.toMatchObject(missing);
    await expect(alarm('x', { Statistic: undefined, ExtendedStatistic: 'p99' })).rejects.toMatchObject(
      missing,
    );
    await expect(
      alarm('x', { AlarmActions: ['arn:aws:automate:eu-central-1:ec2:stop'] }),
    ).rejects.toMatchObject(missing);
    await expect(alarm('x', { Period: 90 })).rejects.toThrow('Period must be 10, 20, 30 or a multiple of 60');
    await expect(alarm('x', { EvaluationPeriods: 2, DatapointsToAlarm: 3 })).rejects.toThrow(
      'DatapointsToAlarm must be between 1 and EvaluationPeriods',
    );
    await expect(alarm('x', { TreatMissingData: 'never' })).rejects.toThrow(
      'Unsupported TreatMissingData: never',
    );
    await expect(
      client.send(
        new PutMetricDataCommand({ Namespace: 'AWS/RDS', MetricData: [{ MetricName: 'x', Value: 1 }] }),
      ),
    ).rejects.toThrow('The value AWS/ for parameter Namespace is invalid.');
    await expect(
      client.send(new SetAlarmStateCommand({ AlarmName: 'none', StateValue: 'OK', StateReason: 'x' })),
    ).rejects.toMatchObject({ name: 'ResourceNotFound' });
  });

  it('keeps dashboards as they are', async () => {
    const DashboardBody = JSON.stringify({ widgets: [] });
    await client.send(new PutDashboardCommand({ DashboardName: 'recoveries', DashboardBody }));
    expect(await client.send(new GetDashboardCommand({ DashboardName: 'recoveries' }))).toMatchObject({
      DashboardName: 'recoveries',
      DashboardBody,
    });
  });
});
