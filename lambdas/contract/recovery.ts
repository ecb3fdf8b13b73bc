import * as z from 'zod/mini';
import { MODES, WarmRequest } from './recovery-input';
import { ENVIRONMENTS } from './settings';

/** The recovery as it was planned: what every state behind Plan gets. Identifiers and secret version ids only, never a URL, never a password. */

/** For how many days an old instance is kept where nobody says: two weekends. */
export const KEEP_DAYS = 14;

/** What was written down with a snapshot about the database, for Verify to compare with; absent is what was not. */
export const RecordedState = z.object({
  schemaFingerprint: z.optional(z.string()),
  /** A digest for each kind of object. */
  schemaKinds: z.optional(z.record(z.string(), z.string())),
  /** A digest over the migrations that were applied, how many, and the newest. */
  applied: z.optional(z.object({ count: z.int(), last: z.nullable(z.string()), digest: z.string() })),
  /** Rows of the biggest tables: exact up to a thousand, estimated above. */
  rows: z.optional(z.record(z.string(), z.int())),
});
export type RecordedState = z.infer<typeof RecordedState>;

/** A restore point that was found to exist. */
export const RestorePoint = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('snapshot'),
    snapshotId: z.string(),
    /** The last transaction inside it (SnapshotDatabaseTime), ISO 8601. */
    databaseTime: z.string(),
    /** Migrations that were pending when it was taken and so must not be in it; null where that is not known. */
    pendingMigrations: z.nullable(z.array(z.string())),
    recorded: z.optional(RecordedState),
    /** Versions of the two secrets when it was begun, pinned by a label: their passwords are those inside it. */
    secretVersions: z.optional(
      z.object({ databaseUrl: z.optional(z.string()), master: z.optional(z.string()) }),
    ),
  }),
  z.object({
    kind: z.literal('time'),
    time: z.string(),
    /** Migrations that were started after it, or pending then by a marker, and so must not be in it; null: not known. */
    pendingMigrations: z.nullable(z.array(z.string())),
    /** Versions of the two secrets that the snapshots before and after it have pinned: the passwords of then may be theirs. */
    secretVersionsAround: z.optional(
      z.object({ databaseUrl: z.array(z.string()), master: z.array(z.string()) }),
    ),
  }),
]);
export type RestorePoint = z.infer<typeof RestorePoint>;

/** An instance, and where it is reached. */
export const InstanceAddress = z.object({
  instanceId: z.string(),
  /** DbiResourceId: the identity that a rename does not change. */
  resourceId: z.string(),
  host: z.string(),
  port: z.int(),
});
export type InstanceAddress = z.infer<typeof InstanceAddress>;

/** `verify` of the input, of a recovery that was planned: another version of this system may have planned it. */
const PlannedVerify = z.object({ amcheck: z.boolean(), accept: z.array(z.string()) });

/**
 * What Plan decides and every later state gets as `recovery`. Of an undo the recovery instance is the one that was retired; of a rename
 * it is the live one under its new name. All names are derived from `id`.
 */
export const Recovery = z.object({
  id: z.string(),
  /** Of the machine: it has the claim (recovery-claim.ts) as long as it runs. */
  execution: z.object({ arn: z.string(), startTime: z.string() }),
  environment: z.enum(ENVIRONMENTS),
  mode: z.enum(MODES),
  reason: z.nullable(z.string()),
  requestedBy: z.nullable(z.string()),
  retire: z.enum(['delete', 'keep']),
  keepDays: z._default(z.int(), KEEP_DAYS),
  verify: z._default(PlannedVerify, { amcheck: false, accept: [] }),
  approveCutover: z.boolean(),
  approveRetirement: z.boolean(),
  warm: z._default(z.nullable(WarmRequest), null),
  soakMinutes: z._default(z.int(), 0),
  soakAlarms: z._default(z.array(z.string()), []),
  /** The live instance, found from the secret. */
  live: z.extend(InstanceAddress, {
    /** `gone`: it was deleted. `dead`: RDS says that it cannot bring it back. Nobody can write to either. */
    state: z.enum(['there', 'dead', 'gone']),
  }),
  /** The snapshot with the settings of a live instance that is gone, or was not finished and replaced one that is gone. */
  settingsSnapshotId: z.nullable(z.string()),
  /** The version of the DATABASE_URL secret that named it: the swap is refused if another is current by then. */
  secretVersionId: z.string(),
  restorePoint: RestorePoint,
  recoveryInstanceId: z.string(),
  safetySnapshotId: z.string(),
  /** Of an undo: the recovery that made the live instance, and the instance that it retired. */
  undoes: z.optional(z.object({ recoveryId: z.string(), instance: InstanceAddress })),
  /** Of a rename: whether an earlier execution had RDS begin it, so that nobody is asked again. */
  rename: z.optional(z.object({ begun: z.boolean() })),
  finalSnapshotId: z.string(),
});
export type Recovery = z.infer<typeof Recovery>;

/** What most states send; some have something to add. */
export const RecoveryEvent = z.object({ recovery: Recovery });

/** Of a step that must not meet what a function does that was cut off before a redrive: how often the execution has been redriven. */
export const RedrivenEvent = z.object({ recovery: Recovery, redrives: z._default(z.int(), 0) });

export const OnRecoveryInstance = z.object({ recovery: Recovery, instance: InstanceAddress });

/** Where an earlier version of the machine, whose executions may still be under way or redriven, sent the recovery only. */
export const MaybeOnRecoveryInstance = z.object({
  recovery: Recovery,
  instance: z.optional(InstanceAddress),
});
