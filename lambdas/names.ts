import { createHash } from 'node:crypto';

/**
 * Names of instances and snapshots, and the ids that they are derived from. The same input always gives the same name, so
 * that a retry finds what the first try made. RDS: instance 1-63 characters, snapshot 1-255, letters, digits and hyphens,
 * starting with a letter, no two hyphens in a row, none at the end; stored in lower case.
 */
const MAX_INSTANCE_ID = 63;
const MAX_SNAPSHOT_ID = 255;
const RECOVERY_SUFFIX = /-rec-([0-9a-f]{10})$/;
/** So much of a name fits before such a suffix. */
const MAX_BASE = MAX_INSTANCE_ID - '-rec-0123456789'.length;

/**
 * Id of a recovery: ten hex digits from the execution's name and start. The start is part of it because Step Functions
 * lets a name be used again after 90 days; a redrive keeps both.
 */
export function recoveryId(execution: { name: string; startTime: string }): string {
  return digest(`${execution.name} ${new Date(execution.startTime).toISOString()}`, 10);
}

/** The name that an instance had before any recovery, so that recovering again and again does not make names longer. */
export function baseName(instanceId: string): string {
  return instanceId.toLowerCase().replace(RECOVERY_SUFFIX, '');
}

export function recoveryInstanceId(liveInstanceId: string, id: string): string {
  return `${cut(baseName(liveInstanceId), MAX_BASE)}-rec-${id}`;
}

/** The recovery that names an instance like this when it restores the database of `liveInstanceId`; undefined: none does. */
export function recoveryIdIn(instanceId: string, liveInstanceId: string): string | undefined {
  const id = RECOVERY_SUFFIX.exec(instanceId)?.[1];
  return id !== undefined && recoveryInstanceId(liveInstanceId, id) === instanceId ? id : undefined;
}

/**
 * As `baseName`, where it is certain: undefined where it may have been cut off. An instance that no recovery made has it.
 * @param held what the tags of the instance say, for names that do not fit
 */
export function originalName(instanceId: string, held: string | undefined): string | undefined {
  const base = baseName(instanceId);
  if (base === instanceId.toLowerCase()) return base;
  if (held !== undefined) return cut(held, MAX_BASE) === base ? held : undefined;
  // One hyphen may have gone at the cut.
  return base.length < MAX_BASE - 1 ? base : undefined;
}

/** What the tags of a recovery instance have to hold so that `originalName` is certain. */
export function heldBaseName(liveInstanceId: string, held: string | undefined): string | undefined {
  const original = originalName(liveInstanceId, held);
  return original !== undefined && original.length >= MAX_BASE - 1 ? original : undefined;
}

export function safetySnapshotId(liveInstanceId: string, id: string): string {
  return `${cut(baseName(liveInstanceId), MAX_INSTANCE_ID)}-safety-${id}`;
}

export function finalSnapshotId(liveInstanceId: string, id: string): string {
  return `${cut(baseName(liveInstanceId), MAX_INSTANCE_ID)}-final-${id}`;
}

/**
 * One deployment to one database, one name: the readable part helps people, the digest keeps ids apart that only look alike.
 * The database is known by its resource id, so that a deployment that runs again after a recovery gets a snapshot of what
 * is live then.
 */
export function preMigrationSnapshotId(
  live: { readonly instanceId: string; readonly resourceId: string },
  deploymentId: string,
): string {
  const readable = cut(slug(deploymentId), 60);
  const parts = [
    cut(baseName(live.instanceId), MAX_INSTANCE_ID),
    'pre-migration',
    readable,
    digest(`${live.resourceId} ${deploymentId}`, 10),
  ];
  return parts.filter((part) => part !== '').join('-');
}

/** The copy of a snapshot that lies here only until the one in the vault is made of it. */
export function passingSnapshotId(snapshotId: string): string {
  const suffix = `-passing-${digest(snapshotId, 10)}`;
  return `${cut(snapshotId, MAX_SNAPSHOT_ID - suffix.length)}${suffix}`;
}

/** Ten hex digits that stand for a text. */
export function digestOf(text: string): string {
  return digest(text, 10);
}

/** One snapshot a day, and database. `day` is a date as 2026-11-21. */
export function scheduledSnapshotId(
  live: { readonly instanceId: string; readonly resourceId: string },
  day: string,
): string {
  return `${cut(baseName(live.instanceId), MAX_INSTANCE_ID)}-scheduled-${slug(day)}-${digest(live.resourceId, 10)}`;
}

function slug(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
}

function cut(name: string, length: number): string {
  return name.slice(0, length).replace(/-+$/, '');
}

function digest(text: string, length: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length);
}
