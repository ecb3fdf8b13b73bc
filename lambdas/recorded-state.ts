import type { Tag } from '@aws-sdk/client-rds';
import * as z from 'zod/mini';
import type { CheckMigrationsResult } from './contract/gate';
import type { RecordedState } from './contract/recovery';
import {
  decode,
  encode,
  readEntries,
  readMarks,
  readPacked,
  writeEntries,
  writePacked,
  type Marks,
} from './tags';

/** What the database is like when a snapshot of it is begun, in the tags of the snapshot, for Verify. */

const MAX_ROWS_TAGS = 4;

/** Marks of one value each. */
export function recordedMarks({ schemaFingerprint, applied }: CheckMigrationsResult): Marks {
  return {
    'schema-fingerprint': schemaFingerprint,
    'applied-count': String(applied.count),
    'applied-digest': applied.digest,
    ...(applied.last !== null && { 'applied-last': applied.last }),
  };
}

/** What takes more room, as far as there is some: `schema-kinds` and `rows`, of these the tables with the most. */
export function recordedDetails({ schemaKinds, rows }: CheckMigrationsResult, maxTags: number): Tag[] {
  if (maxTags < 1) return [];
  const kinds = writeEntries(
    'schema-kinds',
    Object.entries(schemaKinds).map(([kind, digest]) => `${encode(kind)}:${digest}`),
    1,
  );
  let biggest = Object.entries(rows).sort(([, a], [, b]) => b - a);
  const room = Math.min(MAX_ROWS_TAGS, maxTags - kinds.length);
  while (biggest.length > 0) {
    const packed = writePacked('rows', Object.fromEntries(biggest), room);
    if (packed.length > 0) return [...kinds, ...packed];
    biggest = biggest.slice(0, Math.floor(biggest.length * 0.75));
  }
  return kinds;
}

const Rows = z.record(z.string(), z.int());

/** What the tags say; what they do not say, or what somebody edited beyond recognition, is absent. */
export function readRecordedState(tags: readonly Tag[] | undefined): RecordedState {
  const marks = readMarks(tags);
  const kinds = readEntries(tags, 'schema-kinds').flatMap((entry) => {
    const [kind = '', digest = ''] = entry.split(':');
    return digest === '' ? [] : [[decode(kind), digest] as const];
  });
  const count = Number(marks['applied-count'] ?? 'none');
  const rows = Rows.safeParse(readPacked(tags, 'rows'));
  return {
    ...(marks['schema-fingerprint'] !== undefined && { schemaFingerprint: marks['schema-fingerprint'] }),
    ...(kinds.length > 0 && { schemaKinds: Object.fromEntries(kinds) }),
    ...(Number.isInteger(count) &&
      marks['applied-digest'] !== undefined && {
        applied: { count, last: marks['applied-last'] ?? null, digest: marks['applied-digest'] },
      }),
    ...(rows.success && { rows: rows.data }),
  };
}
