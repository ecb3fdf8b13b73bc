import { BlockList, isIP } from 'node:net';
import { z } from 'zod';

/** Tells whether a value of an event fits; `undefined` stands for a field that is not there. */
export type Matcher = (value: unknown) => boolean;

/** Makes the error for a pattern that EventBridge refuses. */
type Invalid = (why: string) => Error;

const Texts = z.union([z.string(), z.array(z.string()).min(1)]).transform((value) => [value].flat());
const IgnoreCase = z.strictObject({ 'equals-ignore-case': Texts });
const Affix = z.union([
  z.string(),
  z
    .strictObject({ 'equals-ignore-case': z.string() })
    .transform((value) => ({ text: value['equals-ignore-case'] })),
]);
const Plain = z.union([z.string(), z.number()]);
const AnythingBut = z.union([
  Plain.transform((value) => ({ values: [value] })),
  z
    .array(Plain)
    .min(1)
    .transform((values) => ({ values })),
  IgnoreCase.transform((value) => ({ ignoringCase: value['equals-ignore-case'] })),
  z.strictObject({ prefix: z.union([Texts, IgnoreCase]) }),
  z.strictObject({ suffix: z.union([Texts, IgnoreCase]) }),
  z.strictObject({ wildcard: Texts }),
]);

/** What EventBridge compares numbers in. */
const NUMBERS = { least: -5e9, greatest: 5e9 };

/** The matcher that an item of a pattern's list stands for. */
export function matcherOf(item: unknown, invalid: Invalid): Matcher {
  if (item === null || ['string', 'number', 'boolean'].includes(typeof item))
    return (value) => value === item;
  const parsed = z.record(z.string(), z.unknown()).safeParse(item);
  if (!parsed.success || Array.isArray(item))
    throw invalid('Match value must be String, number, true, false, or null');
  const [[name, argument] = [''], ...others] = Object.entries(parsed.data);
  if (others.length > 0) throw invalid('Only one key allowed in match expression');
  const make = OPERATORS[name];
  if (!make) throw invalid(`Unrecognized match type ${name}`);
  return make(argument, invalid);
}

const OPERATORS: Readonly<Record<string, (argument: unknown, invalid: Invalid) => Matcher>> = {
  exists: (argument, invalid) => {
    const wanted = read(z.boolean(), argument, 'exists match pattern must be either true or false.', invalid);
    // Only what has a value of its own is there: an object that holds other fields is not.
    return (value) => (value !== undefined && (typeof value !== 'object' || value === null)) === wanted;
  },
  prefix: (argument, invalid) => affix('prefix', argument, invalid),
  suffix: (argument, invalid) => affix('suffix', argument, invalid),
  'equals-ignore-case': (argument, invalid) => {
    const text = read(z.string(), argument, 'equals-ignore-case match pattern must be a string', invalid);
    return onText((value) => same(value, text));
  },
  wildcard: (argument, invalid) =>
    wildcard(read(z.string(), argument, 'wildcard match pattern must be a string', invalid), invalid),
  cidr: (argument, invalid) =>
    cidr(read(z.string(), argument, 'prefix match pattern must be a string', invalid), invalid),
  numeric: (argument, invalid) =>
    numeric(
      read(z.array(z.unknown()).min(2), argument, 'Value of numeric must be an array.', invalid),
      invalid,
    ),
  'anything-but': anythingBut,
};

function read<T>(type: z.ZodType<T>, value: unknown, why: string, invalid: Invalid): T {
  const parsed = type.safeParse(value);
  if (!parsed.success) throw invalid(why);
  return parsed.data;
}

function onText(test: (text: string) => boolean): Matcher {
  return (value) => typeof value === 'string' && test(value);
}

function same(left: string, right: string): boolean {
  return left.toLowerCase() === right.toLowerCase();
}

function hasAffix(end: 'prefix' | 'suffix', value: string, text: string): boolean {
  return end === 'prefix' ? value.startsWith(text) : value.endsWith(text);
}

function affix(end: 'prefix' | 'suffix', argument: unknown, invalid: Invalid): Matcher {
  const wanted = read(Affix, argument, `${end} match pattern must be a string`, invalid);
  return typeof wanted === 'string'
    ? onText((value) => hasAffix(end, value, wanted))
    : onText((value) => hasAffix(end, value.toLowerCase(), wanted.text.toLowerCase()));
}

