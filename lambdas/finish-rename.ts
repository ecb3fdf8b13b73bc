import { rdsClient, secretsManagerClient } from './clients';
import { FinishRenameEvent } from './contract/rename';
import { defineHandler } from './handler';
import { required } from './parse';
import { finishRename } from './steps/finish-rename';

export const handler = defineHandler({
  name: 'finish-rename',
  event: FinishRenameEvent,
  step: finishRename,
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
