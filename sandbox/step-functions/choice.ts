import type { Environment } from './environment';
import { resolvePath } from './environment';
import { RuntimeError } from './errors';
import type { Json, JsonObject } from './json';
import { isObject, member } from './json';
import { InvalidPath, PathNotFound } from './jsonpath';
import { parseTimestamp } from './timestamp';

/** Whether a rule of a JSONPath Choice state matches. Throws RuntimeError where a path leads nowhere. */
export function ruleMatches(rule: JsonObject, environment: Environment): boolean {
  const and = member(rule, 'And');
  if (Array.isArray(and)) return and.every((inner) => isObject(inner) && ruleMatches(inner, environment));
  const or = member(rule, 'Or');
  if (Array.isArray(or)) return or.some((inner) => isObject(inner) && ruleMatches(inner, environment));
  const not = member(rule, 'Not');
  if (isObject(not)) return !ruleMatches(not, environment);

  const variable = member(rule, 'Variable');
  if (typeof variable !== 'string') throw new RuntimeError('A choice rule needs Variable, And, Or or Not.');
  const operator = Object.keys(rule).find(
    (key) => key in COMPARISONS || key in TESTS || (key.endsWith('Path') && key.slice(0, -4) in COMPARISONS),
  );
  if (operator === undefined) throw new RuntimeError('A choice rule needs a comparison.');
  const given = rule[operator] ?? null;
  if (operator === 'IsPresent') return isPresent(variable, environment) === given;
  const value = lookUp(variable, environment);
  const test = TESTS[operator];
  if (test) return test(value) === given;
  const compare = COMPARISONS[operator];
  if (compare) return compare(value, given);
  const comparePath = COMPARISONS[operator.slice(0, -4)];
  return comparePath
    ? comparePath(value, lookUp(typeof given === 'string' ? given : '', environment))
    : false;
}

function isPresent(path: string, environment: Environment): boolean {
  try {
    resolvePath(path, environment);
    return true;
  } catch (error) {
    if (error instanceof PathNotFound || error instanceof InvalidPath) return false;
    throw error;
  }
}

function lookUp(path: string, environment: Environment): Json {
  try {
    return resolvePath(path, environment);
  } catch (error) {
    if (error instanceof PathNotFound || error instanceof InvalidPath) {
      throw new RuntimeError(
        `Invalid path '${path}': The choice state's condition path references an invalid value.`,
      );
    }
    throw error;
  }
}

type Comparison = (value: Json, given: Json) => boolean;

const strings =
  (holds: (order: number) => boolean): Comparison =>
  (value, given) =>
    typeof value === 'string' &&
    typeof given === 'string' &&
    holds(value === given ? 0 : value < given ? -1 : 1);

const numbers =
  (holds: (order: number) => boolean): Comparison =>
  (value, given) =>
    typeof value === 'number' && typeof given === 'number' && holds(value - given);

const timestamps =
  (holds: (order: number) => boolean): Comparison =>
  (value, given) => {
    const [left, right] = [instant(value), instant(given)];
    return left !== undefined && right !== undefined && holds(left - right);
  };

function instant(value: Json): number | undefined {
  return typeof value === 'string' ? parseTimestamp(value)?.getTime() : undefined;
}

const equal = (order: number): boolean => order === 0;
const less = (order: number): boolean => order < 0;
const greater = (order: number): boolean => order > 0;
const lessOrEqual = (order: number): boolean => order <= 0;
const greaterOrEqual = (order: number): boolean => order >= 0;

const COMPARISONS: Record<string, Comparison> = {
  StringEquals: strings(equal),
  StringLessThan: strings(less),
  StringGreaterThan: strings(greater),
  StringLessThanEquals: strings(lessOrEqual),
  StringGreaterThanEquals: strings(greaterOrEqual),
  StringMatches: (value, given) =>
    typeof value === 'string' && typeof given === 'string' && wildcard(given).test(value),
  NumericEquals: numbers(equal),
  NumericLessThan: numbers(less),
  NumericGreaterThan: numbers(greater),
  NumericLessThanEquals: numbers(lessOrEqual),
  NumericGreaterThanEquals: numbers(greaterOrEqual),
  BooleanEquals: (value, given) => typeof value === 'boolean' && value === given,
  TimestampEquals: timestamps(equal),
  TimestampLessThan: timestamps(less),
  TimestampGreaterThan: timestamps(greater),
  TimestampLessThanEquals: timestamps(lessOrEqual),
  TimestampGreaterThanEquals: timestamps(greaterOrEqual),
};

const TESTS: Record<string, (value: Json) => boolean> = {
  IsNull: (value) => value === null,
  IsString: (value) => typeof value === 'string',
  IsNumeric: (value) => typeof value === 'number',
  IsBoolean: (value) => typeof value === 'boolean',
  IsTimestamp: (value) => instant(value) !== undefined,
  IsPresent: () => true,
};

export const CHOICE_OPERATORS: readonly string[] = [
  ...Object.keys(TESTS),
  ...Object.keys(COMPARISONS).flatMap((name) => (name === 'StringMatches' ? [name] : [name, `${name}Path`])),
];

/** `*` stands for any text, `\*` for itself. */
function wildcard(pattern: string): RegExp {
  const source = pattern.replace(/\\([*\\])|\*|[.+?^${}()|[\]\\]/g, (found, escaped: string | undefined) =>
    escaped !== undefined ? `\\${escaped}` : found === '*' ? '[\\s\\S]*' : `\\${found}`,
  );
  return new RegExp(`^${source}$`);
}
