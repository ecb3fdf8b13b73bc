import { createHash, randomUUID } from 'node:crypto';
import { IntrinsicFailure, RuntimeError } from './errors';
import type { Json } from './json';
import { deepEqual, isObject, parseJson } from './json';
import { TextReader } from './text-reader';

/** A call of an intrinsic function, `States.Format('{}', $.x)`, read. */
export interface Intrinsic {
  readonly name: string;
  readonly arguments: readonly Argument[];
}
type Argument =
  | { readonly kind: 'value'; readonly value: Json }
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'call'; readonly call: Intrinsic };

/** Reads a call; throws RuntimeError for what is none. */
export function parseIntrinsic(text: string): Intrinsic {
  return new IntrinsicParser(text).whole();
}

/** Calls the function; `resolve` gives the value of a path. Throws States.IntrinsicFailure. */
export function callIntrinsic(call: Intrinsic, resolve: (path: string) => Json): Json {
  const values = call.arguments.map((argument): Json => {
    switch (argument.kind) {
      case 'value':
        return argument.value;
      case 'path':
        return resolve(argument.path);
      case 'call':
        return callIntrinsic(argument.call, resolve);
    }
  });
  const run = Object.hasOwn(FUNCTIONS, call.name) ? FUNCTIONS[call.name] : undefined;
  if (!run) throw failure(`The intrinsic function '${call.name}' does not exist.`);
  return run(values);
}

function failure(text: string): IntrinsicFailure {
  return new IntrinsicFailure(text);
}

class IntrinsicParser extends TextReader {
  whole(): Intrinsic {
    this.space();
    const call = this.call();
    this.space();
    this.end();
    return call;
  }

  private call(): Intrinsic {
    const name = this.match(/States\.[A-Za-z0-9]+/y);
    if (name === undefined) throw this.invalid();
    this.space();
    if (!this.take('(')) throw this.invalid();
    const given: Argument[] = [];
    this.space();
    if (this.take(')')) return { name, arguments: given };
    for (;;) {
      this.space();
      given.push(this.argument());
      this.space();
      if (this.take(')')) return { name, arguments: given };
      if (!this.take(',')) throw this.invalid();
    }
  }

  private argument(): Argument {
    const next = this.peek();
    if (next === "'") return { kind: 'value', value: this.quoted() };
    if (next === '$') return { kind: 'path', path: this.path() };
    if (next === 'S') return { kind: 'call', call: this.call() };
    const literal = this.match(/-?\d+(\.\d+)?([eE][+-]?\d+)?|true\b|false\b|null\b/y);
    if (literal === undefined) throw this.invalid();
    return { kind: 'value', value: parseJson(literal) };
  }

  private path(): string {
    const start = this.at;
    let depth = 0;
    for (; this.at < this.text.length; this.at++) {
      const character = this.text[this.at];
      if (character === "'" && depth > 0) {
        this.quoted();
        this.at--;
        continue;
      }
      if (character === '[' || character === '(') depth++;
      if (depth === 0 && (character === ',' || character === ')' || character === ' ')) break;
      if (character === ']' || character === ')') depth--;
    }
    return this.text.slice(start, this.at);
  }

  private quoted(): string {
    this.at++;
    let text = '';
    for (;;) {
      const character = this.text[this.at++];
      if (character === undefined) throw this.invalid();
      if (character === "'") return text;
      if (character !== '\\') {
        text += character;
        continue;
      }
      const escaped = this.text[this.at++];
      if (escaped === undefined) throw this.invalid();
      // `\{` stays as it is for States.Format, which reads it.
      if (escaped === '{' || escaped === '}') text += `\\${escaped}`;
      else if (escaped === 'n') text += '\n';
      else if (escaped === 'r') text += '\r';
      else if (escaped === 't') text += '\t';
      else if (escaped === "'" || escaped === '\\') text += escaped;
      else throw this.invalid();
    }
  }

  protected invalid(): RuntimeError {
    return new RuntimeError(`'${this.text}' is not a valid intrinsic function call.`);
  }
}

