import { rdsClient, secretsManagerClient, stepFunctionsClient } from './clients';
import { StartRestoreEvent } from './contract/restore';
import { defineHandler } from './handler';
import { required } from './parse';
import { startRestore } from './steps/start-restore';

export const handler = defineHandler({
  name: 'start-restore',
  event: StartRestoreEvent,
  step: startRestore,
  deps: (settings) => ({
    rds: rdsClient(),
    secrets: secretsManagerClient(),
    stepFunctions: stepFunctionsClient(),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
    now: () => new Date(),
  }),
});
