import * as z from 'zod/mini';
import { rdsClient, secretsManagerClient } from './clients';
import { defineHandler } from './handler';
import { preMigrationSnapshot } from './steps/pre-migration-snapshot';

// What CI sends is parsed by the step, which answers mistakes instead of throwing them.
export const handler = defineHandler({
  name: 'pre-migration-snapshot',
  event: z.unknown(),
  step: preMigrationSnapshot,
  deps: (settings) => ({
    rds: rdsClient(),
    secrets: secretsManagerClient(),
    environment: settings.ENVIRONMENT,
    databaseUrlSecretId: settings.DATABASE_URL_SECRET_ID,
    snapshotRetentionDays: settings.SNAPSHOT_RETENTION_DAYS,
    now: () => new Date(),
  }),
});
