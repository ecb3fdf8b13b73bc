import { z } from 'zod';
import { ApiError, NotInSandbox } from '../core/api';

/** What a field of an event is compared with. */
const Matcher = z.union([
  z.string(),
  z.number(),
  z.boolean(),
  z.null(),
  z.strictObject({ prefix: z.string() }),
  z.strictObject({ suffix: z.string() }),
  z.strictObject({ exists: z.boolean() }),
  z.strictObject({ 'equals-ignore-case': z.string() }),
  z.strictObject({
    'anything-but': z.union([z.string(), z.number(), z.array(z.union([z.string(), z.number()]))]),
  }),
]);
type Matcher = z.infer<typeof Matcher>;

const Branch = z.record(z.string(), z.unknown());

/** An event pattern: for every field either the matchers of which one must fit, or a pattern of its own. */
export type Pattern = ReadonlyMap<string, readonly Matcher[] | Pattern>;

/** @throws {ApiError} InvalidEventPatternException, or a refusal of an operator that the sandbox does not have */
export function parsePattern(text: string): Pattern {
  try {
    return branch(JSON.parse(text));
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw invalid('it is not JSON');
  }
}

function branch(value: unknown): Pattern {
  const parsed = Branch.safeParse(value);
  if (!parsed.success) throw invalid('every level is an object, every leaf a list of values');
  return new Map(
    Object.entries(parsed.data).map(([key, item]): [string, readonly Matcher[] | Pattern] => {
      if (key.startsWith('$')) throw new NotInSandbox(`the event pattern operator "${key}"`);
      return [key, Array.isArray(item) ? item.map(matcher) : branch(item)];
    }),
  );
}

function matcher(value: unknown): Matcher {
  const parsed = Matcher.safeParse(value);
  if (!parsed.success) throw new NotInSandbox(`the event pattern ${JSON.stringify(value)}`);
  return parsed.data;
}

function invalid(why: string): ApiError {
  return new ApiError('InvalidEventPatternException', `Event pattern is not valid. Reason: ${why}`);
}

/** Whether an event fits a pattern: every field of the pattern must fit. */
export function matches(pattern: Pattern, event: unknown): boolean {
  const fields = Branch.safeParse(event);
  return [...pattern].every(([key, wanted]) => {
    const value = fields.success ? fields.data[key] : undefined;
    if (!Array.isArray(wanted)) return isPattern(wanted) && matches(wanted, value);
    // A list in the event fits when one of its items does.
    const values: readonly unknown[] = Array.isArray(value) ? value : [value];
    return wanted.some((each: Matcher) => values.some((item) => fits(each, item)));
  });
}

function isPattern(value: readonly Matcher[] | Pattern): value is Pattern {
  return value instanceof Map;
}

function fits(wanted: Matcher, value: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null) return value === wanted;
  if ('exists' in wanted) return (value !== undefined) === wanted.exists;
  if ('anything-but' in wanted) {
    const excluded: readonly unknown[] = [wanted['anything-but']].flat();
    return value !== undefined && !excluded.includes(value);
  }
  if (typeof value !== 'string') return false;
  if ('prefix' in wanted) return value.startsWith(wanted.prefix);
  if ('suffix' in wanted) return value.endsWith(wanted.suffix);
  return value.toLowerCase() === wanted['equals-ignore-case'].toLowerCase();
}
