import { secretsManagerClient } from './clients';
import { SwapEvent } from './contract/cutover';
import { defineHandler } from './handler';
import { required } from './parse';
import { swap } from './steps/swap';

export const handler = defineHandler({
  name: 'swap',
  event: SwapEvent,
  step: swap,
  deps: (settings) => ({
    secrets: secretsManagerClient(),
    masterSecretId: required(settings.MASTER_SECRET_ID, 'MASTER_SECRET_ID'),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
  }),
});
