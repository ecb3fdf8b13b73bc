import { asBytes, asDate, badOutput, givenMembers, isObject } from './json-values';
import type { Member, Shape } from './shapes';
import { writeTimestamp } from './timestamps';

/**
 * The XML of an answer, by its shape; in an element of its own when `name` is given.
 *
 * @throws {BadOutput} for a member that the shape does not have or a value of another type
 */
export function writeXml(shape: Shape, value: unknown, name?: string, path = 'output'): string {
  const content = writeContent(shape, value, path);
  return name === undefined ? content : element(name, content);
}

export function element(name: string, content: string): string {
  return content === '' ? `<${name}/>` : `<${name}>${content}</${name}>`;
}

function writeContent(shape: Shape, value: unknown, path: string): string {
  switch (shape.kind) {
    case 'structure':
      return givenMembers(shape, value, path)
        .map(([member, item]) => writeMember(member, item, `${path}.${member.name}`))
        .join('');
    case 'list':
      return listItems(shape.item, value, path, shape.item.xmlName ?? 'member');
    case 'map':
      return mapEntries(shape.key, shape.value, value, path, 'entry');
    case 'timestamp':
      return String(writeTimestamp(asDate(value, path), shape.format ?? 'date-time'));
    case 'blob':
      return Buffer.from(asBytes(value, path)).toString('base64');
    case 'string':
      if (typeof value !== 'string') throw badOutput(path, 'a string', value);
      return escapeXml(value);
    case 'boolean':
    case 'number':
      if (typeof value !== shape.kind) throw badOutput(path, `a ${shape.kind}`, value);
      return String(value);
    case 'document':
    case 'unit':
      throw badOutput(path, 'something that XML can carry', value);
  }
}

function writeMember(member: Member, value: unknown, path: string): string {
  const name = member.xmlName ?? member.name;
  const { shape } = member;
  // A flattened list or map has no element around its items.
  if (member.xmlFlattened && shape.kind === 'list') return listItems(shape.item, value, path, name);
  if (member.xmlFlattened && shape.kind === 'map')
    return mapEntries(shape.key, shape.value, value, path, name);
  return element(name, writeContent(shape, value, path));
}

function listItems(item: Member, value: unknown, path: string, name: string): string {
  if (!Array.isArray(value)) throw badOutput(path, 'a list', value);
  return value
    .map((each: unknown, index) => element(name, writeContent(item.shape, each, `${path}[${index}]`)))
    .join('');
}

function mapEntries(key: Member, item: Member, value: unknown, path: string, name: string): string {
  if (!isObject(value)) throw badOutput(path, 'a map', value);
  return Object.entries(value)
    .map(([each, content]) =>
      element(
        name,
        element(key.xmlName ?? 'key', escapeXml(each)) +
          element(item.xmlName ?? 'value', writeContent(item.shape, content, `${path}.${each}`)),
      ),
    )
    .join('');
}

const ENTITIES = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
]);

function escapeXml(text: string): string {
  // Control characters, and blanks that a parser would normalise, go as numbers.
  return text.replace(
    // eslint-disable-next-line no-control-regex -- these are the characters that need it
    /[&<>"\u0000-\u001f\u0085\u2028]/g,
    (character) => ENTITIES.get(character) ?? `&#x${character.charCodeAt(0).toString(16).toUpperCase()};`,
  );
}
