import * as z from 'zod/mini';
import { lambdaClient, rdsClient, secretsManagerClient, stepFunctionsClient } from './clients';
import { PlanEvent, readInstancePrice, readRecoveryRules } from './contract';
import { defineHandler } from './handler';
import { askMigrationCheck } from './migration-check';
import { required } from './secrets';
import { planUndo } from './plan-undo';
import { plan, type PlanDeps } from './steps/plan';

const Undo = z.object({ mode: z.literal('undo') });

export const handler = defineHandler({
  name: 'plan',
  event: PlanEvent,
  step: (event, deps: PlanDeps) =>
    Undo.safeParse(event.input).success ? planUndo(event, deps) : plan(event, deps),
  deps: (settings) => {
    const lambda = lambdaClient();
    return {
      rds: rdsClient(),
      secrets: secretsManagerClient(),
      stepFunctions: stepFunctionsClient(),
      environment: settings.ENVIRONMENT,
      databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
      recoveryRules: readRecoveryRules(required(settings.RECOVERY_RULES, 'RECOVERY_RULES')),
      now: () => new Date(),
      checkMigrations: (event) =>
        askMigrationCheck(lambda, `${settings.ENVIRONMENT}-check-migrations`, event),
      instancePrice: readInstancePrice(settings.INSTANCE_PRICE),
    };
  },
});
