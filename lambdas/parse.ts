import type * as z from 'zod/mini';
import { URL_WITH_PASSWORD } from './contract/texts';
import { InvalidInput } from './errors';

interface Issue {
  readonly field: string;
  /** What was given, shortened. */
  readonly got: string;
  readonly allowed: string;
}

/** Parses `value`; throws InvalidInput that names each wrong field, what was given and what is allowed. */
export function parse<Schema extends z.ZodMiniType>(
  schema: Schema,
  value: unknown,
  what: string,
): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = describeIssues(parsed.error.issues, value);
  const lines = issues.map(({ field, got, allowed }) => `${field}: got ${got}, allowed is ${allowed}.`);
  // What is wrong comes first: a message on a phone is cut.
  throw new InvalidInput(
    `${lines.join(' ')} So the ${what} cannot be used.`,
    'Correct the fields named here.',
  );
}

/** A setting that this function cannot do without; throws InvalidInput. */
export function required(value: string | undefined, name: string): string {
  if (value === undefined || value === '')
    throw new InvalidInput(
      `Environment variable ${name} of the function is missing.`,
      'Deploy the rollback stack again.',
    );
  return value;
}

/** What a JSON text says; undefined where it is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** zod's issues in plain words; zod/mini has no messages of its own. Those of the contract say what is allowed. */
function describeIssues(issues: readonly z.core.$ZodIssue[], value: unknown): Issue[] {
  return issues.flatMap((issue): Issue[] => {
    const field = pathOf(issue.path);
    const got = show(valueAt(value, issue.path));
    switch (issue.code) {
      case 'unrecognized_keys':
        return issue.keys.map((key) => ({
          field: pathOf([...issue.path, key]),
          got: show(valueAt(value, [...issue.path, key])),
          allowed: 'no such field',
        }));
      case 'invalid_value':
        return [{ field, got, allowed: oneOf(issue.values) }];
      case 'invalid_union': {
        const options = 'options' in issue ? issue.options : undefined;
        if (!options) return [{ field, got, allowed: 'one of several shapes' }];
        return [{ field, got, allowed: oneOf(options) }];
      }
      case 'too_small':
        if (issue.origin === 'string' && issue.minimum === 1) return [{ field, got, allowed: 'a text' }];
        return [{ field, got, allowed: `at least ${String(issue.minimum)}${unit(issue.origin)}` }];
      case 'too_big':
        return [{ field, got, allowed: `at most ${String(issue.maximum)}${unit(issue.origin)}` }];
      case 'invalid_format':
        return [
          // A regex is nothing for people: whoever writes one down says it in words, too.
          { field, got, allowed: FORMATS[issue.format] ?? issue.message },
        ];
      case 'invalid_type':
        return [{ field, got, allowed: article(issue.expected) }];
      default:
        return [{ field, got, allowed: issue.message }];
    }
  });
}

const FORMATS: Record<string, string> = {
  datetime: 'a time as 2026-11-21T10:00:00Z',
};

function oneOf(values: readonly unknown[]): string {
  const shown = values.map((value) => JSON.stringify(value));
  return shown.length === 1 ? (shown[0] ?? '') : `one of ${shown.join(', ')}`;
}

function unit(origin: string): string {
  if (origin === 'string') return ' characters';
  return origin === 'array' ? ' entries' : '';
}

function article(type: string): string {
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`;
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.length === 0 ? '(the whole)' : path.map(String).join('.');
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at: unknown = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = Object.entries(at).find(([name]) => name === String(key))?.[1];
  }
  return at;
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  if (URL_WITH_PASSWORD.test(text)) return 'a URL with a password in it';
  return text.length > 50 ? `${text.slice(0, 47)}...` : text;
}
