import { secretsManagerClient } from './clients';
import { CheckMigrationsEvent } from './contract/gate';
import { defineHandler } from './handler';
import { required } from './parse';
import { checkMigrations } from './steps/check-migrations';

export const handler = defineHandler({
  name: 'check-migrations',
  event: CheckMigrationsEvent,
  step: checkMigrations,
  deps: (settings) => ({
    secrets: secretsManagerClient(),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
  }),
});
