import type { DBSnapshot } from '@aws-sdk/client-rds';
import type { InstanceAddress } from './contract/recovery';
import type { RestoreRequest } from './contract/recovery-input';
import { minutesInWords } from './plan-loss';
import type { Alternative } from './found-restore-point';
import { readMarks } from './tags';

/** What there is of the live instance itself, whatever it was made for. */
export interface OfLiveInstance {
  readonly live: InstanceAddress;
  /** Snapshots of exactly this instance: others of this database are of before a recovery, or of copies. */
  readonly snapshots: readonly { readonly snapshot: DBSnapshot; readonly time: Date }[];
  readonly window: { readonly from: Date; readonly to: Date } | undefined;
}

/**
 * What holds more than the chosen restore point: the newest snapshot, and the last second of the automated backups. One that is not
 * taken to go back to, such as a safety snapshot, may hold what was wrong; where the live instance is gone it may be all that is left.
 */
export function newerPoints(
  chosen: Date,
  { live, snapshots, window }: OfLiveInstance,
  end: Date | undefined,
): Alternative[] {
  const [newest] = [...snapshots].sort((a, b) => b.time.getTime() - a.time.getTime());
  const candidates: { restore: RestoreRequest; time: Date; what: string }[] = [
    ...(newest
      ? [
          {
            restore: { to: 'snapshot' as const, snapshotId: newest.snapshot.DBSnapshotIdentifier ?? '' },
            time: newest.time,
            what: `the newest snapshot of ${live.instanceId} (${madeFor(newest.snapshot)})`,
          },
        ]
      : []),
    ...(window
      ? [
          {
            restore: { to: 'time' as const, time: wholeSecond(window.to).toISOString() },
            time: wholeSecond(window.to),
            what: `the last second in the automated backups of ${live.instanceId}`,
          },
        ]
      : []),
  ];
  return candidates
    .filter(({ time }) => time.getTime() - chosen.getTime() >= 1000)
    .sort((a, b) => b.time.getTime() - a.time.getTime())
    .map(({ restore, time, what }) => ({
      restore,
      time,
      why:
        `It is ${what}: it loses ${between(chosen, time)} less${end ? `, ${between(time, end)} altogether` : ''}, ` +
        'and holds every change up to then, those of a bad migration, too.',
    }));
}

/**
 * When a deleted instance had its last change, as far as RDS has kept it: nothing was written for long after. Undefined where neither
 * backups nor a final snapshot of it say so.
 */
export function endOf({ snapshots, window }: OfLiveInstance): Date | undefined {
  const final = snapshots.filter(({ snapshot }) => readMarks(snapshot.TagList).role === 'final');
  if (!window && final.length === 0) return undefined;
  const times = [...snapshots.map(({ time }) => time), ...(window ? [window.to] : [])];
  return times.reduce((latest, time) => (time > latest ? time : latest));
}

/** RestoreTime knows no less. */
function wholeSecond(time: Date): Date {
  return new Date(Math.floor(time.getTime() / 1000) * 1000);
}

const TAKEN_FOR: Readonly<Record<string, string>> = {
  'pre-migration': 'taken before a migration',
  scheduled: 'taken by the schedule',
  safety: 'a safety snapshot of a recovery',
  final: 'its final snapshot',
};

function madeFor({ TagList }: DBSnapshot): string {
  return TAKEN_FOR[readMarks(TagList).role ?? ''] ?? 'made by hand';
}

function between(from: Date, to: Date): string {
  return minutesInWords(Math.max(0, to.getTime() - from.getTime()) / 60_000);
}
