import { z } from 'zod';
import type { Json } from './json';

const JsonValue = z.json() as z.ZodType<Json>;
const Values = z.record(z.string(), JsonValue);

const Resource = z.strictObject({
  Type: z.string(),
  Properties: Values.default({}),
  DependsOn: z.union([z.string().transform((id) => [id]), z.array(z.string())]).default([]),
  Condition: z.string().optional(),
  DeletionPolicy: z.string().optional(),
  // The sandbox replaces nothing.
  UpdateReplacePolicy: z.string().optional(),
  Metadata: z.unknown().optional(),
});
export type TemplateResource = z.infer<typeof Resource>;

/** A CloudFormation template. A section that is not here is refused by name. */
export const Template = z.strictObject({
  AWSTemplateFormatVersion: z.string().optional(),
  Description: z.string().optional(),
  Metadata: z.unknown().optional(),
  Parameters: z
    .record(z.string(), z.looseObject({ Type: z.string(), Default: JsonValue.optional() }))
    .default({}),
  Mappings: z.record(z.string(), z.record(z.string(), Values)).default({}),
  Conditions: Values.default({}),
  Rules: z
    .record(
      z.string(),
      z.object({
        RuleCondition: JsonValue.optional(),
        Assertions: z.array(z.object({ Assert: JsonValue, AssertDescription: z.string().optional() })),
      }),
    )
    .default({}),
  Resources: z.record(z.string(), Resource),
  Outputs: z
    .record(
      z.string(),
      z.object({
        Value: JsonValue,
        Condition: z.string().optional(),
        Export: z.object({ Name: JsonValue }).optional(),
      }),
    )
    .default({}),
});
export type Template = z.infer<typeof Template>;
