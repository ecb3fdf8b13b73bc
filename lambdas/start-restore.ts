import { rdsClient } from './clients';
import { StartRestoreEvent } from './contract';
import { defineHandler } from './handler';
import { startRestore } from './steps/start-restore';

export const handler = defineHandler({
  name: 'start-restore',
  event: StartRestoreEvent,
  step: startRestore,
  deps: () => ({
    rds: rdsClient(),
  }),
});
