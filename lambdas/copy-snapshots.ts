import { rdsClient, rdsClientElsewhere } from './clients';
import { CopySnapshotsEvent } from './contract/copies';
import { readCopyRules } from './contract/rules';
import { defineHandler } from './handler';
import { required } from './parse';
import { copySnapshots } from './steps/copy-snapshots';

export const handler = defineHandler({
  name: 'copy-snapshots',
  event: CopySnapshotsEvent,
  step: copySnapshots,
  deps: (settings) => {
    const rules = readCopyRules(required(settings.COPY_RULES, 'COPY_RULES'));
    return {
      rds: rdsClient(),
      elsewhere: rdsClientElsewhere(rules.region),
      environment: settings.ENVIRONMENT,
      rules,
      now: () => new Date(),
    };
  },
});
