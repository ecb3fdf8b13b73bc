import { lambdaClient, rdsClient, secretsManagerClient, stepFunctionsClient } from './clients';
import { CleanUpEvent } from './contract/clean-up';
import { defineHandler } from './handler';
import { required } from './parse';
import { askLiftFence } from './lift-fence-call';
import { cleanUp } from './steps/clean-up';

export const handler = defineHandler({
  name: 'clean-up',
  event: CleanUpEvent,
  step: cleanUp,
  deps: (settings) => {
    const lambda = lambdaClient();
    return {
      rds: rdsClient(),
      secrets: secretsManagerClient(),
      stepFunctions: stepFunctionsClient(),
      environment: settings.ENVIRONMENT,
      databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
      now: () => new Date(),
      liftFence: (event) => askLiftFence(lambda, `${settings.ENVIRONMENT}-lift-fence`, event),
    };
  },
});
