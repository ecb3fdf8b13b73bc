import { CustomResource, RemovalPolicy } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import type * as rds from 'aws-cdk-lib/aws-rds';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import { Provider } from 'aws-cdk-lib/custom-resources';
import { Construct } from 'constructs';
import type { ApplicationDatabaseProperties } from '../lambdas/contract/application-database';
import type { EnvironmentName } from '../lambdas/contract/settings';
import { allow } from './permissions/permission';
import { RollbackFunction } from './rollback-function';

export interface ApplicationDatabaseProps {
  readonly environment: EnvironmentName;
  readonly instance: rds.DatabaseInstance;
  readonly vpc: ec2.IVpc;
  readonly subnets: readonly ec2.ISubnet[];
  readonly secretsManagerEndpoint?: ec2.IConnectable;
  readonly masterSecret: ISecret;
  /** Gets its one and only value from here; after that, recoveries move it. */
  readonly databaseUrlSecret: ISecret;
  readonly databaseName: string;
  readonly applicationRole: string;
  readonly logDays: logs.RetentionDays;
}

/**
 * The application's role in PostgreSQL, and the first value of its DATABASE_URL.
 *
 * Lifecycle: acts when the stack is created, and then only while the secret has no value. Updates and deletion do nothing,
 * so that no later deploy can point the application back to an instance that a recovery has left behind.
 */
export class ApplicationDatabase extends Construct {
  constructor(scope: Construct, id: string, props: ApplicationDatabaseProps) {
    super(scope, id);
    const { environment, instance, vpc, subnets, masterSecret, databaseUrlSecret, logDays } = props;
    const securityGroup = new ec2.SecurityGroup(this, 'SecurityGroup', {
      vpc,
      description: 'Function that makes the role of the application',
      allowAllOutbound: props.secretsManagerEndpoint === undefined,
    });
    // By number: a rule must not follow from one instance to the next when the stack adopts another.
    securityGroup.connections.allowTo(instance, ec2.Port.POSTGRES, 'PostgreSQL');
    if (props.secretsManagerEndpoint)
      securityGroup.connections.allowTo(props.secretsManagerEndpoint, ec2.Port.HTTPS, 'Secrets Manager');

    const onEventHandler = new RollbackFunction(this, 'Function', {
      environment,
      functionName: 'application-database',
      settings: {
        ENVIRONMENT: environment,
        DATABASE_URL_SECRET_ID: databaseUrlSecret.secretArn,
        MASTER_SECRET_ID: masterSecret.secretArn,
        SNAPSHOT_RETENTION_DAYS: '0',
      },
      permissions: [
        {
          sid: 'ReadMasterUser',
          actions: ['secretsmanager:GetSecretValue'],
          resources: [masterSecret.secretArn],
        },
        {
          sid: 'FillDatabaseUrl',
          actions: ['secretsmanager:GetSecretValue', 'secretsmanager:PutSecretValue'],
          resources: [databaseUrlSecret.secretArn],
        },
      ],
      logDays,
      database: { vpc, subnets, securityGroup },
    });
    const provider = this.provider(onEventHandler, logDays);
    const properties: Record<keyof ApplicationDatabaseProperties, string> = {
      host: instance.dbInstanceEndpointAddress,
      port: instance.dbInstanceEndpointPort,
      databaseName: props.databaseName,
      applicationRole: props.applicationRole,
    };
    const resource = new CustomResource(this, 'Resource', {
      resourceType: 'Custom::ApplicationDatabase',
      serviceToken: provider.serviceToken,
      properties,
    });
    // The function needs its way to the database and to Secrets Manager before it is called.
    resource.node.addDependency(securityGroup, onEventHandler);
    if (props.secretsManagerEndpoint) resource.node.addDependency(props.secretsManagerEndpoint);
  }

  private provider(onEventHandler: RollbackFunction, logDays: logs.RetentionDays): Provider {
    const logGroup = new logs.LogGroup(this, 'ProviderLog', {
      retention: logDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = new iam.Role(this, 'ProviderRole', {
      assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
      description: 'Calls the function that makes the role of the application',
    });
    allow(role, [
      {
        sid: 'WriteOwnLog',
        actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        resources: [logGroup.logGroupArn],
      },
      {
        sid: 'CallHandler',
        actions: ['lambda:InvokeFunction', 'lambda:GetFunction'],
        resources: [onEventHandler.functionArn],
      },
    ]);
    return new Provider(this, 'Provider', {
      onEventHandler,
      logGroup,
      // By itself the provider takes a role that may write every log group and call every version of the handler.
      frameworkOnEventRole: role.withoutPolicyUpdates(),
    });
  }
}
