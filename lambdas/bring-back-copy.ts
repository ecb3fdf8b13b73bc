import { rdsClient } from './clients';
import { BringBackCopyEvent, readCopyRules } from './contract';
import { defineHandler } from './handler';
import { required } from './secrets';
import { bringBackCopy } from './steps/bring-back-copy';

export const handler = defineHandler({
  name: 'bring-back-copy',
  event: BringBackCopyEvent,
  step: bringBackCopy,
  deps: (settings) => {
    const rules = readCopyRules(required(settings.COPY_RULES, 'COPY_RULES'));
    return {
      rds: rdsClient(),
      elsewhere: rdsClient(rules.region),
      environment: settings.ENVIRONMENT,
      rules,
      now: () => new Date(),
    };
  },
});
