import {
  DescribeDBInstancesCommand,
  DescribeDBSnapshotsCommand,
  type DBInstance,
  type DBSnapshot,
  type DescribeDBSnapshotsMessage,
  type RDSClient,
} from '@aws-sdk/client-rds';
import type { InstanceAddress } from './contract/recovery';
import { isAwsError } from './errors';

/** The instance of that name, or undefined. */
export async function findInstance(rds: RDSClient, instanceId: string): Promise<DBInstance | undefined> {
  try {
    const answer = await rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: instanceId }));
    return answer.DBInstances?.[0];
  } catch (error) {
    if (isAwsError(error, 'DBInstanceNotFoundFault', 'DBInstanceNotFound')) return undefined;
    throw error;
  }
}

/** Every instance of the Region. */
export async function listInstances(rds: RDSClient): Promise<DBInstance[]> {
  const found: DBInstance[] = [];
  let marker: string | undefined;
  do {
    const page = await rds.send(new DescribeDBInstancesCommand({ Marker: marker }));
    found.push(...(page.DBInstances ?? []));
    marker = page.Marker;
  } while (marker);
  return found;
}

/** The snapshot of that name, or undefined. */
export async function findSnapshot(rds: RDSClient, snapshotId: string): Promise<DBSnapshot | undefined> {
  try {
    const answer = await rds.send(new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: snapshotId }));
    return answer.DBSnapshots?.[0];
  } catch (error) {
    if (isAwsError(error, 'DBSnapshotNotFoundFault', 'DBSnapshotNotFound')) return undefined;
    throw error;
  }
}

/** Every snapshot that the filter lets through. */
export async function listSnapshots(
  rds: RDSClient,
  filter: Pick<DescribeDBSnapshotsMessage, 'SnapshotType' | 'DBInstanceIdentifier' | 'DbiResourceId'>,
): Promise<DBSnapshot[]> {
  const found: DBSnapshot[] = [];
  let marker: string | undefined;
  do {
    const page = await rds.send(new DescribeDBSnapshotsCommand({ ...filter, Marker: marker }));
    found.push(...(page.DBSnapshots ?? []));
    marker = page.Marker;
  } while (marker);
  return found;
}

/** Undefined while RDS has not given the instance an endpoint. */
export function addressOf(instance: DBInstance): InstanceAddress | undefined {
  const { DBInstanceIdentifier, DbiResourceId, Endpoint } = instance;
  if (!DBInstanceIdentifier || !DbiResourceId || !Endpoint?.Address || !Endpoint.Port) return undefined;
  return {
    instanceId: DBInstanceIdentifier,
    resourceId: DbiResourceId,
    host: Endpoint.Address,
    port: Endpoint.Port,
  };
}

/** Statuses in which an instance takes connections and nothing that we asked for is under way. */
const UP = new Set(['available', 'backing-up', 'storage-optimization', 'storage-initialization']);

export function isUp(status: string | undefined): boolean {
  return UP.has(status ?? '');
}

/** Statuses that an instance does not leave by itself; the SDK's waiters do not know all of them. */
const TERMINAL = new Set([
  'failed',
  'incompatible-create',
  'incompatible-credentials',
  'incompatible-network',
  'incompatible-option-group',
  'incompatible-parameters',
  'incompatible-restore',
  'inaccessible-encryption-credentials',
  'inaccessible-encryption-credentials-recoverable',
  'modify-failed',
  'upgrade-failed',
  'restore-error',
  'insufficient-capacity',
  'storage-full',
  'deleting',
  'deleted',
]);

/** Statuses of an instance that RDS cannot bring back: it serves nobody, and never will again. */
const DEAD = new Set(['failed', 'inaccessible-encryption-credentials']);

export function isDead(status: string | undefined): boolean {
  return DEAD.has(status ?? '');
}

export function isTerminal(status: string | undefined): boolean {
  return TERMINAL.has(status ?? '');
}

/** What still keeps an instance from being done, as AWS's own CloudFormation handler looks at it; empty: it is done. */
export function unfinished(instance: DBInstance): string[] {
  const pending = Object.entries(instance.PendingModifiedValues ?? {})
    .filter(([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0))
    .map(([name]) => name);
  return [
    ...(isUp(instance.DBInstanceStatus) ? [] : [`status is "${instance.DBInstanceStatus ?? 'unknown'}"`]),
    ...(instance.Endpoint?.Address ? [] : ['it has no endpoint yet']),
    ...(pending.length > 0 ? [`pending: ${pending.join(', ')}`] : []),
    ...(instance.DBParameterGroups ?? [])
      .filter((group) => group.ParameterApplyStatus === 'applying')
      .map((group) => `parameter group ${group.DBParameterGroupName ?? ''} is being applied`),
    ...(instance.VpcSecurityGroups ?? [])
      .filter((group) => group.Status !== 'active')
      .map((group) => `security group ${group.VpcSecurityGroupId ?? ''} is "${group.Status ?? 'unknown'}"`),
  ];
}
