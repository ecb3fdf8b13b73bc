import type { ModifyDBInstanceMessage } from '@aws-sdk/client-rds';
import { NotInSandbox, type Operation } from '../core/api';
import { closeAutomatedBackups, openAutomatedBackups, takeBaseBackup } from './automated-backups';
import { DEFAULT_SUBNET_GROUP } from './defaults';
import { describeInstance } from './describe';
import type { OperationKind } from './durations';
import {
  instanceAlreadyExists,
  invalidCombination,
  invalidInstanceState,
  invalidValue,
  subnetGroupNotFound,
} from './errors';
import { checkPassword, LONGEST_INSTANCE_IDENTIFIER, newIdentifier } from './identifiers';
import { operation } from './operation';
import { parameterGroup, serverSettings } from './parameter-groups';
import type { Rds } from './rds';
import { checkSettings, withoutUndefined } from './settings';
import { isIdle, type InstanceRecord, type InstanceSettings, type PendingSettings } from './state';

/** One thing that a modification does, with the status that the instance shows meanwhile. */
interface Stage {
  readonly status: InstanceRecord['status'];
  readonly kind: OperationKind;
  readonly work?: () => Promise<void>;
  /** Brings the records up to date; the instance is idle or goes on with the next stage afterwards. */
  readonly apply: () => void;
  /** Takes the first automated backup before going on. */
  readonly startsBackups?: boolean;
}

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

const STORAGE = ['allocatedStorage', 'storageType', 'iops', 'storageThroughput'] as const;

/** The modifications of instances: what waits, what runs, and in which order. */
export class Modifications {
  /** What was ordered and has not been done yet, by DbiResourceId. */
  private readonly queues = new Map<string, Stage[]>();

  constructor(private readonly rds: Rds) {}

  operations(): Record<string, Operation> {
    return operation<ModifyDBInstanceMessage>('ModifyDBInstance', MEMBERS, (input) => ({
      DBInstance: describeInstance(this.rds, this.modify(input)),
    }));
  }

  /** Does what was left for the maintenance window. */
  applyPending(instance: InstanceRecord): void {
    const { settings, newIdentifier: renamed } = instance.pending;
    const left = { ...settings };
    const stages: Stage[] = [];
    if (Object.keys(left).length > 0) stages.push(this.settingsStage(instance, left));
    if (renamed !== undefined) stages.push(this.renameStage(instance, renamed));
    if (stages.length > 0) this.order(instance, stages);
  }

  private modify(input: ModifyDBInstanceMessage): InstanceRecord {
    const { rds } = this;
    const instance = rds.instance(input.DBInstanceIdentifier);
    if (!isIdle(instance)) throw invalidInstanceState('Database instance is not in available state.');
    if (input.MasterUserPassword !== undefined) checkPassword(input.MasterUserPassword);
    this.checkEngineVersion(instance, input);
    const now = this.settingsAtOnce(instance, input);
    const later = this.settingsInStages(instance, input);
    checkSettings({ ...instance.settings, ...instance.pending.settings, ...now, ...later });
    this.checkGrowth(instance, later);
    const renamed = this.newName(instance, input.NewDBInstanceIdentifier);

    const changesParameterGroup = now.parameterGroupName !== undefined;
    const changesSecurityGroups = now.securityGroupIds !== undefined;
    instance.settings = { ...instance.settings, ...now };
    if (changesParameterGroup) this.changeParameterGroup(instance);
    if (changesSecurityGroups) this.changeSecurityGroups(instance);

    const atOnce = input.ApplyImmediately ?? false;
    const deferred = atOnce ? {} : this.deferred(instance, later);
    const staged = Object.fromEntries(Object.entries(later).filter(([name]) => !(name in deferred)));
    instance.pending = {
      settings: { ...instance.pending.settings, ...later },
      newIdentifier: renamed ?? instance.pending.newIdentifier,
      masterPassword: instance.pending.masterPassword || input.MasterUserPassword !== undefined,
    };
    const stages: Stage[] = [];
    if (Object.keys(staged).length > 0 || Object.keys(now).length > 0) {
      stages.push(this.settingsStage(instance, atOnce ? instance.pending.settings : staged));
    }
    if (input.MasterUserPassword !== undefined) {
      stages.push(this.passwordStage(instance, input.MasterUserPassword));
    }
    if (renamed !== undefined && atOnce) stages.push(this.renameStage(instance, renamed));
    if (stages.length > 0) this.order(instance, stages);
    return instance;
  }

