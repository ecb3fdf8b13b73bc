import { rdsClient, rdsClientElsewhere, secretsManagerClient, stepFunctionsClient } from './clients';
import { ReapSnapshotsEvent } from './contract/restore-points';
import { readCopyRules, readDrillRules, readRetentionRules } from './contract/rules';
import { defineHandler } from './handler';
import { required } from './parse';
import { reapSnapshots } from './steps/reap-snapshots';
import { vaultOf } from './vault';

export const handler = defineHandler({
  name: 'reap-snapshots',
  event: ReapSnapshotsEvent,
  step: reapSnapshots,
  deps: (settings) => {
    const rules = settings.COPY_RULES === undefined ? undefined : readCopyRules(settings.COPY_RULES);
    return {
      rds: rdsClient(),
      secrets: secretsManagerClient(),
      stepFunctions: stepFunctionsClient(),
      environment: settings.ENVIRONMENT,
      databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
      masterSecretId: required(settings.MASTER_SECRET_ID, 'MASTER_SECRET_ID'),
      rules: readRetentionRules(required(settings.RETENTION_RULES, 'RETENTION_RULES')),
      drills: readDrillRules(settings.DRILL_RULES),
      copies: rules && { elsewhere: rdsClientElsewhere(rules.region), rules },
      vault: settings.VAULT_RULES === undefined ? undefined : vaultOf(settings),
      now: () => new Date(),
    };
  },
});
