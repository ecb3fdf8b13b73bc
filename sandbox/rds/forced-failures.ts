import { z } from 'zod';
import type { FailedStatus } from './state';

/** What an instance can end as when creating, restoring, changing, rebooting, stopping, starting or deleting it fails. */
const FAILED_STATUSES = [
  'failed',
  'incompatible-create',
  'incompatible-credentials',
  'incompatible-network',
  'incompatible-option-group',
  'incompatible-parameters',
  'incompatible-restore',
  'inaccessible-encryption-credentials',
  'inaccessible-encryption-credentials-recoverable',
  'insufficient-capacity',
  'restore-error',
  'storage-full',
] as const satisfies readonly FailedStatus[];

const identifier = z
  .string()
  .optional()
  .describe('The one it is done to (for a snapshot: its own or its instance’s identifier). Any if left out.');

/** As a fault plan writes it. */
export const forcedFailureSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.enum([
      'create',
      'restoreSnapshot',
      'restoreToTime',
      'modify',
      'resetCredentials',
      'rename',
      'reboot',
      'stop',
      'start',
      'delete',
    ]),
    identifier,
    status: z.enum(FAILED_STATUSES),
  }),
  // Of a manual snapshot, a final one included, or of a copy; the instance itself goes on.
  z.strictObject({ kind: z.literal('snapshot'), identifier, status: z.literal('failed') }),
]);

/**
 * A long operation that is to fail: the next one of this `kind` (on `identifier`, if given) takes its time on the clock, has
 * no effect and ends in `status`. It is used up by one operation. What has begun already is not touched.
 *
 *     sandbox.rds.failNext({ kind: 'restoreSnapshot', status: 'incompatible-restore' });
 */
export type ForcedFailure = z.infer<typeof forcedFailureSchema>;

/** Takes the failure that is meant for an operation out of `waiting`. */
export function takeForcedFailure(
  waiting: ForcedFailure[],
  kind: string,
  identifiers: readonly string[],
): FailedStatus | undefined {
  const index = waiting.findIndex(
    (failure) =>
      failure.kind === kind &&
      (failure.identifier === undefined || identifiers.includes(failure.identifier.toLowerCase())),
  );
  return index < 0 ? undefined : waiting.splice(index, 1)[0]?.status;
}
