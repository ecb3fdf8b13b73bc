import { rdsClient, secretsManagerClient, stepFunctionsClient } from './clients';
import { ReapSnapshotsEvent, readDrillRules, readRetentionRules } from './contract';
import { defineHandler } from './handler';
import { required } from './secrets';
import { reapSnapshots } from './steps/reap-snapshots';

export const handler = defineHandler({
  name: 'reap-snapshots',
  event: ReapSnapshotsEvent,
  step: reapSnapshots,
  deps: (settings) => ({
    rds: rdsClient(),
    secrets: secretsManagerClient(),
    stepFunctions: stepFunctionsClient(),
    environment: settings.ENVIRONMENT,
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
    masterSecretId: required(settings.MASTER_SECRET_ID, 'MASTER_SECRET_ID'),
    rules: readRetentionRules(required(settings.RETENTION_RULES, 'RETENTION_RULES')),
    drills: readDrillRules(settings.DRILL_RULES),
    now: () => new Date(),
  }),
});
