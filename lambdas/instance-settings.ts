import type {
  DBInstance,
  ModifyDBInstanceMessage,
  RestoreDBInstanceFromDBSnapshotMessage,
  RestoreDBInstanceToPointInTimeMessage,
} from '@aws-sdk/client-rds';
import { SettingsDiffer } from './errors';

/**
 * The settings of an instance. A restore that is told nothing gets RDS's defaults, so everything that both restore calls
 * take is passed; what neither takes is changed afterwards. Names are the members of the API.
 */
type RestoreSettings = Omit<
  RestoreDBInstanceFromDBSnapshotMessage & RestoreDBInstanceToPointInTimeMessage,
  'DBInstanceIdentifier' | 'TargetDBInstanceIdentifier' | 'Tags'
>;

/** Below this size RDS for PostgreSQL on gp3 has fixed IOPS and throughput and refuses to be told any. GiB. */
const GP3_TUNABLE_FROM_GIB = 400;

/**
 * What both restore calls take, as the live instance has it. Deletion protection is left out: the recovery must be able to
 * discard what it made; FinishSettings turns it on.
 */
export function restoreSettings(live: DBInstance, minimumStorageGib = 0): RestoreSettings {
  const tunable =
    live.StorageType === 'io1' ||
    live.StorageType === 'io2' ||
    (live.StorageType === 'gp3' && (live.AllocatedStorage ?? 0) >= GP3_TUNABLE_FROM_GIB);
  return {
    DBInstanceClass: live.DBInstanceClass,
    Port: live.Endpoint?.Port,
    // RDS chooses both zones of a Multi-AZ instance and refuses to be told one.
    AvailabilityZone: live.MultiAZ ? undefined : live.AvailabilityZone,
    DBSubnetGroupName: live.DBSubnetGroup?.DBSubnetGroupName,
    VpcSecurityGroupIds: securityGroups(live),
    DBParameterGroupName: live.DBParameterGroups?.[0]?.DBParameterGroupName,
    OptionGroupName: live.OptionGroupMemberships?.[0]?.OptionGroupName,
    MultiAZ: live.MultiAZ,
    PubliclyAccessible: live.PubliclyAccessible,
    AutoMinorVersionUpgrade: live.AutoMinorVersionUpgrade,
    CopyTagsToSnapshot: live.CopyTagsToSnapshot,
    StorageType: live.StorageType,
    Iops: tunable ? live.Iops : undefined,
    StorageThroughput: tunable && live.StorageType === 'gp3' ? live.StorageThroughput : undefined,
    AllocatedStorage:
      live.AllocatedStorage === undefined ? undefined : Math.max(live.AllocatedStorage, minimumStorageGib),
    NetworkType: live.NetworkType,
    DedicatedLogVolume: live.DedicatedLogVolume,
    ProcessorFeatures: live.ProcessorFeatures?.length ? live.ProcessorFeatures : undefined,
    EnableIAMDatabaseAuthentication: live.IAMDatabaseAuthenticationEnabled,
    EnableCloudwatchLogsExports: live.EnabledCloudwatchLogsExports?.length
      ? live.EnabledCloudwatchLogsExports
      : undefined,
    CACertificateIdentifier: live.CACertificateIdentifier,
    BackupRetentionPeriod: live.BackupRetentionPeriod,
    PreferredBackupWindow: live.PreferredBackupWindow,
    EngineLifecycleSupport: live.EngineLifecycleSupport,
  };
}

interface Setting {
  readonly name: string;
  readonly read: (instance: DBInstance) => unknown;
  /**
   * What ModifyDBInstance is told so that the recovery instance becomes like the live one; null: it cannot be changed on
   * an instance that exists, but must be equal.
   */
  readonly modify: ((live: DBInstance, recovery: DBInstance) => Partial<ModifyDBInstanceMessage>) | null;
  /** Why a difference is fine; such a setting is reported only. */
  readonly mayDiffer?: string;
  /** Which restore takes it; both, where it is not said. Deletion protection could be taken, and is left out on purpose. */
  readonly restoredBy?: 'none' | 'time';
}

