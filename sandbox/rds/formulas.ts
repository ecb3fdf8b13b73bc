import { NotInSandbox } from '../core/api';
import { invalidValue } from './errors';
import { instanceClass } from './instance-classes';
import type { InstanceSettings } from './state';

/**
 * Formulas in the values of parameters, as `LEAST({DBInstanceClassMemory/9531392},5000)`: products and quotients of whole
 * numbers in braces, and the greatest, the least or the sum of such.
 */

const VARIABLES = [
  'AllocatedStorage',
  'DBInstanceClassMemory',
  'DBInstanceVCPU',
  'EndPointPort',
  'TrueIfReplica',
] as const;
type Variable = (typeof VARIABLES)[number];

export function isFormula(value: string): boolean {
  return /[{}]|^(?:GREATEST|LEAST|SUM)\(/i.test(value);
}

/** Evaluates a formula for an instance. @throws InvalidParameterValue; NotInSandbox for a class that is not known here */
export function evaluateFormula(
  formula: string,
  {
    instanceClass: className,
    allocatedStorage,
    port,
  }: Pick<InstanceSettings, 'instanceClass' | 'allocatedStorage' | 'port'>,
): number {
  return evaluate(formula, (variable) => {
    switch (variable) {
      case 'AllocatedStorage':
        return allocatedStorage * 1024 ** 3;
      case 'EndPointPort':
        return port;
      case 'TrueIfReplica':
        return 0;
      case 'DBInstanceClassMemory':
      case 'DBInstanceVCPU': {
        const known = instanceClass(className);
        if (!known) throw new NotInSandbox(`formulas in parameters for the instance class ${className}`);
        return variable === 'DBInstanceVCPU' ? known.vcpus : known.memory;
      }
    }
  });
}

/** @throws InvalidParameterValue unless it is a formula that can be evaluated */
export function checkFormula(formula: string): void {
  evaluate(formula, () => 1);
}

function evaluate(formula: string, valueOf: (variable: Variable) => number): number {
  const text = formula.replace(/\s/g, '');
  const call = /^(GREATEST|LEAST|SUM)\((.+)\)$/i.exec(text);
  if (call) {
    const [, name = '', list = ''] = call;
    const values = splitList(list).map((part) => evaluate(part, valueOf));
    switch (name.toUpperCase()) {
      case 'GREATEST':
        return Math.max(...values);
      case 'LEAST':
        return Math.min(...values);
      default:
        return values.reduce((sum, value) => sum + value, 0);
    }
  }
  const braces = /^\{(.+)\}$/.exec(text)?.[1] ?? text;
  const [first = '', ...rest] = braces.split(/([*/])/);
  let result = operand(first, formula, valueOf);
  for (let index = 0; index < rest.length; index += 2) {
    const next = operand(rest[index + 1] ?? '', formula, valueOf);
    result = rest[index] === '*' ? result * next : Math.trunc(result / next);
  }
  return result;
}

function operand(text: string, formula: string, valueOf: (variable: Variable) => number): number {
  if (/^\d+$/.test(text)) return Number(text);
  const variable = VARIABLES.find((name) => name.toLowerCase() === text.toLowerCase());
  if (variable === undefined) throw invalidValue(`Invalid formula: ${formula}`);
  return valueOf(variable);
}

/** The parts between the commas that stand in no bracket. */
function splitList(list: string): string[] {
  const parts = [''];
  let depth = 0;
  for (const character of list) {
    if ('({'.includes(character)) depth++;
    if (')}'.includes(character)) depth--;
    if (character === ',' && depth === 0) parts.push('');
    else parts.push(`${parts.pop() ?? ''}${character}`);
  }
  return parts;
}
