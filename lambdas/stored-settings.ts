import type { DBInstance, Tag } from '@aws-sdk/client-rds';
import * as z from 'zod/mini';
import { readPacked, writePacked } from './tags';

const text = z.optional(z.string());
const number = z.optional(z.number());
const truth = z.optional(z.boolean());

/** Of a DBInstance what lambdas/instance-settings.ts looks at, under the names of the API. */
const StoredSettings = z.object({
  DBInstanceClass: text,
  Engine: text,
  EngineVersion: text,
  MasterUsername: text,
  /** The address says which instance they are of. */
  Endpoint: z.optional(z.object({ Address: text, Port: number })),
  AllocatedStorage: number,
  MaxAllocatedStorage: number,
  StorageType: text,
  Iops: number,
  StorageThroughput: number,
  StorageEncrypted: truth,
  KmsKeyId: text,
  MultiAZ: truth,
  AvailabilityZone: text,
  PubliclyAccessible: truth,
  NetworkType: text,
  DBSubnetGroup: z.optional(z.object({ DBSubnetGroupName: text })),
  VpcSecurityGroups: z.optional(z.array(z.object({ VpcSecurityGroupId: text, Status: text }))),
  DBParameterGroups: z.optional(z.array(z.object({ DBParameterGroupName: text }))),
  OptionGroupMemberships: z.optional(z.array(z.object({ OptionGroupName: text }))),
  AutoMinorVersionUpgrade: truth,
  CopyTagsToSnapshot: truth,
  DeletionProtection: truth,
  DedicatedLogVolume: truth,
  ProcessorFeatures: z.optional(z.array(z.object({ Name: text, Value: text }))),
  IAMDatabaseAuthenticationEnabled: truth,
  EnabledCloudwatchLogsExports: z.optional(z.array(z.string())),
  CACertificateIdentifier: text,
  BackupRetentionPeriod: number,
  PreferredBackupWindow: text,
  PreferredMaintenanceWindow: text,
  EngineLifecycleSupport: text,
  MonitoringInterval: number,
  MonitoringRoleArn: text,
  DatabaseInsightsMode: z.optional(z.enum(['standard', 'advanced'])),
  PerformanceInsightsEnabled: truth,
  PerformanceInsightsRetentionPeriod: number,
  PerformanceInsightsKMSKeyId: text,
});

/** The settings of an instance as tags of a snapshot of it; none where `maxTags` do not hold them. */
export function writeSettings(instance: DBInstance, maxTags: number): Tag[] {
  const settings = StoredSettings.safeParse(instance);
  return settings.success ? writePacked('settings', settings.data, maxTags) : [];
}

/**
 * The settings of the instance that a snapshot was taken of, for when that instance is gone: `restoreSettings` and
 * `compareSettings` take them. Undefined where the snapshot does not have them.
 */
export function readSettings(tags: readonly Tag[] | undefined): DBInstance | undefined {
  const settings = StoredSettings.safeParse(readPacked(tags, 'settings'));
  return settings.success ? settings.data : undefined;
}
