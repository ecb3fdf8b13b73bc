import type { DBInstance, DBSnapshot, RDSClient } from '@aws-sdk/client-rds';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { findBegunRename, noAddressYet } from './begun-rename';
import type { InstanceAddress, Recovery } from './contract/recovery';
import type { EnvironmentName } from './contract/settings';
import { isSameHost, readLogin } from './database-url';
import { LiveInstanceUnclear } from './errors';
import { addressOf, findInstance, findSnapshot, isDead, listInstances, listSnapshots } from './rds';
import { isUnfinished, replacedBefore } from './replaced-instances';
import { currentSecret, findSecretVersion } from './secrets';
import { readSettings } from './stored-settings';
import { BEFORE_SWAP_LABEL } from './swap-version';
import { readMarks } from './tags';

export interface LiveInstance {
  readonly instance: DBInstance;
  /** All of the Region. */
  readonly instances: readonly DBInstance[];
  readonly address: InstanceAddress;
  /** The version of the secret that names it. */
  readonly secretVersionId: string;
}

/**
 * The instance that the DATABASE_URL secret names now. Throws LiveInstanceUnclear or SecretUnclear.
 *
 * @param environment where it is given, an instance that is gone is named, by the snapshots of it
 */
export async function findLiveInstance(
  rds: RDSClient,
  secrets: SecretsManagerClient,
  secretId: string,
  environment?: EnvironmentName,
): Promise<LiveInstance> {
  const secret = await currentSecret(secrets, secretId);
  const { host, port } = readLogin(secret.value);
  const instances = await listInstances(rds);
  const instance = byEndpoint(instances, host, port);
  const address = instance && addressOf(instance);
  if (!instance || !address) {
    const known =
      environment && !findBegunRename(instances, host)
        ? await snapshotAt(rds, environment, host, port)
        : undefined;
    if (known) throw gone(known, host, port);
    throw await noInstance(host, port, instances, { secrets, secretId, versionId: secret.versionId });
  }
  refuseWhatCannotBeRecovered(instance);
  return { instance, instances, address, secretVersionId: secret.versionId };
}

/** What RDS shows among its instances and restores in another way, or not from a backup of its own. Throws LiveInstanceUnclear. */
function refuseWhatCannotBeRecovered({
  DBInstanceIdentifier: id = '',
  DBClusterIdentifier: cluster,
  Engine: engine = 'postgres',
  ReadReplicaSourceDBInstanceIdentifier: source,
}: DBInstance): void {
  if (cluster !== undefined || engine !== 'postgres')
    throw new LiveInstanceUnclear(
      `Instance ${id}, which the secret names, is ${cluster === undefined ? `of engine "${engine}"` : `a member of cluster ${cluster}`}.`,
      'This system brings back single instances of RDS for PostgreSQL, with or without a standby: no Aurora, no Multi-AZ cluster.',
    );
  if (source !== undefined)
    throw new LiveInstanceUnclear(
      `Instance ${id}, which the secret names, is a read replica of ${source}.`,
      'The secret must name the instance that is written to.',
    );
}

/** What a recovery starts from. */
export interface LiveOrGone {
  readonly live: Recovery['live'];
  /** All of the Region. */
  readonly instances: readonly DBInstance[];
  readonly secretVersionId: string;
  /** As RDS says; of an instance that is gone `gone`. */
  readonly status: string;
  /** The instance; of one that is gone its settings as they were stored last. */
  readonly settings: DBInstance;
  /** Where the settings are stored that a recovery instance is to have; null: an instance that is there has them. */
  readonly settingsSnapshotId: string | null;
  /** That the live instance was not finished by its own recovery, so that its settings are not to be had. */
  readonly unfinished: Unfinished | undefined;
}

/** The live instance serves, and its own recovery was stopped before it had all its settings. */
export interface Unfinished {
  readonly recoveryId: string;
  /** Settings that its recovery was to give it; undefined: nobody knows them any more. */
  readonly settings: DBInstance | undefined;
}

/**
 * The instance that the secret names, also where it was deleted: then the newest snapshot of this environment that was taken of
 * an instance with exactly this endpoint says which one it was, and its settings. Throws LiveInstanceUnclear, SecretUnclear.
 */
