import type { Member, Shape, StructureShape } from '../../../sandbox/wire/shapes';
import fc from '../../fast-check';

/** How deep structures inside structures are filled. */
const MAX_DEPTH = 4;

/** Any value of a shape that the wire can carry; structures have at least one member where they can. */
export function valueOf(shape: Shape, depth = 0): fc.Arbitrary<unknown> {
  switch (shape.kind) {
    case 'structure':
      return structureOf(shape, depth);
    case 'list':
      return fc.array(valueOf(shape.item.shape, depth + 1), { maxLength: 3 });
    case 'map':
      return fc.dictionary(
        fc.stringMatching(/^[a-zA-Z][a-zA-Z.0-9 -]{0,8}[a-z]$/),
        valueOf(shape.value.shape, depth + 1),
        {
          // The SDK sends an empty map not at all.
          minKeys: 1,
          maxKeys: 3,
          noNullPrototype: true,
        },
      );
    case 'boolean':
      return fc.boolean();
    case 'number':
      return fc.integer();
    case 'timestamp':
      return fc.date({ min: new Date('1990-01-01'), max: new Date('2100-01-01'), noInvalidDate: true });
    case 'blob':
      return fc.uint8Array({ minLength: 1, maxLength: 20 });
    case 'string':
      // With blanks, quotes, angle brackets, umlauts and emoji; an XML parser may trim outer blanks.
      return fc
        .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
        .filter((text) => text.trim() === text);
    case 'document':
    case 'unit':
      return fc.constant({});
  }
}

export function structureOf(shape: StructureShape, depth = 0): fc.Arbitrary<Record<string, unknown>> {
  const members = [...shape.members.values()].filter((member) => fits(member, depth));
  const always = members.filter(({ required }) => required).map(({ name }) => name);
  const [first] = members;
  return fc.record(
    Object.fromEntries(members.map((member) => [member.name, valueOf(member.shape, depth + 1)])),
    { requiredKeys: always.length > 0 || !first ? always : [first.name] },
  );
}

/** What would go too deep is left out, unless it must be there. */
function fits({ required, shape }: Member, depth: number): boolean {
  const deep = shape.kind === 'structure' || shape.kind === 'list' || shape.kind === 'map';
  return required || !deep || depth < MAX_DEPTH;
}
