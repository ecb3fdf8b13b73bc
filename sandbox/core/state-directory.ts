import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ApiCall, Interceptor } from './api';
import { lockDirectory } from './directory-lock';
import { fromBytes, toBytes } from './plain-data';

/**
 * A part of the sandbox whose state outlives the process. State is plain data: what `structuredClone` takes (records, lists,
 * maps, sets, dates), no functions and no classes.
 */
export interface Lasting<State> {
  /**
   * All of the part's state as it is now. Called often: must be cheap and have no effect. Called between two turns of the
   * event loop: what goes on from promise to promise, without waiting for time or anything real, is never seen half done.
   */
  save(): State;
  /** Takes up what `save` gave in an earlier process, before the part has done anything. */
  load(state: State): void;
  /**
   * Goes on with what was under way when the earlier process ended. Called when every part has been loaded, in the order in
   * which the parts were made; calls from outside wait until all are through, so it must not wait for one.
   */
  resume?(): Promise<void>;
}

/** What another version wrote can't be read. Raised whenever the shape of any part's state changes. */
const FORMAT = 9;

interface Saved {
  readonly format: number;
  /** Where the directory was: what is in it names itself by this path. */
  readonly directory: string;
  readonly parts: Readonly<Record<string, unknown>>;
}

/** The directory holds what this version can't read, or what no sandbox has put there. */
export class UnreadableState extends Error {
  override readonly name = 'UnreadableState';
}

/**
 * The sandbox's memory on disk: one file, written whole and renamed into place, so that it always shows one moment of all
 * parts. What a call changed is on disk before its answer leaves; what changes by itself follows a moment later. Safe against
 * the end of the process at any time, not against that of the machine.
 */
export class StateDirectory {
  readonly directory: string;
  private readonly parts = new Map<string, Lasting<unknown>>();
  private readonly earlier: Saved | undefined;
  private readonly unlock: () => void;
  private written: Buffer | undefined;
  private current: Promise<void> = Promise.resolve();
  private next: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  /** @throws DirectoryInUse, UnreadableState */
  constructor(
    directory: string,
    private readonly log: (line: string) => void,
  ) {
    // Entered by the user that PostgreSQL runs as; the file itself is for the owner alone, since it holds secrets.
    this.directory = makeDirectory(directory);
    this.refuseForeign();
    this.unlock = lockDirectory(this.directory);
    try {
      chmodSync(this.directory, 0o755);
      this.earlier = existsSync(this.file) ? this.read() : undefined;
      if (!this.earlier) this.beginAnew();
    } catch (error) {
      this.unlock();
      throw error;
    }
  }

  /** True when an earlier process left its state here. */
  get continues(): boolean {
    return this.earlier !== undefined;
  }

  /** Loads what an earlier process left of this part, and saves it from now on. @throws UnreadableState */
  keep<State>(name: string, part: Lasting<State>): void {
    if (this.parts.has(name)) throw new Error(`Two parts of the sandbox keep their state as "${name}".`);
    const state = this.earlier?.parts[name];
    try {
      // What is read here was written by `save` of the same part and format.
      if (state !== undefined) part.load(state as State);
    } catch (error) {
      throw this.unreadable(`what ${name} left can't be taken up (${String(error)})`);
    }
    this.parts.set(name, part);
  }

  /** Called once every part is kept: goes on with what was under way, and writes changes from now on. @throws UnreadableState */
  async resume(): Promise<void> {
    const unknown = Object.keys(this.earlier?.parts ?? {}).filter((name) => !this.parts.has(name));
    if (unknown.length > 0) throw this.unreadable(`it has parts unknown here: ${unknown.join(', ')}`);
    if (this.continues) for (const part of this.parts.values()) await part.resume?.();
    await this.write();
    this.writeAgain();
  }

  /** Lets a call's answer go when its effect is on disk. Nothing waits for calls that only read. */
  readonly interceptor: Interceptor = async (call, next) => {
    if (onlyReads(call)) return next();
    try {
      return await next();
    } finally {
      await this.write();
    }
  };

  /** Resolves when the present state is on disk. Callers that come while it is being written share the next writing. */
  async write(): Promise<void> {
    if (this.closed) return;
    this.next ??= this.current
      // Whoever is between two promises comes to rest first.
      .then(() => new Promise(setImmediate))
      .then(() => {
        this.next = undefined;
        const writing = this.writeNow();
        this.current = writing.catch(() => undefined);
        return writing;
      });
    return this.next;
  }

