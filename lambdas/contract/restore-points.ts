import * as z from 'zod/mini';
import { RestoreRequest } from './recovery-input';
import { ENVIRONMENTS } from './settings';
import { text } from './texts';

/** The snapshots of the schedule, how long all of them stay, and the list of what one can go back to. */

export const ScheduledSnapshotEvent = z.strictObject({
  /** When the schedule was due. */
  scheduledTime: z.iso.datetime({ offset: true }),
  /** Of the schedule: it says which day that is. */
  timeZone: text(64),
});
export type ScheduledSnapshotResult =
  | { status: 'creating' | 'available'; snapshotId: string }
  | { status: 'waiting'; snapshotId: string; reason: string };

/** What the schedule sends; a person may leave all of it out. */
export const ReapSnapshotsEvent = z.strictObject({
  /** Says what would be deleted, and deletes nothing. */
  dryRun: z._default(z.boolean(), false),
  /** Throws RetentionWarning when there is a warning, so that the alarm goes off. */
  failOnWarning: z._default(z.boolean(), false),
});
export interface ReapSnapshotsResult {
  dryRun: boolean;
  /** `region` where it is a copy in another Region. */
  deleted: { snapshotId: string; region?: string; why: string }[];
  kept: { snapshotId: string; region?: string; why: string }[];
  /** Ids of secret versions that no snapshot needs any more. */
  secretVersionsReleased: string[];
  warnings: string[];
}

/** `by-hand`: a snapshot of the live instance that this system did not take. */
const LISTED_KINDS = ['pre-migration', 'scheduled', 'safety', 'final', 'by-hand', 'point-in-time'] as const;

/** What a person asks the catalogue; everything narrows. */
export const RestorePointsEvent = z.strictObject({
  kind: z.optional(z.enum(LISTED_KINDS)),
  /** Points that were made with this migration pending. */
  migration: z.optional(text(255)),
  /** Points of this moment or later. */
  since: z.optional(z.iso.datetime({ offset: true })),
  /** The newest so many. */
  limit: z._default(z.int().check(z.minimum(1), z.maximum(5000)), 1000),
});

const ListedRestorePoint = z.object({
  kind: z.enum(LISTED_KINDS),
  /** Id of the snapshot; of a point in time the id of the deployment. */
  id: z.string(),
  /** The last transaction in it, ISO 8601. */
  time: z.string(),
  ageHours: z.number(),
  /** `available`, or why one cannot go back to it now. */
  status: z.string(),
  /** The migrations that were pending. */
  migrations: z.array(z.string()),
  outcome: z.nullable(z.string()),
  commit: z.nullable(z.string()),
  actor: z.nullable(z.string()),
  sizeGiB: z.nullable(z.number()),
  expiresAt: z.nullable(z.string()),
  /** Why it is still there, or that the next run of the reaper deletes it. */
  why: z.string(),
  /** Its copies in other places; `account` where that is another account. */
  copies: z.array(
    z.object({
      region: z.string(),
      account: z.optional(z.string()),
      status: z.string(),
      expiresAt: z.nullable(z.string()),
    }),
  ),
  restore: RestoreRequest,
});

export const RestorePointsResult = z.object({
  environment: z.enum(ENVIRONMENTS),
  /** The instance that the secret names, or named when it was still there; null where nobody knows which one that was. */
  liveInstanceId: z.nullable(z.string()),
  /** What is wrong with it: it is gone, broken for good, or not to be found. Null: nothing. */
  liveProblem: z.nullable(z.string()),
  /** Every second between can be gone back to; null where there are no automated backups, or where it is not known whose. */
  window: z.nullable(z.object({ from: z.string(), to: z.string() })),
  /** Newest first. */
  points: z.array(ListedRestorePoint),
  /** Where there may be copies that are not in the list, and why. */
  notListed: z.array(z.string()),
});
export type RestorePointsResult = z.infer<typeof RestorePointsResult>;
