import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sourcesOf } from './launch';
import type { Rds } from './rds';

/** The directories below RDS's own: `instances/<DbiResourceId>`, `snapshots/<id>`, `automated/<DbiResourceId>/<backup or wal>`. */

/** Those of backups and of archived WAL that a record, a backup or a restore under way needs. */
function neededBackups(rds: Rds): Set<string> {
  return new Set(rds.everywhere().flatMap(neededIn));
}

function neededIn(rds: Rds): string[] {
  const { snapshots, automatedBackups, tasks } = rds.state;
  return [
    ...[...snapshots.values()]
      .filter(({ status }) => status !== 'failed')
      .map(({ backupDirectory }) => backupDirectory),
    ...[...automatedBackups.values()].flatMap(({ walArchive, baseBackups }) => [
      walArchive,
      ...baseBackups.map(({ directory }) => directory),
    ]),
    ...[...tasks.values()].flatMap(({ task, worked }) => {
      if (task.do === 'launch' && !worked) return sourcesOf(task.origin);
      return task.do === 'base-backup' ? [task.directory] : [];
    }),
  ];
}

/** Removes the directory of a backup or of archived WAL unless something needs it. */
export function discardBackup(rds: Rds, directory: string): void {
  if (!neededBackups(rds).has(directory)) rds.remove(directory);
}

/** Removes what a killed sandbox had begun to remove, or to write without having told of it yet. */
export async function sweepDirectories(rds: Rds): Promise<void> {
  const needed = neededBackups(rds);
  for (const { dbiResourceId } of rds.state.instances.values()) needed.add(join('instances', dbiResourceId));
  const list = async (directory: string): Promise<string[]> =>
    (await readdir(rds.path(directory)).catch(() => [])).map((name) => join(directory, name));
  const automated = await Promise.all((await list('automated')).map(list));
  const found = [...(await list('instances')), ...(await list('snapshots')), ...automated.flat()];
  await Promise.all(
    found
      .filter((directory) => !needed.has(directory))
      .map((directory) => rm(rds.path(directory), { recursive: true, force: true })),
  );
}
