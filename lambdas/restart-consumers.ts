import { ecsClient, eventBridgeClient, secretsManagerClient } from './clients';
import { RestartConsumersEvent } from './contract/cutover';
import { readRecoveryRules } from './contract/rules';
import { defineHandler } from './handler';
import { required } from './parse';
import { restartConsumers } from './steps/restart-consumers';

export const handler = defineHandler({
  name: 'restart-consumers',
  event: RestartConsumersEvent,
  step: restartConsumers,
  deps: (settings) => ({
    secrets: secretsManagerClient(),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
    ecs: ecsClient(),
    events: eventBridgeClient(),
    consumers: readRecoveryRules(required(settings.RECOVERY_RULES, 'RECOVERY_RULES')).consumers,
  }),
});
