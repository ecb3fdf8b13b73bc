/**
 * Prisma's own wording of errors that the native engine makes and the WebAssembly build leaves to its host.
 * @typedef {{ code: string | undefined, message: string }} UserFacingError
 */

/** What `pg` says when a server has no TLS to offer. */
export const NO_TLS = 'The server does not support SSL connections';

/**
 * @param {unknown} error what the attempt to connect threw
 * @param {{ location: string, user: string, database: string }} target
 * @returns {UserFacingError}
 */
export function connectionError(error, { location, user, database }) {
  const code = textOf(error, 'code');
  const message = error instanceof Error ? error.message : String(error);
  switch (code) {
    case '28P01':
      return {
        code: 'P1000',
        message:
          `Authentication failed against database server, the provided database credentials for \`${user}\` are not valid.\n\n` +
          'Please make sure to provide valid database credentials for the database server at the configured address.',
      };
    case 'ECONNREFUSED':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
    case 'ETIMEDOUT':
      return unreachable(location);
    case '3D000':
      return { code: 'P1003', message: `Database \`${database}\` does not exist` };
    case '42P04':
      return { code: 'P1009', message: `Database \`${database}\` already exists` };
    case '28000':
    case '42501':
      return { code: 'P1010', message: `User was denied access on the database \`${database}\`` };
    case 'ECONNRESET':
    case '57P01':
      return { code: 'P1017', message: 'Server has closed the connection.' };
    case '53300':
      return { code: 'P2037', message: `Too many database connections opened: ${message}` };
    default:
      break;
  }
  if (message === 'timeout expired' || message.startsWith('Connection terminated due to connection timeout'))
    return unreachable(location);
  if (message.startsWith('Connection terminated'))
    return { code: 'P1017', message: 'Server has closed the connection.' };
  if (
    message.startsWith(NO_TLS) ||
    code?.includes('CERT') ||
    code?.startsWith('ERR_TLS') ||
    code === 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'
  )
    return { code: 'P1011', message: `Error opening a TLS connection: ${message}` };
  return { code: undefined, message };
}

/**
 * @param {string} location
 * @returns {UserFacingError}
 */
function unreachable(location) {
  return {
    code: 'P1001',
    message: `Can't reach database server at \`${location}\`\n\nPlease make sure your database server is running at \`${location}\`.`,
  };
}

/**
 * @param {string} migration name of the migration that failed
 * @param {string} script what was sent to the server
 * @param {import('pg').DatabaseError} error what the server answered
 */
export function migrationError(migration, script, error) {
  const code = error.code ?? 'none';
  const databaseError = describe(script, error);
  return {
    code: 'P3018',
    message:
      'A migration failed to apply. New migrations cannot be applied before the error is recovered from. ' +
      'Read more about how to resolve migration issues in a production database: https://pris.ly/d/migrate-resolve\n\n' +
      `Migration name: ${migration}\n\nDatabase error code: ${code}\n\nDatabase error:\n${databaseError}\n`,
    meta: { migration_name: migration, database_error_code: code, database_error: databaseError },
  };
}

/**
 * The server's answer with the lines of the script that it points at.
 * @param {string} script
 * @param {import('pg').DatabaseError} error
 */
function describe(script, error) {
  const lines = [`${error.severity ?? 'ERROR'}: ${error.message}`];
  if (error.detail) lines.push(`DETAIL: ${error.detail}`);
  if (error.hint) lines.push(`HINT: ${error.hint}`);
  if (error.position !== undefined) {
    const wrong = script.slice(0, Number(error.position) - 1).split('\n').length;
    lines.push('', 'Position:');
    for (const [index, line] of script.split('\n').slice(0, wrong).entries())
      if (index >= wrong - 6) lines.push(`${String(index + 1).padStart(3)} ${line}`.trimEnd());
  }
  return lines.join('\n');
}

/**
 * @param {unknown} value
 * @param {string} property
 * @returns {string | undefined} the property where it is a text
 */
export function textOf(value, property) {
  if (typeof value !== 'object' || value === null || !(property in value)) return undefined;
  /** @type {unknown} */
  const found = Reflect.get(value, property);
  return typeof found === 'string' ? found : undefined;
}
