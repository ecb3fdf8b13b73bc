import {
  CfnOutput,
  CfnResource,
  Duration,
  RemovalPolicy,
  Stack,
  type StackProps,
  Validations,
} from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as rds from 'aws-cdk-lib/aws-rds';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import { ApplicationDatabase } from './application-database';
import {
  type DatabaseSettings,
  type EnvironmentSettings,
  type ExistingVpc,
  instanceIdentifierOf,
} from './environments';
import { SecretsManagerEndpoint } from './secrets-manager-endpoint';

const MASTER_USER = 'postgres';

export interface DatabaseStackProps extends StackProps {
  readonly settings: EnvironmentSettings;
  /** How the database is set up. */
  readonly database: DatabaseSettings;
}

/** What must not be lost: the database, its secrets and its network. Nothing here knows of recoveries. */
export class DatabaseStack extends Stack {
  readonly vpc: ec2.IVpc;
  readonly subnets: readonly ec2.ISubnet[];
  readonly secretsManagerEndpoint: SecretsManagerEndpoint | undefined;
  readonly instance: rds.DatabaseInstance;
  /** Its name in words: no stack that has it depends on the instance. */
  readonly instanceIdentifier: string;
  readonly masterSecret: secretsmanager.ISecret;
  readonly databaseUrlSecret: secretsmanager.ISecret;

  constructor(scope: Construct, id: string, { settings, database, ...props }: DatabaseStackProps) {
    super(scope, id, {
      ...props,
      description: `PostgreSQL of ${settings.name}`,
      terminationProtection: database.protectedFromDeletion,
    });
    const removalPolicy = database.protectedFromDeletion ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY;
    this.vpc = settings.vpc ? importVpc(this, settings.vpc) : this.isolatedVpc();
    this.subnets = this.vpc.isolatedSubnets;
    this.secretsManagerEndpoint = settings.vpc?.reachesSecretsManager
      ? undefined
      : secretsManagerEndpoint(this, this.vpc, { shared: settings.vpc !== undefined });
    this.masterSecret = this.makeMasterSecret(settings, removalPolicy);
    this.databaseUrlSecret = this.emptyDatabaseUrlSecret(settings, removalPolicy);
    this.instanceIdentifier = instanceIdentifierOf(settings.name, database);
    this.instance = this.makeInstance(settings, database, removalPolicy);
    this.letApplicationIn();
    new ApplicationDatabase(this, 'ApplicationDatabase', {
      environment: settings.name,
      instance: this.instance,
      vpc: this.vpc,
      subnets: this.subnets,
      ...(this.secretsManagerEndpoint && { secretsManagerEndpoint: this.secretsManagerEndpoint }),
      masterSecret: this.masterSecret,
      databaseUrlSecret: this.databaseUrlSecret,
      databaseName: database.databaseName,
      applicationRole: database.applicationRole,
      logDays: settings.logDays,
    });
    new CfnOutput(this, 'DatabaseUrlSecretArn', { value: this.databaseUrlSecret.secretArn });
    new CfnOutput(this, 'MasterSecretArn', { value: this.masterSecret.secretArn });
  }

  /** Two zones, no way in or out: the database and its functions need neither the internet nor a NAT gateway. */
  private isolatedVpc(): ec2.IVpc {
    const vpc = new ec2.Vpc(this, 'Vpc', {
      maxAzs: 2,
      natGateways: 0,
      subnetConfiguration: [{ name: 'Isolated', subnetType: ec2.SubnetType.PRIVATE_ISOLATED, cidrMask: 24 }],
      // Emptying the default security group takes a custom resource with rights on EC2. Nothing here uses that group.
      restrictDefaultSecurityGroup: false,
    });
    Validations.of(vpc).acknowledge({
      id: 'AwsSolutions-VPC7',
      reason:
        'The VPC has no way to the internet; security groups name each connection that is possible. Flow logs would cost more ' +
        'than all else here.',
    });
    // ec2.Vpc implements it, but aws-cdk-lib is not written for exactOptionalPropertyTypes.
    return vpc as ec2.IVpc;
  }

