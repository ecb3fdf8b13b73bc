import type { ModifyDBInstanceMessage } from '@aws-sdk/client-rds';
import { ApiError, NotInSandbox, type Operation } from '../core/api';
import { scramVerifier } from '../postgres/scram';
import { DEFAULT_SUBNET_GROUP } from './defaults';
import { describeInstance } from './describe';
import {
  instanceAlreadyExists,
  invalidCombination,
  invalidInstanceState,
  invalidValue,
  subnetGroupNotFound,
} from './errors';
import { checkPassword, LONGEST_INSTANCE_IDENTIFIER, newIdentifier } from './identifiers';
import { operation } from './operation';
import { parameterGroup } from './parameter-groups';
import { checkPlacement, vpcOf } from './placement';
import type { Rds } from './rds';
import { checkSettings, withoutUndefined } from './settings';
import {
  isIdle,
  type Change,
  type InstanceRecord,
  type InstanceSettings,
  type PendingSettings,
} from './state';

/** Settings that wait for the maintenance window unless ApplyImmediately is given. */
const DEFERRABLE = [
  'instanceClass',
  'allocatedStorage',
  'storageType',
  'iops',
  'storageThroughput',
  'dedicatedLogVolume',
  'multiAz',
  'licenseModel',
  'processorFeatures',
  'subnetGroupName',
] as const satisfies readonly (keyof PendingSettings)[];

export function modifyOperations(rds: Rds): Record<string, Operation> {
  return operation<ModifyDBInstanceMessage>('ModifyDBInstance', MEMBERS, async (input) => ({
    DBInstance: describeInstance(rds, await modify(rds, input)),
  }));
}

/** Does what was left for the maintenance window. */
export function applyPending(rds: Rds, instance: InstanceRecord): void {
  const { settings, newIdentifier } = instance.pending;
  const changes: Change[] = [];
  if (Object.keys(settings).length > 0) changes.push({ change: 'settings', staged: { ...settings } });
  if (newIdentifier !== undefined) changes.push({ change: 'name', newIdentifier });
  if (changes.length > 0) orderChanges(rds, instance, changes);
}

async function modify(rds: Rds, input: ModifyDBInstanceMessage): Promise<InstanceRecord> {
  const password = input.MasterUserPassword;
  const verifier = password === undefined ? undefined : await scramVerifier(checkPassword(password));
  const instance = rds.instance(input.DBInstanceIdentifier);
  if (!isIdle(instance) && instance.status !== 'storage-full') {
    throw invalidInstanceState('Database instance is not in available state.');
  }
  checkEngineVersion(instance, input);
  const now = settingsAtOnce(rds, instance, input);
  const later = settingsInStages(rds, instance, input);
  const wanted = { ...instance.settings, ...instance.pending.settings, ...now, ...later };
  checkSettings(wanted);
  checkGrowth(instance, later);
  checkPlacement(rds, wanted);
  const newIdentifier = newName(rds, instance, input.NewDBInstanceIdentifier);

  const { dbiResourceId } = instance;
  instance.settings = { ...instance.settings, ...now };
  if (now.parameterGroupName !== undefined) rds.begin({ do: 'associate-parameter-group', dbiResourceId });
  if (now.securityGroupIds !== undefined) rds.begin({ do: 'add-security-groups', dbiResourceId });

  const atOnce = input.ApplyImmediately ?? false;
  const waiting = atOnce ? {} : deferred(instance, later);
  const staged = Object.fromEntries(Object.entries(later).filter(([name]) => !(name in waiting)));
  instance.pending = {
    settings: { ...instance.pending.settings, ...later },
    newIdentifier: newIdentifier ?? instance.pending.newIdentifier,
    masterPassword: instance.pending.masterPassword || verifier !== undefined,
  };
  const changes: Change[] = [];
  if (Object.keys(staged).length > 0 || Object.keys(now).length > 0) {
    changes.push({ change: 'settings', staged: atOnce ? instance.pending.settings : staged });
  }
  if (verifier !== undefined) changes.push({ change: 'password', verifier });
  if (newIdentifier !== undefined && atOnce) changes.push({ change: 'name', newIdentifier });
  if (changes.length > 0) orderChanges(rds, instance, changes);
  return instance;
}

