/**
 * The part of JMESPath that the documents use in `--query`: names joined by dots, `[0]`, `[]`, `[?name]`, `[?name=='text']`
 * and lists `[a, b.c]`. Throws Error for anything else.
 */
export function select(query: string, value: unknown): unknown {
  let rest = query.trim();
  let current = value;
  while (rest !== '') {
    const [step] = /^\[\]|^\[\?[^\]]*\]/.exec(rest) ?? [];
    if (step !== undefined) {
      rest = rest.slice(step.length);
      if (!Array.isArray(current)) return null;
      const chosen = current.filter((item) => step === '[]' || holds(step.slice(2, -1), item));
      return chosen.map((item) => select(rest, item)).filter((item) => item !== null);
    }
    const [all = '', index, list, name] = /^\[(\d+)\]|^\.?\[([^\]]+)\]|^\.?([A-Za-z]\w*)/.exec(rest) ?? [];
    if (all === '') throw new Error(`--query: "${rest}" is not understood.`);
    rest = rest.slice(all.length);
    if (index !== undefined) current = Array.isArray(current) ? (current[Number(index)] ?? null) : null;
    else if (list !== undefined) return list.split(',').map((part) => select(part, current));
    else current = member(current, name ?? '');
  }
  return current;
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return null;
  return (Reflect.get(value, name) as unknown) ?? null;
}

function holds(condition: string, item: unknown): boolean {
  const [path = '', literal] = condition.split('==');
  const found = select(path, item);
  return literal === undefined ? found !== null : found === literal.trim().replace(/^'|'$/g, '');
}

/** `--output text`: the values of a list beside each other, lists of lists below each other. */
export function asText(value: unknown): string {
  if (!Array.isArray(value)) return `${word(value)}\n`;
  if (value.some((item) => Array.isArray(item))) return value.map(asText).join('');
  return value.length === 0 ? '' : `${value.map(word).join('\t')}\n`;
}

function word(value: unknown): string {
  if (value === null) return 'None';
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  throw new Error('--output text: only single values and lists of them are understood; say more in --query.');
}
