import * as z from 'zod/mini';
import type { Leftover } from './clean-up';
import type { Recovery } from './recovery';
import type { RestoreRequest } from './recovery-input';
import type { LogicalReplication } from './replication';
import type { Consumer } from './rules';

export const PlanEvent = z.object({
  execution: z.object({ arn: z.string(), name: z.string(), startTime: z.string() }),
  input: z.unknown(),
});

/**
 * What knows an instance by its name, and so looks at nothing of the one that takes its place: the first hundred of each; null: not
 * known.
 */
export interface NamedBy {
  alarms: string[] | null;
  dashboards: string[] | null;
}

interface UsedQuota {
  used: number;
  quota: number;
}
export interface PlanResult {
  recovery: Recovery;
  /** Everything that a person needs to decide. */
  plan: {
    /** The same in words, one short line each. */
    summary: string[];
    live: { instanceId: string; status: string };
    /** Why this restore point. */
    why: string;
    restorePointAgeMinutes: number;
    /** Minutes of writes that the recovery gives up, if it were done now; of a live instance that is gone up to its end, where that is known. */
    lossWindowMinutes: number;
    /** What else would do. */
    alternatives: { restore: RestoreRequest; time: string; why: string }[];
    migrations: {
      /** Null where that is not known. */
      goAway: string[] | null;
      stay: { count: number; newest: string | null } | null;
    };
    toBeMade: { instances: string[]; snapshots: string[] };
    /** Null where RDS does not say. */
    quotas: { instances: UsedQuota; snapshots: UsedQuota; storageGiB: UsedQuota } | null;
    /** By the earlier recoveries of this machine, from start to end; null where there was none. */
    expectedMinutes: { median: number; shortest: number; longest: number; recoveries: number } | null;
    /** Settings that a restore does not take and that are changed afterwards. */
    modifiedAfterwards: string[];
    /** Settings that come from the backup and differ from the live instance's. */
    asInBackup: { name: string; live: string; backup: string }[];
    /** What the second instance costs a day; null where the table of environments has no price of its class. */
    costPerDay: { amount: number; currency: string; priceOf: string } | null;
    /** Old instances of earlier recoveries that were to be kept until a day which is over, each with what to do. */
    keptTooLong: string[];
    /** What names the live instance, and will not follow; null of a drill. */
    namedBy: NamedBy | null;
    /** What the live server sends and gets by logical replication, and a recovery breaks; null where that is not known. */
    replication: LogicalReplication | null;
    /**
     * That the live instance serves and its own recovery was stopped before it had all its settings: they are taken from what it
     * replaced, or a snapshot of that; null: not known. Null as a whole where it is finished.
     */
    unfinished: { recoveryId: string; settingsFrom: string | null } | null;
    /** What could not be found out, and why. */
    notKnown: string[];
    /** What recoveries left that do not run any more; null where that is not known, or where the mode is not plan. */
    leftovers: Leftover[] | null;
    /** The exact input that cleans up; null where there is nothing to. */
    inputToCleanUp: unknown;
    /** The newest recovery, if it can be undone; null where it cannot, or where the mode is not plan. */
    undo: {
      recoveryId: string;
      /** Would be live again. */
      instanceId: string;
      /** The cutover: what was written since, minutes of it, would stay in what is live now. */
      asOf: string;
      lossWindowMinutes: number;
      /** The exact input that does it. */
      inputToUndo: unknown;
    } | null;
    /** That the live instance has another name than before any recovery; null where it has not, or where the mode is not plan. */
    rename: {
      to: string;
      /** One did not come to its end behind its swap: services may not have been restarted. It is gone on with. */
      begun: boolean;
      /** Why not now; null: it can be. */
      notNow: string | null;
      /** Minutes without a database: measured by earlier renames, or what RDS documents. */
      outageMinutes: number;
      /** The exact input that does it. */
      inputToRename: unknown;
    } | null;
    /** The exact input that carries this plan out. */
    inputToRecover: unknown;
  };
}

/** What Plan answers of an undo. */
export interface PlanUndoResult {
  recovery: Recovery;
  plan: {
    summary: string[];
    why: string;
    /** Minutes of writes, those since the cutover, that the application has no more afterwards. */
    lossWindowMinutes: number;
    /** What names the live instance, and will not follow. */
    namedBy: NamedBy;
  };
}

/** What Plan answers of a clean-up. */
export interface PlanCleanUpResult {
  recovery: Recovery;
  plan: { summary: string[]; leftovers: Leftover[] };
}

/** What Plan answers of a rename. */
export interface PlanRenameResult {
  recovery: Recovery;
  plan: {
    summary: string[];
    from: { instanceId: string; host: string };
    /** Null: the address that RDS will make of the name is not known. */
    to: { instanceId: string; host: string | null };
    /** Minutes without a database: measured by earlier renames, or what RDS documents. */
    outageMinutes: number;
    /** Have to be restarted afterwards, and are. */
    consumers: Consumer[];
    /** What names the instance as it is called now, and will not follow. */
    namedBy: NamedBy;
  };
}
