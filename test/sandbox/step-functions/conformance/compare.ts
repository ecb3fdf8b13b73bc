import type { HistoryEvent } from '@aws-sdk/client-sfn';

/** Comparison of recorded with actual values: wildcards of the recording stand for anything (see data/README.md). */

const splitters = new Map<string, RegExp | undefined>();

function splitter(wildcards: readonly string[]): RegExp | undefined {
  const key = wildcards.join('\u0000');
  if (!splitters.has(key)) {
    const alternatives = wildcards
      .filter((token) => token.startsWith('<') || token === 'date' || token === 'generated-uuid')
      .map((token) => (token.startsWith('<') ? escape(token) : `(?<![A-Za-z])${escape(token)}(?![A-Za-z])`));
    splitters.set(key, alternatives.length > 0 ? new RegExp(alternatives.join('|'), 'g') : undefined);
  }
  return splitters.get(key);
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

/** The first difference, or undefined where everything agrees. */
export function difference(
  expected: unknown,
  actual: unknown,
  wildcards: readonly string[],
  path = '$',
): string | undefined {
  const show = (value: unknown): string =>
    value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 200);
  const differs = `${path}: expected ${show(expected)}, got ${show(actual)}`;
  if (typeof expected === 'string') {
    if (wildcards.includes(expected) || expected === actual) return undefined;
    const pattern = splitter(wildcards);
    if (typeof actual === 'string' && pattern) {
      const parts = expected.split(pattern);
      if (parts.length > 1 && new RegExp(`^${parts.map(escape).join('[\\s\\S]*?')}$`).test(actual))
        return undefined;
    }
    return differs;
  }
  if (isList(expected)) {
    if (!isList(actual) || actual.length !== expected.length) return differs;
    for (const [index, item] of expected.entries()) {
      const found = difference(item, actual[index], wildcards, `${path}[${index}]`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (isRecord(expected)) {
    if (!isRecord(actual)) return differs;
    const keys = Object.keys(expected).sort();
    const actualKeys = Object.keys(actual).sort();
    if (keys.join('\u0000') !== actualKeys.join('\u0000'))
      return `${path}: expected members [${keys.join()}], got [${actualKeys.join()}]`;
    for (const key of keys) {
      const found = difference(expected[key], actual[key], wildcards, `${path}.${key}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  return expected === actual ? undefined : differs;
}

/** A recorded event, or one of ours in the same form. */
export type PlainEvent = Record<string, unknown> & {
  id: number | null;
  prev: number | null;
  type: string;
  name: string | null;
};

const TEXTS = ['input', 'output', 'parameters'];

/** An event in the form of the recordings: the members of its details beside its own. */
export function plainEvent(event: HistoryEvent): PlainEvent {
  const { id = 0, previousEventId = 0, type = '', timestamp: _at, ...rest } = event;
  const plain: PlainEvent = { id, prev: previousEventId, type, name: null };
  for (const details of Object.values(rest).filter(isRecord)) {
    for (const [key, value] of Object.entries(details)) {
      if (key.endsWith('Details') && key !== 'taskCredentials') continue;
      if (key === 'assignedVariables') {
        plain[key] = Object.fromEntries(
          Object.entries(isRecord(value) ? value : {}).map(([name, text]) => [
            name,
            JSON.parse(String(text)) as unknown,
          ]),
        );
      } else plain[key] = TEXTS.includes(key) ? (JSON.parse(String(value)) as unknown) : value;
    }
  }
  return plain;
}

/** The first difference between recorded and actual events, or undefined. */
export function differenceOfEvents(
  expected: readonly PlainEvent[],
  actual: readonly PlainEvent[],
  wildcards: readonly string[],
): string | undefined {
  const types = (events: readonly PlainEvent[]): string => events.map(({ type }) => type).join(' ');
  const rest = [...actual];
  let position = 0;
  while (position < expected.length) {
    const block: PlainEvent[] = [];
    for (; expected[position]?.['unordered'] === true; position++) {
      const event = expected[position];
      if (event) block.push(event);
    }
    if (block.length > 0) {
      const candidates = rest.splice(0, block.length);
      for (const event of block) {
        const found = candidates.findIndex(
          (candidate) => differenceOfEvent(event, candidate, wildcards) === undefined,
        );
        if (found < 0)
          return `no event like ${JSON.stringify(event).slice(0, 300)} in [${types(candidates)}]`;
        candidates.splice(found, 1);
      }
      continue;
    }
    const event = expected[position++];
    if (!event) break;
    // The recorder lost the event between an unordered block and the next one; the ids tell that there was one.
    const afterBlock = expected[position - 2]?.['unordered'] === true;
    if (afterBlock && rest[0]?.id === (event.id ?? 0) - 1 && LOST.includes(rest[0].type)) rest.shift();
    const candidate = rest.shift();
    if (!candidate) return `event ${event.id ?? '?'} ${event.type} is missing`;
    const found = differenceOfEvent(event, candidate, wildcards);
    if (found !== undefined) return `event ${event.id ?? '?'} ${event.type} (${candidate.type}): ${found}`;
  }
  return rest.length > 0 ? `more events than recorded: ${types(rest)}` : undefined;
}

const LOST = ['ParallelStateSucceeded', 'ParallelStateFailed'];

/** What the recording says about an event beside what AWS answered. */
const NOTES = ['owner', 'unordered', 'causeText', 'causeJson'];

function differenceOfEvent(
  expected: PlainEvent,
  actual: PlainEvent,
  wildcards: readonly string[],
): string | undefined {
  const members = Object.entries(expected).filter(
    ([key]) =>
      !NOTES.includes(key) &&
      !(expected['unordered'] === true && (key === 'id' || key === 'prev')) &&
      !('causeJson' in expected && key === 'cause'),
  );
  for (const [key, value] of members) {
    const found = difference(value, actual[key], wildcards, key);
    if (found !== undefined) return found;
  }
  if ('causeJson' in expected) {
    const found = differenceOfCause(expected, actual['cause'], wildcards);
    if (found !== undefined) return found;
  }
  return Object.keys(actual)
    .filter((key) => !(key in expected))
    .map((key) => `${key} was not recorded`)[0];
}

/** Causes that are JSON are compared as such: the recorder did not keep their spacing. */
export function differenceOfCause(
  expected: Record<string, unknown>,
  actual: unknown,
  wildcards: readonly string[],
): string | undefined {
  if (!('causeJson' in expected))
    return difference(expected['cause'] ?? null, actual ?? null, wildcards, 'cause');
  try {
    return difference(expected['causeJson'], JSON.parse(String(actual)), wildcards, 'cause');
  } catch {
    return `cause: expected JSON, got ${String(actual)}`;
  }
}
