import { rdsClient, rdsClientElsewhere } from './clients';
import { BringBackCopyEvent } from './contract/copies';
import { readCopyRules } from './contract/rules';
import { defineHandler } from './handler';
import { bringBackCopy } from './steps/bring-back-copy';
import { vaultOf } from './vault';

export const handler = defineHandler({
  name: 'bring-back-copy',
  event: BringBackCopyEvent,
  step: bringBackCopy,
  deps: (settings) => {
    const rules = settings.COPY_RULES === undefined ? undefined : readCopyRules(settings.COPY_RULES);
    return {
      rds: rdsClient(),
      copies: rules && { elsewhere: rdsClientElsewhere(rules.region), rules },
      vault: settings.VAULT_RULES === undefined ? undefined : vaultOf(settings),
      environment: settings.ENVIRONMENT,
      now: () => new Date(),
    };
  },
});
