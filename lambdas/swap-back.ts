import { secretsManagerClient, stepFunctionsClient } from './clients';
import { SwapBackEvent } from './contract/way-back';
import { defineHandler } from './handler';
import { required } from './parse';
import { swapBack } from './steps/swap-back';

export const handler = defineHandler({
  name: 'swap-back',
  event: SwapBackEvent,
  step: swapBack,
  deps: (settings) => ({
    secrets: secretsManagerClient(),
    stepFunctions: stepFunctionsClient(),
    now: () => new Date(),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
  }),
});
