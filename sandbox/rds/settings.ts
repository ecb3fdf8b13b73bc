import type { CreateDBInstanceMessage } from '@aws-sdk/client-rds';
import { defaultOptionGroup, defaultSettings } from './defaults';
import { invalidCombination, invalidValue } from './errors';
import { defaultPlacement } from './placement';
import type { Rds } from './rds';
import type { InstanceSettings } from './state';

/** Members that creating and both restores take. */
const SHARED_MEMBERS = [
  'DBInstanceClass',
  'AllocatedStorage',
  'StorageType',
  'Iops',
  'StorageThroughput',
  'DedicatedLogVolume',
  'Port',
  'MultiAZ',
  'AvailabilityZone',
  'NetworkType',
  'DBSubnetGroupName',
  'VpcSecurityGroupIds',
  'PubliclyAccessible',
  'DBParameterGroupName',
  'OptionGroupName',
  'LicenseModel',
  'BackupRetentionPeriod',
  'PreferredBackupWindow',
  'AutoMinorVersionUpgrade',
  'CopyTagsToSnapshot',
  'DeletionProtection',
  'EnableIAMDatabaseAuthentication',
  'EnableCloudwatchLogsExports',
  'ProcessorFeatures',
  'CACertificateIdentifier',
  'EngineLifecycleSupport',
] as const;

export const RESTORE_MEMBERS = SHARED_MEMBERS;

export const CREATE_MEMBERS = [
  ...SHARED_MEMBERS,
  'MaxAllocatedStorage',
  'PreferredMaintenanceWindow',
  'MonitoringInterval',
  'MonitoringRoleArn',
  'EnablePerformanceInsights',
  'PerformanceInsightsKMSKeyId',
  'PerformanceInsightsRetentionPeriod',
  'DatabaseInsightsMode',
] as const;

type SharedInput = Partial<Pick<CreateDBInstanceMessage, (typeof SHARED_MEMBERS)[number]>>;

function given(input: SharedInput): Partial<InstanceSettings> {
  return withoutUndefined({
    instanceClass: input.DBInstanceClass,
    allocatedStorage: input.AllocatedStorage,
    storageType: input.StorageType,
    iops: input.Iops,
    storageThroughput: input.StorageThroughput,
    dedicatedLogVolume: input.DedicatedLogVolume,
    port: input.Port,
    multiAz: input.MultiAZ,
    availabilityZone: input.AvailabilityZone,
    networkType: input.NetworkType,
    subnetGroupName: input.DBSubnetGroupName?.toLowerCase(),
    securityGroupIds: input.VpcSecurityGroupIds?.length ? input.VpcSecurityGroupIds : undefined,
    publiclyAccessible: input.PubliclyAccessible,
    parameterGroupName: input.DBParameterGroupName?.toLowerCase(),
    optionGroupName: input.OptionGroupName,
    licenseModel: input.LicenseModel,
    backupRetentionPeriod: input.BackupRetentionPeriod,
    preferredBackupWindow: input.PreferredBackupWindow,
    autoMinorVersionUpgrade: input.AutoMinorVersionUpgrade,
    copyTagsToSnapshot: input.CopyTagsToSnapshot,
    deletionProtection: input.DeletionProtection,
    iamAuthentication: input.EnableIAMDatabaseAuthentication,
    logExports: input.EnableCloudwatchLogsExports,
    processorFeatures: input.ProcessorFeatures,
    caCertificateIdentifier: input.CACertificateIdentifier,
    engineLifecycleSupport: input.EngineLifecycleSupport,
  });
}

type Defined<T> = { [Key in keyof T]: Exclude<T[Key], undefined> };

/** Leaves out what was not given, so that it does not hide a default when spread over one. */
export function withoutUndefined<T extends object>(values: T): Partial<Defined<T>> {
  const kept: Partial<Defined<T>> = {};
  for (const key in values) {
    const value = values[key];
    if (isDefined(value)) kept[key] = value;
  }
  return kept;
}

function isDefined<T>(value: T): value is Exclude<T, undefined> {
  return value !== undefined;
}

const majorOf = (rds: Rds): string => rds.postgres.version.split('.')[0] ?? rds.postgres.version;

/** The settings of an instance that is created. */
export function newSettings(rds: Rds, input: CreateDBInstanceMessage): InstanceSettings {
  return {
    ...defaultSettings(rds.context.account.region, majorOf(rds)),
    ...defaultPlacement(rds, input.DBSubnetGroupName),
    ...given(input),
    ...withoutUndefined({
      maxAllocatedStorage: input.MaxAllocatedStorage,
      preferredMaintenanceWindow: input.PreferredMaintenanceWindow,
      monitoringInterval: input.MonitoringInterval,
      monitoringRoleArn: input.MonitoringRoleArn,
      performanceInsights: input.EnablePerformanceInsights,
      performanceInsightsKmsKeyId: input.PerformanceInsightsKMSKeyId,
      performanceInsightsRetentionPeriod: input.PerformanceInsightsRetentionPeriod,
      databaseInsightsMode: input.DatabaseInsightsMode,
    }),
  };
}

