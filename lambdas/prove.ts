import { secretsManagerClient } from './clients';
import { ProveEvent } from './contract/cutover';
import { defineHandler } from './handler';
import { required } from './parse';
import { prove } from './steps/prove';

export const handler = defineHandler({
  name: 'prove',
  event: ProveEvent,
  step: prove,
  deps: (settings) => ({
    secrets: secretsManagerClient(),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
  }),
});
