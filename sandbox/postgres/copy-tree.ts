import { constants, type Dirent, type Stats } from 'node:fs';
import { chown, copyFile, lchown, mkdir, open, readdir, readlink, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Account } from './account';
import { errorCode } from './errors';

export interface CopyOptions {
  readonly owner?: Account | undefined;
  /** True for a file or a directory's content that is left out; the directory itself is made. `path` is relative, with `/`. */
  readonly leaveOut?: (path: string) => boolean;
  /** The files are written to, truncated and removed meanwhile. */
  readonly live?: boolean;
}

const AT_ONCE = 16;
const CHUNK = 1 << 20;

/** Copies a directory. Returns the size of the files in bytes. */
export async function copyTree(source: string, target: string, options: CopyOptions = {}): Promise<number> {
  const { owner, leaveOut = () => false, live = false } = options;
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

  let bytes = 0;
  const copyNext = async (): Promise<void> => {
    for (let file = files.pop(); file; file = files.pop()) {
      const size = await (live ? copyLiveFile : copyStillFile)(file.from, file.to, owner);
      bytes += size;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, copyNext));
  return bytes;
}

/** A copy-on-write clone where the file system can do that. */
export async function copyStillFile(from: string, to: string, owner?: Account): Promise<number> {
  await copyFile(from, to, constants.COPYFILE_FICLONE);
  if (owner) await chown(to, owner.uid, owner.gid);
  return (await stat(to)).size;
}

/** Reads to the end, wherever that is by then: copyFile would wait for ever for the bytes of a file that was truncated. */
async function copyLiveFile(from: string, to: string, owner?: Account): Promise<number> {
  const input = await openIfThere(from);
  // Dropped meanwhile: WAL replay drops it from the copy as well.
  if (!input) return 0;
  try {
    const { mode, size }: Stats = await input.stat();
    const output = await open(to, 'wx', mode & 0o777);
    try {
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK, Math.max(size, 8192)));
      let bytes = 0;
      for (;;) {
        const { bytesRead } = await input.read(buffer, 0, buffer.length, bytes);
        if (bytesRead === 0) break;
        await output.write(buffer, 0, bytesRead, bytes);
        bytes += bytesRead;
      }
      if (owner) await output.chown(owner.uid, owner.gid);
      return bytes;
    } finally {
      await output.close();
    }
  } finally {
    await input.close();
  }
}

async function openIfThere(path: string): Promise<Awaited<ReturnType<typeof open>> | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
