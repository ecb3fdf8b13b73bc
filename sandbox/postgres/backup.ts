import { randomBytes } from 'node:crypto';
import { chown, copyFile, mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import { z } from 'zod';
import type { Account } from './account';
import type { Backup } from './contract';
import { copyStillFile } from './copy-tree';
import { BackupFailed, errorMessage } from './errors';
import { packTree, unpackTree, type PackedTree } from './packed-tree';

/**
 * A backup's directory: `data` and `data.json` are the data directory, packed; `backup_label` what PostgreSQL needs in it to
 * start from it; `wal` the WAL that makes the copy consistent (so that a snapshot stands on its own, whatever becomes of the
 * instance and its archive); `backup.json` what is known about it.
 */
const LABEL = 'backup_label';
const WAL = 'wal';
const DESCRIPTION = 'backup.json';

function backupData(backup: string): PackedTree {
  return { content: join(backup, 'data'), index: join(backup, 'data.json') };
}

/** Makes the data directory `target` out of a backup; a server that starts in it has to recover first. */
export async function unpackBackup(
  backup: string,
  target: string,
  owner: Account | undefined,
): Promise<void> {
  await unpackTree(backupData(backup), target, owner);
  const label = join(target, LABEL);
  await copyFile(join(backup, LABEL), label);
  if (owner) await chown(label, owner.uid, owner.gid);
}

export function backupWal(backup: string): string {
  return join(backup, WAL);
}

const descriptionSchema = z.object({ consistentAt: z.iso.datetime() });

/** When the backup in this directory became consistent. */
export async function readConsistentAt(backup: string): Promise<Date> {
  const text = await readFile(join(backup, DESCRIPTION), 'utf8');
  return new Date(descriptionSchema.parse(JSON.parse(text)).consistentAt);
}

/** Directories whose content belongs to the running server alone. */
const RUNTIME_DIRECTORIES = new Set([
  ...['pg_wal/', 'pg_replslot/', 'pg_dynshmem/', 'pg_notify/', 'pg_serial/'],
  ...['pg_snapshots/', 'pg_stat_tmp/', 'pg_subtrans/'],
]);
/** Files of the server that it was taken from; a restored server gets its own. */
const OWN_FILES =
  /^(postmaster\.(pid|opts)|postgresql(\.auto)?\.conf(\.new)?|pg_(hba|ident)\.conf|server\.(crt|key)|backup_label(\.old)?|tablespace_map(\.old)?)$/;
const REBUILT_FILES = /(^|\/)(pgsql_tmp[^/]*\/?|pg_internal\.init[^/]*)$/;

function leaveOut(path: string): boolean {
  return RUNTIME_DIRECTORIES.has(path) || OWN_FILES.test(path) || REBUILT_FILES.test(path);
}

const startSchema = z.object({ first: z.string() });
const stopSchema = z.object({ labelfile: z.string(), last: z.string(), segment_bytes: z.coerce.number() });

/**
 * Takes a physical backup of the server that `client` is connected to as a superuser, by PostgreSQL's low-level API; the
 * WAL comes straight from the server, kept there by a temporary replication slot, so that it works without an archive.
 * @throws BackupFailed; then nothing of the backup is left.
 */
export async function takeBackup(
  client: Client,
  options: { data: string; directory: string; owner: Account | undefined },
): Promise<Backup> {
  const { data, directory, owner } = options;
  await mkdir(directory, { recursive: true, mode: 0o755 });
  if ((await readdir(directory)).length > 0)
    throw new BackupFailed(`There is something in the backup's directory already: ${directory}.`);
  try {
    const slot = `backup_${randomBytes(6).toString('hex')}`;
    await client.query('SELECT pg_create_physical_replication_slot($1, true, true)', [slot]);
    const started = await client.query(`SELECT pg_walfile_name(pg_backup_start($1, true)) AS first`, [slot]);
    const { first } = startSchema.parse(started.rows[0]);
    const dataBytes = await packTree(data, backupData(directory), leaveOut);
    const stopped = await client.query(
      `SELECT labelfile, pg_walfile_name(lsn) AS last,
              (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size') AS segment_bytes
       FROM pg_backup_stop(false)`,
    );
    // After the stop, so that no commit in the backup is younger.
    const consistentAt = new Date(Math.ceil(await serverTime(client)));
    const { labelfile, last, segment_bytes: segmentBytes } = stopSchema.parse(stopped.rows[0]);

    await writeFile(join(directory, LABEL), labelfile, { mode: 0o600 });
    const wal = { from: join(data, 'pg_wal'), to: backupWal(directory) };
    const walBytes = await copySegments(wal, { first, last, segmentBytes }, owner);
    await client.query('SELECT pg_drop_replication_slot($1)', [slot]);
    const description = { consistentAt: consistentAt.toISOString() };
    await writeFile(join(directory, DESCRIPTION), JSON.stringify(description));
    return { directory, consistentAt, bytes: dataBytes + walBytes };
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    if (error instanceof BackupFailed) throw error;
    throw new BackupFailed('The server could not be backed up.', {
      evidence: errorMessage(error),
    });
  }
}

/** PostgreSQL's clock, in milliseconds since 1970 with a fraction. */
export async function serverTime(client: Client): Promise<number> {
  const { rows } = await client.query<{ now: string }>(
    `SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now`,
  );
  return z.coerce.number().parse(rows[0]?.now);
}

async function copySegments(
  wal: { from: string; to: string },
  { first, last, segmentBytes }: { first: string; last: string; segmentBytes: number },
  owner: Account | undefined,
): Promise<number> {
  await mkdir(wal.to, { mode: 0o700 });
  if (owner) await chown(wal.to, owner.uid, owner.gid);
  const names = (await readdir(wal.from)).filter((name) => isSegment(name) && name >= first && name <= last);
  const expected = segmentNumber(last, segmentBytes) - segmentNumber(first, segmentBytes) + 1n;
  if (BigInt(names.length) !== expected)
    throw new BackupFailed('WAL that the backup needs is gone.', {
      evidence: `${names.length} of ${expected} segments from ${first} to ${last} are left.`,
      hint: 'More was written during the backup than max_slot_wal_keep_size allows to keep.',
    });
  let bytes = 0;
  for (const name of names) bytes += copyStillFile(join(wal.from, name), join(wal.to, name), owner);
  return bytes;
}

function isSegment(name: string): boolean {
  return /^[0-9A-F]{24}$/.test(name);
}

/** Place of a segment in the WAL: its name is the timeline, the upper half of its place and the segment in that 4 GiB. */
function segmentNumber(name: string, segmentBytes: number): bigint {
  const perUpperHalf = BigInt(2 ** 32 / segmentBytes);
  return BigInt(`0x${name.slice(8, 16)}`) * perUpperHalf + BigInt(`0x${name.slice(16)}`);
}

/** Whether a finished file of this name is in an archive. */
export async function isArchived(archive: string, name: string): Promise<boolean> {
  return stat(join(archive, name)).then(
    () => true,
    () => false,
  );
}
