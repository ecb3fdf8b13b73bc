import * as z from 'zod/mini';
import type { RestoreRequest } from './recovery-input';
import { LogicalReplication } from './replication';
import { saying, text } from './texts';

/** What CI and the gate say to each other, and what the gate lets pass. */

const Migration = z.strictObject({
  name: text(255),
  /** SHA-256 of migration.sql in hex. */
  checksum: z.optional(
    z.string().check(z.regex(/^[0-9a-f]{64}$/, '64 hexadecimal digits, as sha256sum prints them')),
  ),
});

/** What CI sends before every migration, and, with `outcome`, after it. */
export const PreMigrationSnapshotEvent = z.strictObject({
  deploymentId: text(200),
  /**
   * The migrations of the project. Those that the database has are left out here; where none is left, no snapshot is taken.
   * Left out: what is pending is not known.
   */
  migrations: z.optional(z.array(Migration).check(z.maxLength(2000))),
  /** Schema of the migration table. Left out: the `schema` in DATABASE_URL, else `public`. */
  schema: z.optional(text(63)),
  /** `point-in-time`: no snapshot where the automated backups reach up to now. */
  restorePoint: z.optional(z.enum(['snapshot', 'point-in-time'])),
  commit: z.optional(z.string().check(z.maxLength(200))),
  actor: z.optional(z.string().check(z.maxLength(200))),
  runUrl: z.optional(z.string().check(z.maxLength(256))),
  /** How the migration ended; recorded with the restore point. */
  outcome: z.optional(z.enum(['succeeded', 'failed'])),
});
export type PreMigrationSnapshotEvent = z.infer<typeof PreMigrationSnapshotEvent>;

/** The input of the recovery machine that goes back to this restore point. */
interface GoBack {
  recoveryInput: {
    mode: 'recover';
    restore: RestoreRequest;
    reason: string;
    requestedBy: string;
  };
  /** What CI should print: migrations that were mended after a quarantine, a quota that is nearly used up. */
  notes: string[];
}

/** Only `available` (and `skipped`) let the pipeline go on. */
export type PreMigrationSnapshotResult =
  | {
      status: 'creating';
      snapshotId: string;
      instanceId: string;
      progressPercent: number;
      /** Why it was not begun yet. */
      waitingFor?: string;
    }
  | ({
      status: 'available';
      snapshotId: string;
      instanceId: string;
      databaseTime: string;
      expiresAt: string;
    } & GoBack)
  | ({ status: 'available'; time: string; instanceId: string } & GoBack)
  | { status: 'skipped'; reason: string }
  | { status: 'refused'; error: string; reason: string; hint: string }
  | { status: 'recorded'; outcome: 'succeeded' | 'failed' };

/** What the gate asks the function inside the VPC. */
export const CheckMigrationsEvent = z.object({
  migrations: z.nullable(z.array(z.object({ name: z.string(), checksum: z.optional(z.string()) }))),
  schema: z.nullable(z.string()),
});

export const CheckMigrationsResult = z.object({
  /** Those of the event that the database does not have; null where the event has none. */
  pending: z.nullable(z.array(z.string())),
  /** Those of the event that were applied with another content. */
  changed: z.array(z.string()),
  /** Recorded as failed in the migration table of this project. */
  failed: z.array(z.string()),
  /** Recorded as failed in tables of other projects, as schema.name. */
  failedElsewhere: z.array(z.string()),
  applied: z.object({ count: z.int(), last: z.nullable(z.string()), digest: z.string() }),
  /** What was applied, and what failed and was not resolved, in the order in which it was started. */
  history: z.array(
    z.object({
      name: z.string(),
      /** By Prisma's own record, ISO 8601; null where the migration table does not say. */
      startedAt: z.nullable(z.string()),
    }),
  ),
  /** Sessions that hold Prisma's migration lock, in words, and whether nobody seems to be behind them. */
  lockHolders: z.array(z.object({ session: z.string(), pid: z.int(), stale: z.boolean() })),
  schemaFingerprint: z.string(),
  schemaKinds: z._default(z.record(z.string(), z.string()), {}),
  /** Rows of the biggest tables, see RecordedState. */
  rows: z._default(z.record(z.string(), z.int()), {}),
  /** For the plan of a recovery; absent where PostgreSQL did not say. */
  replication: z.optional(LogicalReplication),
});
export type CheckMigrationsResult = z.infer<typeof CheckMigrationsResult>;

/** Instead, where a fence keeps everybody out: the recovery that raised it. */
export const FencedOut = z.object({ fencedBy: z.string() });
export type FencedOut = z.infer<typeof FencedOut>;

/** A person lets a migration that a recovery took away pass the gate unchanged. */
export const LiftQuarantineEvent = z.strictObject({
  migration: text(255),
  requestedBy: saying(200),
  reason: saying(1000),
});
export interface LiftQuarantineResult {
  migration: string;
  instanceId: string;
  /** The recovery that took it away. */
  recoveryId: string;
  /** Of the first who asked, as far as a tag holds it. */
  lift: { by: string; at: string; reason: string };
  stillInQuarantine: string[];
}
