import type {
  CreateDBInstanceMessage,
  DBInstance,
  DeleteDBInstanceMessage,
  DescribeDBInstancesMessage,
  RebootDBInstanceMessage,
  StartDBInstanceMessage,
  StopDBInstanceMessage,
} from '@aws-sdk/client-rds';
import { NotInSandbox, type Operation } from '../core/api';
import { scramVerifier } from '../postgres/scram';
import { closeAutomatedBackups, endArchive } from './automated-backups';
import { describeInstance } from './describe';
import { instanceNotFound, invalidCombination, invalidInstanceState, invalidValue } from './errors';
import { LONGEST_INSTANCE_IDENTIFIER, newIdentifier, required } from './identifiers';
import { admit, launch, reopen } from './launch';
import { operation } from './operation';
import { filtered, page } from './paging';
import { groupParameters, parameterGroup, serverSettings } from './parameter-groups';
import { CREATE_MEMBERS, checkSettings, newSettings } from './settings';
import { checkPassword, checkUsername } from './identifiers';
import { planOnInstance } from './plan-on-instance';
import type { Plan, Rds } from './rds';
import { admitSnapshot, backUpInto, failSnapshot, finishSnapshot, newSnapshot } from './snapshots';
import { backedUp, isIdle, type InstanceRecord } from './state';
import { givenTags } from './tags';

export function instanceOperations(rds: Rds): Record<string, Operation> {
  const answer = (instance: InstanceRecord): { DBInstance: DBInstance } => ({
    DBInstance: describeInstance(rds, instance),
  });
  return {
    ...operation<CreateDBInstanceMessage>(
      'CreateDBInstance',
      [
        'DBInstanceIdentifier',
        'Engine',
        'EngineVersion',
        'DBName',
        'MasterUsername',
        'MasterUserPassword',
        'StorageEncrypted',
        'KmsKeyId',
        'Tags',
        ...CREATE_MEMBERS,
      ],
      async (input) => answer(await create(rds, input)),
    ),
    ...operation<DescribeDBInstancesMessage>(
      'DescribeDBInstances',
      ['DBInstanceIdentifier', 'Filters', 'MaxRecords', 'Marker'],
      (input) => describe(rds, input),
    ),
    ...operation<RebootDBInstanceMessage>(
      'RebootDBInstance',
      ['DBInstanceIdentifier', 'ForceFailover'],
      (input) => {
        const instance = rds.instance(input.DBInstanceIdentifier);
        if (input.ForceFailover && !instance.settings.multiAz) {
          throw invalidCombination(
            'Cannot force failover since the instance is not configured for Multi-AZ.',
          );
        }
        // Which is how an instance gets out of incompatible parameters, once its group has been put right.
        if (!isIdle(instance) && instance.status !== 'incompatible-parameters') {
          throw invalidInstanceState(
            'Instance cannot currently reboot due to an in-progress management operation.',
          );
        }
        const values = groupParameters(parameterGroup(rds, instance.settings.parameterGroupName));
        rds.begin({ do: 'reboot', dbiResourceId: instance.dbiResourceId, values });
        return answer(instance);
      },
    ),
    ...operation<StopDBInstanceMessage>('StopDBInstance', ['DBInstanceIdentifier'], (input) => {
      const instance = rds.instance(input.DBInstanceIdentifier);
      if (!isIdle(instance)) {
        throw invalidInstanceState(`Instance ${instance.identifier} is not in available state.`);
      }
      rds.begin({ do: 'stop', dbiResourceId: instance.dbiResourceId });
      return answer(instance);
    }),
    ...operation<StartDBInstanceMessage>('StartDBInstance', ['DBInstanceIdentifier'], (input) => {
      const instance = rds.instance(input.DBInstanceIdentifier);
      if (instance.status !== 'stopped') {
        throw invalidInstanceState(
          `Instance ${instance.identifier} is not stopped, cannot be started, or is already started.`,
        );
      }
      rds.begin({ do: 'start', dbiResourceId: instance.dbiResourceId });
      return answer(instance);
    }),
    ...operation<DeleteDBInstanceMessage>(
      'DeleteDBInstance',
      ['DBInstanceIdentifier', 'SkipFinalSnapshot', 'FinalDBSnapshotIdentifier', 'DeleteAutomatedBackups'],
      (input) => answer(remove(rds, input)),
    ),
  };
}

