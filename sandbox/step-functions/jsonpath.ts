import type { Json } from './json';
import { deepEqual, isObject, member } from './json';
import { TextReader } from './text-reader';

/**
 * JSONPath as Step Functions has it, which is Jayway's: a path without wildcard, slice, filter, union or descent is definite
 * and yields one value or fails; any other yields a list, which is empty where nothing matches.
 */

type Segment =
  | { readonly kind: 'child'; readonly names: readonly string[] }
  | { readonly kind: 'index'; readonly indexes: readonly number[] }
  | { readonly kind: 'slice'; readonly from: number | undefined; readonly to: number | undefined }
  | { readonly kind: 'wildcard' }
  | { readonly kind: 'descent' }
  | { readonly kind: 'filter'; readonly matches: (item: Json, root: Json) => boolean }
  | { readonly kind: 'length' };

export class InvalidPath extends Error {}
export class PathNotFound extends Error {}

interface Path {
  readonly segments: readonly Segment[];
  readonly definite: boolean;
}

const parsed = new Map<string, Path>();

/** The value at `path` (which begins with `$` for `root`). Throws PathNotFound, and InvalidPath for what is no path. */
export function queryPath(path: string, root: Json): Json {
  const { segments, definite } = compile(path);
  if (!definite) return select(segments, root);
  let value = root;
  let at = '$';
  for (const [position, segment] of segments.entries()) {
    const last = position === segments.length - 1;
    if (segment.kind === 'child') {
      const name = segment.names[0] ?? '';
      const parent = at;
      at += `['${name}']`;
      if (!isObject(value)) {
        throw new PathNotFound(
          `Expected to find an object with property ['${name}'] in path ${parent} but found '${javaType(value)}'. This is not a json object according to the JsonProvider: 'com.jayway.jsonpath.spi.json.JacksonJsonNodeJsonProvider'.`,
        );
      }
      const found = member(value, name);
      if (found === undefined) {
        throw new PathNotFound(last ? `No results for path: ${at}` : `Missing property in path ${at}`);
      }
      value = found;
    } else if (segment.kind === 'index') {
      const index = segment.indexes[0] ?? 0;
      if (!Array.isArray(value)) {
        throw new PathNotFound(
          `Filter: [${index}] can only be applied to arrays. Current context is: ${JSON.stringify(value)}`,
        );
      }
      const found = value.at(index);
      if (found === undefined || index < -value.length) {
        throw new PathNotFound(`No results for path: ${at}[${index}]`);
      }
      at += `[${index}]`;
      value = found;
    } else if (segment.kind === 'length') {
      value = Array.isArray(value) ? value.length : isObject(value) ? Object.keys(value).length : null;
    }
  }
  return value;
}

/** Checks that `path` is a path; throws InvalidPath. */
export function checkPath(path: string): void {
  compile(path);
}

/** The names along a path that only has names and indexes, for ResultPath; undefined for any other path. */
export function referencePath(path: string): (string | number)[] | undefined {
  const names: (string | number)[] = [];
  for (const segment of compile(path).segments) {
    if (segment.kind === 'child' && segment.names.length === 1) names.push(segment.names[0] ?? '');
    else if (segment.kind === 'index' && segment.indexes.length === 1) names.push(segment.indexes[0] ?? 0);
    else return undefined;
  }
  return names;
}

function javaType(value: Json): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'com.fasterxml.jackson.databind.node.ArrayNode';
  const types: Record<string, string> = { string: 'TextNode', number: 'IntNode', boolean: 'BooleanNode' };
  return `com.fasterxml.jackson.databind.node.${types[typeof value] ?? 'ObjectNode'}`;
}

function select(segments: readonly Segment[], root: Json): Json[] {
  let values: Json[] = [root];
  for (const segment of segments) values = values.flatMap((value) => step(segment, value, root));
  return values;
}

function step(segment: Segment, value: Json, root: Json): Json[] {
  switch (segment.kind) {
    case 'child':
      return isObject(value)
        ? segment.names.flatMap((name) => {
            const found = member(value, name);
            return found === undefined ? [] : [found];
          })
        : [];
    case 'index':
      return Array.isArray(value)
        ? segment.indexes.flatMap((index) => {
            const found = value.at(index);
            return found === undefined || index < -value.length ? [] : [found];
          })
        : [];
    case 'slice':
      return Array.isArray(value) ? value.slice(segment.from ?? 0, segment.to) : [];
    case 'wildcard':
      return Array.isArray(value) ? value : isObject(value) ? Object.values(value) : [];
    case 'descent':
      return descend(value);
    case 'filter':
      return (Array.isArray(value) ? value : isObject(value) ? [value] : []).filter((item) =>
        segment.matches(item, root),
      );
    case 'length':
      return Array.isArray(value) ? [value.length] : [];
  }
}

function descend(value: Json): Json[] {
  const inside = Array.isArray(value) ? value : isObject(value) ? Object.values(value) : [];
  return [value, ...inside.flatMap(descend)];
}

function compile(path: string): Path {
  const known = parsed.get(path);
  if (known) return known;
  const segments = new PathParser(path).path();
  const definite = segments.every(
    (segment) =>
      segment.kind === 'length' ||
      (segment.kind === 'child' && segment.names.length === 1) ||
      (segment.kind === 'index' && segment.indexes.length === 1),
  );
  const compiled = { segments, definite };
  if (parsed.size > 5000) parsed.clear();
  parsed.set(path, compiled);
  return compiled;
}

type Operand = (item: Json, root: Json) => Json | undefined;

class PathParser extends TextReader {
  path(): Segment[] {
    if (!this.take('$')) throw this.invalid();
    const segments = this.segments();
    this.end();
    return segments;
  }

