import { rdsClient, secretsManagerClient, stepFunctionsClient } from './clients';
import { LiftQuarantineEvent } from './contract/gate';
import { defineHandler } from './handler';
import { required } from './parse';
import { liftQuarantine } from './steps/lift-quarantine';

export const handler = defineHandler({
  name: 'lift-quarantine',
  event: LiftQuarantineEvent,
  step: liftQuarantine,
  deps: (settings) => ({
    rds: rdsClient(),
    secrets: secretsManagerClient(),
    stepFunctions: stepFunctionsClient(),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
    now: () => new Date(),
  }),
});