/**
 * The settings of an instance that is restored: what was given; of the rest only what a backup carries (size, storage, port,
 * retention), and RDS's defaults for everything else, however the source was set.
 */
export function restoredSettings(
  rds: Rds,
  source: Readonly<InstanceSettings>,
  input: SharedInput & { readonly MaxAllocatedStorage?: number | undefined },
): InstanceSettings {
  const settings: InstanceSettings = {
    ...defaultSettings(rds.context.account.region, majorOf(rds)),
    ...defaultPlacement(rds, input.DBSubnetGroupName),
    instanceClass: source.instanceClass,
    allocatedStorage: source.allocatedStorage,
    storageType: source.storageType,
    iops: source.iops,
    storageThroughput: source.storageThroughput,
    dedicatedLogVolume: source.dedicatedLogVolume,
    port: source.port,
    licenseModel: source.licenseModel,
    processorFeatures: source.processorFeatures,
    backupRetentionPeriod: source.backupRetentionPeriod,
    preferredBackupWindow: source.preferredBackupWindow,
    engineLifecycleSupport: source.engineLifecycleSupport,
    ...given(input),
    ...withoutUndefined({ maxAllocatedStorage: input.MaxAllocatedStorage }),
  };
  if (settings.allocatedStorage < source.allocatedStorage) {
    throw invalidValue(
      `Invalid storage size ${settings.allocatedStorage}: it must not be less than the ${source.allocatedStorage} GiB of the backup.`,
    );
  }
  checkSettings(settings);
  return settings;
}

/** Refuses values that RDS refuses. @throws InvalidParameterValue, InvalidParameterCombination */
export function checkSettings(settings: InstanceSettings): void {
  const { allocatedStorage, storageType, multiAz, monitoringInterval } = settings;
  if (!/^db\.[a-z0-9-]+\.[a-z0-9-]+$/.test(settings.instanceClass)) {
    throw invalidValue(`Invalid DB Instance class: ${settings.instanceClass}`);
  }
  if (!['gp2', 'gp3', 'io1', 'io2', 'standard'].includes(storageType)) {
    throw invalidValue(`Invalid storage type: ${storageType}`);
  }
  if (allocatedStorage < 20 || allocatedStorage > 65_536) {
    throw invalidValue(
      `Invalid storage size for engine name postgres and storage type ${storageType}: ${allocatedStorage}`,
    );
  }
  if (settings.port < 1150 || settings.port > 65_535) {
    throw invalidValue(`Invalid port: ${settings.port}. Valid values: 1150-65535`);
  }
  if (settings.backupRetentionPeriod < 0 || settings.backupRetentionPeriod > 35) {
    throw invalidValue(
      `Invalid backup retention period: ${settings.backupRetentionPeriod}. Retention period must be between 0 and 35.`,
    );
  }
  checkWindow('PreferredBackupWindow', settings.preferredBackupWindow, /^(\d\d:\d\d)-(\d\d:\d\d)$/);
  checkWindow(
    'PreferredMaintenanceWindow',
    settings.preferredMaintenanceWindow.toLowerCase(),
    /^(?:mon|tue|wed|thu|fri|sat|sun):\d\d:\d\d-(?:mon|tue|wed|thu|fri|sat|sun):\d\d:\d\d$/,
  );
  if (multiAz && settings.availabilityZone !== defaultZone(settings)) {
    throw invalidCombination('Requesting a specific availability zone is not valid for Multi-AZ instances.');
  }
  if (![0, 1, 5, 10, 15, 30, 60].includes(monitoringInterval)) {
    throw invalidValue('Invalid MonitoringInterval. Valid values: 0, 1, 5, 10, 15, 30, 60');
  }
  if (monitoringInterval > 0 && settings.monitoringRoleArn === undefined) {
    throw invalidCombination(
      'A MonitoringRoleARN value is required if you specify a MonitoringInterval value other than 0.',
    );
  }
  for (const log of settings.logExports) {
    if (!['postgresql', 'upgrade', 'iam-db-auth-error'].includes(log)) {
      throw invalidCombination(`You cannot use the log type ${log} with engine version postgres.`);
    }
  }
  const [major = ''] = /\d+$/.exec(settings.optionGroupName) ?? [];
  if (settings.optionGroupName !== defaultOptionGroup(major)) {
    throw invalidValue(`The option group ${settings.optionGroupName} does not exist.`);
  }
}

const defaultZone = ({ availabilityZone }: InstanceSettings): string => availabilityZone.replace(/.$/, 'a');

function checkWindow(member: string, window: string, form: RegExp): void {
  if (!form.test(window)) throw invalidValue(`The parameter ${member} is not valid: ${window}`);
}
