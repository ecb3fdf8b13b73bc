import { z } from 'zod';
import { ApiError } from '../core/api';

/** How a target's input is made of the event: at most one of the three. */
export interface InputSettings {
  /** A fixed JSON text. */
  readonly input?: string;
  /** A part of the event. */
  readonly path?: string;
  readonly transformer?: { readonly paths: Readonly<Record<string, string>>; readonly template: string };
}

/** What a template can name besides the values that its paths pick. */
export interface InputSurroundings {
  readonly ruleArn: string;
  readonly ruleName: string;
  readonly ingestedAt: Date;
}

const Step = /\.([\w-]+)|\['([^']+)'\]|\[(\d+)\]/y;

/** The names and indexes of a path such as `$.detail.items[0]`; undefined for one that EventBridge does not take. */
function steps(path: string): (string | number)[] | undefined {
  if (!path.startsWith('$')) return undefined;
  const found: (string | number)[] = [];
  Step.lastIndex = 1;
  while (Step.lastIndex < path.length) {
    const [whole, name, quoted, index] = Step.exec(path) ?? [];
    if (whole === undefined) return undefined;
    found.push(index === undefined ? (name ?? quoted ?? '') : Number(index));
  }
  return found;
}

/** @throws {ApiError} ValidationException for settings that EventBridge does not take */
export function checkInput({ input, path, transformer }: InputSettings): void {
  const given = [input, path, transformer].filter((setting) => setting !== undefined).length;
  if (given > 1)
    throw new ApiError(
      'ValidationException',
      'Only one of Input, InputPath, or InputTransformer must be provided.',
    );
  if (input !== undefined && parsed(input) === undefined)
    throw new ApiError('ValidationException', 'JSON syntax error in input for target.');
  for (const each of [path, ...Object.values(transformer?.paths ?? {})])
    if (each !== undefined && each !== '' && !steps(each))
      throw new ApiError('ValidationException', `Invalid InputPath for target: ${each}.`);
  for (const name of Object.keys(transformer?.paths ?? {}))
    if (name.startsWith('AWS'))
      throw new ApiError('ValidationException', 'InputPathsMap keys cannot start with "AWS".');
  for (const [, name = ''] of transformer?.template.matchAll(VARIABLE) ?? [])
    if (!name.startsWith('aws.events.') && transformer?.paths[name] === undefined)
      throw new ApiError(
        'ValidationException',
        `Invalid InputTemplate for target: unknown variable ${name}.`,
      );
}

const VARIABLE = /<([\w.-]+)>/g;

/** The text that a target gets for an event. */
export function inputFor(event: unknown, settings: InputSettings, surroundings: InputSurroundings): string {
  const { input, path, transformer } = settings;
  if (input !== undefined) return input;
  if (path !== undefined && path !== '') return JSON.stringify(pick(event, path) ?? null);
  if (!transformer) return JSON.stringify(event);
  const variables = new Map<string, unknown>(
    Object.entries(transformer.paths).map(([name, from]) => [name, pick(event, from)]),
  );
  variables.set('aws.events.rule-arn', surroundings.ruleArn);
  variables.set('aws.events.rule-name', surroundings.ruleName);
  variables.set('aws.events.event.ingestion-time', surroundings.ingestedAt.toISOString());
  variables.set('aws.events.event.json', event);
  // The event without its detail.
  variables.set('aws.events.event', isObject(event) ? { ...event, detail: undefined } : event);
  return fill(transformer.template, variables);
}

/** Puts the values into a template: as JSON, or without quotes where the template has them in a text already. */
function fill(template: string, variables: ReadonlyMap<string, unknown>): string {
  let quoted = false;
  return template.replaceAll(/\\.|"|<([\w.-]+)>/gs, (part, name?: string) => {
    if (part === '"') quoted = !quoted;
    if (name === undefined || !variables.has(name)) return part;
    const value = variables.get(name);
    if (value === undefined) return quoted ? '' : '""';
    if (!quoted) return JSON.stringify(value);
    return typeof value === 'string'
      ? JSON.stringify(value).slice(1, -1)
      : JSON.stringify(value).replaceAll('"', '');
  });
}

function pick(event: unknown, path: string): unknown {
  let value: unknown = event;
  for (const step of steps(path) ?? []) {
    if (typeof step === 'number') value = Array.isArray(value) ? (value as unknown[])[step] : undefined;
    else value = isObject(value) ? value[step] : undefined;
  }
  return value;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parsed(text: string): unknown {
  try {
    return z.json().parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
