import { rdsClient, rdsClientElsewhere, secretsManagerClient } from './clients';
import { RestorePointsEvent } from './contract/restore-points';
import { readCopyRules, readRetentionRules } from './contract/rules';
import { defineHandler } from './handler';
import { required } from './parse';
import { restorePoints } from './steps/restore-points';
import { vaultOf } from './vault';

export const handler = defineHandler({
  name: 'restore-points',
  event: RestorePointsEvent,
  step: restorePoints,
  deps: (settings) => {
    const rules = settings.COPY_RULES === undefined ? undefined : readCopyRules(settings.COPY_RULES);
    return {
      rds: rdsClient(),
      secrets: secretsManagerClient(),
      environment: settings.ENVIRONMENT,
      databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
      rules: readRetentionRules(required(settings.RETENTION_RULES, 'RETENTION_RULES')),
      copies: rules && { elsewhere: rdsClientElsewhere(rules.region), rules },
      vault: settings.VAULT_RULES === undefined ? undefined : vaultOf(settings),
      now: () => new Date(),
    };
  },
});
