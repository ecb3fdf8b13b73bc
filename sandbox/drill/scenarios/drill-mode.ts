import { GetMetricStatisticsCommand } from '@aws-sdk/client-cloudwatch';
import { DescribeSecretCommand } from '@aws-sdk/client-secrets-manager';
import { ENVIRONMENT, type Stage } from '../stage';
import { OPERATOR, type Scenario } from '../scenario';
import { applicationReaches, check, secretUntouched } from '../scenario-checks';

export const drillMode: Scenario = {
  name: 'drill-mode',
  shows:
    'what the schedule does every week: the newest snapshot is restored, matched and verified, times are published, and what was made is removed; nothing that serves is touched',
  badMigration: 'destructive-backfill',
  async play(stage) {
    const before = await stage.digest();
    const liveBefore = await stage.live();
    await stage.keepHouse();
    for (const { DBSnapshotIdentifier = '' } of await stage.snapshots())
      await stage.untilSnapshotAvailable(DBSnapshotIdentifier);
    stage.timeline.heading('The machine rehearses');
    const run = await stage.recover({
      mode: 'drill',
      restore: { to: 'latest-snapshot' },
      ...OPERATOR,
    });
    return { before, liveBefore, run };
  },
  async check(stage, { liveBefore, run }) {
    const [instance, ...others] = await stage.instances();
    const tags = JSON.stringify(instance?.TagList);
    const labels = await secretLabels(stage);
    const recoveryTime = await newestMetric(stage, 'DrillRecoveryTime');
    const restoreTime = await newestMetric(stage, 'DrillRestoreTime');
    const passed = await newestMetric(stage, 'DrillChecksPassed');
    return [
      check(
        'The drill ended SUCCEEDED',
        run.status === 'SUCCEEDED',
        `${run.status}, ${run.error ?? 'no error'}`,
      ),
      await secretUntouched(stage, liveBefore),
      check(
        'No recovery would have had to wait for it',
        !labels.includes('migration-rollback-recovery'),
        `labels of the secret: ${labels.join(', ')}`,
      ),
      check(
        'What it made is gone, and nothing is marked on the live instance',
        others.length === 0 && tags === JSON.stringify(liveBefore.instance.TagList),
        `${others.length} instances beside ${instance?.DBInstanceIdentifier ?? 'none'}`,
      ),
      check(
        'Recovery time, restore time and checks are metrics',
        (restoreTime ?? 0) > 0 && (recoveryTime ?? 0) > (restoreTime ?? 0) && (passed ?? 0) > 0,
        `restored after ${restoreTime ?? 'no'} s, verified after ${recoveryTime ?? 'no'} s, ${passed ?? 'no'} checks passed`,
      ),
      await applicationReaches(stage, liveBefore, drillMode.badMigration),
    ];
  },
};

async function secretLabels(stage: Stage): Promise<string[]> {
  const { VersionIdsToStages = {} } = await stage.sandbox
    .clients()
    .secrets.send(new DescribeSecretCommand({ SecretId: `${ENVIRONMENT}/database-url` }));
  return Object.values(VersionIdsToStages).flat();
}

async function newestMetric(stage: Stage, name: string): Promise<number | undefined> {
  const { cloudWatch } = stage.sandbox.clients();
  const now = stage.now();
  const { Datapoints } = await cloudWatch.send(
    new GetMetricStatisticsCommand({
      Namespace: 'MigrationRollback',
      MetricName: name,
      Dimensions: [
        { Name: 'environment', Value: ENVIRONMENT },
        { Name: 'service', Value: 'drill' },
      ],
      StartTime: new Date(now.getTime() - 86_400_000),
      EndTime: new Date(now.getTime() + 60_000),
      Period: 86_400,
      Statistics: ['Maximum'],
    }),
  );
  cloudWatch.destroy();
  return Datapoints?.at(-1)?.Maximum;
}
