import * as z from 'zod/mini';
import type { RestoreRequest } from './recovery-input';
import { snapshotName, text } from './texts';

/** Copies of the snapshots in another Region or account. */

/** What the schedule sends; a person may leave all of it out. */
export const CopySnapshotsEvent = z.strictObject({
  /** Throws SnapshotsNotCopied when a copy could not be begun, so that the alarm goes off. */
  failOnWarning: z._default(z.boolean(), false),
});
export interface CopySnapshotsResult {
  region: string;
  /** Copies that this call asked for. */
  begun: string[];
  /** Copies that RDS makes now. */
  underWay: string[];
  /** Copies that one can go back to. */
  available: number;
  /** The next calls begin them: only so many are made at a time. */
  waiting: number;
  notCopied: { snapshotId: string; why: string }[];
}

/** What the schedule sends; a person may leave all of it out. */
export const CopyToVaultEvent = z.strictObject({
  /** Throws SnapshotsNotCopied when a copy could not be begun, so that the alarm goes off. */
  failOnWarning: z._default(z.boolean(), false),
});
export interface CopyToVaultResult {
  account: string;
  /** Snapshots of which this call asked for a passing copy here, under the key of the vault. */
  prepared: string[];
  /** Copies in the vault that this call asked for. */
  begun: string[];
  /** Snapshots of which RDS makes one of the two copies now. */
  underWay: string[];
  /** Copies in the vault that one can go back to. */
  available: number;
  /** The next calls begin them: only so many are made at a time. */
  waiting: number;
  /** Passing copies that this call deleted, since nobody needs them any more. */
  cleared: string[];
  notCopied: { snapshotId: string; why: string }[];
}

/** What the schedule of the vault sends; a person may leave all of it out. */
export const ReapVaultEvent = z.strictObject({
  /** Says what would be deleted, and deletes nothing. */
  dryRun: z._default(z.boolean(), false),
  /** Throws RetentionWarning when there is a warning, so that the alarm goes off. */
  failOnWarning: z._default(z.boolean(), false),
});
export interface ReapVaultResult {
  dryRun: boolean;
  deleted: { snapshotId: string; why: string }[];
  kept: { snapshotId: string; why: string }[];
  warnings: string[];
}

/** A person wants a copy back where the database is, to recover from it. Asked again until it is `available`. */
export const BringBackCopyEvent = z.strictObject({
  /** Left out: the newest copy. */
  snapshotId: z.optional(snapshotName),
  /** The other Region, or the vault. Left out: wherever it is, the Region first. */
  from: z.optional(z.enum(['region', 'vault'])),
  /** Left out: the key that the database had. */
  kmsKeyId: z.optional(text(2048)),
});
export type BringBackCopyResult =
  /** `source`: ARN of the copy that it is made of, where RDS says so. */
  | { status: 'copying'; snapshotId: string; source: string | null; progressPercent: number }
  | { status: 'available'; snapshotId: string; restore: RestoreRequest };
