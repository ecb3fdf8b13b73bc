import { Duration, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { EnvironmentName } from '../lambdas/contract/settings';

export interface DatabaseDashboardProps {
  readonly environment: EnvironmentName;
  /** Name of the instance now; after a recovery that of the recovery instance, too. */
  readonly instanceIdentifier: string;
  readonly machine: sfn.IStateMachine;
}

/** As `lambdas/names.ts` ends the names of recovery instances. */
const RECOVERY_SUFFIX = /-rec-[0-9a-f]{10}$/;

/** A graph of one metric of RDS, or of two that belong together. */
interface Graph {
  readonly title: string;
  readonly statistic: 'Average' | 'Minimum' | 'Maximum';
  readonly metrics: readonly string[];
}

/** Three dashboards of an account are free, with 50 metrics each: of these 12 there are 24 while a recovery runs. */
const GRAPHS: readonly Graph[] = [
  { title: 'Free storage', statistic: 'Minimum', metrics: ['FreeStorageSpace'] },
  { title: 'CPU', statistic: 'Average', metrics: ['CPUUtilization'] },
  { title: 'Free memory', statistic: 'Minimum', metrics: ['FreeableMemory'] },
  { title: 'Connections', statistic: 'Maximum', metrics: ['DatabaseConnections'] },
  { title: 'Latency of reads and writes', statistic: 'Average', metrics: ['ReadLatency', 'WriteLatency'] },
  { title: 'Reads and writes a second', statistic: 'Average', metrics: ['ReadIOPS', 'WriteIOPS'] },
  { title: 'Waiting for the disk', statistic: 'Average', metrics: ['DiskQueueDepth'] },
  {
    title: 'WAL, and what replication slots keep of it',
    statistic: 'Maximum',
    metrics: ['TransactionLogsDiskUsage', 'OldestReplicationSlotLag'],
  },
  { title: 'Transaction ids in use', statistic: 'Maximum', metrics: ['MaximumUsedTransactionIDs'] },
];

/**
 * The dashboard `<env>-database`. It finds instances by the words of their common name, so it shows whatever is live, beside what it
 * replaces while a recovery runs, and nothing of it has to be changed afterwards.
 */
export class DatabaseDashboard extends Construct {
  constructor(scope: Construct, id: string, props: DatabaseDashboardProps) {
    super(scope, id);
    const { environment, machine } = props;
    const name = props.instanceIdentifier.replace(RECOVERY_SUFFIX, '');
    const dashboard = new cloudwatch.Dashboard(this, 'Dashboard', {
      dashboardName: `${environment}-database`,
      defaultInterval: Duration.hours(12),
    });
    const { region } = Stack.of(this);
    dashboard.addWidgets(
      new cloudwatch.TextWidget({
        width: 24,
        height: 2,
        markdown:
          `**${name}** and what recoveries made of it (\`${name}-rec-…\`), each a line of its own. Live is the one that the secret ` +
          `\`${environment}/database-url\` names: it has the connections. ` +
          `[The recovery machine](https://${region}.console.aws.amazon.com/states/home?region=${region}#/statemachines/view/${machine.stateMachineArn})`,
      }),
    );
    dashboard.addWidgets(...GRAPHS.map((graph) => graphOf(graph, name)));
    dashboard.addWidgets(
      new cloudwatch.GraphWidget({
        title: 'Recoveries, drills and plans',
        width: 8,
        left: [
          machine.metricStarted({ label: 'started', period: Duration.hours(1) }),
          machine.metricFailed({ label: 'failed', period: Duration.hours(1) }),
        ],
      }),
      new cloudwatch.GraphWidget({
        title: 'Drills: seconds to the restored, and to the verified database',
        width: 8,
        left: [
          drillMetric(environment, 'DrillRestoreTime', 'restored'),
          drillMetric(environment, 'DrillRecoveryTime', 'verified'),
        ],
      }),
      new cloudwatch.GraphWidget({
        title: 'Drills: checks',
        width: 8,
        left: [
          drillMetric(environment, 'DrillChecksPassed', 'passed'),
          drillMetric(environment, 'DrillChecksNotPassed', 'not passed'),
        ],
      }),
    );
  }
}

/**
 * Without quotes a name is found by its words, in this order, wherever they stand: in `<name>` and in `<name>-rec-<id>`. With quotes it
 * would be the one instance.
 */
function graphOf({ title, statistic, metrics }: Graph, name: string): cloudwatch.GraphWidget {
  const found = metrics.map((metric) => `MetricName="${metric}"`).join(' OR ');
  return new cloudwatch.GraphWidget({
    title,
    width: 8,
    left: [
      new cloudwatch.SearchExpression({
        expression: `SEARCH('{AWS/RDS,DBInstanceIdentifier} (${found}) DBInstanceIdentifier=${name}', '${statistic}')`,
        label: '',
        period: Duration.minutes(1),
      }),
    ],
  });
}

function drillMetric(environment: EnvironmentName, metricName: string, label: string): cloudwatch.Metric {
  return new cloudwatch.Metric({
    namespace: 'MigrationRollback',
    metricName,
    dimensionsMap: { environment, service: 'drill' },
    statistic: 'Maximum',
    period: Duration.days(1),
    label,
  });
}
