import {
  AddTagsToResourceCommand,
  DescribeDBInstanceAutomatedBackupsCommand,
  RemoveTagsFromResourceCommand,
  type DBInstance,
  type RDSClient,
  type Tag,
} from '@aws-sdk/client-rds';
import { isAwsError } from './errors';
import { digestOf } from './names';
import {
  cut,
  decode,
  decodeEntry,
  encode,
  encodeEntry,
  readEntries,
  writeEntries,
  type Migration,
} from './tags';

/**
 * A restore point that is a time inside the automated backups: a marker among the tags of the live instance,
 * `point-<digest of the deployment>` = `time outcome deployment migration:checksum migration:checksum …`.
 */
export interface Marker {
  readonly name: string;
  readonly time: string;
  readonly outcome: string | undefined;
  readonly deploymentId: string;
  /** As many of the migrations that were pending as fit, newest first. */
  readonly migrations: readonly Migration[];
}

/** More would crowd out the other tags of the instance; for older ones the migration table says when they were started. */
const MAX_MARKERS = 10;
/** The window trails the present by up to five minutes. More than this, and something is wrong with the backups. */
const MAX_LAG_MINUTES = 15;
/** Clocks differ by so much, and RDS rounds to seconds. */
const MAX_AHEAD_MS = 5000;
const NONE = '-';

function markerName(deploymentId: string): string {
  return `point-${digestOf(deploymentId)}`;
}

/** The markers of an instance, newest first. */
export function readMarkers(tags: readonly Tag[] | undefined): Marker[] {
  return (tags ?? [])
    .flatMap(({ Key = '' }) => /point-[0-9a-f]{10}$/.exec(Key)?.[0] ?? [])
    .flatMap((name) => {
      const [time, outcome, deploymentId = '', ...migrations] = readEntries(tags, name);
      if (time === undefined || Number.isNaN(Date.parse(time))) return [];
      return [
        {
          name,
          time,
          outcome: outcome === NONE ? undefined : outcome,
          deploymentId: decode(deploymentId),
          migrations: migrations.map(decodeEntry),
        },
      ];
    })
    .sort((a, b) => Date.parse(b.time) - Date.parse(a.time));
}

export function findMarker(tags: readonly Tag[] | undefined, deploymentId: string): Marker | undefined {
  return readMarkers(tags).find(({ name }) => name === markerName(deploymentId));
}

/** The seconds that the automated backups of an instance can be restored to; undefined where there are none. */
export async function backupWindow(
  rds: RDSClient,
  resourceId: string,
): Promise<{ from: Date; to: Date } | undefined> {
  try {
    const { DBInstanceAutomatedBackups } = await rds.send(
      new DescribeDBInstanceAutomatedBackupsCommand({ DbiResourceId: resourceId }),
    );
    const { EarliestTime: from, LatestTime: to } = DBInstanceAutomatedBackups?.[0]?.RestoreWindow ?? {};
    return from && to && { from, to };
  } catch (error) {
    // With a retention of 0 days there are none.
    if (isAwsError(error, 'DBInstanceAutomatedBackupNotFoundFault', 'DBInstanceAutomatedBackupNotFound'))
      return undefined;
    throw error;
  }
}

/**
 * Whether the automated backups of the instance reach up to now, but for the minutes that they always trail. Where they reach
 * beyond now our clock is wrong, and so would the marker be: a recovery would lose all that was written in between.
 */
export async function windowReachesNow(rds: RDSClient, resourceId: string, now: Date): Promise<boolean> {
  const window = await backupWindow(rds, resourceId);
  if (!window) return false;
  const lag = now.getTime() - window.to.getTime();
  return lag >= -MAX_AHEAD_MS && lag <= MAX_LAG_MINUTES * 60_000;
}

/** Writes the marker of a deployment and removes the oldest ones. RestoreTime knows whole seconds. */
export async function writeMarker(
  rds: RDSClient,
  instance: DBInstance,
  request: { deploymentId: string; time: Date; outcome?: string; migrations: readonly Migration[] },
): Promise<Marker> {
  const name = markerName(request.deploymentId);
  const time = `${request.time.toISOString().slice(0, 19)}Z`;
  const words = [
    time,
    request.outcome ?? NONE,
    encode(cut(request.deploymentId, 60)),
    ...[...request.migrations].reverse().map(encodeEntry),
  ];
  const tags = writeEntries(name, words, 1);
  await rds.send(new AddTagsToResourceCommand({ ResourceName: instance.DBInstanceArn, Tags: tags }));
  const superfluous = readMarkers(instance.TagList)
    .filter((marker) => marker.name !== name)
    .slice(MAX_MARKERS - 1)
    .map((marker) => `migration-rollback:${marker.name}`);
  if (superfluous.length > 0)
    await rds.send(
      new RemoveTagsFromResourceCommand({ ResourceName: instance.DBInstanceArn, TagKeys: superfluous }),
    );
  const [written] = readMarkers(tags);
  if (!written) throw new Error(`The marker ${name} cannot be read back.`);
  return written;
}
