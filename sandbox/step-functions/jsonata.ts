import { randomUUID } from 'node:crypto';
import jsonata from 'jsonata';
import type { Environment } from './environment';
import { EvaluationError, StatesError } from './errors';
import { hash, partition, range, seededRandom } from './intrinsics';
import type { Json, JsonObject } from './json';
import { isObject, parseJson, setMember, toJson } from './json';

const EXPRESSION = /^\{%([\s\S]*)%\}$/;

/** The expression inside `{% … %}`, or undefined where `text` is just a text. */
export function expressionIn(text: string): string | undefined {
  return EXPRESSION.exec(text)?.[1]?.trim();
}

/** A machine must not be able to stop the sandbox with an endless loop. Milliseconds of real time. */
const LIMIT = 20_000;

const compiled = new Map<string, jsonata.Expression>();

function compile(expression: string): jsonata.Expression {
  const known = compiled.get(expression);
  if (known) return known;
  const made = jsonata(expression, { timeout: LIMIT });
  // Step Functions does not have $eval.
  made.assign('eval', undefined);
  for (const [name, run] of Object.entries(FUNCTIONS)) made.assign(name, run);
  if (compiled.size > 5000) compiled.clear();
  compiled.set(expression, made);
  return made;
}

/** Throws what jsonata says about a text that is not JSONata. */
export function checkExpression(expression: string): void {
  compile(expression);
}

/** The value of one expression; `location` is the field, for example `Arguments/Name`. Throws EvaluationError. */
export async function evaluate(
  expression: string,
  location: string,
  environment: Environment,
): Promise<Json> {
  const states: Record<string, unknown> = { context: environment.context, input: environment.input };
  if (environment.result !== undefined) states['result'] = environment.result;
  if (environment.errorOutput !== undefined) states['errorOutput'] = environment.errorOutput;
  const said = `The JSONata expression '${expression}' specified for the field '${location}'`;
  let value: unknown;
  try {
    value = await compile(expression).evaluate(undefined, {
      ...timeFunctions(environment.now),
      ...environment.variables,
      states,
    });
  } catch (error) {
    throw new EvaluationError(`${said} threw an error during evaluation. ${describe(error)}`, location);
  }
  if (value === undefined) throw new EvaluationError(`${said} returned nothing (undefined).`, location);
  try {
    return toJson(value);
  } catch (error) {
    if (error instanceof StatesError)
      throw new EvaluationError(`${said} returned an unsupported result type.`, location);
    throw error;
  }
}

/** JSONata's own ones tell the machine's time and not the sandbox's. */
function timeFunctions(now: Date): Record<string, (...values: unknown[]) => unknown> {
  const milliseconds = now.getTime();
  return {
    millis: () => milliseconds,
    now: (picture, timezone) => FORMAT_TIME.evaluate({ milliseconds, picture, timezone }),
  };
}

const FORMAT_TIME = jsonata('$fromMillis(milliseconds, picture, timezone)');

/** Every expression inside `template` replaced by its value. */
export async function fill(template: Json, location: string, environment: Environment): Promise<Json> {
  if (typeof template === 'string') {
    const expression = expressionIn(template);
    return expression === undefined ? template : evaluate(expression, location, environment);
  }
  if (Array.isArray(template)) {
    const items: Json[] = [];
    for (const [index, item] of template.entries()) {
      items.push(await fill(item, `${location}[${index}]`, environment));
    }
    return items;
  }
  if (!isObject(template)) return template;
  const filled: JsonObject = {};
  for (const [key, value] of Object.entries(template)) {
    setMember(filled, key, await fill(value, `${location}/${key}`, environment));
  }
  return filled;
}

function typeName(value: Json): string {
  return value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
}

/** A field that is a value or an expression for one, of the type asked for. Throws EvaluationError. */
export async function evaluateTyped(
  field: Json,
  location: string,
  environment: Environment,
  expected: 'array' | 'integer' | 'number' | 'string' | 'boolean',
): Promise<Json> {
  const value = await fill(field, location, environment);
  const expression = typeof field === 'string' ? expressionIn(field) : undefined;
  if (expression === undefined) return value;
  const is = expected === 'integer' ? Number.isInteger(value) : typeName(value) === expected;
  if (!is) {
    throw new EvaluationError(
      `The JSONata expression '${expression}' specified for the field '${location}' returned an unexpected result type. Expected '${expected}', but was '${typeName(value)}' for value: ${JSON.stringify(value)}`,
      location,
    );
  }
  return value;
}

function describe(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  const message = 'message' in error ? String(error.message) : '';
  return 'code' in error ? `${String(error.code)}: ${message}` : message;
}

class FunctionError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

function asJsonList(value: unknown): Json[] {
  const json = toJson(value);
  return Array.isArray(json) ? json : [json];
}

/** The functions that Step Functions adds to JSONata. */
const FUNCTIONS: Record<string, (...values: unknown[]) => unknown> = {
  partition: (items, size) => {
    if (items === undefined) return undefined;
    if (typeof size !== 'number' || size < 1) throw argument(2, 'partition');
    return partition(asJsonList(items), Math.floor(size));
  },
  range: (first, last, step) => {
    if (typeof first !== 'number') throw argument(1, 'range');
    if (typeof last !== 'number') throw argument(2, 'range');
    if (typeof step !== 'number' || step === 0) throw argument(3, 'range');
    const numbers = range(first, last, step);
    // As every sequence in JSONata, one of a single item is that item.
    return numbers.length === 1 ? numbers[0] : numbers;
  },
  hash: (data, algorithm = 'SHA-1') => {
    if (data === undefined) return undefined;
    if (typeof algorithm !== 'string') throw argument(2, 'hash');
    const made = hash(typeof data === 'string' ? data : JSON.stringify(data), algorithm);
    if (made === undefined) throw argument(2, 'hash');
    return made;
  },
  random: (seed) => {
    if (seed === undefined) return Math.random();
    if (typeof seed !== 'number') throw argument(1, 'random');
    return seededRandom(seed);
  },
  uuid: () => randomUUID(),
  parse: (text) => {
    if (text === undefined) return undefined;
    if (typeof text !== 'string') throw argument(1, 'parse');
    return parseJson(text);
  },
};

function argument(index: number, name: string): FunctionError {
  return new FunctionError(
    'T0410',
    `Argument ${index} of function "${name}" does not match function signature`,
  );
}
