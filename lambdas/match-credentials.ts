import { secretsManagerClient } from './clients';
import { MatchCredentialsEvent } from './contract/restore';
import { defineHandler } from './handler';
import { required } from './parse';
import { matchCredentials } from './steps/match-credentials';

export const handler = defineHandler({
  name: 'match-credentials',
  event: MatchCredentialsEvent,
  step: matchCredentials,
  deps: (settings) => ({
    secrets: secretsManagerClient(),
    masterSecretId: required(settings.MASTER_SECRET_ID, 'MASTER_SECRET_ID'),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
  }),
});