export async function findLiveOrGone(
  rds: RDSClient,
  secrets: SecretsManagerClient,
  secretId: string,
  environment: EnvironmentName,
): Promise<LiveOrGone> {
  const secret = await currentSecret(secrets, secretId);
  const { host, port } = readLogin(secret.value);
  const secretVersionId = secret.versionId;
  const instances = await listInstances(rds);
  const instance = byEndpoint(instances, host, port);
  const address = instance && addressOf(instance);
  if (instance && address) {
    refuseWhatCannotBeRecovered(instance);
    const status = instance.DBInstanceStatus ?? 'unknown';
    const state = isDead(status) ? 'dead' : 'there';
    const reference = await referenceOf(rds, instance, instances);
    return {
      live: { ...address, state },
      instances,
      secretVersionId,
      status,
      settings: instance,
      settingsSnapshotId: reference?.snapshotId ?? null,
      unfinished: isUnfinished(instance)
        ? { recoveryId: readMarks(instance.TagList)['recovery-id'] ?? '', settings: reference?.settings }
        : undefined,
    };
  }

  const known = { secrets, secretId, versionId: secretVersionId };
  if (findBegunRename(instances, host)) throw await noInstance(host, port, instances, known);
  const snapshot = await snapshotAt(rds, environment, host, port);
  const {
    DBSnapshotIdentifier: id,
    DBInstanceIdentifier: instanceId,
    DbiResourceId: resourceId,
  } = snapshot ?? {};
  if (!snapshot || !id || !instanceId || !resourceId) throw await noInstance(host, port, instances, known);
  const other = instances.find(
    ({ DBInstanceIdentifier, DbiResourceId }) =>
      DBInstanceIdentifier === instanceId || DbiResourceId === resourceId,
  );
  if (other)
    throw new LiveInstanceUnclear(
      `The secret names ${host}:${port}, which was instance ${instanceId} (${resourceId}). ${other.DBInstanceIdentifier ?? ''} (${other.DbiResourceId ?? ''}) is there, with another endpoint or none.`,
      'Was it renamed, or made anew under the old name? Put the endpoint of the live instance into the secret.',
    );
  return {
    live: { instanceId, resourceId, host, port, state: 'gone' },
    instances,
    secretVersionId,
    status: 'gone',
    settings: withTags(snapshot),
    settingsSnapshotId: id,
    unfinished: undefined,
  };
}

/** The newest of this environment that was taken of an instance with exactly this endpoint. */
async function snapshotAt(
  rds: RDSClient,
  environment: EnvironmentName,
  host: string,
  port: number,
): Promise<DBSnapshot | undefined> {
  return newest(
    (await listSnapshots(rds, { SnapshotType: 'manual' })).filter(
      ({ TagList }) =>
        readMarks(TagList).environment === environment && isAt(readSettings(TagList), host, port),
    ),
  );
}

interface Reference {
  readonly settings: DBInstance;
  readonly snapshotId: string | null;
}

/**
 * Whose settings count: those of the instance, unless its own recovery has not finished it. Then those of what it replaced, which
 * was to be its model, as they are or, where that one is gone, as they were stored last. Undefined where nobody knows them.
 */
async function referenceOf(
  rds: RDSClient,
  instance: DBInstance,
  instances: readonly DBInstance[],
): Promise<Reference | undefined> {
  if (!isUnfinished(instance)) return { settings: instance, snapshotId: null };
  const replaced = replacedBefore(instance, instances).map((each) => each.instance);
  const finished = replaced.find((each) => !isUnfinished(each));
  if (finished) return { settings: finished, snapshotId: null };
  const resourceId = readMarks((replaced.at(-1) ?? instance).TagList).replaces;
  if (resourceId === undefined) return undefined;
  const snapshot = newest(
    (await listSnapshots(rds, { SnapshotType: 'manual' })).filter(
      ({ DbiResourceId, TagList }) => DbiResourceId === resourceId && readSettings(TagList) !== undefined,
    ),
  );
  const [settings, id] = [readSettings(snapshot?.TagList), snapshot?.DBSnapshotIdentifier];
  return settings && id !== undefined ? { settings, snapshotId: id } : undefined;
}

/** What a person reads, and does, where nobody knows the settings that an unfinished live instance was to get. */
export function settingsLost(instanceId: string, recoveryId: string): LiveInstanceUnclear {
  return new LiveInstanceUnclear(
    `Instance ${instanceId} is live, and recovery ${recoveryId}, which made it, was stopped before it had all its settings. What it replaced is gone, and no snapshot has the settings of that.`,
    `Redrive recovery ${recoveryId} first. If it cannot be redriven: set deletion protection, storage autoscaling and what else is missing by hand, then give the instance the tag migration-rollback:role with the value live.`,
  );
}

/**
 * The settings that the recovery instance is to have: those of the live instance; where it is gone, as stored last; where it was not
 * finished, of what it replaced. The tags are those of the live instance all the same. Throws LiveInstanceUnclear.
 */
