import { rdsClient, secretsManagerClient } from './clients';
import { RetireEvent } from './contract/retirement';
import { defineHandler } from './handler';
import { required } from './parse';
import { retire } from './steps/retire';

export const handler = defineHandler({
  name: 'retire',
  event: RetireEvent,
  step: retire,
  deps: (settings) => ({
    rds: rdsClient(),
    secrets: secretsManagerClient(),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
    snapshotRetentionDays: settings.SNAPSHOT_RETENTION_DAYS,
    now: () => new Date(),
  }),
});
