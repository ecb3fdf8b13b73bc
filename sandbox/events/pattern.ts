import { z } from 'zod';
import { ApiError } from '../core/api';
import { matcherOf, type Matcher } from './matcher';

const Branch = z.record(z.string(), z.unknown());

/** An event pattern: every field must fit and, where there are alternatives, one of each list of them. */
export interface Pattern {
  /** By name: the matchers of which one must fit, or a pattern for what stands below. */
  readonly fields: ReadonlyMap<string, readonly Matcher[] | Pattern>;
  /** `$or`. */
  readonly alternatives: readonly (readonly Pattern[])[];
}

/** The most bytes of a pattern. */
const MAX_BYTES = 4096;

/** @throws {ApiError} InvalidEventPatternException */
export function parsePattern(text: string): Pattern {
  if (Buffer.byteLength(text) > MAX_BYTES) throw invalid(`it is larger than ${MAX_BYTES} bytes`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw invalid('Filter is not valid JSON');
  }
  const pattern = branch(json, 'Filter is not an object');
  if (pattern.fields.size === 0 && pattern.alternatives.length === 0)
    throw invalid('Empty objects are not allowed');
  return pattern;
}

function branch(value: unknown, otherwise: string): Pattern {
  const parsed = Branch.safeParse(value);
  if (!parsed.success || Array.isArray(value)) throw invalid(otherwise);
  const fields = new Map<string, readonly Matcher[] | Pattern>();
  const alternatives: (readonly Pattern[])[] = [];
  for (const [key, item] of Object.entries(parsed.data)) {
    // Fewer than two, or anything but objects, make "$or" an ordinary name.
    if (key === '$or' && Array.isArray(item) && item.length > 1 && item.every(isObject))
      alternatives.push(item.map((each) => branch(each, '')));
    else if (Array.isArray(item)) fields.set(key, leaf(item));
    else {
      const inner = branch(item, `"${key}" must be an object or an array`);
      if (inner.fields.size === 0 && inner.alternatives.length === 0)
        throw invalid('Empty objects are not allowed');
      fields.set(key, inner);
    }
  }
  return { fields, alternatives };
}

function leaf(values: readonly unknown[]): readonly Matcher[] {
  if (values.length === 0) throw invalid('Empty arrays are not allowed');
  return values.map((value) => matcherOf(value, invalid));
}

function invalid(why: string): ApiError {
  return new ApiError('InvalidEventPatternException', `Event pattern is not valid. Reason: ${why}`);
}

/** Whether an event fits a pattern. */
export function matches(pattern: Pattern, event: unknown): boolean {
  // Of a list of objects one must fit as a whole.
  if (Array.isArray(event)) return event.some((item: unknown) => matches(pattern, item));
  const fields: Readonly<Record<string, unknown>> = isObject(event) ? event : {};
  return (
    [...pattern.fields].every(([key, wanted]) => fits(wanted, fields[key])) &&
    pattern.alternatives.every((list) => list.some((alternative) => matches(alternative, event)))
  );
}

function fits(wanted: readonly Matcher[] | Pattern, value: unknown): boolean {
  if ('fields' in wanted) return matches(wanted, value);
  // A list in the event fits when one of its items does; an empty one is as good as none.
  const values: readonly unknown[] = Array.isArray(value)
    ? value.length === 0
      ? [undefined]
      : value
    : [value];
  return wanted.some((matcher) => values.some((item) => matcher(item)));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
