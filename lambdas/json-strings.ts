/**
 * The scalar values of a JSON text with their places in it, so that one value can be replaced and every other byte, key
 * order and whitespace stays as it was.
 */
export interface JsonScalar {
  /** Keys and indexes from the root. */
  readonly path: readonly string[];
  readonly value: string | number | boolean | null;
  /** Half-open range of the raw value in the text; for a string including its quotes. */
  readonly start: number;
  readonly end: number;
  /** For a string: where in the text each UTF-16 unit of the value begins, and where the last one ends. */
  readonly units: readonly number[];
}

/** Every scalar, in order of appearance. Throws SyntaxError when `text` is not JSON. */
export function jsonScalars(text: string): JsonScalar[] {
  JSON.parse(text);
  const found: JsonScalar[] = [];
  let at = 0;

  const skip = (): void => {
    while (/[\s,:]/.test(text.charAt(at))) at++;
  };
  const string = (): { value: string; units: number[] } => {
    const start = at;
    const units: number[] = [];
    at++;
    while (text.charAt(at) !== '"') {
      units.push(at);
      if (text.charAt(at) !== '\\') at += 1;
      else at += text.charAt(at + 1) === 'u' ? 6 : 2;
    }
    units.push(at);
    at++;
    return { value: String(JSON.parse(text.slice(start, at))), units };
  };
  const value = (path: readonly string[]): void => {
    skip();
    const start = at;
    const character = text.charAt(at);
    if (character === '"') {
      const { value: decoded, units } = string();
      found.push({ path, value: decoded, start, end: at, units });
    } else if (character === '{') {
      at++;
      skip();
      while (text.charAt(at) !== '}') {
        const { value: key } = string();
        value([...path, key]);
        skip();
      }
      at++;
    } else if (character === '[') {
      at++;
      let index = 0;
      skip();
      while (text.charAt(at) !== ']') {
        value([...path, String(index++)]);
        skip();
      }
      at++;
    } else {
      while (/[^\s,\]}]/.test(text.charAt(at))) at++;
      const raw: unknown = JSON.parse(text.slice(start, at));
      if (raw === null || typeof raw === 'number' || typeof raw === 'boolean')
        found.push({ path, value: raw, start, end: at, units: [] });
    }
  };
  value([]);
  return found;
}