/**
 * What an application does not notice, and RDS changes without interrupting anybody: set after the cutover, since RDS takes
 * no change of an instance during its first backup, which lasts for hours on a big database.
 */
const SERVES_WITHOUT = new Set([
  'MaxAllocatedStorage',
  'AutoMinorVersionUpgrade',
  'CopyTagsToSnapshot',
  'PreferredBackupWindow',
  'PreferredMaintenanceWindow',
  'MonitoringInterval',
  'MonitoringRoleArn',
  'DatabaseInsightsMode',
  'PerformanceInsightsEnabled',
  'PerformanceInsightsRetentionPeriod',
  'PerformanceInsightsKMSKeyId',
  'EnabledCloudwatchLogsExports',
  'EngineLifecycleSupport',
  'DeletionProtection',
]);

/** The settings without which the recovery instance must not serve, and the others. */
export type SettingsPart = 'to serve' | 'the rest';

const isOf = (part: SettingsPart, { name }: Setting): boolean =>
  SERVES_WITHOUT.has(name) === (part === 'the rest');

/**
 * What RDS may write in its own way or refuse to take over, without the database being less safe or less reachable. When
 * asking for it has not helped for a while, a difference is reported and the recovery goes on.
 */
const NOT_WORTH_FAILING = new Set([
  'Iops',
  'StorageThroughput',
  'MaxAllocatedStorage',
  'AutoMinorVersionUpgrade',
  'CopyTagsToSnapshot',
  'PreferredBackupWindow',
  'PreferredMaintenanceWindow',
  'MonitoringInterval',
  'MonitoringRoleArn',
  'DatabaseInsightsMode',
  'PerformanceInsightsEnabled',
  'PerformanceInsightsRetentionPeriod',
  'PerformanceInsightsKMSKeyId',
  'EnabledCloudwatchLogsExports',
  'CACertificateIdentifier',
  'OptionGroupName',
  'NetworkType',
  'DedicatedLogVolume',
  'EngineLifecycleSupport',
]);
const NOT_TAKEN = 'RDS did not take the value of the live instance; set it by hand';
const FOR_LATER = 'set after the cutover';
const CHANGED_SINCE =
  'the old instance was changed meanwhile; to change this one may interrupt the application: set it by hand';

