import * as z from 'zod/mini';
import {
  cloudWatchClient,
  lambdaClient,
  rdsClient,
  secretsManagerClient,
  stepFunctionsClient,
} from './clients';
import {
  type PlanCleanUpResult,
  PlanEvent,
  type PlanRenameResult,
  type PlanResult,
  type PlanUndoResult,
} from './contract/plan';
import { readInstancePrice, readRecoveryRules } from './contract/rules';
import { defineHandler } from './handler';
import { required } from './parse';
import { askMigrationCheck } from './migration-check';
import { planCleanUp } from './plan-clean-up';
import { planRename } from './plan-rename';
import { planUndo } from './plan-undo';
import { plan, type PlanDeps } from './steps/plan';

const Mode = z.object({ mode: z.optional(z.unknown()) });

export const handler = defineHandler({
  name: 'plan',
  event: PlanEvent,
  step: (
    event,
    deps: PlanDeps,
  ): Promise<PlanResult | PlanUndoResult | PlanCleanUpResult | PlanRenameResult> => {
    switch (Mode.safeParse(event.input).data?.mode) {
      case 'undo':
        return planUndo(event, deps);
      case 'clean-up':
        return planCleanUp(event, deps);
      case 'rename':
        return planRename(event, deps);
      default:
        return plan(event, deps);
    }
  },
  deps: (settings) => {
    const lambda = lambdaClient();
    return {
      rds: rdsClient(),
      secrets: secretsManagerClient(),
      stepFunctions: stepFunctionsClient(),
      cloudWatch: cloudWatchClient(),
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
