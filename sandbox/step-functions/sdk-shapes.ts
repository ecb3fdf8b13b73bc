import type { Shape } from '../wire/shapes';
import { RuntimeError } from './errors';
import type { Json, JsonObject } from './json';
import { isObject, setMember, toJson } from './json';
import { stepFunctionsSpelling } from './spelling';

/** The input of an API call out of a task's Parameters. Throws RuntimeError with every field that does not fit. */
export function apiInput(shape: Shape, parameters: Json): Record<string, unknown> {
  const problems: string[] = [];
  const input = convert(shape, parameters, '', problems);
  if (problems.length > 0) {
    throw new RuntimeError(
      `The Parameters '${JSON.stringify(parameters)}' could not be used to start the Task: [${problems.join(', ')}]`,
    );
  }
  return typeof input === 'object' && input !== null ? { ...input } : {};
}

/** The result of a task out of an API's answer. */
export function taskOutput(value: unknown, shape?: Shape): Json {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) {
    return value.map((item) => taskOutput(item, shape?.kind === 'list' ? shape.item.shape : undefined));
  }
  if (typeof value !== 'object' || value === null) return toJson(value);
  const output: JsonObject = {};
  const isMap = shape?.kind === 'map';
  for (const [key, inner] of Object.entries(value)) {
    if (inner === undefined || key === '$metadata') continue;
    const innerShape =
      shape?.kind === 'structure' ? shape.members.get(key)?.shape : isMap ? shape.value.shape : undefined;
    setMember(output, isMap ? key : stepFunctionsSpelling(key), taskOutput(inner, innerShape));
  }
  return output;
}

function convert(shape: Shape, value: Json, name: string, problems: string[]): unknown {
  const unfit = (): unknown => {
    problems.push(`The value of the field '${name}' has an invalid format`);
    return undefined;
  };
  switch (shape.kind) {
    case 'structure': {
      if (!isObject(value)) return unfit();
      const byName = new Map([...shape.members.values()].map((each) => [each.name.toLowerCase(), each]));
      const made: Record<string, unknown> = {};
      for (const [key, inner] of Object.entries(value)) {
        const member = byName.get(key.toLowerCase());
        if (!member) problems.push(`The field "${key}" is not supported by Step Functions`);
        else if (inner !== null) made[member.name] = convert(member.shape, inner, key, problems);
      }
      for (const member of shape.members.values()) {
        if (member.required && made[member.name] === undefined) {
          problems.push(`The field '${stepFunctionsSpelling(member.name)}' is required but was missing`);
        }
      }
      return made;
    }
    case 'list':
      return Array.isArray(value)
        ? value.map((item) => convert(shape.item.shape, item, name, problems))
        : unfit();
    case 'map':
      return isObject(value)
        ? Object.fromEntries(
            Object.entries(value).map(([key, item]) => [
              key,
              convert(shape.value.shape, item, name, problems),
            ]),
          )
        : unfit();
    case 'timestamp': {
      const instant =
        typeof value === 'number'
          ? new Date(value * 1000)
          : new Date(typeof value === 'string' ? value : NaN);
      return Number.isNaN(instant.getTime()) ? unfit() : instant;
    }
    case 'blob':
      return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value), 'utf8');
    case 'string':
      return typeof value === 'string'
        ? value
        : typeof value === 'number' || typeof value === 'boolean'
          ? String(value)
          : unfit();
    case 'number': {
      const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
      return typeof number === 'number' && !Number.isNaN(number) ? number : unfit();
    }
    case 'boolean':
      return typeof value === 'boolean'
        ? value
        : value === 'true'
          ? true
          : value === 'false'
            ? false
            : unfit();
    default:
      return value;
  }
}