const SETTINGS: readonly Setting[] = [
  same('DBInstanceClass', (live) => ({ DBInstanceClass: live.DBInstanceClass })),
  same('StorageType', (live) => ({ StorageType: live.StorageType, ...tuned(live) })),
  same('Iops', tuned),
  same('StorageThroughput', tuned),
  {
    name: 'AllocatedStorage',
    read: (instance) => instance.AllocatedStorage,
    modify: null,
    mayDiffer: 'storage never shrinks; it is at least that of the restore point',
  },
  {
    name: 'MaxAllocatedStorage',
    restoredBy: 'time',
    read: (instance) => instance.MaxAllocatedStorage,
    // Told the allocated size, RDS switches autoscaling off.
    modify: (live, recovery) => ({
      MaxAllocatedStorage: live.MaxAllocatedStorage ?? recovery.AllocatedStorage,
    }),
  },
  same('MultiAZ', (live) => ({ MultiAZ: live.MultiAZ })),
  same('PubliclyAccessible', (live) => ({ PubliclyAccessible: live.PubliclyAccessible })),
  same('AutoMinorVersionUpgrade', (live) => ({ AutoMinorVersionUpgrade: live.AutoMinorVersionUpgrade })),
  same('CopyTagsToSnapshot', (live) => ({ CopyTagsToSnapshot: live.CopyTagsToSnapshot })),
  same('BackupRetentionPeriod', (live) => ({ BackupRetentionPeriod: live.BackupRetentionPeriod })),
  same('PreferredBackupWindow', (live) => ({ PreferredBackupWindow: live.PreferredBackupWindow })),
  {
    ...same('PreferredMaintenanceWindow', (live) => ({
      PreferredMaintenanceWindow: live.PreferredMaintenanceWindow,
    })),
    restoredBy: 'none',
  },
  {
    name: 'MonitoringInterval',
    restoredBy: 'none',
    read: (instance) => instance.MonitoringInterval ?? 0,
    modify: monitoring,
  },
  {
    name: 'MonitoringRoleArn',
    restoredBy: 'none',
    // RDS may keep the role of monitoring that was switched off, and takes none without an interval.
    read: (instance) => (instance.MonitoringInterval ? instance.MonitoringRoleArn : undefined),
    modify: monitoring,
  },
  {
    name: 'DatabaseInsightsMode',
    restoredBy: 'none',
    read: (instance) => instance.DatabaseInsightsMode ?? 'standard',
    modify: insights,
  },
  {
    name: 'PerformanceInsightsEnabled',
    restoredBy: 'none',
    read: (instance) => instance.PerformanceInsightsEnabled ?? false,
    modify: insights,
  },
  { ...same('PerformanceInsightsRetentionPeriod', insights), restoredBy: 'none' },
  { ...same('PerformanceInsightsKMSKeyId', insights), restoredBy: 'none' },
  {
    name: 'IAMDatabaseAuthenticationEnabled',
    read: (instance) => instance.IAMDatabaseAuthenticationEnabled ?? false,
    modify: (live) => ({ EnableIAMDatabaseAuthentication: live.IAMDatabaseAuthenticationEnabled ?? false }),
  },
  {
    name: 'EnabledCloudwatchLogsExports',
    read: logExports,
    modify: (live, recovery) => ({
      CloudwatchLogsExportConfiguration: {
        EnableLogTypes: logExports(live).filter((type) => !logExports(recovery).includes(type)),
        DisableLogTypes: logExports(recovery).filter((type) => !logExports(live).includes(type)),
      },
    }),
  },
  same('CACertificateIdentifier', (live) => ({ CACertificateIdentifier: live.CACertificateIdentifier })),
  {
    name: 'DBParameterGroupName',
    read: (instance) => instance.DBParameterGroups?.[0]?.DBParameterGroupName,
    modify: (live) => ({ DBParameterGroupName: live.DBParameterGroups?.[0]?.DBParameterGroupName }),
  },
  {
    name: 'OptionGroupName',
    read: (instance) => instance.OptionGroupMemberships?.[0]?.OptionGroupName,
    modify: (live) => ({ OptionGroupName: live.OptionGroupMemberships?.[0]?.OptionGroupName }),
  },
  {
    name: 'VpcSecurityGroupIds',
    read: (instance) => [...securityGroups(instance)].sort(),
    modify: (live) => ({ VpcSecurityGroupIds: securityGroups(live) }),
  },
  {
    name: 'DBSubnetGroupName',
    read: (instance) => instance.DBSubnetGroup?.DBSubnetGroupName,
    modify: null,
  },
  { name: 'Port', read: (instance) => instance.Endpoint?.Port, modify: null },
  same('NetworkType', (live) => ({ NetworkType: live.NetworkType })),
  {
    name: 'DedicatedLogVolume',
    read: (instance) => instance.DedicatedLogVolume ?? false,
    modify: (live) => ({ DedicatedLogVolume: live.DedicatedLogVolume ?? false }),
  },
  {
    name: 'ProcessorFeatures',
    read: (instance) => instance.ProcessorFeatures ?? [],
    modify: (live) =>
      live.ProcessorFeatures?.length
        ? { ProcessorFeatures: live.ProcessorFeatures }
        : { UseDefaultProcessorFeatures: true },
  },
  same('EngineLifecycleSupport', (live) =>
    live.EngineLifecycleSupport ? { EngineLifecycleSupport: live.EngineLifecycleSupport } : {},
  ),
  {
    name: 'AssociatedRoles',
    read: (instance) =>
      named(instance.AssociatedRoles, ({ FeatureName, RoleArn }) => `${FeatureName ?? ''} ${RoleArn ?? ''}`),
    modify: null,
    mayDiffer: 'no restore takes roles: add them by hand',
  },
  {
    name: 'DomainMemberships',
    read: (instance) => named(instance.DomainMemberships, ({ Domain, FQDN }) => Domain ?? FQDN),
    modify: null,
    mayDiffer: 'joining a domain needs its credentials: join it by hand',
  },
  {
    name: 'DBInstanceAutomatedBackupsReplications',
    read: (instance) => (instance.DBInstanceAutomatedBackupsReplications?.length ? 'on' : 'off'),
    modify: null,
    mayDiffer: 'backups are replicated of an instance, not of its successor: start it by hand',
  },
  {
    name: 'ReadReplicaDBInstanceIdentifiers',
    read: (instance) => named(instance.ReadReplicaDBInstanceIdentifiers, (id) => id),
    modify: null,
    mayDiffer: 'a replica goes on with what it replicates: make new ones by hand',
  },
  same('MasterUsername', null),
  same('StorageEncrypted', null),
  { ...same('KmsKeyId', null), mayDiffer: 'the key comes from the backup' },
  { ...same('EngineVersion', null), mayDiffer: 'the version comes from the backup' },
  {
    name: 'DeletionProtection',
    restoredBy: 'none',
    read: (instance) => instance.DeletionProtection ?? false,
    modify: (live) => ({ DeletionProtection: live.DeletionProtection ?? false }),
  },
];

