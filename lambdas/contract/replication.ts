import * as z from 'zod/mini';

/** What moves changes of a server to others and from others to it, by names; where from and how they log in is never read. */
export const LogicalReplication = z.object({
  /** Logical slots that last; a restore leaves them behind. */
  slots: z.array(z.object({ name: z.string(), plugin: z.string() })),
  /** Enabled subscriptions, as `name in database`; a restore brings them along, enabled. */
  subscriptions: z.array(z.string()),
});
export type LogicalReplication = z.infer<typeof LogicalReplication>;
