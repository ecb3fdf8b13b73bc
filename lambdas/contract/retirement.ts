import * as z from 'zod/mini';
import { InstanceAddress, MaybeOnRecoveryInstance, Recovery } from './recovery';

/** Behind the cutover: is it good, and may the old instance go? */

/** Throws StillConnected while anybody but this system has a session on the old instance; the machine asks again. */
export const DrainEvent = MaybeOnRecoveryInstance;
export interface DrainResult {
  sessions: 0;
  /** When that was seen, ISO 8601. */
  at: string;
}

/** What has been seen while the recovery soaks, and what the next look is compared with. */
export const SoakResult = z.object({
  /** Of the first look, and when it is over. ISO 8601. */
  since: z.string(),
  until: z.string(),
  looks: z.int(),
  /** Null is what could not be seen so far. */
  first: z.object({
    deadlocks: z.nullable(z.int()),
    /** Rows of the old database that had been changed until then. */
    oldWrites: z.nullable(z.number()),
    /** Of the application, on the new database. */
    sessions: z.nullable(z.int()),
  }),
  /** Transactions of the new database that had ended at the last look. */
  last: z.nullable(z.object({ commits: z.int(), rollbacks: z.int() })),
  /** What was not as it should be at the last look, and at how many looks in a row. */
  findings: z.array(z.object({ what: z.string(), detail: z.string(), looks: z.int() })),
  /** Those that count, in words: people are asked. */
  problems: z.array(z.string()),
  /** False: the machine looks again, after so many seconds. */
  enough: z.boolean(),
  pauseSeconds: z.int(),
});
export type SoakResult = z.infer<typeof SoakResult>;

/** One look; `soak` is the result of the one before it. */
export const SoakEvent = z.object({
  recovery: Recovery,
  instance: InstanceAddress,
  /** Whether consumers had to come to the new instance for the cutover to be proven. */
  sessionsExpected: z.boolean(),
  /** As CloudWatch told the machine, which can be reached from outside the VPC only. */
  alarms: z.union([
    z.object({
      seen: z.array(z.object({ name: z.string(), state: z.string(), since: z.optional(z.string()) })),
    }),
    z.object({ problem: z.string() }),
  ]),
  soak: z.nullable(SoakResult),
});

/**
 * Throws RetirementNotFinished until the old instance is gone and its final snapshot available; the machine asks again. Throws
 * DrainOutdated where it would delete now and Drain has looked too long ago; the machine goes back to Drain.
 */
export const RetireEvent = z.object({
  recovery: Recovery,
  /** When Drain saw that nobody was connected, ISO 8601; null: before the execution was redriven. */
  drainedAt: z.nullable(z.iso.datetime({ offset: true })),
});
export type RetireResult =
  | { retired: 'deleted'; instanceId: string; finalSnapshotId: string }
  /** Null: marked by hand, or of before there was a date. */
  | { retired: 'kept'; instanceId: string; keepUntil: string | null }
  /** It was gone before the recovery began. */
  | { retired: 'gone'; instanceId: string };