/** The members of a DBInstance that are not compared, and why. */
export const NOT_SETTINGS = {
  DBInstanceIdentifier: 'another instance has another name',
  DBInstanceArn: 'follows from the name',
  DbiResourceId: 'the identity of the instance',
  InstanceCreateTime: 'the identity of the instance',
  TagList: 'carried by the restore, with marks of this system beside them',
  DBInstanceStatus: 'what is going on',
  PendingModifiedValues: 'what is going on; waited for',
  StatusInfos: 'what is going on',
  PercentProgress: 'what is going on',
  StorageOperationStatus: 'what is going on',
  StorageOperationPercentProgress: 'what is going on; Hydrate waits for it',
  StorageVolumeStatus: 'what is going on',
  LatestRestorableTime: 'what is going on',
  AutomaticRestartTime: 'of an instance that is stopped',
  SecondaryAvailabilityZone: 'RDS chooses it',
  AvailabilityZone:
    'carried where there is one; of a Multi-AZ instance RDS chooses both, and they change at a failover',
  Engine: 'a backup of PostgreSQL makes PostgreSQL',
  LicenseModel: 'PostgreSQL has one',
  DBName: 'in the backup',
  MasterUserSecret:
    'RDS cannot manage the password of what it restores: this system needs a secret of its own',
  EnhancedMonitoringResourceArn: 'follows from the monitoring',
  CertificateDetails: 'follows from CACertificateIdentifier',
  DbInstancePort: 'of clusters; the port is in Endpoint',
  StorageEncryptionType: 'follows from the key, which comes from the backup',
  IsStorageConfigUpgradeAvailable: 'advice of RDS',
  UpgradeRolloutOrder: 'a policy of the organisation, chosen by tags, which are carried',
  DBCapacityReservationIdentifier: 'one reservation holds one instance',
  BackupTarget: 'in the Region; Outposts and Local Zones are not supported here',
  CustomerOwnedIpEnabled: 'of Outposts',
  AwsBackupRecoveryPointArn: 'of a backup plan, which chooses instances itself',
  DBSecurityGroups: 'of EC2-Classic',
  ReadReplicaSourceDBInstanceIdentifier: 'of a replica, which is no live instance',
  ReadReplicaSourceDBClusterIdentifier: 'of a replica, which is no live instance',
  ReadReplicaDBClusterIdentifiers: 'replicas in Aurora: made anew by hand',
  ReplicaMode: 'of Oracle and Db2',
  DBClusterIdentifier: 'of clusters',
  PromotionTier: 'of Aurora',
  ListenerEndpoint: 'of SQL Server',
  CharacterSetName: 'of Oracle',
  NcharCharacterSetName: 'of Oracle',
  Timezone: 'of SQL Server and Db2',
  TdeCredentialArn: 'of Oracle',
  MultiTenant: 'of Oracle',
  DBSystemId: 'of Oracle',
  AdditionalStorageVolumes: 'of Oracle and SQL Server',
  ActivityStreamStatus: 'of Oracle and SQL Server',
  ActivityStreamKmsKeyId: 'of Oracle and SQL Server',
  ActivityStreamKinesisStreamName: 'of Oracle and SQL Server',
  ActivityStreamMode: 'of Oracle and SQL Server',
  ActivityStreamEngineNativeAuditFieldsIncluded: 'of Oracle and SQL Server',
  ActivityStreamPolicyStatus: 'of Oracle and SQL Server',
  AutomationMode: 'of RDS Custom',
  ResumeFullAutomationModeTime: 'of RDS Custom',
  CustomIamInstanceProfile: 'of RDS Custom',
} as const satisfies Partial<Record<keyof DBInstance, string>>;

