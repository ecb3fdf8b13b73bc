import { secretsManagerClient } from './clients';
import { ProveConsumersEvent } from './contract/cutover';
import { readRecoveryRules } from './contract/rules';
import { defineHandler } from './handler';
import { required } from './parse';
import { proveConsumers } from './steps/prove-consumers';

export const handler = defineHandler({
  name: 'prove-consumers',
  event: ProveConsumersEvent,
  step: proveConsumers,
  deps: (settings) => ({
    secrets: secretsManagerClient(),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
    consumers: readRecoveryRules(required(settings.RECOVERY_RULES, 'RECOVERY_RULES')).consumers,
  }),
});