  /** Settings that take effect without an outage, as soon as they are asked for. Only real changes are answered. */
  private settingsAtOnce(
    instance: InstanceRecord,
    input: ModifyDBInstanceMessage,
  ): Partial<InstanceSettings> {
    const group = input.DBParameterGroupName;
    return this.changes(instance, {
      securityGroupIds: input.VpcSecurityGroupIds,
      parameterGroupName: group === undefined ? undefined : parameterGroup(this.rds, group).name,
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
      monitoringInterval: input.MonitoringInterval,
      monitoringRoleArn: input.MonitoringRoleArn,
      performanceInsights: input.EnablePerformanceInsights,
      performanceInsightsKmsKeyId: input.PerformanceInsightsKMSKeyId,
      performanceInsightsRetentionPeriod: input.PerformanceInsightsRetentionPeriod,
      databaseInsightsMode: input.DatabaseInsightsMode,
    });
  }

  /** Settings that are shown as pending until they have been brought to the server. */
  private settingsInStages(instance: InstanceRecord, input: ModifyDBInstanceMessage): PendingSettings {
    const subnetGroupName = input.DBSubnetGroupName?.toLowerCase();
    if (
      subnetGroupName !== undefined &&
      subnetGroupName !== DEFAULT_SUBNET_GROUP &&
      !this.rds.state.subnetGroups.has(subnetGroupName)
    ) {
      throw subnetGroupNotFound(subnetGroupName);
    }
    const logs = input.CloudwatchLogsExportConfiguration;
    const kept = instance.settings.logExports.filter((log) => !logs?.DisableLogTypes?.includes(log));
    return this.changes(instance, {
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
    });
  }