export interface ComparedSetting {
  readonly name: string;
  readonly live: string;
  readonly recovery: string;
  readonly equal: boolean;
  /** Why a difference is fine; a difference without a note is not. */
  readonly note?: string;
}

/** Every setting of the live instance beside that of the recovery instance; `done` is what was asked for so far. */
export function compareSettings(
  live: DBInstance,
  recovery: DBInstance,
  done: 'to serve' | 'all',
): ComparedSetting[] {
  const isLater = (setting: Setting): boolean => done === 'to serve' && isOf('the rest', setting);
  return SETTINGS.map((setting) => {
    const [ofLive, ofRecovery] = [show(setting.read(live)), show(setting.read(recovery))];
    const equal = ofLive === ofRecovery;
    return {
      name: setting.name,
      live: ofLive,
      recovery: ofRecovery,
      equal,
      ...(equal ? {} : explanation(setting, done, isLater(setting))),
    };
  });
}

/** Before the cutover what is worth failing for has none. After it all that is left is for a person. */
function explanation(setting: Setting, done: 'to serve' | 'all', isLater: boolean): { note?: string } {
  if (setting.mayDiffer !== undefined) return { note: setting.mayDiffer };
  if (isLater) return { note: FOR_LATER };
  if (NOT_WORTH_FAILING.has(setting.name)) return { note: NOT_TAKEN };
  if (done !== 'all') return {};
  return { note: isOf('to serve', setting) ? CHANGED_SINCE : NOT_TAKEN };
}

/** Throws SettingsDiffer where a setting differs and nothing says why that is fine: such an instance must not serve. */
export function requireExplained(instanceId: string, compared: readonly ComparedSetting[]): void {
  const unexplained = compared.filter(({ equal, note }) => !equal && note === undefined);
  if (unexplained.length > 0)
    throw new SettingsDiffer(
      `${instanceId} differs from the live instance: ${unexplained.map(({ name, live, recovery }) => `${name} is ${recovery}, not ${live}`).join('; ')}.`,
      'Was the live instance changed during the recovery? Start a new one.',
    );
}

/**
 * What to change on the recovery instance, and the names of what differs and cannot be changed. `asked` long enough: without
 * what is not worth failing for.
 */
