import { createHash } from 'node:crypto';

/** On the version that a swap prepares, before it becomes current. */
export const STAGED_LABEL = 'migration-rollback-staged';
/** Pins the version that was current before the swap: versions without a label may be purged. */
export const BEFORE_SWAP_LABEL = 'migration-rollback-before-swap';

/** Version id of the secret that a recovery swaps in: the same at every try, so a second try finds the first one's. */
export function swapVersionId(recoveryId: string): string {
  return createHash('sha256').update(`migration-rollback swap ${recoveryId}`).digest('hex');
}
