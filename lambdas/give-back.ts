import { rdsClient, secretsManagerClient } from './clients';
import { GiveBackEvent } from './contract/way-back';
import { defineHandler } from './handler';
import { required } from './parse';
import { giveBack } from './steps/give-back';

export const handler = defineHandler({
  name: 'give-back',
  event: GiveBackEvent,
  step: giveBack,
  deps: (settings) => ({
    rds: rdsClient(),
    secrets: secretsManagerClient(),

    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
  }),
});