/** The instance still looks available until the first change begins. */
function orderChanges(rds: Rds, instance: InstanceRecord, changes: readonly Change[]): void {
  const { dbiResourceId } = instance;
  const isFirst = instance.changes.length === 0;
  instance.changes.push(...changes);
  if (isFirst) rds.begin({ do: 'await-changes', dbiResourceId });
}

/** Settings that take effect without an outage, as soon as they are asked for. Only real changes are answered. */
function settingsAtOnce(
  rds: Rds,
  instance: InstanceRecord,
  input: ModifyDBInstanceMessage,
): Partial<InstanceSettings> {
  const group = input.DBParameterGroupName;
  return changes(instance, {
    securityGroupIds: input.VpcSecurityGroupIds,
    parameterGroupName: group === undefined ? undefined : parameterGroup(rds, group).name,
    optionGroupName: input.OptionGroupName,
    preferredBackupWindow: input.PreferredBackupWindow,
    preferredMaintenanceWindow: input.PreferredMaintenanceWindow,
    autoMinorVersionUpgrade: input.AutoMinorVersionUpgrade,
    copyTagsToSnapshot: input.CopyTagsToSnapshot,
    deletionProtection: input.DeletionProtection,
    publiclyAccessible: input.PubliclyAccessible,
    maxAllocatedStorage: input.MaxAllocatedStorage,
    networkType: input.NetworkType,
    engineLifecycleSupport: input.EngineLifecycleSupport,
    performanceInsights: input.EnablePerformanceInsights,
    performanceInsightsKmsKeyId: input.PerformanceInsightsKMSKeyId,
    performanceInsightsRetentionPeriod: input.PerformanceInsightsRetentionPeriod,
    databaseInsightsMode: input.DatabaseInsightsMode,
  });
}

/** Settings that are shown as pending until they have been brought to the server. */
function settingsInStages(
  rds: Rds,
  instance: InstanceRecord,
  input: ModifyDBInstanceMessage,
): PendingSettings {
  const subnetGroupName = input.DBSubnetGroupName?.toLowerCase();
  if (
    subnetGroupName !== undefined &&
    subnetGroupName !== DEFAULT_SUBNET_GROUP &&
    !rds.state.subnetGroups.has(subnetGroupName)
  ) {
    throw subnetGroupNotFound(subnetGroupName);
  }
  if (subnetGroupName !== undefined) checkMove(rds, instance, subnetGroupName);
  const logs = input.CloudwatchLogsExportConfiguration;
  const kept = instance.settings.logExports.filter((log) => !logs?.DisableLogTypes?.includes(log));
  return changes(instance, {
    instanceClass: input.DBInstanceClass,
    allocatedStorage: input.AllocatedStorage,
    storageType: input.StorageType,
    iops: input.Iops,
    storageThroughput: input.StorageThroughput,
    dedicatedLogVolume: input.DedicatedLogVolume,
    port: input.DBPortNumber,
    backupRetentionPeriod: input.BackupRetentionPeriod,
    multiAz: input.MultiAZ,
    caCertificateIdentifier: input.CACertificateIdentifier,
    iamAuthentication: input.EnableIAMDatabaseAuthentication,
    logExports: logs && [...new Set([...kept, ...(logs.EnableLogTypes ?? [])])],
    processorFeatures: input.UseDefaultProcessorFeatures === true ? [] : input.ProcessorFeatures,
    licenseModel: input.LicenseModel,
    subnetGroupName,
    monitoringInterval: input.MonitoringInterval,
    monitoringRoleArn: input.MonitoringRoleArn,
  });
}

/** An instance moves to another VPC only. */
function checkMove(rds: Rds, { identifier, settings }: InstanceRecord, subnetGroupName: string): void {
  if (subnetGroupName === settings.subnetGroupName || !rds.network.isKnown) return;
  if (vpcOf(rds, subnetGroupName) !== vpcOf(rds, settings.subnetGroupName)) return;
  throw new ApiError(
    'InvalidVPCNetworkStateFault',
    `You cannot move DB instance ${identifier} to subnet group ${subnetGroupName}. The specified DB subnet group and DB instance are in the same VPC. Choose a DB subnet group in different VPC than the specified DB instance and try again.`,
  );
}

