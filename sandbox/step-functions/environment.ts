import { IntrinsicFailure, RuntimeError } from './errors';
import { callIntrinsic, parseIntrinsic } from './intrinsics';
import type { Json, JsonObject } from './json';
import { isObject, setMember } from './json';
import { InvalidPath, PathNotFound, queryPath } from './jsonpath';

/** What an expression of a state can see. */
export interface Environment {
  /** `$`, or `$states.input`. */
  readonly input: Json;
  /** `$$`, or `$states.context`. */
  readonly context: JsonObject;
  readonly variables: Readonly<Record<string, Json>>;
  /** What `$now()` and `$millis()` of JSONata states tell. */
  readonly now: Date;
  /** `$states.result` of JSONata states. */
  readonly result?: Json;
  /** `$states.errorOutput` in a Catch of JSONata states. */
  readonly errorOutput?: Json;
}

const VARIABLE = /^\$([\p{ID_Start}_][\p{ID_Continue}]*)/u;

/** The value of a path of a JSONPath state: of the input, the context object (`$$`) or a variable. Throws as queryPath. */
export function resolvePath(path: string, environment: Environment): Json {
  if (path.startsWith('$$')) return queryPath(path.slice(1), environment.context);
  const name = VARIABLE.exec(path)?.[1];
  if (name === undefined) return queryPath(path, environment.input);
  const value = Object.hasOwn(environment.variables, name) ? environment.variables[name] : undefined;
  if (value === undefined) throw new PathNotFound(`Variable '$${name}' is not defined`);
  return queryPath(`$${path.slice(name.length + 1)}`, value);
}

/** As resolvePath, for InputPath, OutputPath and the fields that end in Path: fails the execution as AWS does. */
export function resolveReference(path: string, environment: Environment): Json {
  try {
    return resolvePath(path, environment);
  } catch (error) {
    if (error instanceof PathNotFound || error instanceof InvalidPath) {
      throw new RuntimeError(`Invalid path '${path}' : ${error.message}`);
    }
    throw error;
  }
}

/** The value of a path or an intrinsic function; `field` is the name for the error. */
export function resolveExpression(expression: string, field: string, environment: Environment): Json {
  if (!expression.startsWith('$')) {
    try {
      return callIntrinsic(parseIntrinsic(expression), (path) => resolveExpression(path, field, environment));
    } catch (error) {
      if (error instanceof IntrinsicFailure) {
        throw new IntrinsicFailure(`The function '${expression}' had the following error: ${error.message}`);
      }
      throw error;
    }
  }
  try {
    return resolvePath(expression, environment);
  } catch (error) {
    if (error instanceof PathNotFound || error instanceof InvalidPath) {
      throw new RuntimeError(
        `The JSONPath '${expression}' specified for the field '${field}' could not be found in the input '${JSON.stringify(environment.input)}'`,
      );
    }
    throw error;
  }
}

/** A payload template: members whose name ends in `.$` are replaced by what their path or function yields. */
export function fillTemplate(template: Json, environment: Environment): Json {
  if (Array.isArray(template)) return template.map((item) => fillTemplate(item, environment));
  if (!isObject(template)) return template;
  const filled: JsonObject = {};
  for (const [key, value] of Object.entries(template)) {
    if (key.endsWith('.$') && typeof value === 'string') {
      setMember(filled, key.slice(0, -2), resolveExpression(value, key, environment));
    } else setMember(filled, key, fillTemplate(value, environment));
  }
  return filled;
}
