import { secretsManagerClient } from './clients';
import { LiftFenceEvent } from './contract/way-back';
import { defineHandler } from './handler';
import { required } from './parse';
import { liftFence } from './steps/lift-fence';

export const handler = defineHandler({
  name: 'lift-fence',
  event: LiftFenceEvent,
  step: liftFence,
  deps: (settings) => ({
    secrets: secretsManagerClient(),
    masterSecretId: required(settings.MASTER_SECRET_ID, 'MASTER_SECRET_ID'),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
  }),
});
