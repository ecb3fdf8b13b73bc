import * as z from 'zod/mini';

/** What the table of environments says of one of them, as the stacks hand it to a function: as JSON in one of its settings. */

/** An ECS service that reads DATABASE_URL when its tasks start. */
export const Consumer = z.object({ cluster: z.string(), service: z.string() });
export type Consumer = z.infer<typeof Consumer>;

/** How the recoveries of an environment are carried out. */
const RecoveryRules = z.object({
  /** A person approves before the secret is moved. */
  approveCutover: z.boolean(),
  /** A person approves before the old instance is deleted. */
  approveRetirement: z.boolean(),
  /** Restarted after the swap. */
  consumers: z.array(Consumer),
  /** How long the new database is watched before the old instance goes, where nobody says; left out: not at all. */
  soakMinutes: z.optional(z.int()),
  /** CloudWatch alarms that are watched then. */
  soakAlarms: z.optional(z.array(z.string())),
});
export type RecoveryRules = z.infer<typeof RecoveryRules>;

/** @param json of the function's setting RECOVERY_RULES */
export function readRecoveryRules(json: string): RecoveryRules {
  return RecoveryRules.parse(JSON.parse(json));
}

/** How long snapshots stay that do not say it themselves. */
const RetentionRules = z.object({
  /** Days for which every scheduled snapshot stays. */
  dailyDays: z.int().check(z.minimum(1)),
  /** Days for which one scheduled snapshot a week stays. */
  weeklyDays: z.int().check(z.minimum(1)),
  /** So many of the newest good snapshots stay, however old they are. */
  keepNewest: z.int().check(z.minimum(1)),
  /** The newest good snapshot is never older than this, or people are told. */
  newestAtMostHours: z.int().check(z.minimum(1)),
});
export type RetentionRules = z.infer<typeof RetentionRules>;

/** @param json of the function's setting RETENTION_RULES */
export function readRetentionRules(json: string): RetentionRules {
  return RetentionRules.parse(JSON.parse(json));
}

/** That a recovery works is known from one that worked: a drill, or a real one. */
const DrillRules = z.object({
  /** ARN. */
  machine: z.string(),
  /** The newest recovery or drill that succeeded is never older than this, or people are told. */
  newestAtMostDays: z.int().check(z.minimum(1)),
});
export type DrillRules = z.infer<typeof DrillRules>;

/** @param json of the function's setting DRILL_RULES, which is left out where there are no drills */
export function readDrillRules(json: string | undefined): DrillRules | undefined {
  return json === undefined ? undefined : DrillRules.parse(JSON.parse(json));
}

/** What an instance costs: no function asks AWS for prices, and discounts are not in them. */
const InstancePrice = z.object({
  /** As RDS writes it: db.t4g.medium. A live instance of another class has no price. */
  instanceClass: z.string(),
  /** Of an instance without a standby. */
  perHour: z.number().check(z.positive()),
  storagePerGibMonth: z.number().check(z.nonnegative()),
  currency: z.string(),
  /** Where and when it was looked up. */
  priceOf: z.string(),
});
export type InstancePrice = z.infer<typeof InstancePrice>;

/** @param json of the function's setting INSTANCE_PRICE, which is left out where there is none */
export function readInstancePrice(json: string | undefined): InstancePrice | undefined {
  return json === undefined ? undefined : InstancePrice.parse(JSON.parse(json));
}

/** How long copies of snapshots stay. */
const CopyRetention = z.extend(RetentionRules, {
  /** Days that the copy of a pre-migration snapshot is kept, from when the snapshot was taken. */
  preMigrationDays: z.int().check(z.minimum(1)),
});
export type CopyRetention = z.infer<typeof CopyRetention>;

/** Where copies of snapshots go, and how long they stay there. */
const CopyRules = z.extend(CopyRetention, {
  /** Another Region of this account. */
  region: z.string(),
  /** Key of that Region: ARN or alias. */
  kmsKeyId: z.string(),
});
export type CopyRules = z.infer<typeof CopyRules>;

/** @param json of the function's setting COPY_RULES */
export function readCopyRules(json: string): CopyRules {
  return CopyRules.parse(JSON.parse(json));
}

/** The account that snapshots are copied to as well, in the Region of the database, and how long they stay there. */
const VaultRules = z.extend(CopyRetention, {
  account: z.string(),
  /** The account of the database. */
  homeAccount: z.string(),
  /** The key of the vault, which home may use, too: ARN of its alias. */
  kmsKeyId: z.string(),
});
export type VaultRules = z.infer<typeof VaultRules>;

/** @param json of the function's setting VAULT_RULES */
export function readVaultRules(json: string): VaultRules {
  return VaultRules.parse(JSON.parse(json));
}
