import { rdsClient, secretsManagerClient } from './clients';
import { TakeSafetySnapshotEvent } from './contract/restore';
import { defineHandler } from './handler';
import { required } from './parse';
import { takeSafetySnapshot } from './steps/take-safety-snapshot';

export const handler = defineHandler({
  name: 'take-safety-snapshot',
  event: TakeSafetySnapshotEvent,
  step: takeSafetySnapshot,
  deps: (settings) => ({
    rds: rdsClient(),
    secrets: secretsManagerClient(),
    environment: settings.ENVIRONMENT,
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
    masterSecretId: required(settings.MASTER_SECRET_ID, 'MASTER_SECRET_ID'),
    snapshotRetentionDays: settings.SNAPSHOT_RETENTION_DAYS,
    now: () => new Date(),
  }),
});
