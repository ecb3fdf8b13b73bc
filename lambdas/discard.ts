import { rdsClient, secretsManagerClient } from './clients';
import { DiscardEvent } from './contract/way-back';
import { defineHandler } from './handler';
import { required } from './parse';
import { discard } from './steps/discard';

export const handler = defineHandler({
  name: 'discard',
  event: DiscardEvent,
  step: discard,
  deps: (settings) => ({
    rds: rdsClient(),
    secrets: secretsManagerClient(),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
  }),
});
