import type { Tag } from '@aws-sdk/client-rds';
import { createHash } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { digestOf } from './names';

/**
 * The state of this system: tags on the RDS resources themselves. Everything that reads or writes them is here.
 * RDS allows 50 tags per resource; values have at most 256 characters: letters, digits, spaces and `_ . : / = + - @`.
 */
const PREFIX = 'migration-rollback:';
const MAX_VALUE = 256;

/** What a snapshot or an instance is to this system. */
const ROLES = [
  'pre-migration',
  'scheduled',
  'safety',
  'final',
  'passing',
  'recovery-instance',
  'taken-back',
  'live',
  'retired',
] as const;
export type Role = (typeof ROLES)[number];

const TEXTS = [
  'environment',
  'recovery-id',
  /** On an instance that was taken back: the recovery that had retired it. */
  'undoes',
  'deployment-id',
  'commit',
  'actor',
  'run-url',
  /** ISO 8601. A snapshot without it never expires. */
  'expires-at',
  /** The secret version last set. */
  'master-password-version',
  /** ISO 8601: when MatchSettings, and FinishSettings, first asked for a change. */
  'settings-asked-at',
  'rest-asked-at',
  /** On a snapshot: versions of the two secrets when it was begun, each pinned by a label. */
  'database-url-version',
  'master-version',
  /** On a snapshot: the schema of the database when it was begun (schema-fingerprint.ts). */
  'schema-fingerprint',
  /** On a snapshot: how many migrations the database had, the newest one and a digest over all. */
  'applied-count',
  'applied-last',
  'applied-digest',
  /** On a snapshot: how the migration ended that it was taken for, and when. */
  'outcome',
  'outcome-at',
  /** On a snapshot: never to be deleted, and why. People set it. */
  'hold',
  /** On an instance that a recovery made or took back: resource id of the one that was live then (replaced-instances.ts). */
  'replaces',
  /** On an instance: id of the recovery whose cutover to it was proven (proven-cutover.ts). */
  'cutover-proven',
  /** On a retired instance that is kept: the day, ISO 8601, until which it is wanted. People may change it. */
  'keep-until',
  /** On an instance: why the newest recovery took migrations away (quarantine.ts). */
  'quarantine-reason',
  /** On an instance: its name before any recovery, where its own name had no room for all of that. */
  'base-name',
  /** On an instance that is being renamed: its name and address before, since when, and which recovery had made it live (begun-rename.ts). */
  'renamed-from',
  'renamed-from-host',
  'rename-asked-at',
  'rename-of',
  /** On a snapshot: the day of the schedule that it was taken for. */
  'scheduled-for',
  /** On a passing copy: id of the snapshot that goes to the vault by it. */
  'copy-of',
] as const;

/** Tags with one value each. */
export type Marks = { readonly role?: Role } & { readonly [Name in (typeof TEXTS)[number]]?: string };

export interface Migration {
  readonly name: string;
  /** SHA-256 of migration.sql in hex. */
  readonly checksum?: string | undefined;
}

/** Migrations as far as the tags could hold them: the newest `names`, of `count` in all. */
export interface MigrationList {
  readonly names: readonly string[];
  readonly count: number;
  /** False when `names` is only a part. */
  readonly complete: boolean;
}

export function writeMarks(marks: Marks): Tag[] {
  return Object.entries(marks).map(([name, value]) => ({
    Key: PREFIX + name,
    Value: allowed(value),
  }));
}

export function readMarks(tags: readonly Tag[] | undefined): Marks {
  const value = (name: string): string | undefined => tagValue(tags, name);
  const role = ROLES.find((known) => known === value('role'));
  const found = TEXTS.flatMap((name) => {
    const text = value(name);
    return text === undefined ? [] : [[name, text] as const];
  });
  return { ...(role ? { role } : {}), ...Object.fromEntries(found) };
}

/** Keys of the tags of this system, for RemoveTagsFromResource. */
export function tagKeys(...marks: (keyof Marks)[]): string[] {
  return marks.map((name) => PREFIX + name);
}

