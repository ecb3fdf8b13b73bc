import type { Server, ServerOptions } from '../postgres/contract';
import { openAutomatedBackups, takeBaseBackup } from './automated-backups';
import { MOST_INSTANCES } from './defaults';
import type { OperationKind } from './durations';
import { instanceAlreadyExists, instanceQuotaExceeded, subnetGroupNotFound } from './errors';
import { groupParameters, parameterGroup, serverSettings } from './parameter-groups';
import { resourceId, type Rds } from './rds';
import { DEFAULT_SUBNET_GROUP } from './defaults';
import type { InstanceRecord, InstanceSettings, InstanceStatus } from './state';

/** A new instance as its making begins. */
export type NewInstance = Pick<
  InstanceRecord,
  | 'identifier'
  | 'engineVersion'
  | 'masterUsername'
  | 'databaseName'
  | 'storageEncrypted'
  | 'kmsKeyId'
  | 'settings'
  | 'tags'
>;

/** Refuses a new instance that must not be, before anything has been made. */
export function admit(rds: Rds, identifier: string, settings: InstanceSettings): void {
  const { instances, subnetGroups } = rds.state;
  if (instances.has(identifier)) throw instanceAlreadyExists();
  if (instances.size >= MOST_INSTANCES) throw instanceQuotaExceeded(MOST_INSTANCES);
  parameterGroup(rds, settings.parameterGroupName);
  const { subnetGroupName } = settings;
  if (subnetGroupName !== DEFAULT_SUBNET_GROUP && !subnetGroups.has(subnetGroupName)) {
    throw subnetGroupNotFound(subnetGroupName);
  }
}

/** How the server of an instance is to run. */
export function serverOptions(rds: Rds, instance: InstanceRecord): Omit<ServerOptions, 'address'> {
  return {
    directory: rds.path('instances', instance.dbiResourceId),
    ...serverSettings(rds, instance, instance.appliedParameters),
  };
}

/**
 * Makes an instance: `creating` while `make` brings up its server, `backing-up` for its first automated backup unless
 * retention is 0, then `available`.
 */
export function launch(
  rds: Rds,
  fresh: NewInstance,
  kind: OperationKind,
  make: (options: ServerOptions) => Promise<Server>,
  options: { readonly failedStatus?: InstanceStatus; readonly hydrates?: boolean } = {},
): InstanceRecord {
  const instance: InstanceRecord = {
    ...fresh,
    dbiResourceId: resourceId('db'),
    status: 'creating',
    parameterApplyStatus: 'applying',
    appliedParameters: groupParameters(parameterGroup(rds, fresh.settings.parameterGroupName)),
    securityGroupStatus: 'adding',
    pending: { settings: {}, masterPassword: false },
  };
  rds.state.instances.set(instance.identifier, instance);
  if (instance.settings.backupRetentionPeriod > 0) openAutomatedBackups(rds, instance);
  rds.step(
    instance,
    'creating',
    kind,
    {
      work: async () => {
        const address = await rds.postgres.reserveAddress(instance.settings.port);
        try {
          rds.adopt(instance, await make({ ...serverOptions(rds, instance), address }));
        } catch (error) {
          rds.postgres.releaseAddress(address);
          throw error;
        }
      },
      done: () => {
        instance.createTime = rds.now();
        instance.address = rds.servers.get(instance.dbiResourceId)?.address;
        instance.parameterApplyStatus = 'in-sync';
        instance.securityGroupStatus = 'active';
        if (options.hydrates) {
          const from = rds.now();
          instance.hydration = { from, until: new Date(from.getTime() + rds.durations.draw('hydration')) };
        }
        rds.event(instance, 'RDS-EVENT-0005', ['creation'], 'DB instance created');
        takeBaseBackup(rds, instance, 'firstBackup', () => {
          rds.settle(instance);
        });
      },
    },
    options.failedStatus,
  );
  return instance;
}