async function create(rds: Rds, input: CreateDBInstanceMessage): Promise<InstanceRecord> {
  const identifier = newIdentifier(
    input.DBInstanceIdentifier,
    'DBInstanceIdentifier',
    LONGEST_INSTANCE_IDENTIFIER,
  );
  const engine = required(input.Engine, 'Engine');
  if (engine !== 'postgres') throw new NotInSandbox(`RDS engine ${engine}`);
  checkEngineVersion(rds, input.EngineVersion);
  const masterUsername = checkUsername(required(input.MasterUsername, 'MasterUsername'));
  const masterPassword = checkPassword(required(input.MasterUserPassword, 'MasterUserPassword'));
  required(input.DBInstanceClass, 'DBInstanceClass');
  if (input.AllocatedStorage === undefined) required(undefined, 'AllocatedStorage');
  if (input.DBName !== undefined && !/^[a-z][a-z0-9]{0,62}$/i.test(input.DBName)) {
    throw invalidValue('DBName must begin with a letter and contain only alphanumeric characters.');
  }
  if (input.KmsKeyId !== undefined && input.StorageEncrypted !== true) {
    throw invalidCombination('A KMS key can only be given when storage is encrypted.');
  }
  const settings = newSettings(rds, input);
  checkSettings(settings);
  const tags = givenTags(input.Tags);
  const masterVerifier = await scramVerifier(masterPassword);
  admit(rds, identifier, settings);
  const storageEncrypted = input.StorageEncrypted ?? false;
  return launch(
    rds,
    {
      identifier,
      engineVersion: engineVersion(rds, input.EngineVersion),
      masterUsername,
      databaseName: input.DBName,
      storageEncrypted,
      kmsKeyId: storageEncrypted ? rds.keyArn(input.KmsKeyId ?? 'alias/aws/rds') : undefined,
      settings,
      tags,
    },
    { from: 'nothing', masterVerifier, databaseName: input.DBName ?? 'postgres' },
  );
}

function checkEngineVersion(rds: Rds, version: string | undefined): void {
  const { version: ours } = rds.postgres;
  const [major] = ours.split('.');
  if (version !== undefined && version.split('.')[0] !== major) {
    throw new NotInSandbox(`PostgreSQL ${version} (this sandbox runs ${ours})`);
  }
}

/** The minor version that was asked for, although the server is always the one that is installed here (docs/sandbox.md). */
function engineVersion(rds: Rds, asked: string | undefined): string {
  return asked?.includes('.') === true ? asked : rds.postgres.version;
}

function describe(rds: Rds, input: DescribeDBInstancesMessage): object {
  const id = input.DBInstanceIdentifier;
  const wanted = id === undefined ? [...rds.state.instances.values()] : [named(rds, id)];
  const matching = filtered(wanted, input.Filters, {
    'db-instance-id': (instance) => [instance.identifier, rds.arn(`db:${instance.identifier}`)],
    'dbi-resource-id': (instance) => [instance.dbiResourceId],
    'db-cluster-id': () => [],
    domain: () => [],
    engine: () => ['postgres'],
  }).sort((a, b) => (a.identifier < b.identifier ? -1 : 1));
  const { items, Marker } = page(matching, input);
  return { DBInstances: items.map((instance) => describeInstance(rds, instance)), Marker };
}

