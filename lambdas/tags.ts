import type { Tag } from '@aws-sdk/client-rds';
import { createHash } from 'node:crypto';

/**
 * The state of this system: tags on the RDS resources themselves. Everything that reads or writes them is here.
 * RDS allows 50 tags per resource; values have at most 256 characters: letters, digits, spaces and `_ . : / = + - @`.
 */
const PREFIX = 'migration-rollback:';
const MAX_VALUE = 256;

/** What a snapshot or an instance is to this system. */
export const ROLES = [
  'pre-migration',
  'scheduled',
  'safety',
  'final',
  'recovery-instance',
  'live',
  'retired',
] as const;
export type Role = (typeof ROLES)[number];

/**
 * Tags with one value each. `expires-at` and `settings-asked-at` are ISO 8601; the latter is when settings were first changed;
 * `master-password-version` is the secret version last set.
 */
export interface Marks {
  readonly role?: Role;
  readonly environment?: string;
  readonly 'recovery-id'?: string;
  readonly 'deployment-id'?: string;
  readonly commit?: string;
  readonly actor?: string;
  readonly 'run-url'?: string;
  readonly 'expires-at'?: string;
  readonly 'master-password-version'?: string;
  readonly 'settings-asked-at'?: string;
}

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
    Value: allowed(String(value)),
  }));
}

export function readMarks(tags: readonly Tag[] | undefined): Marks {
  const value = (name: string): string | undefined => tagValue(tags, name);
  const role = ROLES.find((known) => known === value('role'));
  const names = [
    'environment',
    'recovery-id',
    'deployment-id',
    'commit',
    'actor',
    'run-url',
    'expires-at',
    'master-password-version',
    'settings-asked-at',
  ] as const;
  const found = names.flatMap((name) => {
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

/** At most this many tags hold migrations, so that a customer's own tags and the other marks fit beside them. */
const MAX_MIGRATION_TAGS = 20;
const CHECKSUM_DIGITS = 16;

/**
 * Migrations as tags: `migrations`, `migrations-2`, … hold `name:first 16 digits of the checksum`, separated by spaces,
 * newest first. 500 long names do not fit into 50 tags, so the newest that fit are stored, with the count of all and a
 * digest over all names and checksums (`migrations-count`, `migrations-digest`).
 */
export function writeMigrations(migrations: readonly Migration[]): Tag[] {
  const chunks: string[] = [];
  for (const migration of [...migrations].reverse()) {
    const entry = encodeEntry(migration);
    if (entry.length > MAX_VALUE) break;
    const last = chunks.at(-1);
    if (last !== undefined && last.length + 1 + entry.length <= MAX_VALUE)
      chunks[chunks.length - 1] = `${last} ${entry}`;
    else if (chunks.length < MAX_MIGRATION_TAGS) chunks.push(entry);
    else break;
  }
  return [
    ...chunks.map((chunk, index) => ({ Key: migrationKey(index), Value: chunk })),
    { Key: `${PREFIX}migrations-count`, Value: String(migrations.length) },
    { Key: `${PREFIX}migrations-digest`, Value: migrationsDigest(migrations) },
  ];
}

/** The migrations in the tags, oldest first; null where the tags do not say. */
export function readMigrations(tags: readonly Tag[] | undefined): MigrationList | null {
  const count = tagValue(tags, 'migrations-count');
  if (count === undefined || !/^\d+$/.test(count)) return null;
  const names: string[] = [];
  for (let index = 0; index < MAX_MIGRATION_TAGS; index++) {
    const chunk = tags?.find(({ Key }) => Key === migrationKey(index))?.Value;
    if (chunk === undefined) break;
    names.push(...chunk.split(' ').map((entry) => decode(entry.split(':')[0] ?? '')));
  }
  return { names: names.reverse(), count: Number(count), complete: names.length === Number(count) };
}

/** SHA-256 over every name and checksum, in order. */
export function migrationsDigest(migrations: readonly Migration[]): string {
  const hash = createHash('sha256');
  for (const { name, checksum } of migrations) hash.update(`${name}\0${checksum ?? ''}\n`);
  return hash.digest('hex');
}

function encodeEntry({ name, checksum }: Migration): string {
  return checksum === undefined ? encode(name) : `${encode(name)}:${checksum.slice(0, CHECKSUM_DIGITS)}`;
}

/** Every byte that a tag must not hold, or that separates, becomes `=` and two hex digits. */
function encode(name: string): string {
  return [...Buffer.from(name, 'utf8')]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[A-Za-z0-9_.-]/.test(character) ? character : `=${byte.toString(16).padStart(2, '0')}`;
    })
    .join('');
}

function decode(text: string): string {
  return Buffer.from(
    text.replace(/=([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    'latin1',
  ).toString('utf8');
}

/** Characters that RDS refuses become `_`, and what is too long is cut. */
function allowed(value: string): string {
  return Array.from(value.replace(/[^\p{L}\p{Z}\p{N}_.:/=+\-@]/gu, '_'))
    .slice(0, MAX_VALUE)
    .join('')
    .trim();
}

function migrationKey(index: number): string {
  return `${PREFIX}migrations${index === 0 ? '' : `-${index + 1}`}`;
}

function tagValue(tags: readonly Tag[] | undefined, name: string): string | undefined {
  return tags?.find(({ Key }) => Key === PREFIX + name)?.Value;
}
