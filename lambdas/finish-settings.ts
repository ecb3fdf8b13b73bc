import { rdsClient } from './clients';
import { FinishSettingsEvent } from './contract';
import { defineHandler } from './handler';
import { finishSettings } from './steps/finish-settings';

export const handler = defineHandler({
  name: 'finish-settings',
  event: FinishSettingsEvent,
  step: finishSettings,
  deps: () => ({
    rds: rdsClient(),
    now: () => new Date(),
  }),
});
