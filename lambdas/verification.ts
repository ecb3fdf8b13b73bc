import type { COMPARING_CHECKS, VerificationCheck } from './contract/checks';
import type { RecordedState, RestorePoint } from './contract/recovery';
import type { DatabaseFacts, Fact } from './database-facts';
import { slotNames } from './logical-replication';
import { appliedRows, recorded, type MigrationTable } from './migrations';
import { COUNTED_EXACTLY, type RowCounts } from './row-counts';
import {
  fingerprintVersion,
  kindOf,
  schemaFingerprint,
  schemaKinds,
  type Schema,
} from './schema-fingerprint';
import { migrationsDigest } from './tags';

/**
 * The built-in checks of Verify that compare what was read: pure functions. What was written down with the snapshot binds;
 * the live database never blocks, since nobody knows what the bad migration did to it: it excuses, or is reported.
 */
export interface Evidence {
  readonly point: RestorePoint;
  readonly copy: DatabaseFacts;
  readonly copyRows: Fact<RowCounts>;
  /** Undefined where the live database could not be asked. */
  readonly live: DatabaseFacts | undefined;
  readonly liveRows: Fact<RowCounts> | undefined;
  /** Where time is not real, as in a rehearsal, the servers' own clocks are behind that of RDS. */
  readonly now: Date;
}

type Severity = VerificationCheck['severity'];
interface Finding {
  readonly ok: boolean;
  readonly detail: string;
  /** Where it is not that of the check. */
  readonly severity?: Severity;
}

const CHECKS: readonly {
  readonly name: (typeof COMPARING_CHECKS)[number];
  readonly severity: Severity;
  readonly judge: (evidence: Evidence) => Finding;
}[] = [
  {
    name: 'no failed migration',
    severity: 'error',
    judge: ({ copy }) => ofMigrations(copy, noFailedMigration),
  },
  { name: 'migrations as recorded', severity: 'error', judge: migrationsAsRecorded },
  {
    name: 'pending migrations are absent',
    severity: 'error',
    judge: ({ copy, point }) => ofMigrations(copy, (tables) => pendingAreAbsent(tables, point)),
  },
  { name: 'migrations of their time', severity: 'warning', judge: migrationsOfTheirTime },
  { name: 'schema as recorded', severity: 'error', judge: schemaAsRecorded },
  { name: 'no invalid index', severity: 'error', judge: noInvalidIndex },
  { name: 'sequences ahead of their columns', severity: 'error', judge: sequencesAhead },
  { name: 'rows as recorded', severity: 'error', judge: rowsAsRecorded },
  { name: 'rows as in the live database', severity: 'warning', judge: rowsAsLive },
  { name: 'unlogged tables', severity: 'warning', judge: unloggedTables },
  { name: 'replication', severity: 'warning', judge: replication },
  { name: 'prepared transactions', severity: 'warning', judge: preparedTransactions },
];

/** Every check with its answer, in order. */
export function judge(evidence: Evidence): VerificationCheck[] {
  return CHECKS.map((check) => {
    const { ok, detail, severity = check.severity } = check.judge(evidence);
    return { name: check.name, severity, ok, detail };
  });
}

const fine = (detail: string): Finding => ({ ok: true, detail });
const wrong = (detail: string): Finding => ({ ok: false, detail });
const reported = (detail: string): Finding => ({ ok: false, severity: 'warning', detail });

function ofMigrations(
  { migrations }: DatabaseFacts,
  look: (tables: readonly MigrationTable[]) => Finding,
): Finding {
  return 'value' in migrations ? look(migrations.value) : wrong(migrations.unknown);
}

export function noFailedMigration(tables: readonly MigrationTable[]): Finding {
  // The gate, too, lets what failed in another project's table pass.
  const [own, ...others] = tables;
  const { applied, failed } = recorded(own);
  if (failed.length > 0) return wrong(`Failed and not resolved: ${list(failed)}.`);
  const elsewhere = others.flatMap((table) =>
    recorded(table).failed.map((name) => `${table.schema}.${name}`),
  );
  return elsewhere.length > 0
    ? reported(`Failed in the migration table of another project: ${list(elsewhere)}.`)
    : fine(`${applied.length} migrations applied, none failed.`);
}

