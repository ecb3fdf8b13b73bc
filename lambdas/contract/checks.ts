import * as z from 'zod/mini';

/** What was looked at, and what came of it. */
export const Check = z.object({ name: z.string(), ok: z.boolean(), detail: z.string() });
export type Check = z.infer<typeof Check>;

/** A check of Verify. A failed one of severity `error` blocks the cutover, of severity `warning` it is only reported. */
export interface VerificationCheck extends Check {
  severity: 'error' | 'warning';
}

/** The built-in checks of Verify that compare what was read, in order. */
export const COMPARING_CHECKS = [
  'no failed migration',
  'migrations as recorded',
  'pending migrations are absent',
  'migrations of their time',
  'schema as recorded',
  'no invalid index',
  'sequences ahead of their columns',
  'rows as recorded',
  'rows as in the live database',
  'unlogged tables',
  'replication',
  'prepared transactions',
] as const;

/** Those whose failure the operator may accept. */
export const ACCEPTABLE_CHECKS = [...COMPARING_CHECKS, 'amcheck'];
