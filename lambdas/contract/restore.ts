import * as z from 'zod/mini';
import type { Check, VerificationCheck } from './checks';
import { InstanceAddress, OnRecoveryInstance, Recovery, RecoveryEvent } from './recovery';

/** From the restore to the moment before the cutover: the recovery instance is made, and made ready. */

export const StartRestoreEvent = RecoveryEvent;
export interface StartRestoreResult {
  instanceId: string;
}

/** Asks for a snapshot of the live instance as it is now, and does not wait for it. That none is taken stops no recovery. */
export const TakeSafetySnapshotEvent = RecoveryEvent;
export type TakeSafetySnapshotResult = { taken: true; snapshotId: string } | { taken: false; reason: string };

/** Of an undo, instead of StartRestore. */
export const TakeBackEvent = RecoveryEvent;
export interface TakeBackResult {
  instanceId: string;
}

/** Throws InstanceNotReady until the instance is up; the machine asks again. */
export const CheckRestoredInstanceEvent = RecoveryEvent;
export type CheckRestoredInstanceResult = InstanceAddress;

/** The first thing done on a recovery instance, before anything writes to it: what exactly does the copy hold? */
export const RecordPositionEvent = OnRecoveryInstance;
export type RecordPositionResult = {
  /** Whether the master user gets in with a password that is known. If not, RDS has to set one before anything else. */
  masterUserKnown: boolean;
} & (
  | {
      recorded: true;
      snapshotXmax: string;
      lastReplayLsn: string | null;
      currentLsn: string;
      timeline: number;
    }
  | { recorded: false; reason: string }
);

/**
 * What serving needs: asks for what differs and throws SettingsNotMatched until nothing does; the machine asks again. RDS
 * takes no change during a first backup, so where there is nothing to change that backup is not waited for.
 */
export const MatchSettingsEvent = z.object({
  recovery: Recovery,
  instance: InstanceAddress,
  masterUserKnown: z.boolean(),
});
export interface MatchSettingsResult {
  settings: { name: string; live: string; recovery: string; equal: boolean; note?: string }[];
}

export const MatchCredentialsEvent = OnRecoveryInstance;
export interface MatchCredentialsResult {
  applicationRole: string;
  applicationPassword: 'already current' | 'set to the current one';
  /** Of an undo: what was found behind the fence. */
  checks?: Check[];
}

export const TakenAway = z.object({ name: z.string(), checksum: z.optional(z.string()) });
export type TakenAway = z.infer<typeof TakenAway>;

export const VerifyEvent = OnRecoveryInstance;
export interface VerifyResult {
  checks: VerificationCheck[];
  /** Newest last, as recorded in the recovery instance. */
  migrations: string[];
  /** In the live database but not in the recovery instance; null where the live database could not be read. */
  migrationsTakenAway: string[] | null;
  /** The same of every project in the database, with the first digits of the checksums that were applied. */
  quarantine: TakenAway[] | null;
}

/** How far the tables are warm, and where to go on. */
export const WarmResult = z.object({
  percent: z.int(),
  /** False: the machine calls again. */
  enough: z.boolean(),
  blocksRead: z.int(),
  /** `pg_prewarm`, or `queries`, which cannot read indexes. */
  method: z.string(),
  /** What could not be read, and why. */
  leftOut: z.array(z.string()),
  calls: z.int(),
  /** Where to go on, and the relations before it that were refused. */
  next: z.object({ relation: z.int(), block: z.int(), refused: z.array(z.int()) }),
});
export type WarmResult = z.infer<typeof WarmResult>;

/** Reads on where `warmth`, the result of the call before it, says. */
export const WarmEvent = z.object({
  recovery: Recovery,
  instance: InstanceAddress,
  warmth: z.nullable(WarmResult),
});

/** Throws NotHydratedYet until RDS has loaded as much of the storage as asked for; the machine asks again. */
export const HydrateEvent = RecoveryEvent;
export interface HydrateResult {
  percent: number;
}
