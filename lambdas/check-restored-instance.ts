import { rdsClient } from './clients';
import { CheckRestoredInstanceEvent } from './contract/restore';
import { defineHandler } from './handler';
import { checkRestoredInstance } from './steps/check-restored-instance';

export const handler = defineHandler({
  name: 'check-restored-instance',
  event: CheckRestoredInstanceEvent,
  step: checkRestoredInstance,
  deps: () => ({
    rds: rdsClient(),
  }),
});
