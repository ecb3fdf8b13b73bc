import * as z from 'zod/mini';
import { InstanceAddress, Recovery, RedrivenEvent } from './recovery';
import type { TakeSafetySnapshotResult } from './restore';

/**
 * Claims the database and has RDS rename the live instance; throws RenameRefused before that, NotRenamedYet until it is up under its new
 * name; the machine asks again.
 */
export const RenameEvent = RedrivenEvent;
export interface RenameResult {
  instance: InstanceAddress;
  /** When RDS was asked, and took the old address away. ISO 8601. */
  askedAt: string;
}

/** The end of a rename, once the application is back: takes the marks off, and asks for a snapshot that knows the new address. */
export const FinishRenameEvent = z.object({
  recovery: Recovery,
  instance: InstanceAddress,
  /** When RDS was asked, and when the application was seen again. ISO 8601. */
  askedAt: z.string(),
  backAt: z.string(),
});
export interface FinishRenameResult {
  /** The application had no database. */
  outage: { from: string; until: string; seconds: number };
  snapshot: TakeSafetySnapshotResult;
}
