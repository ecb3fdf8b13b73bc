import type {
  CopyFunctionName,
  DATABASE_FUNCTIONS,
  FunctionName,
  RECORD_FUNCTION,
  RestorePointFunctionName,
  VAULT_FUNCTION,
} from '../lambdas/contract/functions';

/** The functions of an environment, but for those that have a place of their own: records, vault, custom resource. */
export type AnyFunctionName = FunctionName | RestorePointFunctionName | CopyFunctionName;

/** Every one of them, and whether it talks to PostgreSQL and so runs in the VPC. */
export const RUNS_IN_VPC: {
  readonly [Name in AnyFunctionName]: Name extends (typeof DATABASE_FUNCTIONS)[number] | 'check-migrations'
    ? true
    : false;
} = {
  'pre-migration-snapshot': false,
  plan: false,
  'start-restore': false,
  'take-safety-snapshot': false,
  'take-back': false,
  'give-back': false,
  'check-restored-instance': false,
  'record-position': true,
  'match-settings': false,
  'match-credentials': true,
  verify: true,
  'end-drill': false,
  warm: true,
  hydrate: false,
  fence: true,
  swap: true,
  prove: true,
  'restart-consumers': false,
  'prove-consumers': true,
  'finish-settings': false,
  'swap-back': false,
  'lift-fence': true,
  drain: true,
  soak: true,
  retire: false,
  discard: false,
  'clean-up': false,
  rename: false,
  'finish-rename': false,
  fail: false,
  decide: false,
  'check-migrations': true,
  'scheduled-snapshot': false,
  'reap-snapshots': false,
  'restore-points': false,
  'lift-quarantine': false,
  'copy-snapshots': false,
  'copy-to-vault': false,
  'bring-back-copy': false,
};

/** Every handler in `lambdas`: the functions, and the custom resource of the database stack. */
export const HANDLERS: readonly string[] = [
  ...Object.keys(RUNS_IN_VPC),
  // As RECORD_FUNCTION and VAULT_FUNCTION of lambdas/contract/functions.ts, of which lib imports types only.
  'write-record' satisfies typeof RECORD_FUNCTION,
  'reap-vault' satisfies typeof VAULT_FUNCTION,
  'application-database',
];
