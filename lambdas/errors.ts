/**
 * The errors of this system. `name` is what the state machine routes on, so every class sets it by hand: it survives
 * minifying. The message is the fact, the evidence, and `Hint:` what to do. It never holds a password or a URL with one.
 */
export abstract class RollbackError extends Error {
  abstract override readonly name: string;

  constructor(
    readonly fact: string,
    readonly hint: string,
    options?: ErrorOptions,
  ) {
    super(`${fact} Hint: ${hint}`, options);
  }

  /** Behind the hint, a line each: what else there is to know for who reads all of it. */
  alsoSay(lines: readonly string[]): this {
    this.message = [this.message, ...lines].join('\n');
    return this;
  }
}

// --- "Not yet": the state machine waits and asks again (NOT_YET_ERRORS and STOPPED_NOT_YET in contract/asking-again.ts). ---

/** A recovery was stopped, and the function that was at work then may still be. */
export class StoppedRecoveryAtWork extends RollbackError {
  override readonly name = 'StoppedRecoveryAtWork';
}

/** The recovery instance is still being made. */
export class InstanceNotReady extends RollbackError {
  override readonly name = 'InstanceNotReady';
}

/** Settings of the recovery instance still differ from the live one's, or are still being applied. */
export class SettingsNotMatched extends RollbackError {
  override readonly name = 'SettingsNotMatched';
}

/** The recovery instance refuses the master user's password so far. */
export class CredentialsNotReady extends RollbackError {
  override readonly name = 'CredentialsNotReady';
}

/** RDS has not loaded as much of the storage as was asked for. */
export class NotHydratedYet extends RollbackError {
  override readonly name = 'NotHydratedYet';
}

/** RDS has not brought the live instance up under its new name so far. */
export class NotRenamedYet extends RollbackError {
  override readonly name = 'NotRenamedYet';
}

/** Nothing answers at the address that a rename gave the live instance so far. */
export class NewAddressNotReached extends RollbackError {
  override readonly name = 'NewAddressNotReached';
}

/** Sessions that were on the old database when it was fenced are still ending. */
export class SessionsNotEnded extends RollbackError {
  override readonly name = 'SessionsNotEnded';
}

/** The application has no session on the new instance so far. */
export class ConsumersNotConnected extends RollbackError {
  override readonly name = 'ConsumersNotConnected';
}

/** Somebody still has a session on the old instance. */
export class StillConnected extends RollbackError {
  override readonly name = 'StillConnected';
}

/** The old instance is still being deleted. */
export class RetirementNotFinished extends RollbackError {
  override readonly name = 'RetirementNotFinished';
}

/** The recovery instance is still being deleted. */
export class DiscardNotFinished extends RollbackError {
  override readonly name = 'DiscardNotFinished';
}

// --- Passing (PASSING_ERRORS in contract/asking-again.ts): the state machine asks again, with backoff. ---

/** An AWS API could not be asked, after every retry of the SDK: throttled, timed out or out of order. */
export class AwsUnavailable extends RollbackError {
  override readonly name = 'AwsUnavailable';
}

/** A database cannot be reached, or its certificate cannot be trusted. */
export class DatabaseUnreachable extends RollbackError {
  override readonly name = 'DatabaseUnreachable';
}

/** The old instance cannot be asked who is connected to it. */
export class OldInstanceUnreachable extends RollbackError {
  override readonly name = 'OldInstanceUnreachable';
}

// --- Final: asking again changes nothing. ---

/** An event, an input or a setting of the function is not what it must be. */
export class InvalidInput extends RollbackError {
  override readonly name = 'InvalidInput';
}

/** Another execution of the recovery machine runs. */
export class RecoveryAlreadyRunning extends RollbackError {
  override readonly name = 'RecoveryAlreadyRunning';
}

/** Another recovery, undo, clean-up or rename has claimed the database while this one did not run: this one is given up. */
export class RecoveryOvertaken extends RollbackError {
  override readonly name = 'RecoveryOvertaken';
}

