import { randomBytes } from 'node:crypto';
import { PutSecretValueCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { ApplicationDatabaseProperties } from '../contract/application-database';
import { readLogin } from '../database-url';
import { identifier, withConnection, type Connection } from '../postgres';
import { scramVerifier } from '../scram';
import { currentSecret, findSecretVersion, readMasterCredentials } from '../secrets';

/**
 * Makes the application's role, gives it the database, and writes the DATABASE_URL secret if it has no value yet. Run
 * again, it mends what an earlier run left: the password is set before it is written, and a secret with a value is never
 * written. The role owns the database and thereby, since PostgreSQL 15, schema `public`.
 */
export async function applicationDatabase(
  properties: ApplicationDatabaseProperties,
  deps: { secrets: SecretsManagerClient; masterSecretId: string; databaseUrlSecretId: string },
): Promise<void> {
  const { host, port, databaseName, applicationRole } = properties;
  const { secrets, masterSecretId, databaseUrlSecretId } = deps;
  const { username, password: masterPassword } = readMasterCredentials(
    (await currentSecret(secrets, masterSecretId)).value,
  );
  const existing = await findSecretVersion(secrets, databaseUrlSecretId, { stage: 'AWSCURRENT' });
  const password = existing ? readLogin(existing.value).password : randomBytes(24).toString('base64url');

  await withConnection(
    { host, port, user: username, password: masterPassword, database: databaseName },
    async (connection) => {
      const made = await makeRole(connection, applicationRole);
      if (made || !existing)
        await connection.query(
          `alter role ${identifier(applicationRole)} login password '${scramVerifier(password)}'`,
        );
      await connection.query(`grant ${identifier(applicationRole)} to current_user`);
      await connection.query(
        `alter database ${identifier(databaseName)} owner to ${identifier(applicationRole)}`,
      );
    },
  );
  if (existing) return;
  await secrets.send(
    new PutSecretValueCommand({
      SecretId: databaseUrlSecretId,
      // `require`, not `verify-full`: Prisma's engine does not know the latter, and clients without RDS's authority can
      // connect. node-postgres verifies with it all the same.
      SecretString: `postgresql://${encodeURIComponent(applicationRole)}:${password}@${host}:${port}/${encodeURIComponent(databaseName)}?sslmode=require`,
    }),
  );
}

async function makeRole(connection: Connection, role: string): Promise<boolean> {
  const [found] = await connection.query('select 1 from pg_catalog.pg_roles where rolname = $1', [role]);
  if (!found) await connection.query(`create role ${identifier(role)} login`);
  return !found;
}