  /** The master user. No attachment: that would write the endpoint into it again on later deploys. */
  private makeMasterSecret(
    { name }: EnvironmentSettings,
    removalPolicy: RemovalPolicy,
  ): secretsmanager.ISecret {
    const secret = new secretsmanager.Secret(this, 'MasterSecret', {
      secretName: `${name}/database-master`,
      description: `Master user of the PostgreSQL of ${name}: username and password`,
      generateSecretString: {
        secretStringTemplate: JSON.stringify({ username: MASTER_USER }),
        generateStringKey: 'password',
        passwordLength: 40,
        // What RDS refuses in a master password.
        excludeCharacters: ' /@"',
      },
      removalPolicy,
    });
    Validations.of(secret).acknowledge({
      id: 'AwsSolutions-SMG4',
      reason:
        'Rotation while a recovery runs would lock it out of the instance that it restores. Only this system and people use it.',
    });
    // As above: secretsmanager.Secret implements it.
    return secret as secretsmanager.ISecret;
  }

  /** Has no value until ApplicationDatabase gives it one, and nothing in a template ever gives it another. */
  private emptyDatabaseUrlSecret(
    { name }: EnvironmentSettings,
    removalPolicy: RemovalPolicy,
  ): secretsmanager.ISecret {
    const secret = new secretsmanager.CfnSecret(this, 'DatabaseUrl', {
      name: `${name}/database-url`,
      description: `DATABASE_URL of ${name}. Recoveries move it; no deploy writes it.`,
    });
    secret.applyRemovalPolicy(removalPolicy);
    Validations.of(secret).acknowledge({
      id: 'AwsSolutions-SMG4',
      reason:
        'A rotation would write the secret behind the back of a recovery, whose swap is refused if another version is current.',
    });
    return secretsmanager.Secret.fromSecretCompleteArn(this, 'DatabaseUrlSecret', secret.ref);
  }

  private makeInstance(
    settings: EnvironmentSettings,
    database: DatabaseSettings,
    removalPolicy: RemovalPolicy,
  ): rds.DatabaseInstance {
    const { instanceIdentifier } = this;
    const adopted = database.instanceIdentifier !== undefined;
    // CloudFormation adopts only what it would not delete.
    const ownRemovalPolicy = adopted ? RemovalPolicy.RETAIN : removalPolicy;
    const engine = rds.DatabaseInstanceEngine.postgres({ version: rds.PostgresEngineVersion.VER_17_9 });
    const logExports = ['postgresql', 'upgrade'];
    const logGroups = logExports.map(
      (type) =>
        new logs.LogGroup(this, `${type}Log`, {
          logGroupName: `/aws/rds/instance/${instanceIdentifier}/${type}`,
          retention: settings.logDays,
          removalPolicy: ownRemovalPolicy,
        }),
    );
    const securityGroup = new ec2.SecurityGroup(this, 'DatabaseSecurityGroup', {
      vpc: this.vpc,
      description: `PostgreSQL of ${settings.name}`,
      allowAllOutbound: false,
    });
    const instance = new rds.DatabaseInstance(this, 'Database', {
      instanceIdentifier,
      engine,
      // Upgrades come by a deploy, to staging first. By themselves they could come in the middle of a recovery, between the
      // live instance and the one restored from its backup.
      autoMinorVersionUpgrade: false,
      instanceType: new ec2.InstanceType(database.instanceType),
      multiAz: database.multiAz,
      vpc: this.vpc,
      vpcSubnets: { subnets: [...this.subnets] },
      securityGroups: [securityGroup],
      publiclyAccessible: false,
      credentials: rds.Credentials.fromPassword(
        MASTER_USER,
        this.masterSecret.secretValueFromJson('password'),
      ),
      databaseName: database.databaseName,
      parameterGroup: this.parameterGroup(engine, settings, database),
      storageType: rds.StorageType.GP3,
      allocatedStorage: database.allocatedStorageGiB,
      maxAllocatedStorage: database.maxAllocatedStorageGiB,
      storageEncrypted: true,
      backupRetention: Duration.days(settings.automatedBackupDays),
      deleteAutomatedBackups: false,
      copyTagsToSnapshot: true,
      cloudwatchLogsExports: logExports,
      deletionProtection: database.protectedFromDeletion,
      removalPolicy: ownRemovalPolicy,
    });
    instance.node.addDependency(...logGroups);
    if (adopted)
      for (const resource of [instance, ...logGroups]) nameAfterInstance(resource, instanceIdentifier);
    acknowledgeInstance(instance, settings, database);
    return instance;
  }

