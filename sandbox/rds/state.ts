import type { DatabaseInsightsMode, Event, ProcessorFeature, Tag } from '@aws-sdk/client-rds';
import type { Address } from '../postgres/contract';
import type { ForcedFailure } from './forced-failures';
import type { Task } from './tasks';

/** What RDS remembers: plain records, so that they can be kept on disk. The servers that run are apart from them. */

export type InstanceStatus =
  | 'creating'
  | 'backing-up'
  | 'available'
  | 'modifying'
  | 'resetting-master-credentials'
  | 'configuring-log-exports'
  | 'configuring-iam-database-auth'
  | 'configuring-enhanced-monitoring'
  | 'storage-optimization'
  | 'renaming'
  | 'rebooting'
  | 'stopping'
  | 'stopped'
  | 'starting'
  | 'deleting'
  | FailedStatus;

/** Statuses in which nothing goes on any more. */
export type FailedStatus =
  | 'failed'
  | 'incompatible-create'
  | 'incompatible-credentials'
  | 'incompatible-network'
  | 'incompatible-option-group'
  | 'incompatible-parameters'
  | 'incompatible-restore'
  | 'inaccessible-encryption-credentials'
  | 'inaccessible-encryption-credentials-recoverable'
  | 'insufficient-capacity'
  | 'restore-error'
  | 'storage-full';

/** Settings of an instance. All of them are shown; some act on the server. */
export interface InstanceSettings {
  instanceClass: string;
  allocatedStorage: number;
  maxAllocatedStorage?: number | undefined;
  storageType: string;
  iops?: number | undefined;
  storageThroughput?: number | undefined;
  dedicatedLogVolume: boolean;
  /** The port that was asked for; where a port of one's own is not possible the endpoint shows another. */
  port: number;
  multiAz: boolean;
  availabilityZone: string;
  networkType: string;
  subnetGroupName: string;
  securityGroupIds: readonly string[];
  publiclyAccessible: boolean;
  parameterGroupName: string;
  optionGroupName: string;
  licenseModel: string;
  backupRetentionPeriod: number;
  preferredBackupWindow: string;
  preferredMaintenanceWindow: string;
  autoMinorVersionUpgrade: boolean;
  copyTagsToSnapshot: boolean;
  deletionProtection: boolean;
  iamAuthentication: boolean;
  logExports: readonly string[];
  processorFeatures: readonly ProcessorFeature[];
  caCertificateIdentifier: string;
  engineLifecycleSupport: string;
  monitoringInterval: number;
  monitoringRoleArn?: string | undefined;
  performanceInsights: boolean;
  performanceInsightsKmsKeyId?: string | undefined;
  performanceInsightsRetentionPeriod?: number | undefined;
  databaseInsightsMode: DatabaseInsightsMode;
}

/** Settings that a modification may leave for the next maintenance window. */
export type PendingSettings = Partial<
  Pick<
    InstanceSettings,
    | 'instanceClass'
    | 'allocatedStorage'
    | 'storageType'
    | 'iops'
    | 'storageThroughput'
    | 'dedicatedLogVolume'
    | 'port'
    | 'backupRetentionPeriod'
    | 'multiAz'
    | 'caCertificateIdentifier'
    | 'iamAuthentication'
    | 'logExports'
    | 'processorFeatures'
    | 'licenseModel'
    | 'subnetGroupName'
    | 'monitoringInterval'
    | 'monitoringRoleArn'
  >
>;

/** One thing that a modification does. */
export type Change =
  | { readonly change: 'settings'; readonly staged: PendingSettings }
  /** `verifier` is what PostgreSQL keeps of the password: the password itself is kept nowhere. */
  | { readonly change: 'password'; readonly verifier: string }
  | { readonly change: 'name'; readonly newIdentifier: string };

export interface Pending {
  settings: PendingSettings;
  newIdentifier?: string | undefined;
  masterPassword: boolean;
}

export type ParameterApplyStatus = 'applying' | 'in-sync' | 'pending-reboot' | 'failed-to-apply';

export interface InstanceRecord {
  identifier: string;
  readonly dbiResourceId: string;
  status: InstanceStatus;
  /** When the instance became usable; none while it is being made. */
  createTime?: Date | undefined;
  readonly engineVersion: string;
  readonly masterUsername: string;
  readonly databaseName?: string | undefined;
  readonly storageEncrypted: boolean;
  readonly kmsKeyId?: string | undefined;
  settings: InstanceSettings;
  parameterApplyStatus: ParameterApplyStatus;
  /** postgresql.conf values that the server runs with, by the name in the parameter group. */
  appliedParameters: Readonly<Record<string, string>>;
  securityGroupStatus: 'active' | 'adding';
  pending: Pending;
  /** What modifications have ordered and nobody has begun, in order. */
  changes: Change[];
  /** Where the server listens, once there is one; stays while the server is stopped. */
  address?: Address | undefined;
  /** The server is meant to run. */
  runs: boolean;
  tags: Tag[];
  /** The volume is being reorganised after a change of storage until then. */
  optimizingUntil?: Date | undefined;
  /** Blocks are still being loaded from the backup between these moments. */
  hydration?: { readonly from: Date; readonly until: Date } | undefined;
}

