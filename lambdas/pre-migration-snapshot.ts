import * as z from 'zod/mini';
import { lambdaClient, rdsClient, secretsManagerClient, stepFunctionsClient } from './clients';
import { defineHandler } from './handler';
import { askMigrationCheck } from './migration-check';
import { preMigrationSnapshot } from './steps/pre-migration-snapshot';

// What CI sends is parsed by the step, which answers mistakes instead of throwing them.
export const handler = defineHandler({
  name: 'pre-migration-snapshot',
  event: z.unknown(),
  step: preMigrationSnapshot,
  deps: (settings) => {
    const lambda = lambdaClient();
    return {
      rds: rdsClient(),
      secrets: secretsManagerClient(),
      stepFunctions: stepFunctionsClient(),
      environment: settings.ENVIRONMENT,
      databaseUrlSecretId: settings.DATABASE_URL_SECRET_ID,
      masterSecretId: settings.MASTER_SECRET_ID,
      snapshotRetentionDays: settings.SNAPSHOT_RETENTION_DAYS,
      now: () => new Date(),
      checkMigrations: (event) =>
        askMigrationCheck(lambda, `${settings.ENVIRONMENT}-check-migrations`, event),
    };
  },
});
