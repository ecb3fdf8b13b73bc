import { rdsClient } from './clients';
import { ReapVaultEvent } from './contract/copies';
import { readVaultRules } from './contract/rules';
import { defineHandler } from './handler';
import { required } from './parse';
import { reapVault } from './steps/reap-vault';

export const handler = defineHandler({
  name: 'reap-vault',
  event: ReapVaultEvent,
  step: reapVault,
  deps: (settings) => ({
    rds: rdsClient(),
    environment: settings.ENVIRONMENT,
    rules: readVaultRules(required(settings.VAULT_RULES, 'VAULT_RULES')),
    now: () => new Date(),
  }),
});
