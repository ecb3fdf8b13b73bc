import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import type { Interceptor } from './api';

/**
 * A part of the sandbox whose state outlives the process. State is plain data: what `structuredClone` takes (records, lists,
 * maps, sets, dates), no functions and no classes.
 */
export interface Lasting<State> {
  /** All of the part's state as it is now. Called often: must be cheap and have no effect. */
  save(): State;
  /** Takes up what `save` gave in an earlier process, before the part has done anything. */
  load(state: State): void;
  /** Goes on with what was under way when the earlier process ended; called when every part has been loaded. */
  resume?(): Promise<void>;
}

/** What another version wrote can't be read. Raised whenever the shape of any part's state changes. */
const FORMAT = 1;

interface Saved {
  readonly format: number;
  readonly parts: Readonly<Record<string, unknown>>;
}

/** The state directory holds what this version can't read. */
export class UnreadableState extends Error {
  override readonly name = 'UnreadableState';
}

/**
 * The sandbox's memory on disk: one file, written whole and renamed into place, so that it always shows one moment of all
 * parts. An answered call is on disk before its answer leaves; what changes by itself follows within WRITE_INTERVAL.
 */
export class StateDirectory {
  private readonly parts = new Map<string, Lasting<unknown>>();
  private readonly earlier: Saved | undefined;
  private written: Buffer | undefined;
  private writing: Promise<void> = Promise.resolve();
  private timer: NodeJS.Timeout | undefined;

  /** @throws UnreadableState */
  constructor(private readonly directory: string) {
    // Entered by the user that PostgreSQL runs as; the file itself is for the owner alone, since it holds secrets.
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    chmodSync(directory, 0o755);
    if (!existsSync(this.file)) return;
    this.earlier = read(this.file);
  }

  private get file(): string {
    return join(this.directory, 'state');
  }

  /** True when an earlier process left its state here. */
  get continues(): boolean {
    return this.earlier !== undefined;
  }

  /** Loads what an earlier process left of this part, and saves it from now on. */
  keep<State>(name: string, part: Lasting<State>): void {
    const state = this.earlier?.parts[name];
    // What is read here was written by `save` of the same part and format.
    if (state !== undefined) part.load(state as State);
    this.parts.set(name, part);
  }

  /** Called once every part is kept: goes on with what was under way, and writes changes from now on. */
  async resume(): Promise<void> {
    if (this.continues) for (const part of this.parts.values()) await part.resume?.();
    this.timer = setInterval(() => void this.write(), WRITE_INTERVAL).unref();
    await this.write();
  }

  /** Lets a call's answer go when its effect is on disk. */
  readonly interceptor: Interceptor = async (_call, next) => {
    try {
      return await next();
    } finally {
      await this.write();
    }
  };

  /** Resolves when the present state is on disk. */
  async write(): Promise<void> {
    const turn = this.writing.then(async () => {
      const bytes = serialize(this.snapshot());
      if (this.written?.equals(bytes)) return;
      await writeFile(`${this.file}.new`, bytes, { mode: 0o600 });
      await rename(`${this.file}.new`, this.file);
      this.written = bytes;
    });
    this.writing = turn.catch(() => undefined);
    return turn;
  }

  /** Writes once more and no longer. */
  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.write();
  }

  private snapshot(): Saved {
    const parts = Object.fromEntries([...this.parts].map(([name, part]) => [name, part.save()]));
    return { format: FORMAT, parts };
  }
}

/** How long a change that no call made may be missing on disk, in milliseconds. */
const WRITE_INTERVAL = 100;

function read(file: string): Saved {
  let saved: unknown;
  try {
    saved = deserialize(readFileSync(file));
  } catch (error) {
    throw new UnreadableState(
      `${file} can't be read (${String(error)}). Delete its directory to begin anew.`,
    );
  }
  if (!isSaved(saved) || saved.format !== FORMAT) {
    throw new UnreadableState(
      `${file} was written by another version of the sandbox. Delete its directory to begin anew.`,
    );
  }
  return saved;
}

function isSaved(value: unknown): value is Saved {
  return typeof value === 'object' && value !== null && 'format' in value && 'parts' in value;
}