/** No instance is, or more than one could be, the one that the secret names; or it is not in a state to recover from. */
export class LiveInstanceUnclear extends RollbackError {
  override readonly name = 'LiveInstanceUnclear';
}

/** What was asked for as restore point does not exist, or must not be used. */
export class RestorePointNotFound extends RollbackError {
  override readonly name = 'RestorePointNotFound';
}

/** No recovery made the live instance, or the one that it retired is not there to go back to. */
export class NothingToUndo extends RollbackError {
  override readonly name = 'NothingToUndo';
}

/** The live instance has its name already, or must not get it now. */
export class RenameRefused extends RollbackError {
  override readonly name = 'RenameRefused';
}

/** The quota of manual snapshots leaves no room. */
export class SnapshotQuotaExceeded extends RollbackError {
  override readonly name = 'SnapshotQuotaExceeded';
}

/** The quota of instances, or of their storage, leaves no room for a second one. */
export class InstanceQuotaExceeded extends RollbackError {
  override readonly name = 'InstanceQuotaExceeded';
}

/** The name of the recovery instance belongs to an instance that this recovery did not make. */
export class NameTaken extends RollbackError {
  override readonly name = 'NameTaken';
}

/** RDS ended the restore in a state that it does not leave by itself. */
export class RestoreFailed extends RollbackError {
  override readonly name = 'RestoreFailed';
}

/** A setting differs and cannot be changed on an instance that exists. */
export class SettingsCannotMatch extends RollbackError {
  override readonly name = 'SettingsCannotMatch';
}

/** A setting of the recovery instance differs from the live one's, and nothing explains it. */
export class SettingsDiffer extends RollbackError {
  override readonly name = 'SettingsDiffer';
}

/** The restored database does not have the application's role. */
export class ApplicationRoleMissing extends RollbackError {
  override readonly name = 'ApplicationRoleMissing';
}

/** A database refuses a user or a password. */
export class LoginRefused extends RollbackError {
  override readonly name = 'LoginRefused';
}

/** A query was refused by a database that let us in. */
export class QueryFailed extends RollbackError {
  override readonly name = 'QueryFailed';

  constructor(
    fact: string,
    hint: string,
    /** PostgreSQL's code of what went wrong. */
    readonly sqlState?: string,
  ) {
    super(fact, hint);
  }
}

/** At least one check of the recovery instance says no. */
export class VerificationFailed extends RollbackError {
  override readonly name = 'VerificationFailed';
}

/** The chosen tables were not read as far as asked for in some six hours. */
export class NotWarmInTime extends RollbackError {
  override readonly name = 'NotWarmInTime';
}

/** The secret is not of a known shape, names more than one endpoint, or does not name the expected one. */
export class SecretUnclear extends RollbackError {
  override readonly name = 'SecretUnclear';
}

/** Somebody gave the secret another current version while the recovery ran. */
export class SecretMovedMeanwhile extends RollbackError {
  override readonly name = 'SecretMovedMeanwhile';
}

/** The old database cannot be closed to everybody but this system. */
export class FenceFailed extends RollbackError {
  override readonly name = 'FenceFailed';
}

/** A fence that a recovery left around the live database cannot be lifted. */
export class FenceNotLifted extends RollbackError {
  override readonly name = 'FenceNotLifted';
}

/** The proof after the swap says no. */
export class ProofFailed extends RollbackError {
  override readonly name = 'ProofFailed';
}

/** Services that the table names could not be restarted. */
export class ConsumersNotRestarted extends RollbackError {
  override readonly name = 'ConsumersNotRestarted';
}

/** It was too long ago that nobody was seen to be connected to the old instance: the machine has it looked at again. */
export class DrainOutdated extends RollbackError {
  override readonly name = 'DrainOutdated';
}

/** One of the proofs that must come before deleting the old instance is missing. */
export class RetirementRefused extends RollbackError {
  override readonly name = 'RetirementRefused';
}

/** No recovery waits for an answer to this question (any more), or more than one does. */
export class NothingToDecide extends RollbackError {
  override readonly name = 'NothingToDecide';
}