export function settingsToModify(
  live: DBInstance,
  recovery: DBInstance,
  part: SettingsPart,
  asked: 'not long' | 'long enough',
): { changes: Partial<ModifyDBInstanceMessage>; impossible: string[] } {
  const differing = SETTINGS.filter(
    (setting) =>
      isOf(part, setting) &&
      !setting.mayDiffer &&
      !(asked === 'long enough' && NOT_WORTH_FAILING.has(setting.name)) &&
      show(setting.read(live)) !== show(setting.read(recovery)),
  );
  return {
    changes: differing.reduce<Partial<ModifyDBInstanceMessage>>(
      (changes, setting) => ({ ...changes, ...setting.modify?.(live, recovery) }),
      {},
    ),
    impossible: differing.filter((setting) => setting.modify === null).map((setting) => setting.name),
  };
}

/** What the restore does not take, and so is changed afterwards: what the live instance has and a new one has not. */
export function modifiedAfterRestore(live: DBInstance, by: 'snapshot' | 'time'): string[] {
  return SETTINGS.filter(
    ({ restoredBy, read }) =>
      restoredBy !== undefined && restoredBy !== by && show(read(live)) !== show(read({})),
  ).map(({ name }) => name);
}

/** What comes from the backup whatever the restore is told, where it differs. */
export function asInBackup(
  live: DBInstance,
  backup: Pick<DBInstance, 'EngineVersion' | 'KmsKeyId' | 'StorageEncrypted'>,
): { name: string; live: string; backup: string }[] {
  return (['EngineVersion', 'StorageEncrypted', 'KmsKeyId'] as const).flatMap((name) => {
    const [ofLive, ofBackup] = [show(live[name]), show(backup[name])];
    return ofLive === ofBackup ? [] : [{ name, live: ofLive, backup: ofBackup }];
  });
}

/** A setting that has one member, of the same name everywhere. */
function same(name: keyof DBInstance, modify: Setting['modify']): Setting {
  return { name, read: (instance) => instance[name], modify };
}

function tuned(live: DBInstance): Partial<ModifyDBInstanceMessage> {
  const { Iops, StorageThroughput } = restoreSettings(live);
  return {
    ...(Iops === undefined ? {} : { Iops, AllocatedStorage: live.AllocatedStorage }),
    ...(StorageThroughput === undefined ? {} : { StorageThroughput }),
  };
}

function monitoring(live: DBInstance): Partial<ModifyDBInstanceMessage> {
  const interval = live.MonitoringInterval ?? 0;
  return interval === 0
    ? { MonitoringInterval: 0 }
    : { MonitoringInterval: interval, MonitoringRoleArn: live.MonitoringRoleArn };
}

function insights(live: DBInstance): Partial<ModifyDBInstanceMessage> {
  if (!live.PerformanceInsightsEnabled)
    return {
      EnablePerformanceInsights: false,
      ...(live.DatabaseInsightsMode ? { DatabaseInsightsMode: live.DatabaseInsightsMode } : {}),
    };
  return {
    EnablePerformanceInsights: true,
    PerformanceInsightsRetentionPeriod: live.PerformanceInsightsRetentionPeriod,
    PerformanceInsightsKMSKeyId: live.PerformanceInsightsKMSKeyId,
    DatabaseInsightsMode: live.DatabaseInsightsMode,
  };
}

function securityGroups(instance: DBInstance): string[] {
  return (instance.VpcSecurityGroups ?? [])
    .filter((group) => group.Status !== 'removing')
    .flatMap((group) => group.VpcSecurityGroupId ?? []);
}

/** So that the order in which RDS lists things is no difference. */
function named<T>(list: readonly T[] | undefined, name: (item: T) => string | undefined): string[] {
  return (list ?? []).flatMap((item) => name(item) ?? []).sort();
}

function logExports(instance: DBInstance): string[] {
  return [...(instance.EnabledCloudwatchLogsExports ?? [])].sort();
}

function show(value: unknown): string {
  return value === undefined || value === null
    ? 'none'
    : typeof value === 'string'
      ? value
      : JSON.stringify(value);
}