  private parameterGroup(
    engine: rds.IInstanceEngine,
    settings: EnvironmentSettings,
    database: DatabaseSettings,
  ): rds.ParameterGroup {
    return new rds.ParameterGroup(this, 'Parameters', {
      engine,
      description: `PostgreSQL 17 of ${settings.name}`,
      parameters: {
        'rds.force_ssl': '1',
        // On from the start: turning it on later costs a restart.
        'rds.logical_replication': '1',
        // Megabytes. A replication slot that nobody reads any more keeps WAL back: at a fifth of the disk PostgreSQL gives up
        // the slot, instead of the database when the disk is full.
        max_slot_wal_keep_size: String(Math.floor((database.allocatedStorageGiB * 1024) / 5)),
      },
    });
  }

  /** Whatever carries this security group may connect to the database: hand it to the application's tasks. */
  private letApplicationIn(): void {
    const securityGroup = new ec2.SecurityGroup(this, 'ApplicationSecurityGroup', {
      vpc: this.vpc,
      description: 'The application: may connect to the database',
    });
    // Not by way of `connections`: that would also add a rule for what may leave, where everything may.
    for (const database of this.instance.connections.securityGroups)
      database.addIngressRule(securityGroup, ec2.Port.POSTGRES, 'PostgreSQL, from the application');
    new CfnOutput(this, 'ApplicationSecurityGroupId', { value: securityGroup.securityGroupId });
  }
}

/** A VPC that exists, without looking it up: synthesis needs no account. */
export function importVpc(scope: Construct, vpc: ExistingVpc): ec2.IVpc {
  return ec2.Vpc.fromVpcAttributes(scope, 'Vpc', {
    vpcId: vpc.vpcId,
    availabilityZones: [...vpc.availabilityZones],
    isolatedSubnetIds: [...vpc.subnetIds],
  });
}

export function secretsManagerEndpoint(
  scope: Construct,
  vpc: ec2.IVpc,
  { shared }: { readonly shared: boolean },
): SecretsManagerEndpoint {
  const [subnet] = vpc.isolatedSubnets;
  if (!subnet)
    throw new Error(`The VPC ${vpc.vpcId} has no isolated subnet for the Secrets Manager endpoint.`);
  return new SecretsManagerEndpoint(scope, 'SecretsManagerEndpoint', { vpc, subnet, shared });
}

/**
 * Another instance is another resource of the template, under a name of its own: the same one with a new identifier would be
 * replaced, by an empty database.
 */
function nameAfterInstance(construct: Construct, instanceIdentifier: string): void {
  const resource = construct.node.defaultChild;
  if (!CfnResource.isCfnResource(resource)) throw new Error(`${construct.node.path} is no single resource.`);
  const suffix = instanceIdentifier.replaceAll('-', '');
  resource.overrideLogicalId(`${construct.node.id}Of${suffix}`);
}

function acknowledgeInstance(
  instance: rds.DatabaseInstance,
  settings: EnvironmentSettings,
  database: DatabaseSettings,
): void {
  const acknowledge = (id: string, reason: string): void => {
    Validations.of(instance).acknowledge({ id, reason });
  };
  acknowledge(
    'AwsSolutions-RDS11',
    'The port is no protection where security groups name each client, and tools expect 5432.',
  );
  if (!database.multiAz)
    acknowledge('AwsSolutions-RDS3', `${settings.name} may be away for the time of a restore.`);
  if (!database.protectedFromDeletion)
    acknowledge('AwsSolutions-RDS10', `${settings.name} is torn down and made anew at will.`);
  if (settings.automatedBackupDays === 0)
    acknowledge('AwsSolutions-RDS13', `The data of ${settings.name} can be made anew: nothing is backed up.`);
}
