import { secretsManagerClient } from './clients';
import { FenceEvent } from './contract/cutover';
import { defineHandler } from './handler';
import { required } from './parse';
import { fence } from './steps/fence';

export const handler = defineHandler({
  name: 'fence',
  event: FenceEvent,
  step: fence,
  deps: (settings) => ({
    secrets: secretsManagerClient(),
    masterSecretId: required(settings.MASTER_SECRET_ID, 'MASTER_SECRET_ID'),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
  }),
});
