import { ApiError } from '../core/api';
import { BadOutput, inMessage, missingMembers, unknownMember } from './protocol';
import type { Member, Shape, StructureShape } from './shapes';
import { readTimestamp, writeTimestamp } from './timestamps';

/** Which names the members of structures have: the model's own, or the `jsonName` of REST services. */
export type JsonNames = 'model' | 'jsonName';

type Path = readonly (string | number)[];

/**
 * Reads JSON by the shape that the model gives it: timestamps become Dates, blobs Uint8Arrays.
 *
 * @throws {ApiError} SerializationException for a wrong type, ValidationException for a missing or unknown member
 */
export function readJson(shape: Shape, value: unknown, names: JsonNames): unknown {
  const reader = new JsonReader(names);
  const result = reader.read(shape, value, []);
  if (reader.missing.length > 0) throw missingMembers('ValidationException', reader.missing);
  return result;
}

class JsonReader {
  readonly missing: string[] = [];

  constructor(private readonly names: JsonNames) {}

  read(shape: Shape, value: unknown, path: Path): unknown {
    switch (shape.kind) {
      case 'structure':
        return this.readStructure(shape, value, path);
      case 'list':
        if (!Array.isArray(value)) throw wrongType(value, 'a List', path);
        return value.map((item: unknown, index) => this.read(shape.item.shape, item, [...path, index + 1]));
      case 'map':
        if (!isObject(value)) throw wrongType(value, 'a Map', path);
        return Object.fromEntries(
          Object.entries(value).map(([key, item]) => [
            key,
            this.read(shape.value.shape, item, [...path, key]),
          ]),
        );
      case 'string':
        if (typeof value !== 'string') throw wrongType(value, 'a String', path);
        return value;
      case 'boolean':
        if (typeof value !== 'boolean') throw wrongType(value, 'a Boolean', path);
        return value;
      case 'number':
        if (typeof value !== 'number') throw wrongType(value, 'a Number', path);
        return value;
      case 'timestamp': {
        const date =
          typeof value === 'string' || typeof value === 'number' ? readTimestamp(value) : undefined;
        if (!date) throw wrongType(value, 'a Timestamp', path);
        return date;
      }
      case 'blob':
        if (typeof value !== 'string') throw wrongType(value, 'a Blob', path);
        return new Uint8Array(Buffer.from(value, 'base64'));
      case 'document':
        return value;
      case 'unit':
        return {};
    }
  }

  private readStructure(shape: StructureShape, value: unknown, path: Path): Record<string, unknown> {
    if (!isObject(value)) throw wrongType(value, shape.name, path);
    const result: Record<string, unknown> = {};
    const known = new Map([...shape.members.values()].map((member) => [this.nameOf(member), member]));
    for (const [name, item] of Object.entries(value)) {
      const member = known.get(name);
      if (!member) {
        // The type that some clients write into a structure is no member of it.
        if (name === '__type') continue;
        throw unknownMember('ValidationException', name, shape.name, known.keys());
      }
      // JSON's null is AWS's "not given".
      if (item !== null && item !== undefined)
        result[member.name] = this.read(member.shape, item, [...path, name]);
    }
    for (const member of shape.members.values())
      if (member.required && result[member.name] === undefined)
        this.missing.push(inMessage([...path, member.name]));
    return result;
  }

  private nameOf(member: Member): string {
    return this.names === 'jsonName' ? (member.jsonName ?? member.name) : member.name;
  }
}

function wrongType(value: unknown, wanted: string, path: Path): ApiError {
  const where = path.length === 0 ? 'the request' : path.join('.');
  return new ApiError(
    'SerializationException',
    `${jsonType(value)} can not be converted to ${wanted}: ${where}`,
  );
}

function jsonType(value: unknown): string {
  if (value === null) return 'NULL_VALUE';
  if (Array.isArray(value)) return 'START_ARRAY';
  if (typeof value === 'object') return 'START_OBJECT';
  return `${typeof value}_VALUE`.toUpperCase();
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The JSON value of an answer, by its shape.
 *
 * @throws {BadOutput} for a member that the shape does not have or a value of another type
 */
export function writeJson(shape: Shape, value: unknown, names: JsonNames, path = 'output'): unknown {
  switch (shape.kind) {
    case 'structure':
      return Object.fromEntries(
        givenMembers(shape, value, path).map(([member, item]) => [
          names === 'jsonName' ? (member.jsonName ?? member.name) : member.name,
          writeJson(member.shape, item, names, `${path}.${member.name}`),
        ]),
      );
    case 'list':
      if (!Array.isArray(value)) throw badOutput(path, 'a list', value);
      return value.map((item: unknown, index) =>
        writeJson(shape.item.shape, item, names, `${path}[${index}]`),
      );
    case 'map':
      if (!isObject(value)) throw badOutput(path, 'a map', value);
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [
          key,
          writeJson(shape.value.shape, item, names, `${path}.${key}`),
        ]),
      );
    case 'timestamp':
      return writeTimestamp(asDate(value, path), shape.format ?? 'epoch-seconds');
    case 'blob':
      return Buffer.from(asBytes(value, path)).toString('base64');
    case 'document':
      return value;
    case 'unit':
      return {};
    case 'string':
    case 'boolean':
    case 'number':
      if (typeof value !== shape.kind) throw badOutput(path, `a ${shape.kind}`, value);
      // JSON has no numbers for these; AWS writes them as strings.
      return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
  }
}

/** The members of a structure that an answer sets, in the model's order. */
export function givenMembers(shape: StructureShape, value: unknown, path: string): [Member, unknown][] {
  if (!isObject(value) || value instanceof Date) throw badOutput(path, shape.name, value);
  for (const [name, item] of Object.entries(value))
    if (item !== undefined && item !== null && !shape.members.has(name) && name !== '$metadata')
      throw new BadOutput(
        `${path}.${name} is no member of ${shape.name}, which has ${[...shape.members.keys()].join(', ')}.`,
      );
  return [...shape.members.values()]
    .map((member): [Member, unknown] => [member, value[member.name]])
    .filter(([, item]) => item !== undefined && item !== null);
}

export function asDate(value: unknown, path: string): Date {
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value;
  throw badOutput(path, 'a valid Date', value);
}

export function asBytes(value: unknown, path: string): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') return Buffer.from(value);
  throw badOutput(path, 'bytes', value);
}

/** The value itself is left out of the message: it may be a secret. */
export function badOutput(path: string, wanted: string, value: unknown): BadOutput {
  const got = value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value;
  return new BadOutput(`${path} must be ${wanted}, got ${got}.`);
}
