import { rdsClient } from './clients';
import { CopyToVaultEvent } from './contract/copies';
import { defineHandler } from './handler';
import { copyToVault } from './steps/copy-to-vault';
import { vaultOf } from './vault';

export const handler = defineHandler({
  name: 'copy-to-vault',
  event: CopyToVaultEvent,
  step: copyToVault,
  deps: (settings) => ({
    rds: rdsClient(),
    vault: vaultOf(settings),
    environment: settings.ENVIRONMENT,
    now: () => new Date(),
  }),
});