  /** Writes once more and no longer, and lets another process have the directory. */
  async close(): Promise<void> {
    clearTimeout(this.timer);
    try {
      await this.write();
    } finally {
      this.closed = true;
    }
  }

  /** Lets another process have the directory. */
  release(): void {
    clearTimeout(this.timer);
    this.closed = true;
    this.unlock();
  }

  private get file(): string {
    return join(this.directory, 'state');
  }

  private async writeNow(): Promise<void> {
    const parts = Object.fromEntries([...this.parts].map(([name, part]) => [name, part.save()]));
    const bytes = this.bytesOf(parts);
    if (this.written?.equals(bytes)) return;
    await writeFile(`${this.file}.new`, bytes, { mode: 0o600 });
    await rename(`${this.file}.new`, this.file);
    this.written = bytes;
  }

  /** Writes what has changed by itself, ever again; slower when the state is large. */
  private writeAgain(after = WRITE_INTERVAL): void {
    if (this.closed) return;
    this.timer = setTimeout(() => {
      const started = performance.now();
      this.write()
        .catch((error: unknown) => {
          this.log(`state: ${this.file} can't be written: ${String(error)}`);
        })
        .finally(() => {
          this.writeAgain(Math.max(WRITE_INTERVAL, 20 * (performance.now() - started)));
        });
    }, after).unref();
  }

  /** From the first moment on the directory says whose it is; what is in it is of a sandbox that never got ready. */
  private beginAnew(): void {
    for (const name of readdirSync(this.directory))
      if (!name.startsWith('lock')) rmSync(join(this.directory, name), { recursive: true, force: true });
    writeFileSync(`${this.file}.new`, this.bytesOf({}), { mode: 0o600 });
    renameSync(`${this.file}.new`, this.file);
  }

  private bytesOf(parts: Saved['parts']): Buffer {
    return toBytes({ format: FORMAT, directory: this.directory, parts } satisfies Saved);
  }

  /** A directory that someone has given by mistake stays as it is. */
  private refuseForeign(): void {
    const names = readdirSync(this.directory).filter((name) => !/^(lock|state\.new)/.test(name));
    if (names.length > 0 && !names.includes('state'))
      throw new UnreadableState(
        `${this.directory} is neither empty nor the state of a sandbox: it has ${names.slice(0, 3).join(', ')}. ` +
          `HINT: give an empty directory, or one that is not there yet.`,
      );
  }

  /** What an earlier process left; undefined when it did not come to write any part. */
  private read(): Saved | undefined {
    let saved: unknown;
    try {
      saved = fromBytes(readFileSync(this.file));
    } catch (error) {
      throw this.unreadable(`its state is damaged (${String(error)})`);
    }
    if (!isSaved(saved) || saved.format !== FORMAT)
      throw this.unreadable('another version of the sandbox wrote it');
    if (saved.directory !== this.directory)
      throw new UnreadableState(
        `${this.directory} was ${saved.directory} when the sandbox wrote it. HINT: move it back; a copy can't be used.`,
      );
    return Object.keys(saved.parts).length === 0 ? undefined : saved;
  }

  private unreadable(why: string): UnreadableState {
    return new UnreadableState(
      `The state in ${this.directory} can't be read: ${why}. HINT: delete the directory to begin anew.`,
    );
  }
}

/** How long a change that no call made may be missing on disk, in milliseconds. */
const WRITE_INTERVAL = 100;

/** Its real path. Not with `recursive`, in which Node.js loops for ever where the system refuses a directory, as in /proc. */
function makeDirectory(directory: string): string {
  try {
    mkdirSync(directory, { mode: 0o755 });
  } catch (error) {
    if (!existsSync(directory) || !statSync(directory).isDirectory())
      throw new UnreadableState(
        `${directory} can't be made a state directory (${String(error)}). HINT: give one whose parent directory is there.`,
      );
  }
  return realpathSync(directory);
}

/** STS hands out keys, which are kept. */
function onlyReads({ context: { service, operation } }: ApiCall): boolean {
  return service !== 'sts' && /^(Describe|Get|List)/.test(operation);
}

function isSaved(value: unknown): value is Saved {
  return (
    typeof value === 'object' &&
    value !== null &&
    'format' in value &&
    'directory' in value &&
    'parts' in value
  );
}
