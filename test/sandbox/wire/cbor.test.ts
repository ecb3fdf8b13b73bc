import {
  CloudWatchClient,
  DescribeAlarmsCommand,
  GetMetricStatisticsCommand,
  PutMetricAlarmCommand,
  PutMetricDataCommand,
  SetAlarmStateCommand,
} from '@aws-sdk/client-cloudwatch';
import { SmithyRpcV2CborProtocol } from '@smithy/core/cbor';
import { CloudWatchService } from '../../../sandbox/cloudwatch/service';
import { serve, type Served } from './served';

/** The protocol that boto3 speaks with CloudWatch. */
describe('CBOR', () => {
  let served: Served<{ monitoring: CloudWatchService }>;
  let client: CloudWatchClient;

  beforeAll(async () => {
    served = await serve((context) => ({ monitoring: new CloudWatchService(context) }));
    client = new CloudWatchClient({
      ...served.client,
      protocol: new SmithyRpcV2CborProtocol({ defaultNamespace: 'com.amazonaws.cloudwatch' }),
    });
    client.middlewareStack.add(
      (next) => async (args) => {
        // The name by which the service goes in the path of a request.
        if (typeof args.request === 'object' && args.request !== null && 'path' in args.request)
          expect(args.request.path).toMatch(/^\/service\/\w+\/operation\/\w+$/);
        return next(args);
      },
      { step: 'finalizeRequest' },
    );
  });
  afterAll(async () => {
    client.destroy();
    await served.close();
  });

  it('carries times, numbers and structures there and back', async () => {
    const at = new Date(Math.floor(Date.now() / 60_000) * 60_000);
    await client.send(
      new PutMetricDataCommand({
        Namespace: 'Drill',
        MetricData: [
          { MetricName: 'm', Timestamp: at, Values: [1.5, -2], Dimensions: [{ Name: 'a', Value: 'ü' }] },
        ],
      }),
    );
    const { Datapoints } = await client.send(
      new GetMetricStatisticsCommand({
        Namespace: 'Drill',
        MetricName: 'm',
        Dimensions: [{ Name: 'a', Value: 'ü' }],
        StartTime: at,
        EndTime: new Date(at.getTime() + 60_000),
        Period: 60,
        Statistics: ['Sum', 'Minimum'],
      }),
    );
    expect(Datapoints).toEqual([{ Timestamp: at, Unit: 'None', Sum: -0.5, Minimum: -2 }]);
    await client.send(
      new PutMetricAlarmCommand({
        AlarmName: 'x',
        Namespace: 'Drill',
        MetricName: 'm',
        Statistic: 'Sum',
        Period: 60,
        EvaluationPeriods: 1,
        Threshold: 0.5,
        ComparisonOperator: 'GreaterThanThreshold',
        ActionsEnabled: false,
      }),
    );
    expect((await client.send(new DescribeAlarmsCommand({}))).MetricAlarms).toMatchObject([
      { AlarmName: 'x', ActionsEnabled: false, Threshold: 0.5 },
    ]);
  });

  it('refuses by the name of the error', async () => {
    await expect(
      client.send(new SetAlarmStateCommand({ AlarmName: 'none', StateValue: 'OK', StateReason: 'x' })),
    ).rejects.toMatchObject({ name: 'ResourceNotFound', message: 'The named resource does not exist.' });
  });
});
