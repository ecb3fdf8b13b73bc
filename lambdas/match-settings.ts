import { rdsClient, secretsManagerClient } from './clients';
import { MatchSettingsEvent } from './contract/restore';
import { defineHandler } from './handler';
import { required } from './parse';
import { matchSettings } from './steps/match-settings';

export const handler = defineHandler({
  name: 'match-settings',
  event: MatchSettingsEvent,
  step: matchSettings,
  deps: (settings) => ({
    now: () => new Date(),
    rds: rdsClient(),
    secrets: secretsManagerClient(),
    masterSecretId: required(settings.MASTER_SECRET_ID, 'MASTER_SECRET_ID'),
  }),
});