export async function settingsOf(rds: RDSClient, recovery: Recovery): Promise<DBInstance> {
  const { live, settingsSnapshotId } = recovery;
  if (live.state === 'gone') {
    const snapshot = settingsSnapshotId === null ? undefined : await findSnapshot(rds, settingsSnapshotId);
    if (snapshot && readSettings(snapshot.TagList)) return withTags(snapshot);
    throw new LiveInstanceUnclear(
      `Instance ${live.instanceId} is gone, and so is snapshot ${settingsSnapshotId ?? ''} with its settings.`,
      'Start a new recovery.',
    );
  }
  const instance = await findInstance(rds, live.instanceId);
  if (instance && instance.DbiResourceId === live.resourceId) {
    if (!isUnfinished(instance)) return asItWillBe(instance);
    const reference = await referenceOf(rds, instance, await listInstances(rds));
    if (reference) return { ...reference.settings, TagList: instance.TagList };
    throw settingsLost(live.instanceId, readMarks(instance.TagList)['recovery-id'] ?? '');
  }
  throw new LiveInstanceUnclear(
    `Instance ${live.instanceId} (${live.resourceId}), live when the recovery was planned, is not there any more.`,
    'Before the cutover: start a new recovery, which goes without it. After it: set what the new instance lacks by hand.',
  );
}

/**
 * While RDS changes an instance it still shows the old values. What waits for the maintenance window is left out: nothing of that has begun.
 */
function asItWillBe(instance: DBInstance): DBInstance {
  if (instance.DBInstanceStatus !== 'modifying') return instance;
  const { DBInstanceClass, MultiAZ, StorageType, Iops, StorageThroughput, AllocatedStorage } =
    instance.PendingModifiedValues ?? {};
  return {
    ...instance,
    DBInstanceClass: DBInstanceClass ?? instance.DBInstanceClass,
    MultiAZ: MultiAZ ?? instance.MultiAZ,
    StorageType: StorageType ?? instance.StorageType,
    Iops: Iops ?? instance.Iops,
    StorageThroughput: StorageThroughput ?? instance.StorageThroughput,
    AllocatedStorage: AllocatedStorage ?? instance.AllocatedStorage,
  };
}

/** RDS copies the tags of an instance to its snapshots, where it is told to. */
function withTags({ TagList }: DBSnapshot): DBInstance {
  return { ...readSettings(TagList), TagList };
}

function newest(snapshots: readonly DBSnapshot[]): DBSnapshot | undefined {
  const time = ({ SnapshotCreateTime }: DBSnapshot): number => SnapshotCreateTime?.getTime() ?? 0;
  return [...snapshots].sort((a, b) => time(b) - time(a))[0];
}

/** The instance with that endpoint, or undefined. */
function byEndpoint(instances: readonly DBInstance[], host: string, port: number): DBInstance | undefined {
  return instances.find((instance) => isAt(instance, host, port));
}

function isAt(instance: DBInstance | undefined, host: string, port: number): boolean {
  const { Address, Port } = instance?.Endpoint ?? {};
  return Address !== undefined && isSameHost(Address, host) && Port === port;
}

/** The secret, and its version that names no instance. */
interface NamesNone {
  readonly secrets: SecretsManagerClient;
  readonly secretId: string;
  readonly versionId: string;
}

async function noInstance(
  host: string,
  port: number,
  instances: readonly DBInstance[],
  known: NamesNone,
): Promise<LiveInstanceUnclear> {
  const rename = findBegunRename(instances, host);
  if (rename) return noAddressYet(rename);
  const back = await wayBack(instances, known);
  return new LiveInstanceUnclear(
    `The secret names ${host}:${port}, which is the endpoint of no RDS instance in this Region, and of none that a snapshot knows.`,
    back ?? 'The secret must hold the endpoint of the instance itself, not a CNAME, a proxy or a cluster.',
  );
}

/** Somebody may have deleted what a recovery made, before there was a snapshot of it: then what was live before the swap is still there. */
async function wayBack(
  instances: readonly DBInstance[],
  { secrets, secretId, versionId }: NamesNone,
): Promise<string | undefined> {
  const before = await findSecretVersion(secrets, secretId, { stage: BEFORE_SWAP_LABEL });
  if (!before || before.versionId === versionId) return undefined;
  const { host, port } = readLogin(before.value);
  const instance = byEndpoint(instances, host, port);
  if (!instance) return undefined;
  return (
    `If that was an instance of a recovery, which was deleted: before the swap the secret named ${instance.DBInstanceIdentifier ?? ''}, which is "${instance.DBInstanceStatus ?? 'unknown'}" and has what was written until then. ` +
    `To go back to it run: aws secretsmanager update-secret-version-stage --secret-id ${secretId} --version-stage AWSCURRENT --move-to-version-id ${before.versionId} --remove-from-version-id ${versionId} ; ` +
    `then start the machine with {"mode":"clean-up","reason":"…","requestedBy":"…"}, which lifts its fence, and restart the application. Otherwise: the secret must hold the endpoint of an instance itself, not a CNAME, a proxy or a cluster.`
  );
}

function gone(
  { DBInstanceIdentifier: id = '' }: DBSnapshot,
  host: string,
  port: number,
): LiveInstanceUnclear {
  return new LiveInstanceUnclear(
    `The secret names ${host}:${port}, the address of instance ${id}, and no instance is there: ${id} was deleted, or has another name now.`,
    'Start the recovery machine with {}: it says what there is to go back to, and the input that does it.',
  );
}
