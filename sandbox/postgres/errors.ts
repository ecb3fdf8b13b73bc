/**
 * What can go wrong with PostgreSQL here. The message holds the fact, the evidence for it and a hint, each on lines of
 * its own; never a password.
 */
export class PostgresError extends Error {
  constructor(fact: string, { evidence, hint }: { evidence?: string | undefined; hint?: string } = {}) {
    super([fact, evidence, hint].filter((part) => part !== undefined && part !== '').join('\n'));
    this.name = new.target.name;
  }
}

/** PostgreSQL cannot run on this machine as it is: no binaries, no account, a directory that bars the way. */
export class PostgresNotUsable extends PostgresError {}

/** A server did not come up; the evidence is the end of its log. */
export class PostgresStartFailed extends PostgresError {}

/** No port that the server could listen on. */
export class PortTaken extends PostgresError {}

/** PostgreSQL does not accept a setting; the settings before stay in force. */
export class SettingRefused extends PostgresError {}

/** A physical backup could not be completed; nothing of it is left. */
export class BackupFailed extends PostgresError {}

/** Written WAL did not reach the archive. */
export class ArchivingFailed extends PostgresError {}

/** The time asked for is not between the end of the backup and the last archived commit. */
export class RestoreTimeOutOfRange extends PostgresError {}

/** The code of a system error such as `ENOENT`. Asks for the member, not the class: a test's realm has another Error. */
export function errorCode(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
}

/** What an error of whatever class says. */
export function errorMessage(error: unknown): string {
  return typeof error === 'object' &&
    error !== null &&
    'message' in error &&
    typeof error.message === 'string'
    ? error.message
    : String(error);
}