function migrationsAsRecorded({ copy, point }: Evidence): Finding {
  const { applied } = recordedOf(point);
  if (!applied) return fine('Nothing was recorded with the restore point.');
  if ('unknown' in copy.migrations) return wrong(copy.migrations.unknown);
  const tables = copy.migrations.value;
  // The gate looked at the table of one project; which one it was is not written down.
  const projects: (MigrationTable | undefined)[] = [undefined, ...tables];
  const rows = projects.map((own) => appliedRows(own, tables));
  if (rows.some((own) => migrationsDigest(own) === applied.digest))
    return fine(`The ${applied.count} migrations that were recorded, the newest ${applied.last ?? 'none'}.`);
  const newest = tables.map(
    ({ schema, rows: own }) =>
      `${schema} has ${own.length}, the newest ${own.findLast(({ state }) => state === 'applied')?.name ?? 'none'}`,
  );
  return wrong(
    `Recorded were ${applied.count} migrations, the newest ${applied.last ?? 'none'}; in the restored database ${list(newest) || 'there is no migration table'}, or their checksums differ.`,
  );
}

/** The migrations that were pending at the restore point must not be in the restored database. */
export function pendingAreAbsent(tables: readonly MigrationTable[], point: RestorePoint): Finding {
  const pending = point.pendingMigrations;
  if (pending === null)
    return fine(
      point.kind === 'time'
        ? 'Nothing was recorded for this time: no migration is known to be absent.'
        : 'The snapshot does not say which migrations were pending.',
    );
  const there = new Set(
    tables.flatMap(({ rows }) => rows.filter(({ state }) => state !== 'rolled back').map(({ name }) => name)),
  );
  const present = pending.filter((name) => there.has(name));
  return present.length > 0
    ? wrong(`In the restored database although taken away: ${list(present)}.`)
    : fine(`Absent, as they must be: ${list(pending) || 'none were pending'}.`);
}

/** By the clock of the database itself: what it had finished by then must be there, what it began later must not. */
function migrationsOfTheirTime({ copy, live, point, now }: Evidence): Finding {
  const moment = Date.parse(point.kind === 'time' ? point.time : point.databaseTime);
  if (!live || 'unknown' in live.migrations || 'unknown' in copy.migrations)
    return fine('Not compared: the live database could not be asked.');
  if (!(moment <= now.getTime())) return fine('Not compared: the restore point lies ahead of our own clock.');
  const states = (tables: readonly MigrationTable[]) =>
    new Map(
      tables.flatMap(({ schema, rows }) =>
        rows.filter(({ state }) => state === 'applied').map((row) => [`${schema}.${row.name}`, row] as const),
      ),
    );
  const restored = states(copy.migrations.value);
  const current = states(live.migrations.value);
  const missing = [...current].filter(
    ([name, { finishedAt }]) =>
      finishedAt !== null && Date.parse(finishedAt) < moment - CLOCK_TOLERANCE_MS && !restored.has(name),
  );
  const early = [...current].filter(
    ([name, { startedAt }]) =>
      startedAt !== null && Date.parse(startedAt) > moment + CLOCK_TOLERANCE_MS && restored.has(name),
  );
  if (missing.length === 0 && early.length === 0)
    return fine('What the live database had applied by that time is there, and nothing later.');
  const names = (found: typeof missing): string => list(found.map(([name]) => name));
  return wrong(
    [
      ...(missing.length > 0 ? [`Applied before that time, and not there: ${names(missing)}.`] : []),
      ...(early.length > 0 ? [`Begun after that time, and there: ${names(early)}.`] : []),
    ].join(' '),
  );
}

/** A point in time is a whole second, and a migration may be recorded a moment after it was done. */
const CLOCK_TOLERANCE_MS = 2000;

function schemaAsRecorded({ copy, live, point }: Evidence): Finding {
  const { schemaFingerprint: expected, schemaKinds: expectedKinds = {} } = recordedOf(point);
  if (expected === undefined) return fine('Nothing was recorded with the restore point.');
  if ('unknown' in copy.schema) return reported(copy.schema.unknown);
  const schema = copy.schema.value;
  if (fingerprintVersion(expected) !== schema.version)
    return fine(
      'It was recorded by another version of this system or of PostgreSQL, so it cannot be compared.',
    );
  if (expected === schemaFingerprint(schema))
    return fine(`${schema.lines.length} objects, exactly as recorded.`);
  const kinds = schemaKinds(schema);
  const changed = [...new Set([...Object.keys(kinds), ...Object.keys(expectedKinds)])]
    .filter((kind) => kinds[kind] !== expectedKinds[kind])
    .sort();
  const where = Object.keys(expectedKinds).length > 0 ? ` in ${list(changed)}` : '';
  return wrong(`It differs from the recorded schema${where}. ${againstLive(schema, live, changed)}`);
}

