import { secretsManagerClient } from './clients';
import { WarmEvent } from './contract/restore';
import { defineHandler } from './handler';
import { required } from './parse';
import { warm } from './steps/warm';

export const handler = defineHandler({
  name: 'warm',
  event: WarmEvent,
  step: warm,
  deps: (settings) => ({
    secrets: secretsManagerClient(),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
  }),
});