/** `*` stands for any text; `\*` and `\\` for themselves. */
function wildcard(text: string, invalid: Invalid): Matcher {
  if (/(?<!\\)(?:\\\\)*\*\*/.test(text)) throw invalid('Consecutive wildcard characters');
  const parts = text.match(/\\[*\\]|[^]/g) ?? [];
  const source = parts.map((part) =>
    part === '*'
      ? '.*'
      : (part.length === 2 ? part.charAt(1) : part).replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'),
  );
  const expression = new RegExp(`^${source.join('')}$`, 's');
  return onText((value) => expression.test(value));
}

function cidr(text: string, invalid: Invalid): Matcher {
  const [address = '', length, extra] = text.split('/');
  const version = isIP(address);
  const bits = Number(length);
  if (
    version === 0 ||
    extra !== undefined ||
    !/^\d+$/.test(length ?? '') ||
    bits > (version === 4 ? 32 : 128)
  )
    throw invalid(`Malformed CIDR, one '/' required`);
  const block = new BlockList();
  block.addSubnet(address, bits, version === 4 ? 'ipv4' : 'ipv6');
  return onText((value) => isIP(value) === version && block.check(value, version === 4 ? 'ipv4' : 'ipv6'));
}

const COMPARISONS: Readonly<Record<string, (value: number, bound: number) => boolean>> = {
  '=': (value, bound) => value === bound,
  '<': (value, bound) => value < bound,
  '<=': (value, bound) => value <= bound,
  '>': (value, bound) => value > bound,
  '>=': (value, bound) => value >= bound,
};

/** `["=", 3]`, `["<", 10]`, or a range such as `[">", 0, "<=", 5]`. */
function numeric(argument: readonly unknown[], invalid: Invalid): Matcher {
  if (argument.length !== 2 && argument.length !== 4)
    throw invalid('Too many elements in numeric expression');
  const tests = [argument.slice(0, 2), argument.slice(2)].filter((pair) => pair.length === 2);
  const [first, second] = tests.map(([operator]) => String(operator));
  if (second !== undefined && !(/^>/.test(first ?? '') && /^</.test(second)))
    throw invalid('Bad numeric range operator');
  const compiled = tests.map(([operator, bound]): Matcher => {
    const compare = COMPARISONS[String(operator)];
    if (!compare) throw invalid(`Unrecognized numeric range operator: ${String(operator)}`);
    if (typeof bound !== 'number') throw invalid('Value of numeric must be numeric');
    if (bound < NUMBERS.least || bound > NUMBERS.greatest)
      throw invalid(`Value must be between ${NUMBERS.least} and ${NUMBERS.greatest}, inclusive`);
    return (value) => typeof value === 'number' && compare(value, bound);
  });
  return (value) => compiled.every((test) => test(value));
}

function anythingBut(argument: unknown, invalid: Invalid): Matcher {
  const but = read(
    AnythingBut,
    argument,
    'Value of anything-but must be an array or single string/number value.',
    invalid,
  );
  const excluded = excludedBy(but, invalid);
  // A field that is not there is not "anything".
  return (value) => value !== undefined && !excluded(value);
}

function excludedBy(but: z.output<typeof AnythingBut>, invalid: Invalid): Matcher {
  if ('values' in but) return (value) => but.values.some((each) => each === value);
  if ('ignoringCase' in but) return onText((value) => but.ignoringCase.some((text) => same(value, text)));
  if ('wildcard' in but) {
    const matchers = but.wildcard.map((text) => wildcard(text, invalid));
    return (value) => matchers.some((matcher) => matcher(value));
  }
  const [end, wanted] =
    'prefix' in but ? (['prefix', but.prefix] as const) : (['suffix', but.suffix] as const);
  if (Array.isArray(wanted)) return onText((value) => wanted.some((text) => hasAffix(end, value, text)));
  const texts = wanted['equals-ignore-case'].map((text) => text.toLowerCase());
  return onText((value) => texts.some((text) => hasAffix(end, value.toLowerCase(), text)));
}
