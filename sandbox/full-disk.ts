import { statfsSync } from 'node:fs';

const LITTLE = 64 * 2 ** 20;

/** What to do where something failed and the disk is full: PostgreSQL and RDS only say that they could not. Undefined where it is not. */
export function hintOfFullDisk(
  directory: string,
  stat: (path: string) => { readonly bavail: number; readonly bsize: number } = statfsSync,
): string | undefined {
  const { bavail, bsize } = stat(directory);
  const free = bavail * bsize;
  if (free >= LITTLE) return undefined;
  return `HINT: ${Math.floor(free / 2 ** 20)} MB are free in ${directory}. Set TMPDIR to a directory with 1 GB.`;
}
