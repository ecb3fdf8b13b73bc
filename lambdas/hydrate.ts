import { rdsClient } from './clients';
import { HydrateEvent } from './contract/restore';
import { defineHandler } from './handler';
import { hydrate } from './steps/hydrate';

export const handler = defineHandler({
  name: 'hydrate',
  event: HydrateEvent,
  step: hydrate,
  deps: () => ({
    rds: rdsClient(),
  }),
});
