import type { ValidateStateMachineDefinitionDiagnostic } from '@aws-sdk/client-sfn';
import { ZodError } from 'zod';
import { CHOICE_OPERATORS } from './choice';
import { parseDefinition } from './definition';
import { parseIntrinsic } from './intrinsics';
import type { Json, JsonObject } from './json';
import { isObject, member, parseJson } from './json';
import { checkExpression, expressionIn } from './jsonata';
import { checkPath } from './jsonpath';
import { parseResource } from './resource';
import { resourceProblem } from './tasks';
import { parseTimestamp } from './timestamp';

type MachineType = 'STANDARD' | 'EXPRESS';

/** What is wrong with a definition, as ValidateStateMachineDefinition says it; empty where nothing is. */
export function validateDefinition(
  text: string,
  type: MachineType = 'STANDARD',
): ValidateStateMachineDefinitionDiagnostic[] {
  let definition: Json;
  try {
    definition = text.trim() === '' ? null : parseJson(text);
  } catch {
    return [notJson(text)];
  }
  if (!isObject(definition)) {
    return [
      {
        severity: 'ERROR',
        code: 'SCHEMA_VALIDATION_FAILED',
        message: 'Definition must be a valid JSON object',
      },
    ];
  }
  const check = new DefinitionCheck(type, member(definition, 'QueryLanguage') === 'JSONata');
  check.block(definition, '', '/');
  if (check.diagnostics.length === 0) {
    try {
      parseDefinition(text);
    } catch (error) {
      if (!(error instanceof ZodError)) throw error;
      for (const issue of error.issues) check.add(issue.message, `/${issue.path.join('/')}`);
    }
  }
  return check.diagnostics;
}

/** Parts of a valid definition that AWS runs and the sandbox does not. */
export function notInSandbox(text: string): string[] {
  const found: string[] = [];
  const visit = (value: Json): void => {
    if (Array.isArray(value)) value.forEach(visit);
    if (!isObject(value)) return;
    const resource = member(value, 'Resource');
    if (member(value, 'Type') === 'Task' && typeof resource === 'string') {
      const parsed = parseResource(resource);
      if (parsed && parsed.kind !== 'activity' && resourceProblem(parsed) === 'not in sandbox')
        found.push(`the integration ${resource}`);
      if (parsed?.kind === 'activity') found.push('activities');
    }
    if (member(value, 'Mode') === 'DISTRIBUTED') found.push('Distributed Map');
    Object.values(value).forEach(visit);
  };
  visit(parseJson(text));
  return [...new Set(found)];
}

function notJson(text: string): ValidateStateMachineDefinitionDiagnostic {
  const token = /^\s*([A-Za-z]+)/.exec(text)?.[1];
  const column = token === undefined ? 1 : text.indexOf(token) + token.length + 1;
  const location = `[Source: (String)"${text}"; line: 1, column: ${column}]`;
  const problem =
    token === undefined
      ? 'Unexpected character'
      : `Unrecognized token '${token}': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')`;
  return {
    severity: 'ERROR',
    code: 'INVALID_JSON_DESCRIPTION',
    location,
    message: `${problem}\n at ${location}`,
  };
}

/** Fields that hold a path of JSONPath states. */
const PATH_FIELDS = ['InputPath', 'OutputPath', 'ResultPath', 'ItemsPath', 'SecondsPath', 'TimestampPath'];
const JSONPATH_FIELDS = [
  ...PATH_FIELDS,
  'Parameters',
  'ResultSelector',
  'TimeoutSecondsPath',
  'HeartbeatSecondsPath',
];
const JSONATA_FIELDS = ['Arguments', 'Output', 'Items'];
const TEMPLATES = ['Parameters', 'ResultSelector', 'ItemSelector', 'Assign', 'Credentials'];
const TERMINAL = ['Succeed', 'Fail', 'Choice'];

class DefinitionCheck {
  readonly diagnostics: ValidateStateMachineDefinitionDiagnostic[] = [];

  constructor(
    private readonly type: MachineType,
    private readonly allJsonata: boolean,
  ) {}

  add(message: string, location: string, code = 'SCHEMA_VALIDATION_FAILED'): void {
    this.diagnostics.push({ severity: 'ERROR', code, message, location });
  }

