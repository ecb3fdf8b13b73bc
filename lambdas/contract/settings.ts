import * as z from 'zod/mini';

export const ENVIRONMENTS = ['production', 'staging', 'development'] as const;
export type EnvironmentName = (typeof ENVIRONMENTS)[number];

/** The environment variables that every function gets. */
export const FunctionSettings = z.object({
  ENVIRONMENT: z.enum(ENVIRONMENTS),
  /** ARN of the DATABASE_URL secret. Absent in development, where nothing is backed up. */
  DATABASE_URL_SECRET_ID: z.optional(z.string()),
  /** ARN of the master user's secret: JSON with `username` and `password`. */
  MASTER_SECRET_ID: z.optional(z.string()),
  /** Days that a pre-migration (and final) snapshot is kept; 0: none is made. */
  SNAPSHOT_RETENTION_DAYS: z.coerce.number().check(z.int(), z.minimum(0)),
  /** JSON, see readRetentionRules (functions around snapshots only). */
  RETENTION_RULES: z.optional(z.string()),
  /** JSON, see readCopyRules (only where snapshots are copied to another Region). */
  COPY_RULES: z.optional(z.string()),
  /** JSON, see readVaultRules (only where snapshots are copied to another account). */
  VAULT_RULES: z.optional(z.string()),
  /** ARN of the role over there that the function takes (at home only). */
  VAULT_ROLE_ARN: z.optional(z.string()),
  /** JSON, see readRecoveryRules (only where a recovery is planned). */
  RECOVERY_RULES: z.optional(z.string()),
  /** ARN (`decide` only). */
  RECOVERY_MACHINE_ARN: z.optional(z.string()),
  /** JSON, see readDrillRules (reap-snapshots only). */
  DRILL_RULES: z.optional(z.string()),
  /** JSON, see readInstancePrice (plan only). */
  INSTANCE_PRICE: z.optional(z.string()),
  /** Name of the bucket (`write-record` only). */
  RECORDS_BUCKET: z.optional(z.string()),
});
export type FunctionSettings = z.infer<typeof FunctionSettings>;
