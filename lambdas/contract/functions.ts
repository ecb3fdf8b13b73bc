/** The functions: kebab-case name = file in `lambdas` = step in `lambdas/steps` = physical name after `<env>-`. */
export const FUNCTIONS = [
  'pre-migration-snapshot',
  'plan',
  'start-restore',
  'take-safety-snapshot',
  'take-back',
  'give-back',
  'check-restored-instance',
  'record-position',
  'match-settings',
  'match-credentials',
  'verify',
  'end-drill',
  'warm',
  'hydrate',
  'fence',
  'swap',
  'prove',
  'restart-consumers',
  'prove-consumers',
  'finish-settings',
  'swap-back',
  'lift-fence',
  'drain',
  'soak',
  'retire',
  'discard',
  'clean-up',
  'rename',
  'finish-rename',
  'fail',
  'decide',
] as const;
export type FunctionName = (typeof FUNCTIONS)[number];

/** The functions around restore points that are no states of the machine; named in the same way. */
export type RestorePointFunctionName =
  'check-migrations' | 'scheduled-snapshot' | 'reap-snapshots' | 'restore-points' | 'lift-quarantine';

/** The functions of an environment whose snapshots are copied to another Region or account; named in the same way. */
export type CopyFunctionName = 'copy-snapshots' | 'copy-to-vault' | 'bring-back-copy';

/** The function that keeps the retention of the vault, in the account of the vault. */
export const VAULT_FUNCTION = 'reap-vault';

/** The function that an event of EventBridge calls when an execution has ended. */
export const RECORD_FUNCTION = 'write-record';

/** The functions inside the VPC: they talk to PostgreSQL, and of AWS to Secrets Manager only (its endpoint is the one we pay for). */
export const DATABASE_FUNCTIONS = [
  'record-position',
  'match-credentials',
  'verify',
  'warm',
  'fence',
  'lift-fence',
  'swap',
  'prove',
  'prove-consumers',
  'drain',
  'soak',
] as const satisfies readonly FunctionName[];