/** The tags that a customer gave: neither this system's nor AWS's own, which nobody may set. */
export function customerTags(tags: readonly Tag[] | undefined): Tag[] {
  return (tags ?? []).filter(
    ({ Key = '' }) => !Key.startsWith(PREFIX) && !Key.toLowerCase().startsWith('aws:'),
  );
}

/** The tags of this system. */
export function systemTags(tags: readonly Tag[] | undefined): Tag[] {
  return (tags ?? []).filter(({ Key = '' }) => Key.startsWith(PREFIX));
}

/** RDS allows as many tags per resource. */
export const MAX_TAGS = 50;
/** At most this many tags hold one list, so that a customer's own tags and the other marks fit beside them. */
const MAX_ENTRY_TAGS = 20;
const MAX_UNPACKED = 100_000;
const CHECKSUM_DIGITS = 16;

/**
 * Migrations as tags: `migrations`, `migrations-2`, … hold `name:first 16 digits of the checksum`, separated by spaces,
 * newest first. 500 long names do not fit into 50 tags, so the newest that fit are stored, with the count of all and a
 * digest over all names and checksums (`migrations-count`, `migrations-digest`).
 *
 * @param maxTags how many tags there is room for, 2 or more
 */
export function writeMigrations(migrations: readonly Migration[], maxTags = MAX_ENTRY_TAGS + 2): Tag[] {
  return [
    ...writeEntries('migrations', [...migrations].reverse().map(encodeEntry), maxTags - 2),
    { Key: `${PREFIX}migrations-count`, Value: String(migrations.length) },
    { Key: `${PREFIX}migrations-digest`, Value: migrationsDigest(migrations) },
  ];
}

/** The migrations in the tags, oldest first; null where the tags do not say. */
export function readMigrations(tags: readonly Tag[] | undefined): MigrationList | null {
  const count = tagValue(tags, 'migrations-count');
  if (count === undefined || !/^\d+$/.test(count)) return null;
  const names = readMigrationEntries(tags).map(({ name }) => name);
  return { names, count: Number(count), complete: names.length === Number(count) };
}

/** The same migrations with as much of their checksums as the tags hold. */
export function readMigrationEntries(tags: readonly Tag[] | undefined): Migration[] {
  return readEntries(tags, 'migrations').map(decodeEntry).reverse();
}

/** Of a checksum, as much as the tags hold. */
export function shortChecksum(checksum: string): string {
  return checksum.slice(0, CHECKSUM_DIGITS);
}

/**
 * As many of the entries, from the first on, as fit: `name`, `name-2`, … hold them separated by spaces. An entry has none,
 * no character that a tag must not have, and fits into one tag.
 */
export function writeEntries(name: string, entries: readonly string[], maxTags: number): Tag[] {
  const chunks: string[] = [];
  for (const entry of entries) {
    const last = chunks.at(-1);
    if (last !== undefined && last.length + 1 + entry.length <= MAX_VALUE)
      chunks[chunks.length - 1] = `${last} ${entry}`;
    else if (chunks.length < Math.min(maxTags, MAX_ENTRY_TAGS)) chunks.push(entry);
    else break;
  }
  return chunks.map((chunk, index) => ({ Key: entryKey(name, index), Value: chunk }));
}

/** What `writeEntries` wrote. */
export function readEntries(tags: readonly Tag[] | undefined, name: string): string[] {
  const entries: string[] = [];
  for (let index = 0; index < MAX_ENTRY_TAGS; index++) {
    const chunk = tags?.find(({ Key }) => Key === entryKey(name, index))?.Value;
    if (chunk === undefined) break;
    entries.push(...chunk.split(' ').filter((entry) => entry !== ''));
  }
  return entries;
}