/** DescribeDBInstances also takes an ARN and a DbiResourceId. */
function named(rds: Rds, id: string): InstanceRecord {
  const fromArn = /^arn:[^:]+:rds:[^:]*:\d*:db:(.+)$/.exec(id)?.[1];
  const byResourceId = [...rds.state.instances.values()].find(({ dbiResourceId }) => dbiResourceId === id);
  if (id.startsWith('db-') && !byResourceId && !rds.state.instances.has(id.toLowerCase())) {
    throw instanceNotFound(id);
  }
  return byResourceId ?? rds.instance(fromArn ?? id);
}

function remove(rds: Rds, input: DeleteDBInstanceMessage): InstanceRecord {
  const instance = rds.instance(input.DBInstanceIdentifier);
  const { SkipFinalSnapshot: skip = false, FinalDBSnapshotIdentifier: finalId } = input;
  if (skip && finalId !== undefined) {
    throw invalidCombination(
      'FinalDBSnapshotIdentifier can not be specified when SkipFinalSnapshot is true.',
    );
  }
  if (!skip && finalId === undefined) {
    throw invalidCombination('FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.');
  }
  if (instance.status === 'deleting') {
    throw invalidInstanceState(`Instance ${instance.identifier} is already being deleted.`);
  }
  if (instance.settings.deletionProtection) {
    throw invalidCombination(
      'Cannot delete protected DB Instance, please disable deletion protection and try again.',
    );
  }
  const { dbiResourceId } = instance;
  const keepsAutomatedBackups = input.DeleteAutomatedBackups === false;
  if (finalId === undefined) {
    rds.begin({ do: 'delete', dbiResourceId, keepsAutomatedBackups });
    return instance;
  }
  const id = admitSnapshot(rds, instance, finalId, 'FinalDBSnapshotIdentifier');
  newSnapshot(rds, instance, id, instance.settings.copyTagsToSnapshot ? instance.tags : []);
  rds.begin({ do: 'final-snapshot', dbiResourceId, snapshot: id, keepsAutomatedBackups });
  return instance;
}

/** Something that is being done to an instance as a whole. */
export type InstanceTask =
  | { readonly do: 'stop' | 'start'; readonly dbiResourceId: string }
  /** The server died, and is started again. */
  | { readonly do: 'revive'; readonly dbiResourceId: string }
  /** `values` are those of the parameter group, which it takes up. */
  | {
      readonly do: 'reboot';
      readonly dbiResourceId: string;
      readonly values: Readonly<Record<string, string>>;
    }
  | {
      readonly do: 'final-snapshot';
      readonly dbiResourceId: string;
      readonly snapshot: string;
      readonly keepsAutomatedBackups: boolean;
    }
  | { readonly do: 'delete'; readonly dbiResourceId: string; readonly keepsAutomatedBackups: boolean };

export function planInstanceTask(rds: Rds, task: InstanceTask): Plan {
  const { dbiResourceId } = task;
  switch (task.do) {
    case 'stop':
      return planOnInstance(
        rds,
        dbiResourceId,
        { kind: 'stop', status: 'stopping' },
        {
          work: async (instance) => {
            await endArchive(rds, instance);
            await rds.dismiss(instance);
          },
          done: (instance) => {
            instance.status = 'stopped';
            rds.event(instance, 'RDS-EVENT-0087', ['notification'], 'DB instance stopped');
          },
        },
      );
    case 'start':
      return planOnInstance(
        rds,
        dbiResourceId,
        { kind: 'start', status: 'starting' },
        {
          work: (instance) => reopen(rds, instance),
          done: (instance) => {
            const backups = rds.state.automatedBackups.get(dbiResourceId);
            if (backups) backups.endedAt = undefined;
            rds.settle(instance);
            rds.event(instance, 'RDS-EVENT-0088', ['notification'], 'DB instance started');
          },
        },
      );
    case 'revive':
      return planRevival(rds, dbiResourceId);
    case 'reboot':
      return planReboot(rds, dbiResourceId, task.values);
    case 'final-snapshot':
      return planFinalSnapshot(rds, task);
    case 'delete':
      return planDeletion(rds, dbiResourceId, task.keepsAutomatedBackups);
  }
}