/** What a backup says of the instance that it was taken from. */
export interface BackedUpInstance {
  readonly identifier: string;
  readonly dbiResourceId: string;
  readonly createTime?: Date | undefined;
  readonly engineVersion: string;
  readonly masterUsername: string;
  readonly databaseName?: string | undefined;
  readonly storageEncrypted: boolean;
  readonly kmsKeyId?: string | undefined;
  readonly settings: Readonly<InstanceSettings>;
  readonly tags: readonly Tag[];
}

export interface SnapshotRecord {
  readonly identifier: string;
  readonly type: 'manual' | 'automated';
  status: 'creating' | 'copying' | 'available' | 'deleting' | 'failed';
  readonly source: BackedUpInstance;
  readonly requestedAt: Date;
  /** When the copy that a restore brings back was consistent. */
  createTime?: Date | undefined;
  originalCreateTime?: Date | undefined;
  databaseTime?: Date | undefined;
  /** ARN. */
  readonly copyOf?: string | undefined;
  readonly kmsKeyId?: string | undefined;
  /** Directory of the physical backup, below RDS's own. Copies of a snapshot share it. */
  readonly backupDirectory: string;
  bytes: number;
  tags: Tag[];
  /** The accounts that may see, copy and restore it. */
  sharedWith: readonly string[];
}

/** A base backup of an instance's automated backups. */
export interface BaseBackup {
  /** Below RDS's own directory. */
  readonly directory: string;
  /** On the sandbox's clock: the first moment that a restore from it can reach. */
  readonly consistentAt: Date;
}

/** The automated backups of one DbiResourceId. */
export interface AutomatedBackupRecord {
  readonly dbiResourceId: string;
  readonly id: string;
  status: 'creating' | 'active' | 'retained';
  /** The instance as it is, or, when retained, as it was when it was deleted. */
  source: BackedUpInstance;
  /** Directory below RDS's own. */
  readonly walArchive: string;
  baseBackups: BaseBackup[];
  /** Last moment that a restore can reach; only while no server adds to the archive (retained, or stopped). */
  endedAt?: Date | undefined;
}

export interface ParameterSetting {
  readonly value: string;
  readonly applyMethod: 'immediate' | 'pending-reboot';
}

export interface ParameterGroupRecord {
  readonly name: string;
  readonly family: string;
  readonly description: string;
  readonly parameters: Map<string, ParameterSetting>;
  tags: Tag[];
}

export interface SubnetGroupRecord {
  readonly name: string;
  readonly description: string;
  readonly subnetIds: readonly string[];
  tags: Tag[];
}

/** A task that is under way. */
export interface TaskRecord {
  /** Counts up: tasks go on in the order in which they began. */
  readonly id: number;
  readonly task: Task;
  /** When it is over, unless its real work takes longer. */
  readonly until: Date;
  /** Its real work is done, and only the time is left to pass. */
  worked: boolean;
  /** It has no effect and ends in this status. */
  readonly failsAs?: FailedStatus | undefined;
}

export interface RdsState {
  readonly instances: Map<string, InstanceRecord>;
  readonly snapshots: Map<string, SnapshotRecord>;
  /** By DbiResourceId. */
  readonly automatedBackups: Map<string, AutomatedBackupRecord>;
  readonly parameterGroups: Map<string, ParameterGroupRecord>;
  readonly subnetGroups: Map<string, SubnetGroupRecord>;
  readonly events: Event[];
  /** By id. */
  readonly tasks: Map<number, TaskRecord>;
  lastTask: number;
  /** Failures that are to come over operations that have not begun yet. */
  readonly forcedFailures: ForcedFailure[];
  /** When it was last looked for what RDS does by itself. */
  attendedAt: Date;
}

export function newState(now: Date): RdsState {
  return {
    instances: new Map(),
    snapshots: new Map(),
    automatedBackups: new Map(),
    parameterGroups: new Map(),
    subnetGroups: new Map(),
    events: [],
    tasks: new Map(),
    lastTask: 0,
    forcedFailures: [],
    attendedAt: now,
  };
}

/** The part of an instance that a backup keeps, as it is now. */
export function backedUp(instance: InstanceRecord): BackedUpInstance {
  const { identifier, dbiResourceId, createTime, engineVersion, masterUsername, databaseName } = instance;
  const { storageEncrypted, kmsKeyId, settings, tags } = instance;
  return {
    identifier,
    dbiResourceId,
    createTime,
    engineVersion,
    masterUsername,
    databaseName,
    storageEncrypted,
    kmsKeyId,
    settings: { ...settings },
    tags: [...tags],
  };
}

/** Nothing is being done to the instance and it takes orders. */
export function isIdle({ status }: InstanceRecord): boolean {
  return status === 'available' || status === 'storage-optimization';
}
