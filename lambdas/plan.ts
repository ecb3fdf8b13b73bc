import { rdsClient, secretsManagerClient, stepFunctionsClient } from './clients';
import { PlanEvent, readRecoveryRules } from './contract';
import { defineHandler } from './handler';
import { required } from './secrets';
import { plan } from './steps/plan';

export const handler = defineHandler({
  name: 'plan',
  event: PlanEvent,
  step: plan,
  deps: (settings) => ({
    rds: rdsClient(),
    secrets: secretsManagerClient(),
    stepFunctions: stepFunctionsClient(),
    environment: settings.ENVIRONMENT,
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
    recoveryRules: readRecoveryRules(required(settings.RECOVERY_RULES, 'RECOVERY_RULES')),
    now: () => new Date(),
  }),
});
