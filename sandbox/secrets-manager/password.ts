import { randomInt } from 'node:crypto';
import type { GetRandomPasswordRequest } from '@aws-sdk/client-secrets-manager';
import { ApiError } from '../core/api';

const LOWERCASE = 'abcdefghijklmnopqrstuvwxyz';
const UPPERCASE = LOWERCASE.toUpperCase();
const NUMBERS = '0123456789';
const PUNCTUATION = '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~';

/**
 * A password as GetRandomPassword makes it.
 *
 * @throws {ApiError} InvalidParameterException when nothing is left to choose from or the length is too short
 */
export function randomPassword(request: GetRandomPasswordRequest): string {
  const length = request.PasswordLength ?? 32;
  if (!Number.isInteger(length) || length < 1 || length > 4096)
    throw new ApiError('InvalidParameterException', 'PasswordLength must be a whole number from 1 to 4096.');
  const excluded = new Set(request.ExcludeCharacters ?? '');
  const types = [
    request.ExcludeLowercase ? '' : LOWERCASE,
    request.ExcludeUppercase ? '' : UPPERCASE,
    request.ExcludeNumbers ? '' : NUMBERS,
    request.ExcludePunctuation ? '' : PUNCTUATION,
  ]
    .map((characters) => Array.from(characters).filter((character) => !excluded.has(character)))
    .filter((characters) => characters.length > 0);
  const all = [...types.flat(), ...(request.IncludeSpace && !excluded.has(' ') ? [' '] : [])];
  const required = request.RequireEachIncludedType === false ? [] : types;
  if (all.length === 0)
    throw new ApiError('InvalidParameterException', 'The request excludes every character.');
  if (required.length > length)
    throw new ApiError(
      'InvalidParameterException',
      'Password length is too short based on the required types.',
    );
  const characters = [
    ...required.map(pick),
    ...Array.from({ length: length - required.length }, () => pick(all)),
  ];
  return shuffled(characters).join('');
}

function pick(characters: readonly string[]): string {
  return characters[randomInt(characters.length)] ?? '';
}

/** So that the required characters do not always stand first. */
function shuffled(characters: readonly string[]): string[] {
  const rest = [...characters];
  const result: string[] = [];
  while (rest.length > 0) result.push(...rest.splice(randomInt(rest.length), 1));
  return result;
}
