import * as z from 'zod/mini';

/** A string of 1 to `length` characters, blanks around it not counted. */
export const text = (length: number) => z.string().check(z.trim(), z.minLength(1), z.maxLength(length));

/** A URL with a password in it, somewhere in a text. A port is none. */
export const URL_WITH_PASSWORD = /[a-z][a-z0-9+.-]*:\/\/[^\s:/@]*:(?!\d{1,5}(?:[/?#\s]|$))\S+@/i;

/** What a person says: it is kept in histories, tags and records, and sent to people. */
export const saying = (length: number) =>
  text(length).check(
    z.refine(
      (value) => !URL_WITH_PASSWORD.test(value),
      'a text without a password (change that one: it was sent)',
    ),
  );

/** Of a snapshot in this account and Region, not the ARN of one elsewhere. Automated ones are named `rds:…`. */
export const snapshotName = text(255).check(
  z.regex(
    /^(?:rds:)?[A-Za-z][A-Za-z0-9-]*$/,
    'the name of a snapshot in this account and Region: letters, digits and hyphens, no ARN',
  ),
);