  /** `at` is where the block stands, `shown` how AWS writes it. */
  block(block: JsonObject, at: string, shown = at): void {
    const missing = ['States', 'StartAt'].filter((field) => member(block, field) === undefined);
    if (missing.length > 0) this.add(`These fields are required: [${missing.join(', ')}]`, shown);
    const states = member(block, 'States');
    const startAt = member(block, 'StartAt');
    if (!isObject(states)) return;
    if (typeof startAt === 'string' && !Object.hasOwn(states, startAt)) {
      this.add(`Missing 'Next' target: ${startAt}`, `${at}/StartAt`, 'MISSING_TRANSITION_TARGET');
    }
    for (const [name, state] of Object.entries(states)) {
      if (isObject(state)) this.state(state, `${at}/States/${name}`, states);
      else this.add('Expected value of type Object', `${at}/States/${name}`);
    }
  }

  private state(state: JsonObject, at: string, siblings: JsonObject): void {
    const type = member(state, 'Type');
    if (typeof type !== 'string') {
      this.add('These fields are required: [Type]', at);
      return;
    }
    const own = member(state, 'QueryLanguage');
    if (this.allJsonata && own === 'JSONPath') {
      this.add("'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine", at);
    }
    const jsonata = own === 'JSONata' || (own === undefined && this.allJsonata);
    for (const field of jsonata ? JSONPATH_FIELDS : JSONATA_FIELDS) {
      if (field === 'ItemSelector' || member(state, field) === undefined) continue;
      this.add(
        `The field '${field}' is not supported when 'QueryLanguage' is '${jsonata ? 'JSONata' : 'JSONPath'}'`,
        `${at}/${field}`,
      );
    }
    this.transitions(state, type, at, siblings);
    if (type === 'Task') this.task(state, at);
    if (type === 'Choice') this.choice(state, at, jsonata);
    this.timestamp(state, at, jsonata);
    if (jsonata) this.expressions(state, at);
    else this.paths(state, at);
    this.nested(state, type, at);
  }

  private transitions(state: JsonObject, type: string, at: string, siblings: JsonObject): void {
    const next = member(state, 'Next');
    const end = member(state, 'End');
    if (!TERMINAL.includes(type) && next === undefined && end !== true) {
      this.add('These fields are required: [Next or End]', at);
    }
    this.target(next, `${at}/Next`, siblings);
    this.target(member(state, 'Default'), `${at}/Default`, siblings);
    for (const field of ['Choices', 'Catch']) {
      const rules = member(state, field);
      if (!Array.isArray(rules)) continue;
      for (const [index, rule] of rules.entries()) {
        if (isObject(rule)) this.target(member(rule, 'Next'), `${at}/${field}[${index}]/Next`, siblings);
      }
    }
  }

  private target(name: Json | undefined, at: string, siblings: JsonObject): void {
    if (typeof name === 'string' && !Object.hasOwn(siblings, name)) {
      this.add(`Missing 'Next' target: ${name}`, at, 'MISSING_TRANSITION_TARGET');
    }
  }

  private task(state: JsonObject, at: string): void {
    const credentials = member(state, 'Credentials');
    if (
      isObject(credentials) &&
      member(credentials, 'RoleArn') === undefined &&
      member(credentials, 'RoleArn.$') === undefined
    ) {
      this.add("The field 'RoleArn' is required but was missing", `${at}/Credentials`);
    }
    const resource = member(state, 'Resource');
    if (typeof resource !== 'string') {
      this.add('These fields are required: [Resource]', at);
      return;
    }
    const parsed = parseResource(resource);
    if (!parsed || resourceProblem(parsed) === 'unknown') {
      this.add(
        `The resource provided ${resource} is not recognized. The value is not a valid resource ARN, or the resource is not available in this region.`,
        `${at}/Resource`,
      );
    } else if (this.type === 'EXPRESS') {
      const refuse = (what: string): void => {
        this.add(`Express state machine does not support ${what}`, `${at}/Resource`);
      };
      if (parsed.kind === 'activity') refuse('Activity ARN');
      // The space at the end is AWS's.
      else if (parsed.kind === 'service' && parsed.pattern === 'waitForTaskToken')
        refuse("'.waitForTaskToken' service integration ");
      else if (parsed.kind === 'service' && parsed.pattern !== 'request')
        refuse(`'.${parsed.pattern}' service integration`);
    }
  }

