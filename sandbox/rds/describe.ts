import type {
  DBInstance,
  DBInstanceAutomatedBackup,
  DBSnapshot,
  DBSubnetGroup,
  PendingModifiedValues,
} from '@aws-sdk/client-rds';
import { Topology } from '../network/topology';
import { latestRestorableTime, earliestRestorableTime } from './automated-backups';
import { DEFAULT_SUBNET_GROUP } from './defaults';
import { subnetIdsOf, vpcOf } from './placement';
import type { Rds } from './rds';
import type {
  AutomatedBackupRecord,
  InstanceRecord,
  InstanceSettings,
  SnapshotRecord,
  SubnetGroupRecord,
} from './state';

/** The records as RDS shows them. */

/** While it is renamed its old address is gone, and the new one leads nowhere yet. */
function describeEndpoint({ status, address }: InstanceRecord): DBInstance['Endpoint'] {
  if (!address || status === 'renaming') return undefined;
  return { Address: address.host, Port: address.port, HostedZoneId: 'Z0SANDBOX' };
}

export function describeInstance(rds: Rds, instance: InstanceRecord): DBInstance {
  const { settings } = instance;
  const backups = rds.state.automatedBackups.get(instance.dbiResourceId);
  const progress = hydrationProgress(rds, instance);
  const region = rds.context.account.region;
  return {
    DBInstanceIdentifier: instance.identifier,
    DBInstanceClass: settings.instanceClass,
    Engine: 'postgres',
    DBInstanceStatus: instance.status,
    MasterUsername: instance.masterUsername,
    DBName: instance.databaseName,
    Endpoint: describeEndpoint(instance),
    AllocatedStorage: settings.allocatedStorage,
    InstanceCreateTime: instance.createTime,
    PreferredBackupWindow: settings.preferredBackupWindow,
    BackupRetentionPeriod: settings.backupRetentionPeriod,
    DBSecurityGroups: [],
    VpcSecurityGroups: settings.securityGroupIds.map((VpcSecurityGroupId) => ({
      VpcSecurityGroupId,
      Status: instance.securityGroupStatus,
    })),
    DBParameterGroups: [
      {
        DBParameterGroupName: settings.parameterGroupName,
        ParameterApplyStatus: instance.parameterApplyStatus,
      },
    ],
    AvailabilityZone: settings.availabilityZone,
    DBSubnetGroup: describeSubnetGroupNamed(rds, settings.subnetGroupName),
    PreferredMaintenanceWindow: settings.preferredMaintenanceWindow,
    PendingModifiedValues: describePending(instance),
    LatestRestorableTime: backups && latestRestorableTime(rds, backups),
    MultiAZ: settings.multiAz,
    EngineVersion: instance.engineVersion,
    AutoMinorVersionUpgrade: settings.autoMinorVersionUpgrade,
    ReadReplicaDBInstanceIdentifiers: [],
    LicenseModel: settings.licenseModel,
    Iops: settings.iops,
    StorageThroughput: settings.storageThroughput,
    OptionGroupMemberships: [{ OptionGroupName: settings.optionGroupName, Status: 'in-sync' }],
    SecondaryAvailabilityZone: settings.multiAz ? otherZone(region, settings.availabilityZone) : undefined,
    PubliclyAccessible: settings.publiclyAccessible,
    StorageType: settings.storageType,
    DbInstancePort: 0,
    StorageEncrypted: instance.storageEncrypted,
    KmsKeyId: instance.kmsKeyId,
    DbiResourceId: instance.dbiResourceId,
    CACertificateIdentifier: settings.caCertificateIdentifier,
    DomainMemberships: [],
    CopyTagsToSnapshot: settings.copyTagsToSnapshot,
    MonitoringInterval: settings.monitoringInterval,
    MonitoringRoleArn: settings.monitoringRoleArn,
    DBInstanceArn: rds.arn(`db:${instance.identifier}`),
    IAMDatabaseAuthenticationEnabled: settings.iamAuthentication,
    DatabaseInsightsMode: settings.databaseInsightsMode,
    PerformanceInsightsEnabled: settings.performanceInsights,
    PerformanceInsightsKMSKeyId: settings.performanceInsightsKmsKeyId,
    PerformanceInsightsRetentionPeriod: settings.performanceInsightsRetentionPeriod,
    EnabledCloudwatchLogsExports: settings.logExports.length > 0 ? [...settings.logExports] : undefined,
    ProcessorFeatures: settings.processorFeatures.length > 0 ? [...settings.processorFeatures] : undefined,
    DeletionProtection: settings.deletionProtection,
    AssociatedRoles: [],
    MaxAllocatedStorage: settings.maxAllocatedStorage,
    TagList: [...instance.tags],
    CustomerOwnedIpEnabled: false,
    NetworkType: settings.networkType,
    ActivityStreamStatus: 'stopped',
    BackupTarget: 'region',
    CertificateDetails: { CAIdentifier: settings.caCertificateIdentifier },
    DedicatedLogVolume: settings.dedicatedLogVolume,
    IsStorageConfigUpgradeAvailable: false,
    EngineLifecycleSupport: settings.engineLifecycleSupport,
    ...(progress !== undefined && {
      StorageOperationStatus: 'Initializing',
      StorageOperationPercentProgress: progress,
    }),
  };
}

