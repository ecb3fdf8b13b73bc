import type { Construct } from 'constructs';
import { DatabaseStack } from './database-stack';
import { checkSettings, type EnvironmentSettings } from './environments';
import { RollbackStack } from './rollback-stack';

/**
 * Makes the stacks of an environment: `<Prefix>-Database`, unless the database exists already, and `<Prefix>-Rollback`.
 * @throws Error when the settings cannot work, with the value found and what to write instead
 */
export function addEnvironment(scope: Construct, settings: EnvironmentSettings): void {
  checkSettings(settings);
  const { database, stackPrefix } = settings;
  new RollbackStack(scope, `${stackPrefix}-Rollback`, {
    settings,
    database:
      'existing' in database
        ? database.existing
        : new DatabaseStack(scope, `${stackPrefix}-Database`, { settings, database }),
  });
}
