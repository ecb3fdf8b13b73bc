import { z } from 'zod';
import type { Json } from './json';
import { toJson } from './json';

/**
 * A definition as the interpreter reads it. Which fields a state of which type must and may have is checked by
 * `validate.ts` when a machine is created; here every field is optional and typed.
 */

const json = z.unknown().transform((value) => toJson(value));
const optionalJson = z
  .unknown()
  .optional()
  .transform((value): Json | undefined => (value === undefined ? undefined : toJson(value)));
const path = z.string().nullish();
/** A number, or in JSONata states also an expression. */
const numberOrExpression = z.union([z.number(), z.string()]).optional();

export const QueryLanguage = z.enum(['JSONPath', 'JSONata']);
export type QueryLanguage = z.infer<typeof QueryLanguage>;

const Retrier = z.looseObject({
  ErrorEquals: z.array(z.string()),
  IntervalSeconds: z.number().optional(),
  MaxAttempts: z.number().optional(),
  BackoffRate: z.number().optional(),
  MaxDelaySeconds: z.number().optional(),
  JitterStrategy: z.enum(['FULL', 'NONE']).optional(),
});
export type Retrier = z.infer<typeof Retrier>;

const Catcher = z.looseObject({
  ErrorEquals: z.array(z.string()),
  Next: z.string(),
  ResultPath: path,
  Output: optionalJson,
  Assign: optionalJson,
});
export type Catcher = z.infer<typeof Catcher>;

const ChoiceRule = z.record(z.string(), json);

const State = z.looseObject({
  Type: z.enum(['Task', 'Pass', 'Choice', 'Wait', 'Succeed', 'Fail', 'Parallel', 'Map']),
  QueryLanguage: QueryLanguage.optional(),
  Next: z.string().optional(),
  End: z.boolean().optional(),
  InputPath: path,
  OutputPath: path,
  ResultPath: path,
  Parameters: optionalJson,
  ResultSelector: optionalJson,
  Arguments: optionalJson,
  Output: optionalJson,
  Assign: optionalJson,
  Result: optionalJson,
  Retry: z.array(Retrier).optional(),
  Catch: z.array(Catcher).optional(),
  Resource: z.string().optional(),
  Credentials: optionalJson,
  TimeoutSeconds: numberOrExpression,
  TimeoutSecondsPath: z.string().optional(),
  HeartbeatSeconds: numberOrExpression,
  HeartbeatSecondsPath: z.string().optional(),
  Choices: z.array(ChoiceRule).optional(),
  Default: z.string().optional(),
  Seconds: numberOrExpression,
  SecondsPath: z.string().optional(),
  Timestamp: z.string().optional(),
  TimestampPath: z.string().optional(),
  Error: z.string().optional(),
  ErrorPath: z.string().optional(),
  Cause: z.string().optional(),
  CausePath: z.string().optional(),
  get Branches() {
    return z.array(Block).optional();
  },
  get ItemProcessor() {
    return Block.optional();
  },
  get Iterator() {
    return Block.optional();
  },
  Items: optionalJson,
  ItemsPath: z.string().optional(),
  ItemSelector: optionalJson,
  ItemReader: optionalJson,
  ItemBatcher: optionalJson,
  ResultWriter: optionalJson,
  MaxConcurrency: numberOrExpression,
  MaxConcurrencyPath: z.string().optional(),
  ToleratedFailureCount: numberOrExpression,
  ToleratedFailureCountPath: z.string().optional(),
  ToleratedFailurePercentage: numberOrExpression,
  ToleratedFailurePercentagePath: z.string().optional(),
});
export type State = z.infer<typeof State>;

const Block = z.looseObject({
  StartAt: z.string(),
  get States() {
    return z.record(z.string(), State);
  },
  ProcessorConfig: z.looseObject({ Mode: z.string().optional() }).optional(),
});
/** States that run one after another: the machine itself, a branch, what a Map does with an item. */
export type Block = z.infer<typeof Block>;

const Definition = z.looseObject({
  StartAt: z.string(),
  States: z.record(z.string(), State),
  QueryLanguage: QueryLanguage.optional(),
  TimeoutSeconds: z.number().optional(),
  Comment: z.string().optional(),
});
export type Definition = z.infer<typeof Definition>;

/** Reads a definition; throws a ZodError or a SyntaxError for what is none. */
export function parseDefinition(text: string): Definition {
  return Definition.parse(JSON.parse(text));
}