  private segments(): Segment[] {
    const segments: Segment[] = [];
    for (;;) {
      if (this.take('..')) {
        segments.push({ kind: 'descent' });
        if (this.peek() !== '[') segments.push(this.dotted());
      } else if (this.take('.')) segments.push(this.dotted());
      else if (this.take('[')) segments.push(this.bracketed());
      else return segments;
    }
  }

  private dotted(): Segment {
    if (this.take('*')) return { kind: 'wildcard' };
    if (this.take('length()')) return { kind: 'length' };
    const name = this.match(/[^\s.[\]()'",*?@=<>!&|]+/y);
    if (name === undefined) throw this.invalid();
    return { kind: 'child', names: [name] };
  }

  private bracketed(): Segment {
    this.space();
    if (this.take('*')) return this.closed({ kind: 'wildcard' });
    if (this.take('?')) {
      this.space();
      if (!this.take('(')) throw this.invalid();
      const matches = this.either();
      this.space();
      if (!this.take(')')) throw this.invalid();
      return this.closed({ kind: 'filter', matches });
    }
    const quote = this.peek();
    if (quote === "'" || quote === '"') {
      const names = [this.quoted()];
      for (this.space(); this.take(','); this.space()) {
        this.space();
        names.push(this.quoted());
      }
      return this.closed({ kind: 'child', names });
    }
    const from = this.integer();
    this.space();
    if (this.take(':')) {
      this.space();
      return this.closed({ kind: 'slice', from, to: this.integer() });
    }
    if (from === undefined) throw this.invalid();
    const indexes = [from];
    while (this.take(',')) {
      this.space();
      const index = this.integer();
      if (index === undefined) throw this.invalid();
      indexes.push(index);
      this.space();
    }
    return this.closed({ kind: 'index', indexes });
  }

  private closed(segment: Segment): Segment {
    this.space();
    if (!this.take(']')) throw this.invalid();
    return segment;
  }

  private either(): (item: Json, root: Json) => boolean {
    let left = this.both();
    for (this.space(); this.take('||'); this.space()) {
      const [first, second] = [left, this.both()];
      left = (item, root) => first(item, root) || second(item, root);
    }
    return left;
  }

  private both(): (item: Json, root: Json) => boolean {
    let left = this.comparison();
    for (this.space(); this.take('&&'); this.space()) {
      const [first, second] = [left, this.comparison()];
      left = (item, root) => first(item, root) && second(item, root);
    }
    return left;
  }

  private comparison(): (item: Json, root: Json) => boolean {
    this.space();
    if (this.take('!')) {
      const inner = this.comparison();
      return (item, root) => !inner(item, root);
    }
    if (this.take('(')) {
      const inner = this.either();
      this.space();
      if (!this.take(')')) throw this.invalid();
      return inner;
    }
    const left = this.operand();
    this.space();
    const operator = this.match(/==|!=|<=|>=|<|>|in\b|nin\b/y);
    if (operator === undefined) return (item, root) => left(item, root) !== undefined;
    const right = this.operand();
    return (item, root) => compare(operator, left(item, root), right(item, root));
  }

  private operand(): Operand {
    this.space();
    const start = this.at;
    if (this.take('@') || this.take('$')) {
      const fromRoot = this.text[start] === '$';
      const segments = this.segments();
      return (item, root) => select(segments, fromRoot ? root : item)[0];
    }
    const quote = this.peek();
    if (quote === "'" || quote === '"') {
      const text = this.quoted();
      return () => text;
    }
    if (this.take('[')) {
      const items: Operand[] = [];
      this.space();
      while (!this.take(']')) {
        items.push(this.operand());
        this.space();
        if (!this.take(',') && this.peek() !== ']') throw this.invalid();
      }
      return (item, root) => items.map((each) => each(item, root) ?? null);
    }
    const literal = this.match(/-?\d+(\.\d+)?([eE][+-]?\d+)?|true\b|false\b|null\b/y);
    if (literal === undefined) throw this.invalid();
    const value: Json =
      literal === 'null' ? null : literal === 'true' ? true : literal === 'false' ? false : Number(literal);
    return () => value;
  }

  private quoted(): string {
    const quote = this.peek();
    if (quote !== "'" && quote !== '"') throw this.invalid();
    this.at++;
    let text = '';
    for (;;) {
      const character = this.text[this.at++];
      if (character === undefined) throw this.invalid();
      if (character === quote) return text;
      if (character === '\\' && this.text[this.at] === quote) {
        text += quote;
        this.at++;
      } else text += character;
    }
  }

  private integer(): number | undefined {
    const digits = this.match(/-?\d+/y);
    return digits === undefined ? undefined : Number(digits);
  }

  protected invalid(): InvalidPath {
    return new InvalidPath(`'${this.text}' is not a JSONPath: cannot read on at character ${this.at + 1}.`);
  }
}

function compare(operator: string, left: Json | undefined, right: Json | undefined): boolean {
  if (operator === 'in' || operator === 'nin') {
    const inside = left !== undefined && Array.isArray(right) && right.some((item) => deepEqual(item, left));
    return operator === 'in' ? inside : !inside;
  }
  if (operator === '==' || operator === '!=') {
    const equal = left === undefined || right === undefined ? left === right : deepEqual(left, right);
    return operator === '==' ? equal : !equal;
  }
  const comparable =
    (typeof left === 'number' && typeof right === 'number') ||
    (typeof left === 'string' && typeof right === 'string');
  if (!comparable) return false;
  switch (operator) {
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    default:
      return left >= right;
  }
}