/** Somebody has answered this question before, and otherwise. */
export class DecidedOtherwise extends RollbackError {
  override readonly name = 'DecidedOtherwise';
}

/** A person said no, or nobody said anything in time. */
export class NotApproved extends RollbackError {
  override readonly name = 'NotApproved';
}

/** One of the proofs that must come before deleting the recovery instance is missing. */
export class DiscardRefused extends RollbackError {
  override readonly name = 'DiscardRefused';
}

// --- Of the gate and the snapshots: the gate answers them as `refused`. ---

/** The instance is in a status in which RDS takes no snapshot; it leaves it by itself. */
export class InstanceBusy extends RollbackError {
  override readonly name = 'InstanceBusy';
}

/** The snapshot of this deployment is there and cannot be used. */
export class SnapshotUnusable extends RollbackError {
  override readonly name = 'SnapshotUnusable';
}

/** The database could not be asked about its migrations. */
export class MigrationsNotChecked extends RollbackError {
  override readonly name = 'MigrationsNotChecked';

  constructor(
    fact: string,
    hint: string,
    options?: ErrorOptions,
    /** The recovery whose fence is in the way. */
    readonly fencedBy?: string,
  ) {
    super(fact, hint, options);
  }
}

/** A pending migration was taken away by a recovery and has not been changed since. */
export class MigrationQuarantined extends RollbackError {
  override readonly name = 'MigrationQuarantined';
}

/** The quarantine cannot be lifted: the migration is not in it, or the instance has no room for the tag that says so. */
export class QuarantineNotLifted extends RollbackError {
  override readonly name = 'QuarantineNotLifted';
}

/** The database has a migration that failed and was not resolved. */
export class MigrationFailed extends RollbackError {
  override readonly name = 'MigrationFailed';
}

/** Somebody holds Prisma's migration lock. */
export class MigrationRunning extends RollbackError {
  override readonly name = 'MigrationRunning';
}

/** The reaper has done its work, and somebody should look: no recent snapshot, or the quota nearly used up. */
export class RetentionWarning extends RollbackError {
  override readonly name = 'RetentionWarning';
}

/** Copies of snapshots could not be begun in the other Region, or in the other account. */
export class SnapshotsNotCopied extends RollbackError {
  override readonly name = 'SnapshotsNotCopied';
}

/** Anything else: a refusal by AWS that no step expects, or a mistake in this system. */
export class Unexpected extends RollbackError {
  override readonly name = 'Unexpected';
}

const TRANSIENT_NAMES = new Set([
  'ThrottlingException',
  'Throttling',
  'RequestLimitExceeded',
  'TooManyRequestsException',
  'InternalFailure',
  'InternalServiceError',
  'InternalServerError',
  'ServiceUnavailable',
  'ServiceUnavailableException',
  'TimeoutError',
  'RequestTimeout',
  'RequestTimeoutException',
]);
const TRANSIENT_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EPIPE',
  'EAI_AGAIN',
  'ENOTFOUND',
]);

/** What leaves a function: a RollbackError as it is, everything else under one of two names that the machine knows. */
export function toRollbackError(error: unknown): RollbackError {
  if (error instanceof RollbackError) return error;
  const name = error instanceof Error ? error.name : typeof error;
  const message = error instanceof Error ? error.message : String(error);
  const status = httpStatus(error);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (
    TRANSIENT_NAMES.has(name) ||
    TRANSIENT_CODES.has(code) ||
    (status !== undefined && status >= 500 && status !== 501)
  )
    return new AwsUnavailable(
      `AWS could not be asked: ${name}: ${message}`,
      'Usually this passes: try again in a few minutes.',
      { cause: error },
    );
  return new Unexpected(`${name}: ${message}`, 'See the log of the function for where it happened.', {
    cause: error,
  });
}

/** True where an AWS API answered with one of these error names. */
export function isAwsError(error: unknown, ...names: string[]): boolean {
  return error instanceof Error && names.includes(error.name);
}

function httpStatus(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined;
  const metadata = error.$metadata;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}
