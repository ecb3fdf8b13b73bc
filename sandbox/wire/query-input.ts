import { ApiError } from '../core/api';
import { inMessage, missingMembers, unknownMember } from './protocol';
import type { ListShape, MapShape, Member, Shape, StructureShape } from './shapes';
import { readTimestamp } from './timestamps';

/** A form whose keys were split at their dots: `Tags.Tag.1.Key=a` becomes four levels. */
interface Node {
  value?: string;
  readonly children: Map<string, Node>;
}

type Path = readonly (string | number)[];

/** Which error code a service of the query protocol answers when a required parameter is missing. */
export type MissingCode = 'MissingParameter' | 'ValidationError';

/**
 * Reads the form of the query protocol by the shape of the operation's input.
 *
 * @throws {ApiError} MalformedInput for a wrong type; `missing` for a parameter that must be given; UnknownParameter for one
 * that the model does not have
 */
export function readQuery(
  shape: Shape,
  form: URLSearchParams,
  missing: MissingCode,
): Record<string, unknown> {
  const root: Node = { children: new Map() };
  for (const [key, value] of form)
    // Who calls, and what, was read before; presigned forms carry their signature along.
    if (!/^(Action|Version|AWSAccessKeyId|Signature.*|Timestamp|X-Amz-.*)$/.test(key))
      insert(root, key, value);
  if (shape.kind !== 'structure') {
    const [stray] = root.children.keys();
    if (stray !== undefined) throw unknownMember('UnknownParameter', stray, 'an operation without input', []);
    return {};
  }
  const missingPaths: Path[] = [];
  const input = readStructure(shape, root, [], missingPaths);
  const [first] = missingPaths;
  if (first && missing === 'MissingParameter')
    throw new ApiError('MissingParameter', `The request must contain the parameter ${first.join('.')}`);
  if (first) throw missingMembers('ValidationError', missingPaths.map(inMessage));
  return input;
}

function insert(root: Node, key: string, value: string): void {
  let node = root;
  for (const part of key.split('.')) {
    let child = node.children.get(part);
    if (!child) {
      child = { children: new Map() };
      node.children.set(part, child);
    }
    node = child;
  }
  if (node.value !== undefined) throw malformed([key], 'is given twice');
  node.value = value;
}

function read(member: Member, node: Node, path: Path, missing: Path[]): unknown {
  const { shape } = member;
  switch (shape.kind) {
    case 'structure':
      if (node.value) throw malformed(path, `is a structure (${shape.name}), not a text`);
      return readStructure(shape, node, path, missing);
    case 'list':
      return readList(shape, member.xmlFlattened, node, path, missing);
    case 'map':
      return readMap(shape, member.xmlFlattened, node, path, missing);
    case 'document':
    case 'unit':
      throw malformed(path, 'cannot be sent in a form');
    default:
      return readSimple(shape.kind, node, path);
  }
}

function readStructure(
  shape: StructureShape,
  node: Node,
  path: Path,
  missing: Path[],
): Record<string, unknown> {
  const known = new Map([...shape.members.values()].map((member) => [member.xmlName ?? member.name, member]));
  const result: Record<string, unknown> = {};
  for (const [name, child] of node.children) {
    const member = known.get(name);
    if (!member) throw unknownMember('UnknownParameter', [...path, name].join('.'), shape.name, known.keys());
    result[member.name] = read(member, child, [...path, name], missing);
  }
  for (const member of known.values())
    if (member.required && result[member.name] === undefined) missing.push([...path, member.name]);
  return result;
}

function readList(shape: ListShape, flattened: boolean, node: Node, path: Path, missing: Path[]): unknown[] {
  // `Tags=` is how an empty list is sent.
  if (node.children.size === 0 && node.value === '') return [];
  if (node.value !== undefined) throw malformed(path, 'is a list: number its items');
  return items(flattened ? node : wrapped(node, [shape.item.xmlName ?? 'member', 'member'], path), path).map(
    ([index, child]) => read(shape.item, child, [...path, index], missing),
  );
}

function readMap(
  shape: MapShape,
  flattened: boolean,
  node: Node,
  path: Path,
  missing: Path[],
): Record<string, unknown> {
  if (node.children.size === 0 && node.value === '') return {};
  const keyName = shape.key.xmlName ?? 'key';
  const valueName = shape.value.xmlName ?? 'value';
  return Object.fromEntries(
    items(flattened ? node : wrapped(node, ['entry'], path), path).map(([index, entry]) => {
      const key = entry.children.get(keyName);
      const value = entry.children.get(valueName);
      if (key?.value === undefined || !value)
        throw malformed([...path, index], `needs both ${keyName} and ${valueName}`);
      return [key.value, read(shape.value, value, [...path, key.value], missing)];
    }),
  );
}

/** Lists stand one level below their name: `Tags.Tag.1`, or `Tags.member.1` as older clients write. */
function wrapped(node: Node, names: readonly string[], path: Path): Node {
  const [[name, child] = ['', undefined], ...others] = [...node.children];
  if (child && others.length === 0 && names.includes(name)) return child;
  throw malformed(path, `is a list: write ${path.join('.')}.${names[0] ?? 'member'}.1`);
}

function items(node: Node, path: Path): [number, Node][] {
  return [...node.children]
    .map(([key, child]): [number, Node] => {
      if (!/^[1-9]\d*$/.test(key)) throw malformed([...path, key], 'is not numbered from 1');
      return [Number(key), child];
    })
    .sort(([a], [b]) => a - b);
}

function readSimple(
  kind: 'string' | 'boolean' | 'number' | 'blob' | 'timestamp',
  node: Node,
  path: Path,
): unknown {
  const { value } = node;
  if (value === undefined || node.children.size > 0) throw malformed(path, `is a ${kind}, it has no parts`);
  switch (kind) {
    case 'string':
      return value;
    case 'boolean':
      if (/^true$/i.test(value)) return true;
      if (/^false$/i.test(value)) return false;
      throw malformed(path, 'must be true or false');
    case 'number':
      if (!/^[-+]?\d+(\.\d+)?([eE][-+]?\d+)?$/.test(value)) throw malformed(path, 'must be a number');
      return Number(value);
    case 'blob':
      return new Uint8Array(Buffer.from(value, 'base64'));
    case 'timestamp': {
      const date = readTimestamp(value);
      if (!date) throw malformed(path, 'must be a time as in 2026-11-21T10:00:00Z');
      return date;
    }
  }
}

/** Never quotes the value: it may be a password. */
function malformed(path: Path, what: string): ApiError {
  return new ApiError('MalformedInput', `${path.join('.')} ${what}.`);
}
