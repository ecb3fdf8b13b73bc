import { closeAutomatedBackups, beginBaseBackup, openAutomatedBackups } from './automated-backups';
import { serverSettings } from './parameter-groups';
import { planOnInstance } from './plan-on-instance';
import type { Plan, Rds } from './rds';
import type { Change, InstanceRecord, PendingSettings } from './state';

/** What modifications do to an instance, one after the other. */
export type ModificationTask =
  | ({ readonly do: 'change'; readonly dbiResourceId: string } & Change)
  | {
      /** From the answer to a modification until its first change begins. */
      readonly do: 'await-changes';
      readonly dbiResourceId: string;
    }
  | {
      readonly do: 'optimize-storage' | 'associate-parameter-group' | 'add-security-groups';
      readonly dbiResourceId: string;
    };

const STORAGE = ['allocatedStorage', 'storageType', 'iops', 'storageThroughput'] as const;

export function planModification(rds: Rds, task: ModificationTask): Plan {
  const { dbiResourceId } = task;
  switch (task.do) {
    case 'change':
      return planChange(rds, dbiResourceId, task);
    case 'await-changes':
      return planOnInstance(
        rds,
        dbiResourceId,
        { kind: 'modifyStarts' },
        {
          done: (instance) => {
            rds.beginChange(instance);
          },
        },
      );
    case 'optimize-storage':
      return planOnInstance(
        rds,
        dbiResourceId,
        { kind: 'storageOptimization' },
        {
          done: (instance) => {
            if (instance.status === 'storage-optimization') rds.settle(instance);
          },
        },
      );
    case 'associate-parameter-group':
      return begunWith(rds, dbiResourceId, {
        // It takes effect at the next reboot, whatever its parameters.
        begun: (instance) => (instance.parameterApplyStatus = 'applying'),
        done: (instance) => (instance.parameterApplyStatus = 'pending-reboot'),
      });
    case 'add-security-groups':
      return begunWith(rds, dbiResourceId, {
        begun: (instance) => (instance.securityGroupStatus = 'adding'),
        done: (instance) => (instance.securityGroupStatus = 'active'),
      });
  }
}

function begunWith(
  rds: Rds,
  dbiResourceId: string,
  { begun, done }: { begun: (instance: InstanceRecord) => void; done: (instance: InstanceRecord) => void },
): Plan {
  return {
    ...planOnInstance(rds, dbiResourceId, { kind: 'applyGroup' }, { done }),
    begun: () => {
      const instance = rds.byResourceId(dbiResourceId);
      if (instance) begun(instance);
    },
  };
}

function planChange(rds: Rds, dbiResourceId: string, change: Change): Plan {
  const failed = (instance: InstanceRecord): void => {
    instance.changes = [];
  };
  const settle = (instance: InstanceRecord): void => {
    rds.settle(instance);
  };
  switch (change.change) {
    case 'settings':
      return planOnInstance(
        rds,
        dbiResourceId,
        { kind: 'modify', status: statusOf(change.staged) },
        {
          work: (instance) => bringToServer(rds, instance, change.staged),
          done: (instance) => {
            recordSettings(rds, instance, change.staged);
          },
          failed,
        },
      );
    case 'password':
      return planOnInstance(
        rds,
        dbiResourceId,
        { kind: 'resetCredentials', status: 'resetting-master-credentials' },
        {
          work: (instance) =>
            rds.server(instance).setMasterPassword(instance.masterUsername, change.verifier),
          done: (instance) => {
            instance.pending.masterPassword = false;
            rds.event(instance, 'RDS-EVENT-0016', ['configuration change'], 'Reset master credentials');
            settle(instance);
          },
          failed,
        },
      );
    case 'name':
      return planOnInstance(
        rds,
        dbiResourceId,
        { kind: 'rename', status: 'renaming' },
        {
          work: (instance) => readdress(rds, instance, instance.settings.port),
          done: (instance) => {
            rename(rds, instance, change.newIdentifier);
            settle(instance);
          },
          failed,
        },
      );
  }
}

/** Some modifications have a status of their own. */
function statusOf(staged: PendingSettings): InstanceRecord['status'] {
  const names = Object.keys(staged);
  const are = (...wanted: readonly string[]): boolean =>
    names.length > 0 && names.every((name) => wanted.includes(name));
  if (are('logExports')) return 'configuring-log-exports';
  if (are('iamAuthentication')) return 'configuring-iam-database-auth';
  if (are('monitoringInterval', 'monitoringRoleArn')) return 'configuring-enhanced-monitoring';
  return 'modifying';
}

async function bringToServer(rds: Rds, instance: InstanceRecord, staged: PendingSettings): Promise<void> {
  const { dbiResourceId } = instance;
  const retention = staged.backupRetentionPeriod;
  const hasBackups = rds.state.automatedBackups.has(dbiResourceId);
  const switchesBackups = retention !== undefined && retention > 0 !== hasBackups;
  if (switchesBackups && hasBackups) closeAutomatedBackups(rds, dbiResourceId);
  if (switchesBackups && !hasBackups) openAutomatedBackups(rds, instance);
  if (switchesBackups || staged.instanceClass !== undefined) {
    const server = rds.server(instance);
    const settings = { ...instance.settings, ...staged };
    const { pendingReboot } = await server.configure(
      serverSettings(rds, { dbiResourceId, settings }, instance.appliedParameters),
    );
    // Another class is another machine.
    if (pendingReboot || staged.instanceClass !== undefined) await server.restart();
  }
  if (staged.port !== undefined) await readdress(rds, instance, staged.port);
}

function recordSettings(rds: Rds, instance: InstanceRecord, staged: PendingSettings): void {
  const startsBackups =
    instance.settings.backupRetentionPeriod === 0 && (staged.backupRetentionPeriod ?? 0) > 0;
  instance.settings = { ...instance.settings, ...staged };
  // A value that was ordered again meanwhile stays pending.
  const taken = new Map<string, unknown>(Object.entries(staged));
  const left = Object.entries(instance.pending.settings).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(taken.get(name)),
  );
  instance.pending = { ...instance.pending, settings: Object.fromEntries(left) };
  if (STORAGE.some((name) => staged[name] !== undefined)) {
    const { dbiResourceId } = instance;
    instance.optimizingUntil = rds.begin({ do: 'optimize-storage', dbiResourceId }).until;
  }
  if (startsBackups) beginBaseBackup(rds, instance, 'firstBackup');
  else rds.settle(instance);
}

function rename(rds: Rds, instance: InstanceRecord, newIdentifier: string): void {
  const { instances } = rds.state;
  const before = instance.identifier;
  instances.delete(before);
  instance.identifier = newIdentifier;
  instances.set(newIdentifier, instance);
  instance.pending = { ...instance.pending, newIdentifier: undefined };
  rds.event(
    instance,
    'RDS-EVENT-0014',
    ['configuration change'],
    `Renamed instance from ${before} to ${newIdentifier}`,
  );
}

/** Moves the server to a new address: the old one answers no more. */
async function readdress(rds: Rds, instance: InstanceRecord, port: number): Promise<void> {
  const { postgres } = rds;
  const before = instance.address;
  const server = rds.server(instance);
  await server.readdress(await postgres.reserveAddress(port));
  instance.address = server.address;
  if (before) rds.retire(before);
}
