import { lambdaClient, rdsClient, secretsManagerClient, stepFunctionsClient } from './clients';
import { RenameEvent } from './contract/rename';
import { defineHandler } from './handler';
import { required } from './parse';
import { askMigrationCheck } from './migration-check';
import { rename, type RenameDeps } from './steps/rename';

export const handler = defineHandler({
  name: 'rename',
  event: RenameEvent,
  step: rename,
  deps: (settings): RenameDeps => {
    const lambda = lambdaClient();
    return {
      rds: rdsClient(),
      secrets: secretsManagerClient(),
      stepFunctions: stepFunctionsClient(),
      environment: settings.ENVIRONMENT,
      databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
      now: () => new Date(),
      checkMigrations: (event) =>
        askMigrationCheck(lambda, `${settings.ENVIRONMENT}-check-migrations`, event),
    };
  },
});
