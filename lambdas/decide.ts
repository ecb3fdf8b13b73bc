import { stepFunctionsClient } from './clients';
import { DecideEvent } from './contract/questions';
import { defineHandler } from './handler';
import { required } from './parse';
import { decide } from './steps/decide';

export const handler = defineHandler({
  name: 'decide',
  event: DecideEvent,
  step: decide,
  deps: (settings) => ({
    stepFunctions: stepFunctionsClient(),
    machineArn: required(settings.RECOVERY_MACHINE_ARN, 'RECOVERY_MACHINE_ARN'),
    now: () => new Date(),
  }),
});
