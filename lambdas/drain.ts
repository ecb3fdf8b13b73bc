import { secretsManagerClient } from './clients';
import { DrainEvent } from './contract/retirement';
import { defineHandler } from './handler';
import { required } from './parse';
import { drain } from './steps/drain';

export const handler = defineHandler({
  name: 'drain',
  event: DrainEvent,
  step: drain,
  deps: (settings) => ({
    secrets: secretsManagerClient(),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
    masterSecretId: required(settings.MASTER_SECRET_ID, 'MASTER_SECRET_ID'),
    now: () => new Date(),
  }),
});
