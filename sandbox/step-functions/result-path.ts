import { RuntimeError, StatesError } from './errors';
import type { Json, JsonObject } from './json';
import { isObject, setMember } from './json';
import { referencePath } from './jsonpath';

/** Puts `result` into `input` where ResultPath says: everything for `$` or absent, nowhere for null. Copies, never changes. */
export function writeResult(path: string | null | undefined, input: Json, result: Json): Json {
  if (path === null) return input;
  if (path === undefined || path === '$') return result;
  const names = referencePath(path);
  if (!names) throw new RuntimeError(`Invalid path '${path}': ResultPath must be a reference path.`);
  return place(names, input, result, path);
}

function place(names: readonly (string | number)[], target: Json, result: Json, path: string): Json {
  const [name, ...rest] = names;
  if (name === undefined) return result;
  if (typeof name === 'number') {
    if (!Array.isArray(target) || name >= target.length || name < 0) throw unfit(path, target);
    return target.map((item, index) => (index === name ? place(rest, item, result, path) : item));
  }
  if (!isObject(target)) throw unfit(path, target);
  const copy: JsonObject = { ...target };
  const inner = Object.hasOwn(target, name) ? (target[name] ?? {}) : {};
  setMember(copy, name, place(rest, inner, result, path));
  return copy;
}

function unfit(path: string, target: Json): StatesError {
  return new StatesError(
    'States.ResultPathMatchFailure',
    `Unable to apply step "${path}" to input ${JSON.stringify(target)}`,
  );
}
