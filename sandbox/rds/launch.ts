import type { Server, ServerOptions } from '../postgres/contract';
import { beginBaseBackup, openAutomatedBackups } from './automated-backups';
import { DEFAULT_SUBNET_GROUP, MOST_INSTANCES } from './defaults';
import { discardBackup } from './directories';
import { instanceAlreadyExists, instanceQuotaExceeded, subnetGroupNotFound } from './errors';
import { resourceId } from './identifiers';
import { groupParameters, parameterGroup, serverSettings } from './parameter-groups';
import { checkPlacement } from './placement';
import { planOnInstance } from './plan-on-instance';
import type { Plan, Rds } from './rds';
import type { InstanceRecord, InstanceSettings } from './state';

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

/** What a new instance is made from. Directories are below RDS's own. */
type Origin =
  | { readonly from: 'nothing'; readonly masterVerifier: string; readonly databaseName: string }
  | { readonly from: 'snapshot'; readonly backup: string }
  | {
      readonly from: 'automated-backup';
      readonly sourceDbiResourceId: string;
      readonly backup: string;
      readonly walArchive: string;
      /** As PostgreSQL's own clock saw it. */
      readonly realTime: Date;
    };

/** The making of an instance, `creating` until its server runs. */
export interface LaunchTask {
  readonly do: 'launch';
  readonly dbiResourceId: string;
  readonly origin: Origin;
}

/** The directories that a new instance is read from. */
export function sourcesOf(origin: Origin): string[] {
  if (origin.from === 'nothing') return [];
  return origin.from === 'snapshot' ? [origin.backup] : [origin.backup, origin.walArchive];
}

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
  checkPlacement(rds, settings);
}

/** How the server of an instance is to run. */
function serverOptions(rds: Rds, instance: InstanceRecord): Omit<ServerOptions, 'address'> {
  return {
    directory: rds.path('instances', instance.dbiResourceId),
    ...serverSettings(rds, instance, instance.appliedParameters),
  };
}

/** Starts the server of an instance again, at the address that it had. */
export async function reopen(rds: Rds, instance: InstanceRecord): Promise<void> {
  const { address } = instance;
  if (!address) throw new Error('it has no address');
  rds.adopt(instance, await rds.postgres.open({ ...serverOptions(rds, instance), address }));
}

/**
 * Makes an instance: `creating` while its server is brought up, `backing-up` for its first automated backup unless retention
 * is 0, then `available`.
 */
export function launch(rds: Rds, fresh: NewInstance, origin: Origin): InstanceRecord {
  const instance: InstanceRecord = {
    ...fresh,
    dbiResourceId: resourceId('db'),
    status: 'creating',
    parameterApplyStatus: 'applying',
    appliedParameters: groupParameters(parameterGroup(rds, fresh.settings.parameterGroupName)),
    securityGroupStatus: 'adding',
    pending: { settings: {}, masterPassword: false },
    changes: [],
    runs: false,
  };
  rds.state.instances.set(instance.identifier, instance);
  if (instance.settings.backupRetentionPeriod > 0) openAutomatedBackups(rds, instance);
  rds.begin({ do: 'launch', dbiResourceId: instance.dbiResourceId, origin });
  return instance;
}

const KINDS = {
  nothing: 'create',
  snapshot: 'restoreSnapshot',
  'automated-backup': 'restoreToTime',
} as const satisfies Record<Origin['from'], string>;

export function planLaunch(rds: Rds, { dbiResourceId, origin }: LaunchTask): Plan {
  const restores = origin.from !== 'nothing';
  const plan = planOnInstance(
    rds,
    dbiResourceId,
    {
      kind: KINDS[origin.from],
      status: 'creating',
      ...(restores && { failedStatus: 'incompatible-restore' }),
    },
    {
      work: async (instance) => {
        // What a killed sandbox has left half made.
        await rds.postgres.remove(rds.path('instances', dbiResourceId));
        const address = await rds.postgres.reserveAddress(instance.settings.port);
        try {
          rds.adopt(
            instance,
            await make(rds, instance, origin, { ...serverOptions(rds, instance), address }),
          );
        } catch (error) {
          rds.postgres.releaseAddress(address);
          throw error;
        }
      },
      done: (instance) => {
        instance.createTime = rds.now();
        instance.parameterApplyStatus = 'in-sync';
        instance.securityGroupStatus = 'active';
        if (restores) {
          const from = rds.now();
          instance.hydration = { from, until: new Date(from.getTime() + rds.durations.draw('hydration')) };
        }
        rds.event(instance, 'RDS-EVENT-0005', ['creation'], 'DB instance created');
        beginBaseBackup(rds, instance, 'firstBackup');
      },
    },
  );
  // What it was read from may have been deleted meanwhile, and was kept for it.
  const letGo = (): void => {
    for (const directory of sourcesOf(origin)) discardBackup(rds, directory);
  };
  return {
    ...plan,
    done: () => {
      letGo();
      plan.done();
    },
    failed: (status) => {
      letGo();
      plan.failed(status);
    },
  };
}

async function make(
  rds: Rds,
  { masterUsername }: InstanceRecord,
  origin: Origin,
  options: ServerOptions,
): Promise<Server> {
  switch (origin.from) {
    case 'nothing': {
      const { masterVerifier, databaseName } = origin;
      return rds.postgres.create({
        ...options,
        masterUsername,
        masterPassword: masterVerifier,
        databaseName,
      });
    }
    case 'snapshot':
      return rds.postgres.restore({ ...options, backup: rds.path(origin.backup) });
    case 'automated-backup':
      // What LatestRestorableTime promises may still be in the living source only.
      await rds.servers.get(origin.sourceDbiResourceId)?.archiveUpToNow();
      return rds.postgres.restoreToTime({
        ...options,
        backup: rds.path(origin.backup),
        sourceWalArchive: rds.path(origin.walArchive),
        time: origin.realTime,
      });
  }
}
