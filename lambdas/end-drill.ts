import { MetricUnit, Metrics } from '@aws-lambda-powertools/metrics';
import { rdsClient, secretsManagerClient } from './clients';
import { EndDrillEvent } from './contract/drill';
import type { EnvironmentName } from './contract/settings';
import { defineHandler } from './handler';
import { required } from './parse';
import { endDrill, type DrillMetrics } from './steps/end-drill';

export const handler = defineHandler({
  name: 'end-drill',
  event: EndDrillEvent,
  step: endDrill,
  deps: (settings) => ({
    rds: rdsClient(),
    secrets: secretsManagerClient(),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
    publish: (metrics: DrillMetrics) => {
      publish(settings.ENVIRONMENT, metrics);
    },
  }),
});

/** By a line of the log, from which CloudWatch makes the metrics: no permission and no call is needed. */
function publish(
  environment: EnvironmentName,
  { restoreSeconds, recoverySeconds, checks }: DrillMetrics,
): void {
  const metrics = new Metrics({
    namespace: 'MigrationRollback',
    serviceName: 'drill',
    defaultDimensions: { environment },
  });
  metrics.addMetric('DrillSucceeded', MetricUnit.Count, 1);
  metrics.addMetric('DrillRestoreTime', MetricUnit.Seconds, restoreSeconds);
  metrics.addMetric('DrillRecoveryTime', MetricUnit.Seconds, recoverySeconds);
  metrics.addMetric('DrillChecksPassed', MetricUnit.Count, checks.passed);
  metrics.addMetric('DrillChecksNotPassed', MetricUnit.Count, checks.notPassed);
  metrics.publishStoredMetrics();
}