/** The recorded schema itself is not kept, only its digest, so the live database has to do. */
function againstLive(copy: Schema, live: DatabaseFacts | undefined, kinds: readonly string[]): string {
  if (!live || 'unknown' in live.schema)
    return 'Which objects differ cannot be told without the live database.';
  const relevant = (lines: readonly string[]): string[] =>
    lines.filter((line) => kinds.length === 0 || kinds.includes(kindOf(line)));
  const there = new Set(copy.lines);
  const now = new Set(live.schema.value.lines);
  const only = (lines: readonly string[], others: ReadonlySet<string>): string[] =>
    relevant(lines)
      .filter((line) => !others.has(line))
      .map((line) => cut(line.replace(/\s+/g, ' '), MAX_OBJECT));
  const restored = only(copy.lines, now);
  const current = only(live.schema.value.lines, there);
  return `Compared with the live database, which has what was migrated since: only restored: ${list(restored) || 'nothing'}; only live: ${list(current) || 'nothing'}.`;
}

function noInvalidIndex({ copy, live }: Evidence): Finding {
  const { invalidIndexes } = copy;
  if ('unknown' in invalidIndexes) return reported(invalidIndexes.unknown);
  const { value: invalid } = invalidIndexes;
  if (invalid.length === 0) return fine('Every index is valid.');
  const excused = live && 'value' in live.invalidIndexes ? live.invalidIndexes.value : [];
  return excusing(invalid, excused, 'Invalid');
}

function sequencesAhead({ copy, live }: Evidence): Finding {
  if ('unknown' in copy.sequences) return reported(copy.sequences.unknown);
  const { behind, asked, notAsked } = copy.sequences.value;
  const unasked = notAsked.length > 0 ? ` Not asked in the time there was: ${list(notAsked)}.` : '';
  if (behind.length === 0) return fine(`${asked} sequences are ahead of their columns.${unasked}`);
  const excused = live && 'value' in live.sequences ? live.sequences.value.behind : [];
  return excusing(behind, excused, 'The next number is already in the column');
}

/** What the live database has as well is not the restore's doing, and the application lives with it. */
function excusing(found: readonly string[], alsoLive: readonly string[], what: string): Finding {
  const fresh = found.filter((name) => !alsoLive.includes(name));
  return fresh.length > 0
    ? wrong(`${what}: ${list(fresh)}.`)
    : reported(`${what}, in the live database as well: ${list(found)}.`);
}

/** Fewer rows than this may come and go in the moment between the record and the snapshot. */
const MANY = 100;

function rowsAsRecorded({ copyRows, point }: Evidence): Finding {
  const { rows: expected } = recordedOf(point);
  if (!expected) return fine('Nothing was recorded with the restore point.');
  if ('unknown' in copyRows) return reported(copyRows.unknown);
  const { rows, notCounted } = copyRows.value;
  const pairs = Object.entries(expected).flatMap(([name, then]) => {
    const now = rows[name];
    return now === undefined ? [] : [{ name, then, now }];
  });
  const show = (found: typeof pairs): string =>
    list(found.map(({ name, then, now }) => `${name} has ${now}, recorded were ${then}`));
  const few = pairs.filter(
    ({ then, now }) => (now === 0 && then >= MANY) || (then > COUNTED_EXACTLY && now < then / 2),
  );
  if (few.length > 0) return wrong(`Rows are missing: ${show(few)}.`);
  const many = pairs.filter(({ then, now }) => now > COUNTED_EXACTLY && now > 2 * then);
  if (many.length > 0) return reported(`Many more rows than recorded: ${show(many)}.`);
  const unasked = Object.keys(expected).filter((name) => notCounted.includes(name));
  return fine(
    `${pairs.length} tables have as many rows as recorded.${unasked.length > 0 ? ` Not counted in the time there was: ${list(unasked)}.` : ''}`,
  );
}

