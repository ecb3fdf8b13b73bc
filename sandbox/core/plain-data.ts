import { createHash } from 'node:crypto';
import { types } from 'node:util';
import { deserialize, serialize } from 'node:v8';

const CHECKSUM_BYTES = 32;

/** Plain data as bytes, a checksum first; objects that occur twice stay one object. @throws Error for functions and the like */
export function toBytes(value: unknown): Buffer {
  const bytes = serialize(value);
  return Buffer.concat([checksum(bytes), bytes]);
}

function checksum(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/**
 * What `toBytes` was given. V8 makes the objects in the process's first realm; where tests have one of their own,
 * `instanceof Date` would be false of them, so they are made again in this one.
 * @throws Error when the bytes are not those that were written
 */
export function fromBytes(bytes: Buffer): unknown {
  const content = bytes.subarray(CHECKSUM_BYTES);
  if (!checksum(content).equals(bytes.subarray(0, CHECKSUM_BYTES))) throw new Error('its checksum is wrong');
  return inThisRealm(deserialize(content), new Map());
}

function inThisRealm(value: unknown, made: Map<object, object>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const known = made.get(value);
  if (known) return known;
  const keep = <T extends object>(copy: T): T => {
    made.set(value, copy);
    return copy;
  };
  if (types.isDate(value)) return keep(new Date(value.getTime()));
  if (ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) {
    const list = keep<unknown[]>([]);
    for (const item of value) list.push(inThisRealm(item, made));
    return list;
  }
  if (types.isMap(value)) {
    const map = keep(new Map());
    for (const [key, item] of value) map.set(inThisRealm(key, made), inThisRealm(item, made));
    return map;
  }
  if (types.isSet(value)) {
    const set = keep(new Set());
    for (const item of value) set.add(inThisRealm(item, made));
    return set;
  }
  const record = keep<Record<string, unknown>>({});
  for (const [name, item] of Object.entries(value)) record[name] = inThisRealm(item, made);
  return record;
}