/** Share of a restored instance's blocks that were loaded, in percent; none when all were. */
function hydrationProgress(rds: Rds, { hydration }: InstanceRecord): number | undefined {
  if (!hydration) return undefined;
  const whole = hydration.until.getTime() - hydration.from.getTime();
  const done = rds.now().getTime() - hydration.from.getTime();
  return done >= whole ? undefined : Math.floor((100 * done) / whole);
}

function describePending({ pending, settings }: InstanceRecord): PendingModifiedValues {
  const { settings: next, newIdentifier, masterPassword } = pending;
  const shown: PendingModifiedValues = {
    DBInstanceClass: next.instanceClass,
    AllocatedStorage: next.allocatedStorage,
    MasterUserPassword: masterPassword ? '****' : undefined,
    Port: next.port,
    BackupRetentionPeriod: next.backupRetentionPeriod,
    MultiAZ: next.multiAz,
    LicenseModel: next.licenseModel,
    Iops: next.iops,
    StorageThroughput: next.storageThroughput,
    DBInstanceIdentifier: newIdentifier,
    StorageType: next.storageType,
    CACertificateIdentifier: next.caCertificateIdentifier,
    DBSubnetGroupName: next.subnetGroupName,
    PendingCloudwatchLogsExports: next.logExports && pendingLogs(settings, next.logExports),
    ProcessorFeatures: next.processorFeatures && [...next.processorFeatures],
    IAMDatabaseAuthenticationEnabled: next.iamAuthentication,
    DedicatedLogVolume: next.dedicatedLogVolume,
  };
  return Object.fromEntries(Object.entries(shown).filter(([, value]) => value !== undefined));
}

function pendingLogs({ logExports }: InstanceSettings, next: readonly string[]): object {
  return {
    LogTypesToEnable: next.filter((log) => !logExports.includes(log)),
    LogTypesToDisable: logExports.filter((log) => !next.includes(log)),
  };
}

function otherZone(region: string, zone: string): string {
  return zone === `${region}b` ? `${region}a` : `${region}b`;
}

export function describeSnapshot(rds: Rds, snapshot: SnapshotRecord): DBSnapshot {
  const { source } = snapshot;
  const { settings } = source;
  return {
    DBSnapshotIdentifier: snapshot.identifier,
    DBInstanceIdentifier: source.identifier,
    SnapshotCreateTime: snapshot.createTime,
    Engine: 'postgres',
    AllocatedStorage: settings.allocatedStorage,
    Status: snapshot.status,
    Port: settings.port,
    AvailabilityZone: settings.availabilityZone,
    VpcId: vpcOf(rds, settings.subnetGroupName),
    InstanceCreateTime: source.createTime,
    MasterUsername: source.masterUsername,
    EngineVersion: source.engineVersion,
    LicenseModel: settings.licenseModel,
    SnapshotType: snapshot.type,
    Iops: settings.iops,
    StorageThroughput: settings.storageThroughput,
    OptionGroupName: settings.optionGroupName,
    PercentProgress: snapshot.status === 'available' || snapshot.status === 'deleting' ? 100 : 0,
    SourceDBSnapshotIdentifier: snapshot.copyOf,
    SourceRegion: snapshot.copyOf?.split(':')[3],
    StorageType: settings.storageType,
    Encrypted: source.storageEncrypted,
    BackupRetentionPeriod: settings.backupRetentionPeriod,
    PreferredBackupWindow: settings.preferredBackupWindow,
    KmsKeyId: snapshot.kmsKeyId,
    DBSnapshotArn: rds.arn(`snapshot:${snapshot.identifier}`),
    IAMDatabaseAuthenticationEnabled: settings.iamAuthentication,
    ProcessorFeatures: [...settings.processorFeatures],
    DbiResourceId: source.dbiResourceId,
    TagList: [...snapshot.tags],
    SnapshotTarget: 'region',
    OriginalSnapshotCreateTime: snapshot.originalCreateTime,
    SnapshotDatabaseTime: snapshot.databaseTime,
    DedicatedLogVolume: settings.dedicatedLogVolume,
    FullSnapshotSizeInBytes: snapshot.status === 'available' ? snapshot.bytes : undefined,
  };
}

