import { secretsManagerClient } from './clients';
import { VerifyEvent } from './contract/restore';
import { defineHandler } from './handler';
import { required } from './parse';
import { verify } from './steps/verify';
import { bundledTeamChecks } from './team-checks';

export const handler = defineHandler({
  name: 'verify',
  event: VerifyEvent,
  step: verify,
  deps: (settings) => ({
    secrets: secretsManagerClient(),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
    teamChecks: bundledTeamChecks(),
  }),
});