function rowsAsLive({ copyRows, liveRows }: Evidence): Finding {
  if (!liveRows || 'unknown' in liveRows || 'unknown' in copyRows)
    return fine('Not compared: the live database could not be asked.');
  const rows = copyRows.value.rows;
  const both = Object.entries(liveRows.value.rows).filter(([name]) => rows[name] !== undefined);
  const empty = both.filter(([name, live]) => rows[name] === 0 && live >= MANY);
  return empty.length > 0
    ? wrong(
        `Empty, though the live database has rows: ${list(empty.map(([name, live]) => `${name} (${live})`))}.`,
      )
    : fine(`None of ${both.length} tables is empty that has many rows in the live database.`);
}

/** PostgreSQL empties them in every restore; somebody may have to fill them again. */
function unloggedTables({ copy, live }: Evidence): Finding {
  if ('unknown' in copy.unloggedTables) return reported(copy.unloggedTables.unknown);
  const empty = copy.unloggedTables.value.filter(({ isEmpty }) => isEmpty === true);
  if (empty.length === 0) return fine('None is empty.');
  const names = list(empty.map(({ name }) => name));
  if (!live || 'unknown' in live.unloggedTables)
    return reported(`Empty, as after every restore, and whether they had rows is not known: ${names}.`);
  const filled = live.unloggedTables.value.filter(({ isEmpty }) => isEmpty === false).map(({ name }) => name);
  const emptied = empty.filter(({ name }) => filled.includes(name)).map(({ name }) => name);
  return emptied.length > 0
    ? reported(`Emptied by the restore, with rows in the live database: ${list(emptied)}.`)
    : fine(`Empty here as in the live database: ${names}.`);
}

/** A restore leaves slots behind and brings subscriptions along; either breaks what is connected by them, and nobody says so. */
function replication({ copy, live }: Evidence): Finding {
  if ('unknown' in copy.replication) return reported(copy.replication.unknown);
  const { slots, subscriptions } = copy.replication.value;
  const there = new Set(slots.map(({ name }) => name));
  const current = live && 'value' in live.replication ? live.replication.value.slots : undefined;
  const lost = (current ?? []).filter(({ name }) => !there.has(name));
  const findings = [
    ...(lost.length > 0
      ? [`Slots of the live instance that the new one lacks: ${list(slotNames(lost))}.`]
      : []),
    ...(slots.length > 0
      ? [`Slots in the new one, as old as the restore point: ${list(slotNames(slots))}.`]
      : []),
    ...(lost.length + slots.length > 0
      ? ['After the cutover who reads them has to begin anew at the new address, with a full copy.']
      : []),
    ...(subscriptions.length > 0
      ? [
          `Enabled subscriptions in the restored database: ${list(subscriptions)}. They may take changes that the live database then never gets: "alter subscription … disable" in the restored one, now.`,
        ]
      : []),
  ];
  if (findings.length > 0) return wrong(`${findings.join(' ')} Runbook: "Logical replication".`);
  return fine(
    current
      ? 'No slot is lost, and no subscription is enabled.'
      : 'No subscription is enabled. Slots were not compared: the live database could not be asked.',
  );
}

/** A restore brings them along with their locks, and whoever was to end them knows nothing of the copy. */
function preparedTransactions({ copy }: Evidence): Finding {
  if ('unknown' in copy.preparedTransactions) return reported(copy.preparedTransactions.unknown);
  const names = copy.preparedTransactions.value;
  return names.length > 0
    ? wrong(
        `In the restored database, holding their locks until somebody ends them: ${list(names)}. Runbook: "Prepared transactions".`,
      )
    : fine('There is none.');
}

function recordedOf(point: RestorePoint): RecordedState {
  return point.kind === 'snapshot' ? (point.recorded ?? {}) : {};
}

const MAX_LISTED = 10;
const MAX_OBJECT = 120;

/** For people, and for the 256 KiB of a state: the first few, and how many more. */
function list(names: readonly string[]): string {
  const more = names.length - MAX_LISTED;
  const shown = names.slice(0, MAX_LISTED).map((name) => cut(name, MAX_OBJECT));
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ');
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
