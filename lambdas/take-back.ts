import { rdsClient, secretsManagerClient, stepFunctionsClient } from './clients';
import { TakeBackEvent } from './contract/restore';
import { defineHandler } from './handler';
import { required } from './parse';
import { takeBack } from './steps/take-back';

export const handler = defineHandler({
  name: 'take-back',
  event: TakeBackEvent,
  step: takeBack,
  deps: (settings) => ({
    rds: rdsClient(),
    secrets: secretsManagerClient(),
    stepFunctions: stepFunctionsClient(),
    now: () => new Date(),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
  }),
});
