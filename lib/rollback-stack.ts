import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import { CiRole } from './ci-role';
import { type DatabaseStack, importVpc, secretsManagerEndpoint } from './database-stack';
import type { EnvironmentSettings, ExistingDatabase } from './environments';
import { MigrationRollback, type MigrationRollbackProps } from './migration-rollback';
import { RollbackFunction } from './rollback-function';

export interface RollbackStackProps extends StackProps {
  readonly settings: EnvironmentSettings;
  /** The database: made by a stack, or existing. */
  readonly database: DatabaseStack | ExistingDatabase;
}

/** Snapshots before migrations and the recovery machine. May be destroyed and made anew without harm. */
export class RollbackStack extends Stack {
  constructor(scope: Construct, id: string, { settings, database, ...props }: RollbackStackProps) {
    super(scope, id, { ...props, description: `Snapshots and recovery of the database of ${settings.name}` });
    const gate = settings.recovery ? this.rollback(settings, database) : this.answerSkipped(settings);
    if (settings.ci) {
      const { role } = new CiRole(this, 'Ci', { environment: settings.name, repository: settings.ci, gate });
      new CfnOutput(this, 'CiRoleArn', { value: role.roleArn });
    }
  }

  private rollback(
    settings: EnvironmentSettings,
    database: DatabaseStack | ExistingDatabase,
  ): RollbackFunction {
    return new MigrationRollback(this, 'MigrationRollback', {
      environment: settings.name,
      snapshotRetentionDays: settings.preMigrationSnapshotDays,
      ...(settings.recovery && { recovery: settings.recovery }),
      ...(settings.drills && { drills: settings.drills }),
      ...(settings.copies && { copies: settings.copies }),
      ...(settings.vault && { vault: settings.vault }),
      ...(settings.scheduledSnapshots && { scheduledSnapshots: settings.scheduledSnapshots }),
      logDays: settings.logDays,
      notify: settings.notify,
      ...(settings.price && { instancePrice: settings.price }),
      ...('instanceId' in database ? importDatabase(this, database) : fromStack(database)),
    }).preMigrationSnapshot;
  }

  /** One pipeline serves all environments: where nothing is backed up, the function answers `skipped` and may do nothing. */
  private answerSkipped(settings: EnvironmentSettings): RollbackFunction {
    const preMigrationSnapshot = new RollbackFunction(this, 'PreMigrationSnapshot', {
      environment: settings.name,
      functionName: 'pre-migration-snapshot',
      settings: {
        ENVIRONMENT: settings.name,
        DATABASE_URL_SECRET_ID: undefined,
        MASTER_SECRET_ID: undefined,
        SNAPSHOT_RETENTION_DAYS: String(settings.preMigrationSnapshotDays),
      },
      permissions: [],
      logDays: settings.logDays,
    });
    new CfnOutput(this, 'PreMigrationSnapshotFunction', { value: preMigrationSnapshot.functionName });
    return preMigrationSnapshot;
  }
}

type DatabaseProps = Pick<
  MigrationRollbackProps,
  | 'instance'
  | 'instanceIdentifier'
  | 'databaseUrlSecret'
  | 'masterSecret'
  | 'vpc'
  | 'subnets'
  | 'secretsManagerEndpoint'
>;

function fromStack(database: DatabaseStack): DatabaseProps {
  const { instance, databaseUrlSecret, masterSecret, vpc, subnets } = database;
  return {
    // The port by number: an export of this instance could not go as long as the other stack uses it, and the instance could
    // not be let go for the one that a recovery made.
    instance: new ec2.Connections({
      securityGroups: instance.connections.securityGroups,
      defaultPort: ec2.Port.POSTGRES,
    }),
    instanceIdentifier: database.instanceIdentifier,
    databaseUrlSecret,
    masterSecret,
    vpc,
    subnets,
    ...(database.secretsManagerEndpoint && { secretsManagerEndpoint: database.secretsManagerEndpoint }),
  };
}

function importDatabase(scope: Construct, existing: ExistingDatabase): DatabaseProps {
  const vpc = importVpc(scope, existing.vpc);
  return {
    vpc,
    instanceIdentifier: existing.instanceId,
    instance: new ec2.Connections({
      securityGroups: [
        ec2.SecurityGroup.fromSecurityGroupId(scope, 'DatabaseSecurityGroup', existing.securityGroupId),
      ],
      defaultPort: ec2.Port.tcp(existing.port),
    }),
    masterSecret: Secret.fromSecretCompleteArn(scope, 'MasterSecret', existing.masterSecretArn),
    databaseUrlSecret: Secret.fromSecretCompleteArn(
      scope,
      'DatabaseUrlSecret',
      existing.databaseUrlSecretArn,
    ),
    ...(!existing.vpc.reachesSecretsManager && {
      secretsManagerEndpoint: secretsManagerEndpoint(scope, vpc, { shared: true }),
    }),
  };
}
