import type { RDSClient } from '@aws-sdk/client-rds';
import type { Recovery } from '../contract/recovery';
import type { HydrateResult } from '../contract/restore';
import { NotHydratedYet, RestoreFailed } from '../errors';
import { findInstance } from '../rds';

/**
 * Watches how much of its storage RDS has loaded from the backup. Throws NotHydratedYet until it is as much as the operator asked
 * for; RestoreFailed where the instance is gone.
 */
export async function hydrate(
  { recovery }: { recovery: Recovery },
  { rds }: { rds: RDSClient },
): Promise<HydrateResult> {
  const id = recovery.recoveryInstanceId;
  const instance = await findInstance(rds, id);
  if (!instance) throw new RestoreFailed(`Instance ${id} is gone.`, 'Somebody deleted it? Start again.');
  const { StorageOperationStatus: operation, StorageOperationPercentProgress: progress = 0 } = instance;
  // RDS says nothing any more once all is loaded.
  const percent = operation === 'Initializing' ? progress : 100;
  const wanted = recovery.warm?.storagePercent ?? 0;
  if (percent < wanted)
    throw new NotHydratedYet(
      `RDS has loaded ${percent} % of the storage of ${id}, asked for were ${wanted} %.`,
      'Wait.',
    );
  return { percent };
}
