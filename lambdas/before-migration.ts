import { RestorePointNotFound } from './errors';
import {
  asRequest,
  ofSnapshot,
  snapshotsOfDatabase,
  type Candidate,
  type FoundRestorePoint,
  type History,
  type Question,
} from './found-restore-point';
import { minutesInWords } from './plan-loss';
import { backupWindow, readMarkers } from './point-in-time';

const FASTER = 'a snapshot is restored faster: nothing has to be replayed';
const SLOWER = 'it is slower: the log since the automated backup before it has to be replayed';

/** Of all that was made before the migration began, the nearest: it loses least. */
export async function beforeMigration(migration: string, question: Question): Promise<FoundRestorePoint> {
  const { history } = question;
  const started = startOf(migration, history);
  const window = await backupWindow(question.rds, question.live.resourceId);
  const candidates = [
    ...(await snapshotsBefore(migration, started, question)),
    ...secondsBefore(migration, started, window, question),
  ];
  const [nearest, ...others] = candidates.sort((a, b) => b.time.getTime() - a.time.getTime());
  if (!nearest) throw noneBefore(migration, question, started, window);
  const before = started && secondBefore(started);
  const later = before && window && before > window.to && before > nearest.time ? before : undefined;
  return {
    ...nearest,
    why: [
      ...nearest.why,
      ...(others.length > 0
        ? [`Of ${candidates.length} restore points before it this one loses least.`]
        : []),
      ...doubts(migration, history, started),
      ...(later
        ? [
            `The automated backups reach up to ${window?.to.toISOString() ?? ''}.`,
            `Plan again when they have reached ${later.toISOString()}, in some minutes, and less is lost.`,
          ]
        : []),
    ],
    alternatives: alternatives(nearest, others),
  };
}

async function snapshotsBefore(
  migration: string,
  started: Date | undefined,
  question: Question,
): Promise<Candidate[]> {
  const gone = startedSince(migration, question.history);
  return (await snapshotsOfDatabase(question)).flatMap((snapshot) => {
    const found = ofSnapshot(snapshot);
    const { pendingMigrations } = found.point;
    if (pendingMigrations?.includes(migration))
      return [{ ...found, why: [`It was taken with migration "${migration}" still pending.`] }];
    // A snapshot of an instance before an earlier recovery may hold the migration as it was applied there.
    if (!started || snapshot.DbiResourceId !== question.live.resourceId || found.time >= started) return [];
    return [
      {
        ...found,
        point: { ...found.point, pendingMigrations: gone },
        why: [`It was taken before migration "${migration}" began, at ${started.toISOString()}.`],
      },
    ];
  });
}

/** Of the automated backups: the last second before it, or those that the pipeline marked where nobody knows when it began. */
function secondsBefore(
  migration: string,
  started: Date | undefined,
  window: { readonly from: Date; readonly to: Date } | undefined,
  { instance, history }: Question,
): Candidate[] {
  const at = (time: Date, pendingMigrations: string[] | null, why: string): Candidate[] =>
    window !== undefined && time >= window.from && time <= window.to
      ? [
          {
            point: { kind: 'time', time: time.toISOString(), pendingMigrations },
            snapshot: undefined,
            time,
            why: [why],
          },
        ]
      : [];
  if (started)
    return at(
      secondBefore(started),
      startedSince(migration, history),
      `It is the second before migration "${migration}" began, at ${started.toISOString()}.`,
    );
  return readMarkers(instance?.TagList).flatMap(({ time, migrations }) => {
    const names = migrations.map(({ name }) => name).reverse();
    return names.includes(migration)
      ? at(
          new Date(time),
          names,
          `The pipeline marked that second with migration "${migration}" still pending.`,
        )
      : [];
  });
}

/** The best of the other kind: whoever is in a hurry may prefer a snapshot. */
function alternatives(chosen: Candidate, others: readonly Candidate[]): FoundRestorePoint['alternatives'] {
  const other = others.find(({ point }) => point.kind !== chosen.point.kind);
  if (!other) return [];
  const lost = (chosen.time.getTime() - other.time.getTime()) / 60_000;
  return [
    {
      restore: asRequest(other.point),
      time: other.time,
      why: `It loses ${minutesInWords(lost)} more; ${other.point.kind === 'snapshot' ? FASTER : SLOWER}.`,
    },
  ];
}

/** What makes it less certain than it looks. */
function doubts(migration: string, history: History, started: Date | undefined): string[] {
  if ('unknown' in history)
    return [
      `The live database could not be asked when it began, so this rests on the tags: ${history.unknown}`,
    ];
  if (started) return [];
  return history.some(({ name }) => name === migration)
    ? ['The migration table does not say when it began.']
    : [`The live database has no migration of that name, neither applied nor failed: is it the right one?`];
}

function noneBefore(
  migration: string,
  { history, environment }: Question,
  started: Date | undefined,
  window: { from: Date; to: Date } | undefined,
): RestorePointNotFound {
  const known =
    'unknown' in history
      ? `The live database could not be asked about it: ${history.unknown}`
      : started
        ? `It began at ${started.toISOString()}.`
        : `Newest in the live database: ${
            history
              .slice(-5)
              .map(({ name }) => name)
              .join(', ') || 'none'
          }.`;
  return new RestorePointNotFound(
    `No available snapshot of ${environment} and no second of the automated backups (${window ? `${window.from.toISOString()} to ${window.to.toISOString()}` : 'there are none'}) is known to lie before migration "${migration}". ${known}`,
    started && window && started > window.to
      ? 'The automated backups trail by up to five minutes: wait, and plan again.'
      : 'Look for typing errors; restore to a snapshot by name, or to a time.',
  );
}

/** When the try of a migration began that the live database has. */
function startOf(migration: string, history: History): Date | undefined {
  if ('unknown' in history) return undefined;
  const startedAt = history.findLast(({ name }) => name === migration)?.startedAt;
  return typeof startedAt === 'string' ? new Date(startedAt) : undefined;
}

/** The migration and all that were started after it; null where that is not known. */
function startedSince(migration: string, history: History): string[] | null {
  if ('unknown' in history) return null;
  const index = history.findLastIndex(({ name }) => name === migration);
  return index < 0 ? null : history.slice(index).map(({ name }) => name);
}

/** RestoreTime knows whole seconds; that in which the migration began may hold its first changes. */
function secondBefore(started: Date): Date {
  return new Date(Math.floor(started.getTime() / 1000) * 1000 - 1000);
}
