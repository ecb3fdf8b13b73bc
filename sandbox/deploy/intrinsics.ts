import { NotInSandbox } from '../core/api';
import { isObject, type Json, type JsonObject } from './json';
import type { Template } from './template';

/** What a template's functions refer to. */
export interface Scope {
  readonly template: Template;
  /** Parameters and pseudo parameters. */
  readonly parameters: Readonly<Record<string, Json>>;
  readonly availabilityZones: readonly string[];
  ref(logicalId: string): Json;
  attribute(logicalId: string, name: string): Json;
  imported(exportName: string): Json;
}

/** The value of a template's expression; undefined for AWS::NoValue, which takes the member or element away. */
export function resolve(value: Json, scope: Scope): Json | undefined {
  if (Array.isArray(value))
    return value.map((item) => resolve(item, scope)).filter((item) => item !== undefined);
  if (!isObject(value)) return value;
  const [[name, argument] = []] = Object.entries(value);
  if (name !== undefined && argument !== undefined && Object.keys(value).length === 1) {
    if (name === 'Ref') return reference(text(argument, name), scope);
    if (name === 'Condition' && typeof argument === 'string') return condition(argument, scope);
    if (name.startsWith('Fn::')) {
      const run = FUNCTIONS[name];
      if (!run) throw new NotInSandbox(`the template function ${name}`);
      return run(argument, scope);
    }
  }
  const result: JsonObject = {};
  for (const [member, item] of Object.entries(value)) {
    const resolved = resolve(item, scope);
    if (resolved !== undefined) result[member] = resolved;
  }
  return result;
}

/** Whether a named condition of the template holds. */
export function condition(name: string, scope: Scope): boolean {
  const expression = scope.template.Conditions[name];
  if (expression === undefined) throw new Error(`The template has no condition "${name}".`);
  return truth(expression, scope);
}

/** The logical ids of all resources that an expression refers to. */
export function references(value: Json, template: Template): Set<string> {
  const found = new Set<string>();
  const add = (id: string | undefined): void => {
    if (id !== undefined && id in template.Resources) found.add(id);
  };
  const visit = (item: Json): void => {
    if (Array.isArray(item)) item.forEach(visit);
    if (!isObject(item)) return;
    for (const [name, argument] of Object.entries(item)) {
      if (name === 'Ref' && typeof argument === 'string') add(argument);
      if (name === 'Fn::GetAtt') add(attributeParts(argument)[0]);
      if (name === 'Fn::Sub') {
        const pattern = Array.isArray(argument) ? argument[0] : argument;
        for (const [, variable = ''] of text(pattern, 'Fn::Sub').matchAll(VARIABLE))
          add(variable.split('.')[0]);
      }
      visit(argument);
    }
  };
  visit(value);
  return found;
}

const VARIABLE = /\$\{([^!}][^}]*)\}/g;

type TemplateFunction = (argument: Json, scope: Scope) => Json | undefined;

const FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  'Fn::GetAtt': (argument, scope) => {
    const [logicalId, ...name] = attributeParts(argument);
    return scope.attribute(logicalId ?? '', text(resolve(name.join('.'), scope), 'Fn::GetAtt'));
  },
  'Fn::Join': (argument, scope) => {
    const [delimiter, items] = list(argument, 'Fn::Join', scope);
    return list(items, 'Fn::Join', scope)
      .map((item) => text(item, 'Fn::Join'))
      .join(text(delimiter, 'Fn::Join'));
  },
  'Fn::Sub': (argument, scope) => {
    const [pattern, values] = Array.isArray(argument) ? argument : [argument];
    const variables = resolve(values ?? {}, scope);
    return text(pattern, 'Fn::Sub')
      .replace(VARIABLE, (_match, variable: string) => {
        const given = isObject(variables) ? variables[variable] : undefined;
        if (given !== undefined) return text(given, 'Fn::Sub');
        const [logicalId = '', ...name] = variable.split('.');
        const value =
          name.length === 0 ? reference(logicalId, scope) : scope.attribute(logicalId, name.join('.'));
        return text(value, 'Fn::Sub');
      })
      .replaceAll('${!', '${');
  },
  'Fn::Select': (argument, scope) => {
    const [index, items] = list(argument, 'Fn::Select', scope);
    const item = list(items, 'Fn::Select', scope)[Number(index)];
    if (item === undefined) throw new Error(`Fn::Select: there is no item ${JSON.stringify(index)}.`);
    return item;
  },
  'Fn::Split': (argument, scope) => {
    const [delimiter, source] = list(argument, 'Fn::Split', scope);
    return text(source, 'Fn::Split').split(text(delimiter, 'Fn::Split'));
  },
  'Fn::If': (argument, scope) => {
    const [name, yes, no] = Array.isArray(argument) ? argument : [];
    const chosen = condition(text(name, 'Fn::If'), scope) ? yes : no;
    return chosen === undefined ? undefined : resolve(chosen, scope);
  },
  'Fn::Equals': (argument, scope) => {
    const [left, right] = list(argument, 'Fn::Equals', scope);
    return comparable(left) === comparable(right);
  },
  'Fn::And': (argument, scope) => items(argument).every((item) => truth(item, scope)),
  'Fn::Or': (argument, scope) => items(argument).some((item) => truth(item, scope)),
  'Fn::Not': (argument, scope) => items(argument).every((item) => !truth(item, scope)),
  'Fn::Contains': (argument, scope) => {
    const [values, value] = list(argument, 'Fn::Contains', scope);
    return list(values, 'Fn::Contains', scope).includes(value ?? null);
  },
  'Fn::ImportValue': (argument, scope) => scope.imported(text(resolve(argument, scope), 'Fn::ImportValue')),
  'Fn::GetAZs': (_argument, scope) => [...scope.availabilityZones],
  'Fn::FindInMap': (argument, scope) => {
    const [map, first, second] = list(argument, 'Fn::FindInMap', scope).map((key) =>
      text(key, 'Fn::FindInMap'),
    );
    const value = scope.template.Mappings[map ?? '']?.[first ?? '']?.[second ?? ''];
    if (value === undefined) throw new Error(`The template has no mapping ${map}.${first}.${second}.`);
    return value;
  },
  'Fn::Base64': (argument, scope) =>
    Buffer.from(text(resolve(argument, scope), 'Fn::Base64')).toString('base64'),
  'Fn::Cidr': (argument, scope) => {
    const [block, count, bits] = list(argument, 'Fn::Cidr', scope);
    return subnets(text(block, 'Fn::Cidr'), Number(count), Number(bits));
  },
};

function reference(name: string, scope: Scope): Json | undefined {
  if (name === 'AWS::NoValue') return undefined;
  return scope.parameters[name] ?? scope.ref(name);
}

function attributeParts(argument: Json): string[] {
  return Array.isArray(argument)
    ? argument.map((part) => text(part, 'Fn::GetAtt'))
    : text(argument, 'Fn::GetAtt').split('.');
}

/** A number or a truth equals its text. */
function comparable(value: Json | undefined): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function items(argument: Json): Json[] {
  return Array.isArray(argument) ? argument : [argument];
}

function truth(expression: Json, scope: Scope): boolean {
  const value = resolve(expression, scope);
  if (value === true || value === 'true') return true;
  if (value === false || value === 'false') return false;
  throw new Error(`A condition is neither true nor false: ${JSON.stringify(value)}.`);
}

function list(argument: Json | undefined, name: string, scope: Scope): Json[] {
  const value = argument === undefined ? undefined : resolve(argument, scope);
  if (!Array.isArray(value)) throw new Error(`${name} needs a list, and got ${JSON.stringify(value)}.`);
  return value;
}

function text(value: Json | undefined, name: string): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new Error(`${name} needs a text, and got ${JSON.stringify(value)}.`);
}

/** The first `count` subnets of an IPv4 block, each with `bits` bits for its hosts. */
function subnets(block: string, count: number, bits: number): string[] {
  const [address = '', length = ''] = block.split('/');
  const base = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  if (count * 2 ** bits > 2 ** (32 - Number(length)))
    throw new Error(`Fn::Cidr: ${block} has no room for ${count} blocks of ${bits} bits.`);
  return Array.from({ length: count }, (_, index) => {
    const start = base + index * 2 ** bits;
    const parts = [24, 16, 8, 0].map((shift) => Math.floor(start / 2 ** shift) % 256);
    return `${parts.join('.')}/${32 - bits}`;
  });
}
