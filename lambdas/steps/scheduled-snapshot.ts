import type { DBSnapshot } from '@aws-sdk/client-rds';
import type * as z from 'zod/mini';
import type { CheckMigrationsResult } from '../contract/gate';
import type { ScheduledSnapshotEvent, ScheduledSnapshotResult } from '../contract/restore-points';
import type { RetentionRules } from '../contract/rules';
import { InstanceBusy, MigrationsNotChecked, SnapshotUnusable } from '../errors';
import { findLiveInstance } from '../live-instance';
import { scheduledSnapshotId } from '../names';
import { findSnapshot } from '../rds';
import { takeSnapshot, type TakeSnapshotDeps } from '../take-snapshot';
import { readMarks } from '../tags';

export interface ScheduledSnapshotDeps extends TakeSnapshotDeps {
  readonly rules: RetentionRules;
  readonly now: () => Date;
  /** As for the gate. */
  readonly checkMigrations: () => Promise<CheckMigrationsResult>;
}

/**
 * Takes the snapshot of a day, once. The schedule asks several times: while RDS is busy it answers `waiting`. Throws
 * LiveInstanceUnclear, SnapshotQuotaExceeded, SnapshotUnusable.
 */
export async function scheduledSnapshot(
  { scheduledTime, timeZone }: z.infer<typeof ScheduledSnapshotEvent>,
  deps: ScheduledSnapshotDeps,
): Promise<ScheduledSnapshotResult> {
  const day = dayOf(new Date(scheduledTime), timeZone);
  const { instance, address } = await findLiveInstance(
    deps.rds,
    deps.secrets,
    deps.databaseUrlSecretId,
    deps.environment,
  );
  const snapshotId = scheduledSnapshotId(address, day);
  const existing = await findSnapshot(deps.rds, snapshotId);
  if (existing) return answer(existing, snapshotId, deps);
  try {
    const snapshot = await takeSnapshot(
      {
        instance,
        address,
        snapshotId,
        migrations: undefined,
        database: await databaseOf(deps),
        marks: {
          role: 'scheduled',
          'scheduled-for': day,
          'expires-at': new Date(
            deps.now().getTime() + Math.max(deps.rules.dailyDays, deps.rules.weeklyDays) * 86_400_000,
          ).toISOString(),
        },
      },
      deps,
    );
    return answer(snapshot, snapshotId, deps, 'creating');
  } catch (error) {
    if (error instanceof InstanceBusy) return { status: 'waiting', snapshotId, reason: error.fact };
    throw error;
  }
}

/** A snapshot without the record of the schema is better than none. */
async function databaseOf(deps: ScheduledSnapshotDeps): Promise<CheckMigrationsResult | undefined> {
  try {
    return await deps.checkMigrations();
  } catch (error) {
    if (error instanceof MigrationsNotChecked) return undefined;
    throw error;
  }
}

function answer(
  snapshot: DBSnapshot,
  snapshotId: string,
  { environment }: ScheduledSnapshotDeps,
  made?: 'creating',
): ScheduledSnapshotResult {
  const status = made ?? snapshot.Status;
  const marks = readMarks(snapshot.TagList);
  const isOurs = made !== undefined || (marks.role === 'scheduled' && marks.environment === environment);
  if ((status !== 'creating' && status !== 'available') || !isOurs)
    throw new SnapshotUnusable(
      `Snapshot ${snapshotId} is "${status ?? 'unknown'}"${isOurs ? '' : ' and is not a scheduled one by its tags'}.`,
      'Look at it, and delete it; the schedule then takes another one.',
    );
  return { status, snapshotId };
}

/** The date in that time zone, as 2026-11-21. */
function dayOf(time: Date, timeZone: string): string {
  return new Intl.DateTimeFormat('en-CA', {
    timeZone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
  }).format(time);
}
