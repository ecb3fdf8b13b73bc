import { ArnFormat, Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import { CfnSchedule } from 'aws-cdk-lib/aws-scheduler';
import type { Construct } from 'constructs';
import type { EnvironmentSettings, SnapshotVault } from './environments';
import { eventsTopic } from './events-topic';
import { allow, type Permission } from './permissions/permission';
import { COPIED } from './permissions/copy-terms';
import { mayBeDeleted } from './permissions/terms';
import { RollbackFunction } from './rollback-function';
import {
  KEY_ACTIONS,
  VAULT_ROLES,
  homeRoleArn,
  throughRds,
  vaultKeyAlias,
  vaultRoleName,
  vaultRules,
  type VaultRole,
  type VaultScope,
} from './vault';

export interface VaultStackProps extends StackProps {
  readonly settings: EnvironmentSettings;
  readonly vault: SnapshotVault;
}

/**
 * Deployed in another account: takes in copies of the snapshots of the environment, under a key of its own, and keeps them by its
 * own table. The account of the database may add copies and have them back; nothing that it holds can delete one.
 */
export class VaultStack extends Stack {
  private readonly names: VaultScope;

  constructor(scope: Construct, id: string, { settings, vault, ...props }: VaultStackProps) {
    super(scope, id, {
      ...props,
      env: { account: vault.account },
      terminationProtection: true,
      description: `Copies of the snapshots of ${settings.name}, kept from the account that they are of`,
    });
    this.names = { environment: settings.name, vault };
    const key = this.key();
    this.role('copy', 'Adds copies, and shares them with the account of the database', [
      this.describeCopies(),
      ...this.makeCopies(),
      {
        sid: 'ShareWithHome',
        actions: ['rds:ModifyDBSnapshotAttribute'],
        resources: [this.snapshots()],
        conditions: {
          StringEquals: {
            'aws:ResourceTag/migration-rollback:environment': settings.name,
            'aws:ResourceTag/migration-rollback:role': COPIED,
          },
        },
        wildcardReason:
          'Copies are named as their snapshots. The condition keeps away from every other one; without the key, which lets ' +
          'nobody else in, one that is shared is of no use.',
      },
      {
        sid: 'UseKey',
        actions: KEY_ACTIONS,
        resources: [key.keyArn],
        conditions: throughRds(this),
      },
    ]);
    this.role('list', 'Sees which copies are there', [this.describeCopies()]);
    this.reaper(settings);
  }

  /** It outlives the stack: without it the copies are lost. */
  private key(): kms.Key {
    const { environment, vault } = this.names;
    const key = new kms.Key(this, 'Key', {
      alias: vaultKeyAlias(this.names),
      description: `Copies of the snapshots of ${environment}`,
      enableKeyRotation: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    // A snapshot can only be shared under a key that both accounts may use: RDS makes the passing copy at home under this one.
    key.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: 'HomeCopiesThroughRds',
        principals: [new iam.AccountPrincipal(vault.homeAccount)],
        actions: KEY_ACTIONS,
        resources: ['*'],
        conditions: { ...throughRds(this), ...this.isOneOf(VAULT_ROLES.copy) },
      }),
    );
    return key;
  }

  private role(role: VaultRole, description: string, permissions: readonly Permission[]): void {
    const { homeAccount } = this.names.vault;
    allow(
      new iam.Role(this, role === 'copy' ? 'CopyRole' : 'ListRole', {
        roleName: vaultRoleName(this.names, role),
        description,
        assumedBy: new iam.PrincipalWithConditions(
          new iam.AccountPrincipal(homeAccount),
          this.isOneOf(VAULT_ROLES[role]),
        ),
      }),
      permissions,
    );
  }

  /** By their names: IAM refuses a principal that is not there yet, and forgets one that was made anew. */
  private isOneOf(functions: readonly string[]) {
    return {
      ArnEquals: { 'aws:PrincipalArn': functions.map((name) => homeRoleArn(this, this.names, name)) },
    };
  }

  private snapshots(account?: string, names = '*'): string {
    return this.formatArn({
      service: 'rds',
      ...(account !== undefined && { account }),
      resource: `snapshot:${names}`,
      arnFormat: ArnFormat.NO_RESOURCE_NAME,
    });
  }

  private describeCopies(): Permission {
    return {
      sid: 'DescribeCopies',
      actions: ['rds:DescribeDBSnapshots'],
      resources: [
        this.formatArn({ service: 'rds', resource: 'db:*', arnFormat: ArnFormat.NO_RESOURCE_NAME }),
        this.snapshots(),
      ],
      wildcardReason: 'Copies are named as their snapshots. Reading them changes nothing.',
    };
  }

  private makeCopies(): Permission[] {
    return [
      {
        sid: 'ReadPassingCopy',
        actions: ['rds:CopyDBSnapshot'],
        resources: [this.snapshots(this.names.vault.homeAccount, '*-passing-*')],
        wildcardReason:
          'Snapshots are named after days and deployments. RDS lets in only to those that home shares.',
      },
      {
        sid: 'MakeCopy',
        actions: ['rds:CopyDBSnapshot', 'rds:AddTagsToResource'],
        resources: [this.snapshots()],
        conditions: {
          StringEquals: {
            'aws:RequestTag/migration-rollback:environment': this.names.environment,
            'aws:RequestTag/migration-rollback:role': COPIED,
          },
          // One that is being made has no tags yet; those of one that is there cannot be changed from home.
          Null: { 'aws:ResourceTag/migration-rollback:environment': 'true' },
        },
        wildcardReason:
          'A copy is named as its snapshot. The conditions allow nothing but new snapshots with the tags of this system.',
      },
    ];
  }

  /** The retention is kept from here: whoever has taken over home cannot stop, hasten or change it. */
  private reaper({ name: environment, logDays }: EnvironmentSettings): void {
    const reapVault = new RollbackFunction(this, 'ReapVault', {
      environment,
      functionName: 'reap-vault',
      settings: {
        ENVIRONMENT: environment,
        DATABASE_URL_SECRET_ID: undefined,
        MASTER_SECRET_ID: undefined,
        SNAPSHOT_RETENTION_DAYS: '0',
        VAULT_RULES: vaultRules(this, this.names),
      },
      permissions: [
        this.describeCopies(),
        {
          sid: 'ReadQuota',
          actions: ['rds:DescribeAccountAttributes'],
          resources: ['*'],
          wildcardReason: 'The quota belongs to the account: RDS knows no resource for this action.',
        },
        {
          sid: 'DeleteExpired',
          actions: ['rds:DeleteDBSnapshot'],
          resources: [this.snapshots()],
          conditions: mayBeDeleted(environment, ...COPIED),
          wildcardReason:
            'Copies are named as their snapshots. The conditions keep away from every one that this system did not make and mark with ' +
            'an expiry, and from those on hold.',
        },
      ],
      logDays,
    });
    const role = new iam.Role(this, 'ScheduleRole', {
      assumedBy: new iam.ServicePrincipal('scheduler.amazonaws.com'),
      description: `What the schedule of the vault of ${environment} may do`,
    });
    allow(role, [
      { sid: 'CallFunction', actions: ['lambda:InvokeFunction'], resources: [reapVault.functionArn] },
    ]);
    const schedule = new CfnSchedule(this, 'Schedule', {
      name: `${environment}-reap-vault`,
      description: 'Deletes the copies that are past their time, and looks whether the newest one is too old',
      scheduleExpression: 'rate(1 hour)',
      flexibleTimeWindow: { mode: 'OFF' },
      target: {
        arn: reapVault.functionArn,
        roleArn: role.roleArn,
        input: JSON.stringify({ failOnWarning: true }),
      },
    });
    schedule.node.addDependency(role);
    this.alarm(environment, reapVault);
  }

  private alarm(environment: string, reapVault: RollbackFunction): void {
    const names = { topicName: `${environment}-vault-events`, displayName: `${environment} vault` };
    const topic = eventsTopic(this, names, this.names.vault.notify);
    const alarm = new cloudwatch.Alarm(this, 'AttentionAlarm', {
      alarmName: `${environment}-vault-needs-attention`,
      alarmDescription:
        'The newest good copy in the vault is too old, its quota is nearly used up, or copies could not be reaped. ' +
        `The log of ${environment}-reap-vault says which; docs/pipeline.md says what to do.`,
      metric: reapVault.metricErrors({ period: Duration.hours(1) }),
      threshold: 1,
      evaluationPeriods: 1,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    alarm.addAlarmAction(new SnsAction(topic));
  }
}