  private changes(
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
  private deferred({ settings }: InstanceRecord, later: PendingSettings): PendingSettings {
    const switchesBackups =
      later.backupRetentionPeriod !== undefined &&
      (later.backupRetentionPeriod === 0) !== (settings.backupRetentionPeriod === 0);
    const names: readonly string[] = switchesBackups ? [...DEFERRABLE, 'backupRetentionPeriod'] : DEFERRABLE;
    return Object.fromEntries(Object.entries(later).filter(([name]) => names.includes(name)));
  }

  private checkGrowth({ settings }: InstanceRecord, { allocatedStorage }: PendingSettings): void {
    if (allocatedStorage !== undefined && allocatedStorage < settings.allocatedStorage) {
      throw invalidCombination(
        `Invalid storage size: ${allocatedStorage} GiB is less than the ${settings.allocatedStorage} GiB that the instance has.`,
      );
    }
  }

  private checkEngineVersion(instance: InstanceRecord, { EngineVersion }: ModifyDBInstanceMessage): void {
    if (EngineVersion === undefined || EngineVersion === instance.engineVersion) return;
    if (EngineVersion === instance.engineVersion.split('.')[0]) return;
    throw new NotInSandbox(`RDS ModifyDBInstance upgrade to EngineVersion ${EngineVersion}`);
  }

  private newName(instance: InstanceRecord, name: string | undefined): string | undefined {
    if (name === undefined) return undefined;
    const id = newIdentifier(name, 'NewDBInstanceIdentifier', LONGEST_INSTANCE_IDENTIFIER);
    if (id === instance.identifier) {
      throw invalidValue('The new DB instance identifier must differ from the present one.');
    }
    if (this.rds.state.instances.has(id)) throw instanceAlreadyExists();
    return id;
  }

  /** A newly associated group takes effect at the next reboot, whatever its parameters. */
  private changeParameterGroup(instance: InstanceRecord): void {
    instance.parameterApplyStatus = 'applying';
    this.after('applyGroup', () => {
      instance.parameterApplyStatus = 'pending-reboot';
    });
  }

  private changeSecurityGroups(instance: InstanceRecord): void {
    instance.securityGroupStatus = 'adding';
    this.after('applyGroup', () => {
      instance.securityGroupStatus = 'active';
    });
  }

  private after(kind: OperationKind, task: () => void): void {
    const { clock } = this.rds.context;
    clock.schedule(new Date(clock.now().getTime() + this.rds.durations.draw(kind)), task);
  }

  /** Puts stages in the instance's queue; the instance still looks available until the first one begins. */
  private order(instance: InstanceRecord, stages: readonly Stage[]): void {
    const queue = this.queues.get(instance.dbiResourceId);
    if (queue) {
      queue.push(...stages);
      return;
    }
    this.queues.set(instance.dbiResourceId, [...stages]);
    this.after('modifyStarts', () => {
      this.begin(instance);
    });
  }

  /** Begins the next stage as soon as nothing else is being done to the instance. */
  private begin(instance: InstanceRecord): void {
    const { rds } = this;
    const stage = this.queues.get(instance.dbiResourceId)?.shift();
    if (!stage || instance.status === 'deleting') {
      this.queues.delete(instance.dbiResourceId);
      return;
    }
    if (!isIdle(instance)) {
      this.queues.get(instance.dbiResourceId)?.unshift(stage);
      const { clock } = rds.context;
      clock.schedule(
        new Date(clock.now().getTime() + BUSY_RETRY),
        () => {
          this.begin(instance);
        },
        { background: true },
      );
      return;
    }
    const next = (): void => {
      rds.settle(instance);
      this.begin(instance);
    };
    rds.step(instance, stage.status, stage.kind, {
      ...(stage.work && { work: stage.work }),
      done: () => {
        stage.apply();
        if (stage.startsBackups) takeBaseBackup(rds, instance, 'firstBackup', next);
        else next();
      },
      failed: () => this.queues.delete(instance.dbiResourceId),
    });
  }

  private settingsStage(instance: InstanceRecord, staged: PendingSettings): Stage {
    const { rds } = this;
    const retention = staged.backupRetentionPeriod;
    const startsBackups =
      retention !== undefined && retention > 0 && instance.settings.backupRetentionPeriod === 0;
    const endsBackups = retention === 0;
    const changesStorage = STORAGE.some((name) => staged[name] !== undefined);
    return {
      status: stageStatus(staged),
      kind: 'modify',
      work: async () => {
        if (startsBackups) openAutomatedBackups(rds, instance);
        if (endsBackups) closeAutomatedBackups(rds, instance.dbiResourceId);
        if (startsBackups || endsBackups) {
          const server = rds.server(instance);
          const settings = serverSettings(rds, instance, instance.appliedParameters);
          const { pendingReboot } = await server.configure(settings);
          if (pendingReboot) await server.restart();
        }
        if (staged.port !== undefined) await this.readdress(instance, staged.port);
      },
      apply: () => {
        instance.settings = { ...instance.settings, ...staged };
        // A value that was ordered again meanwhile stays pending.
        const left = Object.entries(instance.pending.settings).filter(
          ([name, value]) =>
            JSON.stringify(value) !== JSON.stringify(new Map(Object.entries(staged)).get(name)),
        );
        instance.pending = { ...instance.pending, settings: Object.fromEntries(left) };
        if (changesStorage) this.optimizeStorage(instance);
      },
      startsBackups,
    };
  }

  private optimizeStorage(instance: InstanceRecord): void {
    const { rds } = this;
    const until = new Date(rds.now().getTime() + rds.durations.draw('storageOptimization'));
    instance.optimizingUntil = until;
    rds.context.clock.schedule(until, () => {
      if (instance.status === 'storage-optimization') rds.settle(instance);
    });
  }

  private passwordStage(instance: InstanceRecord, password: string): Stage {
    return {
      status: 'resetting-master-credentials',
      kind: 'resetCredentials',
      work: () => this.rds.server(instance).setMasterPassword(instance.masterUsername, password),
      apply: () => {
        instance.pending.masterPassword = false;
        this.rds.event(instance, 'RDS-EVENT-0016', ['configuration change'], 'Reset master credentials');
      },
    };
  }

  private renameStage(instance: InstanceRecord, renamed: string): Stage {
    const { instances } = this.rds.state;
    return {
      status: 'renaming',
      kind: 'rename',
      work: () => this.readdress(instance, instance.settings.port),
      apply: () => {
        const before = instance.identifier;
        instances.delete(before);
        instance.identifier = renamed;
        instances.set(renamed, instance);
        instance.pending = { ...instance.pending, newIdentifier: undefined };
        this.rds.event(
          instance,
          'RDS-EVENT-0014',
          ['configuration change'],
          `Renamed instance from ${before} to ${renamed}`,
        );
      },
    };
  }

  /** Moves the server to a new address: the old one answers no more. */
  private async readdress(instance: InstanceRecord, port: number): Promise<void> {
    const { postgres } = this.rds;
    const before = instance.address;
    const address = await postgres.reserveAddress(port);
    await this.rds.server(instance).readdress(address);
    instance.address = address;
    if (before) this.rds.retire(before);
  }
}

/** An instance that is busy when a modification is due is looked at again after this, in milliseconds. */
const BUSY_RETRY = 1000;

/** Some modifications have a status of their own. */
function stageStatus(staged: PendingSettings): InstanceRecord['status'] {
  const names = Object.keys(staged);
  const only = names.length === 1 ? names[0] : undefined;
  if (only === 'logExports') return 'configuring-log-exports';
  if (only === 'iamAuthentication') return 'configuring-iam-database-auth';
  return 'modifying';
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
