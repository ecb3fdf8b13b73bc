import { lambdaClient, rdsClient, secretsManagerClient } from './clients';
import { ScheduledSnapshotEvent } from './contract/restore-points';
import { readRetentionRules } from './contract/rules';
import { defineHandler } from './handler';
import { required } from './parse';
import { askMigrationCheck } from './migration-check';
import { scheduledSnapshot } from './steps/scheduled-snapshot';

export const handler = defineHandler({
  name: 'scheduled-snapshot',
  event: ScheduledSnapshotEvent,
  step: scheduledSnapshot,
  deps: (settings) => {
    const lambda = lambdaClient();
    return {
      rds: rdsClient(),
      secrets: secretsManagerClient(),
      environment: settings.ENVIRONMENT,
      databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
      masterSecretId: required(settings.MASTER_SECRET_ID, 'MASTER_SECRET_ID'),
      rules: readRetentionRules(required(settings.RETENTION_RULES, 'RETENTION_RULES')),
      now: () => new Date(),
      checkMigrations: () =>
        askMigrationCheck(lambda, `${settings.ENVIRONMENT}-check-migrations`, {
          migrations: null,
          schema: null,
        }),
    };
  },
});
