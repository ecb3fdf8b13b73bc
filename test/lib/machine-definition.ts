import { z } from 'zod';
import { ENVIRONMENTS } from '../../lib/environments';
import { onlyOf, readable, synthesise, templateOf } from './synthesis';

/** The recovery machine of production, as it is synthesised. */

const State = z.object({
  Type: z.enum(['Task', 'Choice', 'Wait', 'Succeed', 'Fail']),
  Next: z.string().optional(),
  Default: z.string().optional(),
  Choices: z
    .array(
      z.object({
        Next: z.string(),
        Condition: z.string().optional(),
        Assign: z.record(z.string(), z.unknown()).optional(),
      }),
    )
    .default([]),
  TimeoutSeconds: z.number().optional(),
  Assign: z.record(z.string(), z.unknown()).optional(),
  Resource: z.string().optional(),
  Arguments: z
    .object({
      Payload: z
        .object({
          error: z.string().optional(),
          cause: z.string().optional(),
          goesOnWith: z.string().optional(),
        })
        .optional(),
    })
    .optional(),
  Retry: z
    .array(
      z.object({
        ErrorEquals: z.array(z.string()),
        IntervalSeconds: z.number().default(1),
        MaxAttempts: z.number(),
        BackoffRate: z.number().default(2),
        MaxDelaySeconds: z.number().default(60),
      }),
    )
    .default([]),
  Catch: z.array(z.object({ ErrorEquals: z.array(z.string()), Next: z.string() })).default([]),
  Error: z.string().optional(),
  Cause: z.string().optional(),
});
export type State = z.infer<typeof State>;
const Machine = z.object({
  StartAt: z.string(),
  QueryLanguage: z.string(),
  TimeoutSeconds: z.number(),
  States: z.record(z.string(), State),
});

const template = templateOf(synthesise([ENVIRONMENTS.production]), 'Production-Rollback');
export const { Properties: properties } = onlyOf(template, 'AWS::StepFunctions::StateMachine');
export const definition: unknown = JSON.parse(
  readable(properties['DefinitionString']).replaceAll('<AWS::Partition>', 'aws'),
);
export const machine = Machine.parse(definition);
export const states = Object.entries(machine.States);
export const tasks = states.filter(([, { Type }]) => Type === 'Task');
const calls = tasks.filter(([, { Resource }]) => Resource?.endsWith(':lambda:invoke'));
/** The ends that a redrive goes on from: they call `fail`, and nothing catches what it throws. */
export const redrivableEnds = calls.filter(
  ([, { Arguments }]) => Arguments?.Payload?.goesOnWith !== undefined,
);
export const isRedrivableEnd = (name: string): boolean => redrivableEnds.some(([end]) => end === name);
export const steps = calls.filter(([name]) => !isRedrivableEnd(name));

export const kebab = (name: string): string => name.replace(/(?!^)([A-Z])/g, '-$1').toLowerCase();

export function state(name: string): State {
  const found = machine.States[name];
  if (!found) throw new Error(`There is no state ${name}.`);
  return found;
}

/** Every state that can come after it. */
export function following(name: string): string[] {
  const { Next, Default, Choices, Catch } = state(name);
  return [
    Next,
    Default,
    ...Choices.map((choice) => choice.Next),
    ...Catch.map((handler) => handler.Next),
  ].filter((next) => next !== undefined);
}