/** As another account sees it that it is shared with: by its ARN, without its tags. */
export function describeShared(owner: Rds, snapshot: SnapshotRecord): DBSnapshot {
  return {
    ...describeSnapshot(owner, snapshot),
    DBSnapshotIdentifier: owner.arn(`snapshot:${snapshot.identifier}`),
    SnapshotType: 'shared',
    TagList: [],
  };
}

export function describeAutomatedBackup(rds: Rds, backup: AutomatedBackupRecord): DBInstanceAutomatedBackup {
  const instance = [...rds.state.instances.values()].find(
    ({ dbiResourceId }) => dbiResourceId === backup.dbiResourceId,
  );
  const source = backup.status === 'retained' ? backup.source : (instance ?? backup.source);
  const { settings } = source;
  return {
    DBInstanceArn: rds.arn(`db:${source.identifier}`),
    DbiResourceId: backup.dbiResourceId,
    Region: rds.context.account.region,
    DBInstanceIdentifier: source.identifier,
    RestoreWindow: {
      EarliestTime: earliestRestorableTime(rds, backup),
      LatestTime: latestRestorableTime(rds, backup),
    },
    AllocatedStorage: settings.allocatedStorage,
    Status: backup.status,
    Port: settings.port,
    AvailabilityZone: settings.availabilityZone,
    VpcId: vpcOf(rds, settings.subnetGroupName),
    InstanceCreateTime: source.createTime,
    MasterUsername: source.masterUsername,
    Engine: 'postgres',
    EngineVersion: source.engineVersion,
    LicenseModel: settings.licenseModel,
    Iops: settings.iops,
    StorageThroughput: settings.storageThroughput,
    OptionGroupName: settings.optionGroupName,
    Encrypted: source.storageEncrypted,
    StorageType: settings.storageType,
    KmsKeyId: source.kmsKeyId,
    IAMDatabaseAuthenticationEnabled: settings.iamAuthentication,
    BackupRetentionPeriod: settings.backupRetentionPeriod,
    PreferredBackupWindow: settings.preferredBackupWindow,
    DBInstanceAutomatedBackupsArn: rds.arn(`auto-backup:${backup.id}`),
    DBInstanceAutomatedBackupsReplications: [],
    BackupTarget: 'region',
    TagList: [...source.tags],
    DedicatedLogVolume: settings.dedicatedLogVolume,
  };
}

function describeSubnetGroupNamed(rds: Rds, name: string): DBSubnetGroup {
  const group = rds.state.subnetGroups.get(name);
  return describeSubnetGroup(rds, group ?? DEFAULT_GROUP);
}

/** What every account has, in its default VPC. */
const DEFAULT_GROUP = { name: DEFAULT_SUBNET_GROUP, description: 'default' };

export function describeSubnetGroup(
  rds: Rds,
  { name, description }: Pick<SubnetGroupRecord, 'name' | 'description'>,
): DBSubnetGroup {
  const { region } = rds.context.account;
  const topology = new Topology(rds.network);
  return {
    DBSubnetGroupName: name,
    DBSubnetGroupDescription: description,
    VpcId: vpcOf(rds, name),
    SubnetGroupStatus: 'Complete',
    Subnets: subnetIdsOf(rds, name).map((SubnetIdentifier, index) => ({
      SubnetIdentifier,
      SubnetAvailabilityZone: {
        Name: topology.subnet(SubnetIdentifier)?.zone ?? `${region}${'abc'.charAt(index % 3)}`,
      },
      SubnetOutpost: {},
      SubnetStatus: 'Active',
    })),
    DBSubnetGroupArn: rds.arn(`subgrp:${name}`),
    SupportedNetworkTypes: ['IPV4'],
  };
}
