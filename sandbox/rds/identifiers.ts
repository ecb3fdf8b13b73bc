import { randomBytes } from 'node:crypto';
import { invalidValue } from './errors';

const FORM = /^[a-z](?:-?[a-z0-9])*$/i;

/** The value of a member that the operation cannot do without. */
export function required(value: string | undefined, member: string): string {
  if (value === undefined || value.trim() === '') {
    throw invalidValue(`The parameter ${member} must be provided and must not be blank.`);
  }
  return value;
}

/** Checks an identifier that names something new, and answers it as RDS stores it: in lower case. */
export function newIdentifier(value: string | undefined, member: string, longest: number): string {
  const identifier = required(value, member);
  if (identifier.length > longest) {
    throw invalidValue(
      `The parameter ${member} is not a valid identifier because it is longer than ${longest} characters.`,
    );
  }
  if (!FORM.test(identifier)) {
    throw invalidValue(
      `The parameter ${member} is not a valid identifier. Identifiers must begin with a letter; must contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens.`,
    );
  }
  return identifier.toLowerCase();
}

export const LONGEST_INSTANCE_IDENTIFIER = 63;
export const LONGEST_SNAPSHOT_IDENTIFIER = 255;

/** @throws InvalidParameterValue unless it may be a master user's name */
export function checkUsername(name: string): string {
  if (/^(?:admin|rdsadmin|rds_.*|pg_.*|postgres_.*|public|none)$/i.test(name)) {
    throw invalidValue(`MasterUsername ${name} cannot be used as it is a reserved word used by the engine`);
  }
  if (!/^[a-z][a-z0-9_]{0,62}$/i.test(name)) {
    throw invalidValue(
      'The parameter MasterUsername is not a valid identifier. It must begin with a letter and contain only alphanumeric characters and underscores.',
    );
  }
  return name;
}

/** @throws InvalidParameterValue unless it may be a master user's password; the error does not contain it */
export function checkPassword(password: string): string {
  const invalid = 'The parameter MasterUserPassword is not a valid password';
  if (password.length < 8) throw invalidValue(`${invalid} because it is shorter than 8 characters.`);
  if (password.length > 128) throw invalidValue(`${invalid} because it is longer than 128 characters.`);
  if (!/^[!-~]*$/.test(password) || /[/@"]/.test(password)) {
    throw invalidValue(`${invalid}. Only printable ASCII characters besides '/', '@', '"', ' ' may be used.`);
  }
  return password;
}

/** `<prefix>-` and as many upper-case letters and digits as RDS uses, e.g. a DbiResourceId. */
export function resourceId(prefix: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const letters = [...randomBytes(26)].map((byte) => alphabet.charAt(byte % alphabet.length));
  return `${prefix}-${letters.join('')}`;
}