/** How Java prints a value: what States.Format makes of objects and lists. */
function javaText(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(javaText).join(', ')}]`;
  if (isObject(value)) {
    return `{${Object.entries(value)
      .map(([key, item]) => `${key}=${javaText(item)}`)
      .join(', ')}}`;
  }
  return String(value);
}

function text(values: readonly Json[], index: number, name: string): string {
  const value = values[index];
  if (typeof value !== 'string') throw failure(`${name}: argument ${index + 1} must be a string.`);
  return value;
}

function list(values: readonly Json[], index: number, name: string): Json[] {
  const value = values[index];
  if (!Array.isArray(value)) throw failure(`${name}: argument ${index + 1} must be an array.`);
  return value;
}

/** A number, rounded to an integer as Java's Math.round does. */
function integer(values: readonly Json[], index: number, name: string): number {
  const value = values[index];
  if (typeof value !== 'number') throw failure(`${name}: argument ${index + 1} must be a number.`);
  // Adding 0 turns -0 into 0.
  return Math.round(value) + 0;
}

function expectCount(values: readonly Json[], counts: readonly number[], name: string): void {
  if (!counts.includes(values.length)) {
    throw failure(`${name} takes ${counts.join(' or ')} arguments and was given ${values.length}.`);
  }
}

const HASHES: Record<string, string> = {
  MD5: 'md5',
  'SHA-1': 'sha1',
  'SHA-256': 'sha256',
  'SHA-384': 'sha384',
  'SHA-512': 'sha512',
};

/** The hash as hexadecimal text; undefined for an algorithm that Step Functions does not know. */
export function hash(data: string, algorithm: string): string | undefined {
  const name = Object.hasOwn(HASHES, algorithm) ? HASHES[algorithm] : undefined;
  return name === undefined ? undefined : createHash(name).update(data, 'utf8').digest('hex');
}

/** A number in [0, 1) that depends on the seed alone. */
export function seededRandom(seed: number): number {
  const digest = createHash('sha256').update(String(seed)).digest();
  return digest.readUIntBE(0, 6) / 2 ** 48;
}

/** Parts of at most `size` items. */
export function partition(items: readonly Json[], size: number): Json[][] {
  const parts: Json[][] = [];
  for (let start = 0; start < items.length; start += size) parts.push(items.slice(start, start + size));
  return parts;
}

/** From first to last, both included. */
export function range(first: number, last: number, step: number): number[] {
  const numbers: number[] = [];
  for (let value = first; step > 0 ? value <= last : value >= last; value += step) numbers.push(value);
  return numbers;
}

const MOST_ITEMS = 1000;
const MOST_TEXT = 10_000;

const FUNCTIONS: Record<string, (values: readonly Json[]) => Json> = {
  'States.Array': (values) => [...values],
  'States.ArrayPartition': (values) => {
    expectCount(values, [2], 'States.ArrayPartition');
    const size = integer(values, 1, 'States.ArrayPartition');
    if (size < 1) throw failure('States.ArrayPartition: the chunk size must be positive.');
    return partition(list(values, 0, 'States.ArrayPartition'), size);
  },
  'States.ArrayContains': (values) => {
    expectCount(values, [2], 'States.ArrayContains');
    return list(values, 0, 'States.ArrayContains').some((item) => deepEqual(item, values[1] ?? null));
  },
  'States.ArrayRange': (values) => {
    expectCount(values, [3], 'States.ArrayRange');
    const [first, last, step] = [0, 1, 2].map((index) => integer(values, index, 'States.ArrayRange'));
    if (!step) throw failure('States.ArrayRange: the increment must not be 0.');
    const length = Math.floor(((last ?? 0) - (first ?? 0)) / step) + 1;
    if (length > MOST_ITEMS) throw failure(`States.ArrayRange makes at most ${MOST_ITEMS} items.`);
    return range(first ?? 0, last ?? 0, step);
  },
  'States.ArrayGetItem': (values) => {
    expectCount(values, [2], 'States.ArrayGetItem');
    const items = list(values, 0, 'States.ArrayGetItem');
    const item = items[integer(values, 1, 'States.ArrayGetItem')];
    if (item === undefined) throw failure('States.ArrayGetItem: the index is outside the array.');
    return item;
  },
  'States.ArrayLength': (values) => {
    expectCount(values, [1], 'States.ArrayLength');
    return list(values, 0, 'States.ArrayLength').length;
  },
  'States.ArrayUnique': (values) => {
    expectCount(values, [1], 'States.ArrayUnique');
    const unique: Json[] = [];
    for (const item of list(values, 0, 'States.ArrayUnique')) {
      if (!unique.some((known) => deepEqual(known, item))) unique.push(item);
    }
    return unique;
  },
  'States.Base64Encode': (values) => {
    expectCount(values, [1], 'States.Base64Encode');
    const data = text(values, 0, 'States.Base64Encode');
    if (data.length > MOST_TEXT) throw failure(`States.Base64Encode takes at most ${MOST_TEXT} characters.`);
    return Buffer.from(data, 'utf8').toString('base64');
  },
  'States.Base64Decode': (values) => {
    expectCount(values, [1], 'States.Base64Decode');
    const data = text(values, 0, 'States.Base64Decode');
    if (data.length > MOST_TEXT) throw failure(`States.Base64Decode takes at most ${MOST_TEXT} characters.`);
    return Buffer.from(data, 'base64').toString('utf8');
  },
  'States.Hash': (values) => {
    expectCount(values, [2], 'States.Hash');
    const data = values[0] ?? null;
    const made = hash(typeof data === 'string' ? data : JSON.stringify(data), text(values, 1, 'States.Hash'));
    if (made === undefined) throw failure(`States.Hash: unknown algorithm ${JSON.stringify(values[1])}.`);
    return made;
  },
  'States.JsonMerge': (values) => {
    expectCount(values, [3], 'States.JsonMerge');
    const [first, second, deep] = values;
    if (!isObject(first) || !isObject(second))
      throw failure('States.JsonMerge: arguments 1 and 2 must be objects.');
    if (deep !== false)
      throw failure('States.JsonMerge: argument 3 must be false, deep merging is not supported.');
    return { ...first, ...second };
  },
  'States.JsonToString': (values) => {
    expectCount(values, [1], 'States.JsonToString');
    return JSON.stringify(values[0] ?? null);
  },
  'States.StringToJson': (values) => {
    expectCount(values, [1], 'States.StringToJson');
    const json = text(values, 0, 'States.StringToJson');
    if (json.trim() === '') return null;
    try {
      return parseJson(json);
    } catch {
      throw failure('States.StringToJson: the argument is not JSON.');
    }
  },
  'States.MathAdd': (values) => {
    expectCount(values, [2], 'States.MathAdd');
    return integer(values, 0, 'States.MathAdd') + integer(values, 1, 'States.MathAdd');
  },
  'States.MathRandom': (values) => {
    expectCount(values, [2, 3], 'States.MathRandom');
    const [first, last] = [integer(values, 0, 'States.MathRandom'), integer(values, 1, 'States.MathRandom')];
    const random =
      values.length === 3 ? seededRandom(integer(values, 2, 'States.MathRandom')) : Math.random();
    return Math.floor(first + random * (last - first));
  },
  'States.StringSplit': (values) => {
    expectCount(values, [2], 'States.StringSplit');
    const characters = new Set(text(values, 1, 'States.StringSplit'));
    const parts: string[] = [];
    let part = '';
    for (const character of text(values, 0, 'States.StringSplit')) {
      if (!characters.has(character)) part += character;
      else if (part !== '') {
        parts.push(part);
        part = '';
      }
    }
    return part === '' ? parts : [...parts, part];
  },
  'States.UUID': (values) => {
    expectCount(values, [0], 'States.UUID');
    return randomUUID();
  },
  'States.Format': (values) => {
    const template = text(values, 0, 'States.Format');
    let next = 1;
    const filled = template.replace(/\\([{}\\'])|\{\}/g, (_match, escaped: string | undefined) => {
      if (escaped !== undefined) return escaped;
      const value = values[next++];
      if (value === undefined) throw failure('States.Format: there are more {} than arguments to put there.');
      return javaText(value);
    });
    if (next !== values.length) throw failure('States.Format: there are more arguments than {} to put them.');
    return filled;
  },
};