/** RDS starts a database process that died again; the instance stays `available` meanwhile. */
function planRevival(rds: Rds, dbiResourceId: string): Plan {
  const plan = planOnInstance(
    rds,
    dbiResourceId,
    {},
    {
      work: async (instance) => {
        if (instance.runs && !rds.servers.has(dbiResourceId)) await reopen(rds, instance);
      },
      done: (instance) => {
        if (!rds.servers.has(dbiResourceId)) return;
        rds.event(instance, 'RDS-EVENT-0006', ['availability'], 'DB instance restarted');
        rds.event(instance, 'RDS-EVENT-0021', ['recovery'], 'Recovery of the DB instance is complete.');
      },
      failed: (instance) => {
        if (isIdle(instance)) instance.status = 'failed';
      },
    },
  );
  return {
    ...plan,
    begun: () => {
      const instance = rds.byResourceId(dbiResourceId);
      if (!instance) return;
      rds.event(instance, 'RDS-EVENT-0004', ['availability'], 'DB instance shutdown');
      rds.event(
        instance,
        'RDS-EVENT-0020',
        ['recovery'],
        'Recovery of the DB instance has started. Recovery time will vary with the amount of data to be recovered.',
      );
    },
  };
}

function planReboot(rds: Rds, dbiResourceId: string, values: Readonly<Record<string, string>>): Plan {
  return planOnInstance(
    rds,
    dbiResourceId,
    { kind: 'reboot', status: 'rebooting', failedStatus: 'incompatible-parameters' },
    {
      work: async (instance) => {
        if (!rds.servers.has(dbiResourceId)) await reopen(rds, instance);
        const server = rds.server(instance);
        await server.configure(serverSettings(rds, instance, values));
        await server.restart();
        instance.appliedParameters = values;
      },
      done: (instance) => {
        instance.parameterApplyStatus = 'in-sync';
        rds.settle(instance);
        rds.event(instance, 'RDS-EVENT-0006', ['availability'], 'DB instance restarted');
      },
    },
  );
}

function planFinalSnapshot(rds: Rds, task: InstanceTask & { readonly do: 'final-snapshot' }): Plan {
  const { dbiResourceId, keepsAutomatedBackups } = task;
  const snapshot = rds.state.snapshots.get(task.snapshot);
  return planOnInstance(
    rds,
    dbiResourceId,
    { kind: 'snapshot', status: 'deleting', alsoKnownAs: task.snapshot },
    {
      work: async (instance) => {
        if (snapshot) await backUpInto(rds, snapshot, instance);
      },
      done: () => {
        if (snapshot) finishSnapshot(rds, snapshot);
        rds.begin({ do: 'delete', dbiResourceId, keepsAutomatedBackups });
      },
      failed: () => {
        if (snapshot) failSnapshot(rds, snapshot);
      },
    },
  );
}

/** The instance's server and data go, and in the end the instance itself. */
function planDeletion(rds: Rds, dbiResourceId: string, keepsAutomatedBackups: boolean): Plan {
  return planOnInstance(
    rds,
    dbiResourceId,
    { kind: 'delete', status: 'deleting' },
    {
      work: async (instance) => {
        await endArchive(rds, instance);
        await rds.dismiss(instance);
        await rds.postgres.remove(rds.path('instances', dbiResourceId));
      },
      done: (instance) => {
        rds.state.instances.delete(instance.identifier);
        if (instance.address) rds.retire(instance.address);
        const backups = rds.state.automatedBackups.get(dbiResourceId);
        if (keepsAutomatedBackups && backups?.status === 'active') {
          backups.source = backedUp(instance);
          backups.status = 'retained';
        } else closeAutomatedBackups(rds, dbiResourceId);
        rds.event(instance, 'RDS-EVENT-0003', ['deletion'], 'DB instance deleted');
      },
    },
  );
}
