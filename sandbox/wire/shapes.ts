import { NormalizedSchema } from '@smithy/core/schema';
import type { $SchemaRef } from '@smithy/types';

/**
 * The shapes of a service's messages, compiled from the schemas that every SDK client carries. Compiled once, since reading
 * the SDK's compact form for each request would cost more than the request itself.
 */
export type Shape = StructureShape | ListShape | MapShape | TimestampShape | SimpleShape;

export interface StructureShape {
  readonly kind: 'structure';
  readonly name: string;
  /** Exactly one member is set. */
  readonly union: boolean;
  readonly members: ReadonlyMap<string, Member>;
}

export interface ListShape {
  readonly kind: 'list';
  readonly item: Member;
}

export interface MapShape {
  readonly kind: 'map';
  readonly key: Member;
  readonly value: Member;
}

export interface TimestampShape {
  readonly kind: 'timestamp';
  /** Undefined: the protocol's own. */
  readonly format: TimestampFormat | undefined;
}

export type TimestampFormat = 'date-time' | 'http-date' | 'epoch-seconds';

export interface SimpleShape {
  readonly kind: 'string' | 'boolean' | 'number' | 'blob' | 'document' | 'unit';
}

/** Where a member stands in an HTTP message; `body` for the protocols that put everything there. */
export type Place =
  | { readonly in: 'body' | 'label' | 'payload' | 'status' | 'query-map' }
  | { readonly in: 'query' | 'header' | 'header-prefix'; readonly name: string };

/** A member of a structure, an item of a list, or a key or value of a map. */
export interface Member {
  readonly name: string;
  readonly required: boolean;
  readonly shape: Shape;
  readonly xmlName: string | undefined;
  readonly xmlFlattened: boolean;
  readonly jsonName: string | undefined;
  readonly place: Place;
}

const compiled = new Map<unknown, Shape>();

/** The shape behind a schema of the SDK. */
export function shapeOf(ref: $SchemaRef): Shape {
  return shapeOfNormalized(NormalizedSchema.of(ref));
}

function shapeOfNormalized(schema: NormalizedSchema): Shape {
  const key = schema.getSchema();
  // A number stands for a built-in type, with a modifier bit for a list or map of it.
  const known = compiled.get(key);
  if (known) return known;
  const shape = compile(schema);
  compiled.set(key, shape);
  return shape;
}

function compile(schema: NormalizedSchema): Shape {
  if (schema.isStructSchema()) return new CompiledStructure(schema);
  if (schema.isListSchema()) return { kind: 'list', item: member('member', schema.getValueSchema(), false) };
  if (schema.isMapSchema())
    return {
      kind: 'map',
      key: member('key', schema.getKeySchema(), false),
      value: member('value', schema.getValueSchema(), false),
    };
  if (schema.isTimestampSchema())
    return { kind: 'timestamp', format: TIMESTAMP_FORMATS.get(schema.getSchema()) };
  return { kind: simpleKind(schema) };
}

/** As the SDK numbers them; 4, the plain timestamp, leaves the format to the protocol. */
const TIMESTAMP_FORMATS = new Map<unknown, TimestampFormat>([
  [5, 'date-time'],
  [6, 'http-date'],
  [7, 'epoch-seconds'],
]);

function simpleKind(schema: NormalizedSchema): SimpleShape['kind'] {
  if (schema.isStringSchema()) return 'string';
  if (schema.isBooleanSchema()) return 'boolean';
  if (schema.isNumericSchema()) return 'number';
  if (schema.isBlobSchema()) return 'blob';
  if (schema.isUnitSchema()) return 'unit';
  if (schema.isDocumentSchema()) return 'document';
  throw new Error(
    `The wire layer knows no type for ${schema.getName(true) ?? 'an unnamed schema'} of the SDK.`,
  );
}

/** A structure compiles its members when they are first asked for: shapes may contain themselves. */
class CompiledStructure implements StructureShape {
  readonly kind = 'structure';
  readonly name: string;
  readonly union: boolean;
  private compiledMembers: ReadonlyMap<string, Member> | undefined;

  constructor(private readonly schema: NormalizedSchema) {
    this.name = schema.getName() ?? 'structure';
    this.union = schema.isUnionSchema();
  }

  get members(): ReadonlyMap<string, Member> {
    this.compiledMembers ??= this.compileMembers();
    return this.compiledMembers;
  }

  private compileMembers(): ReadonlyMap<string, Member> {
    const raw: unknown = this.schema.getSchema();
    // The SDK writes a structure as [kind, namespace, name, traits, member names, member schemas, number of required
    // members]; the required ones stand first.
    const count: unknown = Array.isArray(raw) ? raw[6] : undefined;
    const required = typeof count === 'number' ? count : 0;
    const members = new Map<string, Member>();
    for (const [name, schema] of this.schema.structIterator())
      members.set(name, member(name, schema, members.size < required));
    return members;
  }
}

function member(name: string, schema: NormalizedSchema, required: boolean): Member {
  const traits: Readonly<Record<string, unknown>> = { ...schema.getMergedTraits() };
  const text = (trait: string): string | undefined => {
    const value = traits[trait];
    return typeof value === 'string' ? value : undefined;
  };
  const own: Readonly<Record<string, unknown>> = { ...schema.getMemberTraits() };
  let shape: Shape | undefined;
  return {
    name,
    required,
    get shape() {
      shape ??= shapeOfNormalized(schema);
      return shape;
    },
    // A name that the member's type has for itself does not rename the member.
    xmlName: typeof own['xmlName'] === 'string' ? own['xmlName'] : undefined,
    xmlFlattened: Boolean(traits['xmlFlattened']),
    jsonName: text('jsonName'),
    place: place(traits, text),
  };
}

function place(
  traits: Readonly<Record<string, unknown>>,
  text: (trait: string) => string | undefined,
): Place {
  const query = text('httpQuery');
  if (query !== undefined) return { in: 'query', name: query };
  const header = text('httpHeader');
  if (header !== undefined) return { in: 'header', name: header.toLowerCase() };
  const prefix = text('httpPrefixHeaders');
  if (prefix !== undefined) return { in: 'header-prefix', name: prefix.toLowerCase() };
  if (traits['httpLabel']) return { in: 'label' };
  if (traits['httpPayload']) return { in: 'payload' };
  if (traits['httpResponseCode']) return { in: 'status' };
  if (traits['httpQueryParams']) return { in: 'query-map' };
  return { in: 'body' };
}