/** Keys of the tags that hold these entries, for RemoveTagsFromResource. */
export function entryKeys(tags: readonly Tag[] | undefined, name: string): string[] {
  const possible = Array.from({ length: MAX_ENTRY_TAGS }, (_, index) => entryKey(name, index));
  return (tags ?? []).flatMap(({ Key = '' }) => (possible.includes(Key) ? [Key] : []));
}

/** Any value as tags, compressed; none where `maxTags` do not hold it. */
export function writePacked(name: string, value: unknown, maxTags: number): Tag[] {
  const packed = deflateRawSync(JSON.stringify(value), { level: 9 }).toString('base64');
  const chunks = packed.match(new RegExp(`.{1,${MAX_VALUE}}`, 'g')) ?? [];
  return chunks.length > Math.min(maxTags, MAX_ENTRY_TAGS)
    ? []
    : chunks.map((chunk, index) => ({ Key: entryKey(name, index), Value: chunk }));
}

/** The value that `writePacked` wrote; undefined where the tags do not have it, or were edited by hand. */
export function readPacked(tags: readonly Tag[] | undefined, name: string): unknown {
  const packed = readEntries(tags, name).join('');
  if (packed === '') return undefined;
  try {
    return JSON.parse(
      inflateRawSync(Buffer.from(packed, 'base64'), { maxOutputLength: MAX_UNPACKED }).toString(),
    );
  } catch {
    return undefined;
  }
}

/** SHA-256 over every name and checksum, in order. */
export function migrationsDigest(migrations: readonly Migration[]): string {
  const hash = createHash('sha256');
  for (const { name, checksum } of migrations) hash.update(`${name}\0${checksum ?? ''}\n`);
  return hash.digest('hex');
}

/** A migration as `name:first digits of the checksum`. */
export function encodeEntry({ name, checksum }: Migration): string {
  const held = encode(heldName(name));
  return checksum === undefined ? held : `${held}:${shortChecksum(checksum)}`;
}

/** An entry has room for a name as long as this beside a checksum and the id of a recovery. */
const MAX_NAME = MAX_VALUE - CHECKSUM_DIGITS - 12;

/**
 * A migration's name as tags hold it: the name itself, or of one that is too long its beginning and a digest that tells it
 * from others. Names out of tags are compared with this.
 */
export function heldName(name: string): string {
  const end = `~${digestOf(name)}`;
  return encode(name).length <= MAX_NAME ? name : `${cut(name, MAX_NAME - encode(end).length)}${end}`;
}

/** As many characters of a text as are, encoded, at most `length` long. */
export function cut(text: string, length: number): string {
  let beginning = '';
  for (const character of text) {
    if (encode(beginning + character).length > length) break;
    beginning += character;
  }
  return beginning;
}

/** What `encodeEntry` wrote. */
export function decodeEntry(entry: string): Migration {
  const [name = '', checksum] = entry.split(':');
  return { name: decode(name), ...(checksum === undefined ? {} : { checksum }) };
}

/** Every byte that a tag must not hold, or that separates, becomes `=` and two hex digits. */
export function encode(name: string): string {
  return [...Buffer.from(name, 'utf8')]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[A-Za-z0-9_.-]/.test(character) ? character : `=${byte.toString(16).padStart(2, '0')}`;
    })
    .join('');
}

/** What `encode` wrote. */
export function decode(text: string): string {
  return Buffer.from(
    text.replace(/=([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    'latin1',
  ).toString('utf8');
}

/** Characters that RDS refuses become `_`, and what is too long is cut. */
export function allowed(value: string): string {
  return Array.from(value.replace(/[^\p{L}\p{Z}\p{N}_.:/=+\-@]/gu, '_'))
    .slice(0, MAX_VALUE)
    .join('')
    .trim();
}

function entryKey(name: string, index: number): string {
  return `${PREFIX}${name}${index === 0 ? '' : `-${index + 1}`}`;
}

function tagValue(tags: readonly Tag[] | undefined, name: string): string | undefined {
  return tags?.find(({ Key }) => Key === PREFIX + name)?.Value;
}
