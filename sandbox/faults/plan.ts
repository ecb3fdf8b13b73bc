import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { ServiceName } from '../core/api';
import { MODELLED_SERVICES, serviceModel } from '../wire/model';
import { errorOf, errorsOf, isCommonError } from './declared-errors';
import { failureOf } from './failed-status';

/** Text in which `*` stands for anything. */
const Pattern = z.string().min(1);
const Count = z.int().min(1);

/** Which calls a fault is for. Every call that arrives counts, those that an SDK tries again included. */
const At = z
  .strictObject({
    /** `rds:DeleteDBInstance`; `rds:*` is every operation of a service, `*` every operation. */
    operation: z.string(),
    /** Who calls: the name of a function, or the name or ARN of a role, user, service or state machine. @default anyone */
    by: Pattern.optional(),
    /** Members of the input and what their text must be. */
    with: z.record(z.string(), Pattern).optional(),
    /** The n-th such call. @default 1 */
    call: Count.optional(),
    /** Every n-th such call, `times` times. */
    every: Count.optional(),
    /** @default without end */
    times: Count.optional(),
    /** Every such call the first n times that it is made: another caller, operation or input makes it another call. */
    each: Count.optional(),
  })
  .superRefine((at, context) => {
    const chosen = (['call', 'every', 'each'] as const).filter((name) => at[name] !== undefined);
    const [, second] = chosen;
    if (second !== undefined)
      context.addIssue({
        code: 'custom',
        path: [second],
        message: `${chosen.join(' and ')} exclude each other`,
      });
    if (at.times !== undefined && at.every === undefined)
      context.addIssue({ code: 'custom', path: ['times'], message: 'needs "every"' });
    checkOperation(at.operation, (message) => {
      context.addIssue({ code: 'custom', path: ['operation'], message });
    });
    const members = inputMembers(at.operation);
    for (const member of Object.keys(at.with ?? {}))
      if (members && !members.includes(member))
        context.addIssue({
          code: 'custom',
          path: ['with', member],
          message: `${at.operation} has no such member. It has: ${members.join(', ')}`,
        });
  });

const when = z.enum(['before', 'after']).default('before');

/**
 * What happens at a call. `when` says whether the call takes effect first; a caller can't tell the difference.
 *
 * - `error`: the service answers with this error of its own
 * - `lost answer`: the call takes effect, and its connection breaks without an answer
 * - `throttling`: the service refuses because of too many calls
 * - `kill`: the function that makes the call is killed. Calls that no function makes do not count
 * - `time out`: the function that makes the call never gets an answer and uses up its timeout. The same calls count
 * - `failed status`: the operation begins as it should, takes its time and ends in this status
 * - `restart`: the whole sandbox is killed, and started again on its state directory
 */
const Fault = z
  .discriminatedUnion('fault', [
    z.strictObject({ fault: z.literal('error'), at: At, code: z.string(), message: z.string(), when }),
    z.strictObject({ fault: z.literal('lost answer'), at: At }),
    z.strictObject({ fault: z.literal('throttling'), at: At }),
    z.strictObject({ fault: z.literal('kill'), at: At, when }),
    z.strictObject({ fault: z.literal('time out'), at: At, when }),
    z.strictObject({
      fault: z.literal('failed status'),
      at: At,
      status: z.string(),
      /** What of an operation that does several things: `modify`, `resetCredentials`, `rename`; `delete`, `snapshot`. */
      part: z.string().optional(),
    }),
    z.strictObject({ fault: z.literal('restart'), at: At, when }),
  ])
  .superRefine((fault, context) => {
    const [service, operation] = splitOperation(fault.at.operation);
    if (service === undefined || operation === undefined) {
      if (fault.fault === 'error' && fault.at.operation === '*' && !isCommonError(fault.code))
        context.addIssue({
          code: 'custom',
          path: ['code'],
          message: `"${fault.code}" is not an error of every operation, as "InternalFailure" is`,
        });
      return;
    }
    if (fault.fault === 'error' && !errorOf(service, operation, fault.code, ''))
      context.addIssue({
        code: 'custom',
        path: ['code'],
        message: `${fault.at.operation} has no error "${fault.code}". It has: ${errorsOf(service, operation).join(', ')}`,
      });
    if (fault.fault === 'failed status') {
      const failure = failureOf(fault.at.operation, fault.status, fault.part);
      if ('problem' in failure)
        context.addIssue({
          code: 'custom',
          path: failure.field === 'operation' ? ['at', 'operation'] : [failure.field],
          message: failure.problem,
        });
    }
  });

const Rates = z.partialRecord(z.enum(MODELLED_SERVICES), z.number().positive());

const FaultPlan = z.strictObject({
  faults: z.array(Fault).default([]),
  /**
   * The calls per second of the sandbox's clock that a service takes before it throttles, all callers together; as many may
   * come at once.
   */
  rates: Rates.default({}),
});

/** One thing that goes wrong. */
export type Fault = z.output<typeof Fault>;
/** What goes wrong. */
export type FaultPlan = z.output<typeof FaultPlan>;
/** The same as a file or a program writes it: what has a default may be left out. */
export type FaultPlanInput = z.input<typeof FaultPlan>;

/** A fault plan that can't be followed, with every field that is wrong. */
export class InvalidFaultPlan extends Error {
  override readonly name = 'InvalidFaultPlan';
}

/** @throws InvalidFaultPlan */
export function parseFaultPlan(value: unknown): FaultPlan {
  const parsed = FaultPlan.safeParse(value);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map(({ path, message }) => `  ${pathOf(path)}: ${message}`);
  throw new InvalidFaultPlan(`The fault plan cannot be used:\n${lines.join('\n')}`);
}

/** Reads a plan from a JSON file. @throws InvalidFaultPlan */
export async function readFaultPlan(file: string): Promise<FaultPlan> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new InvalidFaultPlan(
      `The fault plan ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  return parseFaultPlan(value);
}

/** `rds:DeleteDBInstance` in its parts; the service is undefined where it is none. */
function splitOperation(text: string): [ServiceName | undefined, string | undefined] {
  const [name, operation] = text.split(':');
  return [MODELLED_SERVICES.find((service) => service === name), operation];
}

function checkOperation(text: string, problem: (message: string) => void): void {
  if (text === '*') return;
  const [service, operation] = splitOperation(text);
  if (service === undefined || operation === undefined) {
    problem(`"${text}" is not service:operation. The services are: ${MODELLED_SERVICES.join(', ')}`);
    return;
  }
  if (operation === '*') return;
  const known = [...(serviceModel(service)?.operations.keys() ?? [])];
  if (known.includes(operation)) return;
  const near = known.filter((name) => name.toLowerCase() === operation.toLowerCase());
  problem(`${service} has no operation "${operation}".${near.length > 0 ? ` Is it ${near.join()}?` : ''}`);
}

/** The members that an operation's input has; undefined for every operation of a service. */
function inputMembers(text: string): string[] | undefined {
  const [service, operation] = splitOperation(text);
  const shape = serviceModel(service ?? '')?.operations.get(operation ?? '')?.input;
  return shape?.kind === 'structure' ? [...shape.members.keys()] : undefined;
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.length === 0
    ? 'the whole'
    : path
        .map((key, index) => (typeof key === 'number' ? `[${key}]` : `${index > 0 ? '.' : ''}${String(key)}`))
        .join('');
}
