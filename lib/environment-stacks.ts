import type { Construct } from 'constructs';
import { DatabaseStack } from './database-stack';
import type { EnvironmentSettings } from './environments';
import { checkSettings } from './settings-check';
import { RollbackStack } from './rollback-stack';
import { VaultStack } from './vault-stack';

/**
 * Makes the stacks of an environment: `<Prefix>-Database`, unless the database exists already, and `<Prefix>-Rollback`; where its
 * snapshots are copied to another account, also `Vault-<Prefix>`, which is deployed there, by somebody whom that account lets in.
 * @throws Error when the settings cannot work, with the value found and what to write instead
 */
export function addEnvironment(scope: Construct, settings: EnvironmentSettings): void {
  checkSettings(settings);
  const { database, stackPrefix, vault } = settings;
  new RollbackStack(scope, `${stackPrefix}-Rollback`, {
    settings,
    database:
      'existing' in database
        ? database.existing
        : new DatabaseStack(scope, `${stackPrefix}-Database`, { settings, database }),
  });
  // Not `<Prefix>-Vault`: `cdk deploy '<Prefix>-*'`, with the credentials of home, must not mean it.
  if (vault) new VaultStack(scope, `Vault-${stackPrefix}`, { settings, vault });
}
