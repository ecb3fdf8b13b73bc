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
import { closeAutomatedBackups, endArchive } from './automated-backups';
import { describeInstance } from './describe';
import { instanceNotFound, invalidCombination, invalidInstanceState, invalidValue } from './errors';
import { LONGEST_INSTANCE_IDENTIFIER, newIdentifier, required } from './identifiers';
import { admit, launch, serverOptions } from './launch';
import { operation } from './operation';
import { filtered, page } from './paging';
import { groupParameters, parameterGroup, serverSettings } from './parameter-groups';
import { CREATE_MEMBERS, checkSettings, newSettings } from './settings';
import { checkPassword, checkUsername } from './identifiers';
import type { Rds } from './rds';
import { admitSnapshot, backUpInto, finishSnapshot, newSnapshot } from './snapshots';
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
      (input) => answer(create(rds, input)),
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
        if (!isIdle(instance)) throw invalidInstanceState('Database instance is not in available state.');
        reboot(rds, instance);
        return answer(instance);
      },
    ),
    ...operation<StopDBInstanceMessage>('StopDBInstance', ['DBInstanceIdentifier'], (input) => {
      const instance = rds.instance(input.DBInstanceIdentifier);
      if (!isIdle(instance)) {
        throw invalidInstanceState(`Instance ${instance.identifier} is not in available state.`);
      }
      rds.step(instance, 'stopping', 'stop', {
        work: async () => {
          await endArchive(rds, instance);
          await rds.dismiss(instance);
        },
        done: () => {
          instance.status = 'stopped';
          rds.event(instance, 'RDS-EVENT-0087', ['notification'], 'DB instance stopped');
        },
      });
      return answer(instance);
    }),
    ...operation<StartDBInstanceMessage>('StartDBInstance', ['DBInstanceIdentifier'], (input) => {
      const instance = rds.instance(input.DBInstanceIdentifier);
      if (instance.status !== 'stopped') {
        throw invalidInstanceState(
          `Instance ${instance.identifier} is not stopped, cannot be started, or is already started.`,
        );
      }
      const { address } = instance;
      rds.step(instance, 'starting', 'start', {
        work: async () => {
          if (!address) throw new Error('it has no address');
          rds.adopt(instance, await rds.postgres.open({ ...serverOptions(rds, instance), address }));
        },
        done: () => {
          const backups = rds.state.automatedBackups.get(instance.dbiResourceId);
          if (backups) backups.endedAt = undefined;
          rds.settle(instance);
          rds.event(instance, 'RDS-EVENT-0088', ['notification'], 'DB instance started');
        },
      });
      return answer(instance);
    }),
    ...operation<DeleteDBInstanceMessage>(
      'DeleteDBInstance',
      ['DBInstanceIdentifier', 'SkipFinalSnapshot', 'FinalDBSnapshotIdentifier', 'DeleteAutomatedBackups'],
      (input) => answer(remove(rds, input)),
    ),
  };
}

function create(rds: Rds, input: CreateDBInstanceMessage): InstanceRecord {
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
  admit(rds, identifier, settings);
  const storageEncrypted = input.StorageEncrypted ?? false;
  return launch(
    rds,
    {
      identifier,
      engineVersion: rds.postgres.version,
      masterUsername,
      databaseName: input.DBName,
      storageEncrypted,
      kmsKeyId: storageEncrypted ? (input.KmsKeyId ?? defaultKey(rds)) : undefined,
      settings,
      tags: givenTags(input.Tags),
    },
    'create',
    (options) =>
      rds.postgres.create({
        ...options,
        masterUsername,
        masterPassword,
        databaseName: input.DBName ?? 'postgres',
      }),
  );
}

function checkEngineVersion(rds: Rds, version: string | undefined): void {
  const { version: ours } = rds.postgres;
  const [major] = ours.split('.');
  if (version !== undefined && version.split('.')[0] !== major) {
    throw new NotInSandbox(`PostgreSQL ${version} (this sandbox runs ${ours})`);
  }
}

function defaultKey(rds: Rds): string {
  const { partition, region, accountId } = rds.context.account;
  return `arn:${partition}:kms:${region}:${accountId}:key/aws-rds`;
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

function reboot(rds: Rds, instance: InstanceRecord): void {
  const values = groupParameters(parameterGroup(rds, instance.settings.parameterGroupName));
  rds.step(
    instance,
    'rebooting',
    'reboot',
    {
      work: async () => {
        const server = rds.server(instance);
        await server.configure(serverSettings(rds, instance, values));
        await server.restart();
      },
      done: () => {
        instance.appliedParameters = values;
        instance.parameterApplyStatus = 'in-sync';
        rds.settle(instance);
        rds.event(instance, 'RDS-EVENT-0006', ['availability'], 'DB instance restarted');
      },
    },
    'incompatible-parameters',
  );
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
  const final =
    finalId === undefined
      ? undefined
      : newSnapshot(
          rds,
          instance,
          admitSnapshot(rds, instance, finalId, 'FinalDBSnapshotIdentifier'),
          instance.settings.copyTagsToSnapshot ? instance.tags : [],
        );
  if (final) {
    rds.step(instance, 'deleting', 'snapshot', {
      work: () => backUpInto(rds, final, instance),
      done: () => {
        finishSnapshot(rds, final);
        takeDown(rds, instance, input.DeleteAutomatedBackups === false);
      },
    });
  } else {
    takeDown(rds, instance, input.DeleteAutomatedBackups === false);
  }
  return instance;
}

/** The instance's server and data go, and in the end the instance itself. */
function takeDown(rds: Rds, instance: InstanceRecord, keepsAutomatedBackups: boolean): void {
  const { dbiResourceId } = instance;
  const backups = rds.state.automatedBackups.get(dbiResourceId);
  const retained = keepsAutomatedBackups && backups?.status === 'active' ? backups : undefined;
  if (retained) retained.source = backedUp(instance);
  rds.step(instance, 'deleting', 'delete', {
    work: async () => {
      await endArchive(rds, instance);
      await rds.dismiss(instance);
      rds.discard(dbiResourceId, rds.path('instances', dbiResourceId));
    },
    done: () => {
      rds.state.instances.delete(instance.identifier);
      if (instance.address) rds.retire(instance.address);
      if (retained) retained.status = 'retained';
      else closeAutomatedBackups(rds, dbiResourceId);
      rds.event(instance, 'RDS-EVENT-0003', ['deletion'], 'DB instance deleted');
    },
  });
}