function changes(
  { settings }: InstanceRecord,
  wanted: { [Name in keyof InstanceSettings]?: InstanceSettings[Name] | undefined },
): Partial<InstanceSettings> {
  const current: Partial<Record<string, unknown>> = { ...settings };
  const different = Object.entries(withoutUndefined(wanted)).filter(
    ([name, value]) => JSON.stringify(current[name]) !== JSON.stringify(value),
  );
  return Object.fromEntries(different);
}

/** Those of the settings that wait for the maintenance window. */
function deferred({ settings }: InstanceRecord, later: PendingSettings): PendingSettings {
  const switchesBackups =
    later.backupRetentionPeriod !== undefined &&
    (later.backupRetentionPeriod === 0) !== (settings.backupRetentionPeriod === 0);
  const names: readonly string[] = switchesBackups ? [...DEFERRABLE, 'backupRetentionPeriod'] : DEFERRABLE;
  return Object.fromEntries(Object.entries(later).filter(([name]) => names.includes(name)));
}

function checkGrowth({ settings }: InstanceRecord, { allocatedStorage }: PendingSettings): void {
  if (allocatedStorage !== undefined && allocatedStorage < settings.allocatedStorage) {
    throw invalidCombination(
      `Invalid storage size: ${allocatedStorage} GiB is less than the ${settings.allocatedStorage} GiB that the instance has.`,
    );
  }
}

function checkEngineVersion(instance: InstanceRecord, { EngineVersion }: ModifyDBInstanceMessage): void {
  if (EngineVersion === undefined || EngineVersion === instance.engineVersion) return;
  if (EngineVersion === instance.engineVersion.split('.')[0]) return;
  throw new NotInSandbox(`RDS ModifyDBInstance upgrade to EngineVersion ${EngineVersion}`);
}

function newName(rds: Rds, instance: InstanceRecord, name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  const id = newIdentifier(name, 'NewDBInstanceIdentifier', LONGEST_INSTANCE_IDENTIFIER);
  if (id === instance.identifier) {
    throw invalidValue('The new DB instance identifier must differ from the present one.');
  }
  if (rds.state.instances.has(id)) throw instanceAlreadyExists();
  const isUnderWay = instance.changes.some((each) => each.change === 'name' && each.newIdentifier === id);
  return isUnderWay ? undefined : id;
}

const MEMBERS = [
  'DBInstanceIdentifier',
  'ApplyImmediately',
  'NewDBInstanceIdentifier',
  'MasterUserPassword',
  'DBInstanceClass',
  'AllocatedStorage',
  'MaxAllocatedStorage',
  'StorageType',
  'Iops',
  'StorageThroughput',
  'DedicatedLogVolume',
  'DBPortNumber',
  'MultiAZ',
  'NetworkType',
  'DBSubnetGroupName',
  'VpcSecurityGroupIds',
  'PubliclyAccessible',
  'DBParameterGroupName',
  'OptionGroupName',
  'LicenseModel',
  'EngineVersion',
  'BackupRetentionPeriod',
  'PreferredBackupWindow',
  'PreferredMaintenanceWindow',
  'AutoMinorVersionUpgrade',
  'CopyTagsToSnapshot',
  'DeletionProtection',
  'EnableIAMDatabaseAuthentication',
  'CloudwatchLogsExportConfiguration',
  'ProcessorFeatures',
  'UseDefaultProcessorFeatures',
  'CACertificateIdentifier',
  'CertificateRotationRestart',
  'EngineLifecycleSupport',
  'MonitoringInterval',
  'MonitoringRoleArn',
  'EnablePerformanceInsights',
  'PerformanceInsightsKMSKeyId',
  'PerformanceInsightsRetentionPeriod',
  'DatabaseInsightsMode',
] as const satisfies readonly (keyof ModifyDBInstanceMessage)[];
