import { secretsManagerClient } from './clients';
import { SoakEvent } from './contract/retirement';
import { defineHandler } from './handler';
import { required } from './parse';
import { soak } from './steps/soak';

export const handler = defineHandler({
  name: 'soak',
  event: SoakEvent,
  step: soak,
  deps: (settings) => ({
    secrets: secretsManagerClient(),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
    masterSecretId: required(settings.MASTER_SECRET_ID, 'MASTER_SECRET_ID'),
    now: () => new Date(),
  }),
});
