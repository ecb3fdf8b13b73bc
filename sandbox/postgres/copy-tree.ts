import { chownSync, constants, copyFileSync, statSync, type Dirent } from 'node:fs';
import { chown, lchown, mkdir, readdir, readlink, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Account } from './account';

export interface CopyOptions {
  readonly owner?: Account | undefined;
  /** True for a file or a directory's content that is left out; the directory itself is made. `path` is relative, with `/`. */
  readonly leaveOut?: (path: string) => boolean;
}

/** Milliseconds of copying after which others have their turn. */
const TURN = 10;

/**
 * Copies a directory that nothing writes to. A data directory is some thousand small files: to hand each
 * of them to another thread several times, as Node's promises do, would cost ten times what copying it costs.
 */
export async function copyTree(source: string, target: string, options: CopyOptions = {}): Promise<void> {
  const { owner, leaveOut = () => false } = options;
  const files: { from: string; to: string }[] = [];

  const visit = async (path: string): Promise<void> => {
    const to = join(target, path);
    await mkdir(to, { recursive: true, mode: 0o700 });
    if (owner) await chown(to, owner.uid, owner.gid);
    for (const entry of await readdir(join(source, path), { withFileTypes: true }))
      await visitEntry(entry, path === '' ? entry.name : `${path}/${entry.name}`);
  };
  const visitEntry = async (entry: Dirent, path: string): Promise<void> => {
    const to = join(target, path);
    if (entry.isDirectory()) {
      if (!leaveOut(`${path}/`)) await visit(path);
      else {
        await mkdir(to, { mode: 0o700 });
        if (owner) await chown(to, owner.uid, owner.gid);
      }
    } else if (!leaveOut(path)) {
      if (entry.isFile()) files.push({ from: join(source, path), to });
      else if (entry.isSymbolicLink()) {
        await symlink(await readlink(join(source, path)), to);
        if (owner) await lchown(to, owner.uid, owner.gid);
      }
    }
  };
  await visit('');

  let turn = performance.now();
  for (const { from, to } of files) {
    copyStillFile(from, to, owner);
    if (performance.now() - turn < TURN) continue;
    await setImmediate();
    turn = performance.now();
  }
}

/** A copy-on-write clone where the file system can do that. Returns the size in bytes. */
export function copyStillFile(from: string, to: string, owner?: Account): number {
  copyFileSync(from, to, constants.COPYFILE_FICLONE);
  if (owner) chownSync(to, owner.uid, owner.gid);
  return statSync(to).size;
}
