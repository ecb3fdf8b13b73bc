import { rdsClient, secretsManagerClient } from './clients';
import { FinishSettingsEvent } from './contract/cutover';
import { defineHandler } from './handler';
import { required } from './parse';
import { finishSettings } from './steps/finish-settings';

export const handler = defineHandler({
  name: 'finish-settings',
  event: FinishSettingsEvent,
  step: finishSettings,
  deps: (settings) => ({
    rds: rdsClient(),
    secrets: secretsManagerClient(),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
    now: () => new Date(),
  }),
});
