import {
  closeSync,
  fchownSync,
  fstatSync,
  openSync,
  readlinkSync,
  readSync,
  symlinkSync,
  lchownSync,
  chownSync,
  mkdirSync,
  writeSync,
} from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { z } from 'zod';
import type { Account } from './account';
import { errorCode } from './errors';

/**
 * A directory in two files: `content` has what is in its files, one after the other, `index` says which they are. A data
 * directory is some thousand small files, and to make and remove each costs many times what its bytes cost.
 */
export interface PackedTree {
  readonly content: string;
  readonly index: string;
}

const Entry = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('directory'), path: z.string() }),
  z.object({ kind: z.literal('link'), path: z.string(), target: z.string() }),
  /** `mode`: its permissions; `bytes`: so many of the content. */
  z.object({ kind: z.literal('file'), path: z.string(), mode: z.number(), bytes: z.number() }),
]);
type Entry = z.output<typeof Entry>;

const CHUNK = 1 << 20;
const buffer = Buffer.allocUnsafe(CHUNK);
/** Milliseconds of copying after which others have their turn. */
const TURN = 10;

/**
 * Packs a directory whose files are written to, truncated and removed meanwhile. `leaveOut` is true for a file, or for a
 * directory's content, that is left out; the directory itself (`path` ends with `/`) is kept. Returns the size of the files in bytes.
 */
export async function packTree(
  source: string,
  packed: PackedTree,
  leaveOut: (path: string) => boolean,
): Promise<number> {
  const entries: Entry[] = [];
  const output = openSync(packed.content, 'wx', 0o600);
  let total = 0;
  try {
    const giveWay = turns();
    const visit = async (directory: string): Promise<void> => {
      for (const entry of await readdir(join(source, directory), { withFileTypes: true })) {
        const path = directory === '' ? entry.name : `${directory}/${entry.name}`;
        if (entry.isDirectory()) {
          entries.push({ kind: 'directory', path });
          if (!leaveOut(`${path}/`)) await visit(path);
        } else if (leaveOut(path)) continue;
        else if (entry.isSymbolicLink())
          entries.push({ kind: 'link', path, target: readlinkSync(join(source, path)) });
        else if (entry.isFile()) {
          const file = append(join(source, path), output);
          if (!file) continue;
          entries.push({ kind: 'file', path, ...file });
          total += file.bytes;
          await giveWay();
        }
      }
    };
    await visit('');
  } finally {
    closeSync(output);
  }
  await writeFile(packed.index, JSON.stringify(entries), { mode: 0o600 });
  return total;
}

/** Makes the directory `target` out of what was packed, in the name of `owner`. */
export async function unpackTree(packed: PackedTree, target: string, owner?: Account): Promise<void> {
  const entries = z.array(Entry).parse(JSON.parse(await readFile(packed.index, 'utf8')));
  const makeDirectory = (path: string): void => {
    mkdirSync(path, { mode: 0o700 });
    if (owner) chownSync(path, owner.uid, owner.gid);
  };
  const input = openSync(packed.content, 'r');
  try {
    makeDirectory(target);
    const giveWay = turns();
    let position = 0;
    for (const entry of entries) {
      const path = join(target, entry.path);
      if (entry.kind === 'directory') makeDirectory(path);
      else if (entry.kind === 'link') {
        symlinkSync(entry.target, path);
        if (owner) lchownSync(path, owner.uid, owner.gid);
      } else {
        extract(input, position, entry, path, owner);
        position += entry.bytes;
        await giveWay();
      }
    }
  } finally {
    closeSync(input);
  }
}

/** Reads to the end, wherever that is by then. Undefined where the file was dropped meanwhile: WAL replay drops it, too. */
function append(from: string, output: number): { mode: number; bytes: number } | undefined {
  const input = openIfThere(from);
  if (input === undefined) return undefined;
  try {
    const mode = fstatSync(input).mode & 0o777;
    for (let bytes = 0; ;) {
      const length = readSync(input, buffer, 0, CHUNK, bytes);
      if (length === 0) return { mode, bytes };
      write(output, length);
      bytes += length;
    }
  } finally {
    closeSync(input);
  }
}

function extract(
  input: number,
  position: number,
  { path, mode, bytes }: Extract<Entry, { kind: 'file' }>,
  to: string,
  owner: Account | undefined,
): void {
  const output = openSync(to, 'wx', mode);
  try {
    for (let done = 0; done < bytes;) {
      const length = readSync(input, buffer, 0, Math.min(CHUNK, bytes - done), position + done);
      if (length === 0) throw new Error(`What was packed of ${path} ends after ${done} of ${bytes} bytes.`);
      write(output, length);
      done += length;
    }
    if (owner) fchownSync(output, owner.uid, owner.gid);
  } finally {
    closeSync(output);
  }
}

/** The first so many bytes of the buffer, to where the file ends. */
function write(output: number, length: number): void {
  for (let written = 0; written < length;) written += writeSync(output, buffer, written, length - written);
}

/** Others have their turn now and then. */
function turns(): () => Promise<void> {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < TURN) return;
    await setImmediate();
    since = performance.now();
  };
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
