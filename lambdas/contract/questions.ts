import * as z from 'zod/mini';
import { saying, text } from './texts';

/** What a person is asked while a recovery runs. */
export const QUESTIONS = ['cutover', 'retirement', 'rename'] as const;
export type Question = (typeof QUESTIONS)[number];

/** How a question was answered; what a recovery keeps of it. */
export const Decision = z.object({
  question: z.enum(QUESTIONS),
  decision: z.enum(['approved', 'rejected', 'no answer']),
  /** Null where nobody answered. */
  by: z.nullable(z.string()),
  reason: z.nullable(z.string()),
  /** ISO 8601. */
  at: z.string(),
});
export type Decision = z.infer<typeof Decision>;

/** What a person answers to a question of a recovery. */
export const DecideEvent = z.strictObject({
  /** Name or ARN. Left out: the one recovery that asks this. */
  execution: z.optional(text(300)),
  question: z.enum(QUESTIONS),
  decision: z.enum(['approve', 'reject']),
  by: saying(200),
  reason: saying(1000),
});
export interface DecideResult {
  /** Name of the execution. */
  execution: string;
  recorded: Decision;
  /** False where the same decision had been made before: by whom, `recorded` says. */
  isNew: boolean;
}
