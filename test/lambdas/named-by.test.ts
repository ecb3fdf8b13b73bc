import { CloudWatchClient, PutDashboardCommand, PutMetricAlarmCommand } from '@aws-sdk/client-cloudwatch';
import { findNamedBy } from '../../lambdas/named-by';
import { CloudWatchService } from '../../sandbox/cloudwatch/service';
import { ApiError } from '../../sandbox/core/api';
import { scripted, serve, type Served } from '../sandbox/wire/served';

const NAMES = ['orders', 'db-ORDERS'];
const NEXT = 'orders-rec-0123456789';

describe('what names an instance', () => {
  let served: Served<object>;
  let client: CloudWatchClient;
  beforeAll(async () => {
    served = await serve((context) => ({ monitoring: new CloudWatchService(context) }));
    client = new CloudWatchClient(served.client);
  });
  afterAll(async () => {
    client.destroy();
    await served.close();
  });

  test('is told apart from what only looks like it, and from what follows', async () => {
    const ofInstance = (Value: string) => [{ Name: 'DBInstanceIdentifier', Value }];
    for (const [AlarmName, Dimensions] of [
      ['orders-storage', ofInstance('orders')],
      ['next-storage', ofInstance(NEXT)],
      ['archive-storage', ofInstance('orders-archive')],
      ['orders-errors', [{ Name: 'FunctionName', Value: 'web-orders' }]],
    ] as const)
      await client.send(
        new PutMetricAlarmCommand({
          AlarmName,
          Namespace: 'AWS/RDS',
          MetricName: 'FreeStorageSpace',
          Dimensions: [...Dimensions],
          Statistic: 'Minimum',
          Period: 60,
          EvaluationPeriods: 1,
          Threshold: 1e9,
          ComparisonOperator: 'LessThanThreshold',
        }),
      );
    const search = (term: string): object => ({
      metrics: [
        [{ expression: `SEARCH('{AWS/RDS,DBInstanceIdentifier} CPUUtilization ${term}', 'Average')` }],
      ],
    });
    for (const [DashboardName, properties] of Object.entries({
      'by-dimension': { metrics: [['AWS/RDS', 'CPUUtilization', 'DBInstanceIdentifier', 'orders']] },
      'by-exact-search': search('DBInstanceIdentifier="orders"'),
      'by-query': {
        query: `SELECT MAX(CPUUtilization) FROM "AWS/RDS" WHERE DBInstanceIdentifier = 'orders'`,
      },
      'by-log-group': { query: "SOURCE '/aws/rds/instance/orders/postgresql' | fields @message" },
      'by-resource': { metrics: [[{ expression: "DB_PERF_INSIGHTS('RDS', 'db-ORDERS', 'db.load.avg')" }]] },
      follows: search('DBInstanceIdentifier=orders'),
      'of-next': { metrics: [['AWS/RDS', 'CPUUtilization', 'DBInstanceIdentifier', NEXT]] },
      'with-a-title': { title: 'orders of today' },
    }))
      await client.send(
        new PutDashboardCommand({
          DashboardName,
          DashboardBody: JSON.stringify({ widgets: [{ type: 'metric', properties }] }),
        }),
      );
    const { namedBy, notKnown } = await findNamedBy(NAMES, client);
    expect(notKnown).toEqual([]);
    expect(namedBy.alarms).toEqual(['orders-storage']);
    expect(namedBy.dashboards?.sort()).toEqual([
      'by-dimension',
      'by-exact-search',
      'by-log-group',
      'by-query',
      'by-resource',
    ]);
  });
});

/** Finds with a CloudWatch that answers what a test says. */
async function foundWith(
  operations: Readonly<Record<string, (input: object) => object>>,
  secondsAtMost?: number,
): ReturnType<typeof findNamedBy> {
  const none = {
    DescribeAlarms: () => ({ MetricAlarms: [], CompositeAlarms: [] }),
    ListDashboards: () => ({ DashboardEntries: [] }),
  };
  const served = await serve(() => ({ monitoring: scripted('monitoring', { ...none, ...operations }) }));
  const client = new CloudWatchClient(served.client);
  try {
    return await findNamedBy(NAMES, client, secondsAtMost);
  } finally {
    client.destroy();
    await served.close();
  }
}

test('alarms on expressions and queries are seen, on every page', async () => {
  const metric = (Value: string) => ({
    Namespace: 'AWS/RDS',
    MetricName: 'CPUUtilization',
    Dimensions: [{ Name: 'DBInstanceIdentifier', Value }],
  });
  const math = (AlarmName: string, Value: string) => ({
    AlarmName,
    Metrics: [
      { Id: 'm1', MetricStat: { Metric: metric(Value), Period: 60, Stat: 'Maximum' }, ReturnData: false },
      { Id: 'e1', Expression: 'm1 / 2' },
    ],
  });
  const query = (AlarmName: string, condition: string) => ({
    AlarmName,
    Metrics: [
      {
        Id: 'q1',
        Expression: `SELECT MAX(CPUUtilization) FROM SCHEMA("AWS/RDS", DBInstanceIdentifier)${condition}`,
      },
    ],
  });
  const pages = [
    { MetricAlarms: [math('math', 'orders'), math('other-math', NEXT)], NextToken: '1' },
    { MetricAlarms: [query('query', " WHERE DBInstanceIdentifier = 'orders'"), query('follows', '')] },
  ];
  const { namedBy } = await foundWith({
    DescribeAlarms: (input) => pages['NextToken' in input ? Number(input.NextToken) : 0] ?? {},
  });
  expect(namedBy).toEqual({ alarms: ['math', 'query'], dashboards: [] });
});

test('what cannot be seen is not known, with the reason, and the rest is', async () => {
  const refused = await foundWith({
    ListDashboards: () => ({ DashboardEntries: [{ DashboardName: 'secret' }] }),
    GetDashboard: () => {
      throw new ApiError('AccessDenied', 'not for you', 403);
    },
  });
  expect(refused.namedBy).toEqual({ alarms: [], dashboards: null });
  expect(refused.notKnown).toEqual([
    expect.stringMatching(/^Which dashboards name orders is not known: .*not for you/),
  ]);
});

test('nobody waits for a CloudWatch that does not answer', async () => {
  const never: Record<string, () => object> = { DescribeAlarms: () => new Promise<object>(() => undefined) };
  const { namedBy, notKnown } = await foundWith(never, 0.5);
  expect(namedBy).toEqual({ alarms: null, dashboards: [] });
  expect(notKnown).toEqual(['Which alarms name orders is not known: CloudWatch did not say within 0.5 s.']);
});