  private choice(state: JsonObject, at: string, jsonata: boolean): void {
    const choices = member(state, 'Choices');
    if (!Array.isArray(choices) || choices.length === 0) {
      this.add('These fields are required: [Choices]', at);
      return;
    }
    for (const [index, rule] of choices.entries()) {
      const place = `${at}/Choices[${index}]`;
      if (!isObject(rule)) this.add('Expected value of type Object', place);
      else if (jsonata && member(rule, 'Condition') === undefined)
        this.add('These fields are required: [Condition]', place);
      else if (!jsonata && !['And', 'Or', 'Not', ...CHOICE_OPERATORS].some((key) => key in rule))
        this.add('A choice rule needs exactly one comparison', place);
    }
  }

  private timestamp(state: JsonObject, at: string, jsonata: boolean): void {
    const timestamp = member(state, 'Timestamp');
    if (typeof timestamp !== 'string' || (jsonata && expressionIn(timestamp) !== undefined)) return;
    if (!parseTimestamp(timestamp)) this.add('String does not match RFC3339 timestamp', `${at}/Timestamp`);
  }

  private expressions(value: Json, at: string): void {
    if (typeof value === 'string') {
      const expression = expressionIn(value);
      if (expression === undefined) return;
      try {
        checkExpression(expression);
      } catch (error) {
        const message =
          typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : '';
        this.add(`The JSONata expression '${expression}' is not valid. ${message}`, at);
      }
    } else if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) this.expressions(item, `${at}[${index}]`);
    } else if (isObject(value)) {
      for (const [key, item] of Object.entries(value)) {
        // States inside have languages of their own.
        if (!['Branches', 'ItemProcessor', 'Iterator'].includes(key)) this.expressions(item, `${at}/${key}`);
      }
    }
  }

  private paths(state: JsonObject, at: string): void {
    for (const field of PATH_FIELDS) {
      const path = member(state, field);
      if (typeof path === 'string' && !path.startsWith('States.') && !isPath(path))
        this.add('Value is not a valid JSONPath', `${at}/${field}`);
    }
    for (const field of TEMPLATES) this.template(member(state, field) ?? null, `${at}/${field}`);
  }

  private template(template: Json, at: string): void {
    if (Array.isArray(template)) {
      for (const [index, item] of template.entries()) this.template(item, `${at}[${index}]`);
    }
    if (!isObject(template)) return;
    for (const [key, value] of Object.entries(template)) {
      if (!key.endsWith('.$')) this.template(value, `${at}/${key}`);
      else if (typeof value !== 'string' || !(isPath(value) || isIntrinsic(value)))
        this.add(
          `The value for the field '${key}' must be a valid JSONPath or a valid intrinsic function call`,
          at,
        );
    }
  }

  private nested(state: JsonObject, type: string, at: string): void {
    if (type === 'Parallel') {
      const branches = member(state, 'Branches');
      if (!Array.isArray(branches)) this.add('These fields are required: [Branches]', at);
      else {
        for (const [index, branch] of branches.entries()) {
          if (isObject(branch)) this.block(branch, `${at}/Branches[${index}]`);
        }
      }
    }
    if (type === 'Map') {
      const field = member(state, 'ItemProcessor') === undefined ? 'Iterator' : 'ItemProcessor';
      const processor = member(state, field);
      if (isObject(processor)) this.block(processor, `${at}/${field}`);
      else this.add('These fields are required: [ItemProcessor]', at);
    }
  }
}

function isPath(text: string): boolean {
  if (!text.startsWith('$')) return false;
  try {
    checkPath(text.replace(/^\$\$/, '$').replace(/^\$[\p{ID_Start}_][\p{ID_Continue}]*/u, '$'));
    return true;
  } catch {
    return false;
  }
}

function isIntrinsic(text: string): boolean {
  try {
    parseIntrinsic(text);
    return true;
  } catch {
    return false;
  }
}
