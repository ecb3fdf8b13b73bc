import { secretsManagerClient } from './clients';
import { RecordPositionEvent } from './contract/restore';
import { defineHandler } from './handler';
import { required } from './parse';
import { recordPosition } from './steps/record-position';

export const handler = defineHandler({
  name: 'record-position',
  event: RecordPositionEvent,
  step: recordPosition,
  deps: (settings) => ({
    secrets: secretsManagerClient(),
    masterSecretId: required(settings.MASTER_SECRET_ID, 'MASTER_SECRET_ID'),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
  }),
});
