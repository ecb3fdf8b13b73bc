import type { RDSClient } from '@aws-sdk/client-rds';
import type { Recovery } from '../contract/recovery';
import type { CheckRestoredInstanceResult } from '../contract/restore';
import { InstanceNotReady, RestoreFailed } from '../errors';
import { addressOf, findInstance, isTerminal, unfinished } from '../rds';

/** The address of the recovery instance once it is up. Throws InstanceNotReady until then, RestoreFailed if never. */
export async function checkRestoredInstance(
  { recovery }: { recovery: Recovery },
  { rds }: { rds: RDSClient },
): Promise<CheckRestoredInstanceResult> {
  const id = recovery.recoveryInstanceId;
  const instance = await findInstance(rds, id);
  // Right after the restore call, RDS may not know the name yet everywhere.
  if (!instance) throw new InstanceNotReady(`Instance ${id} is not to be seen yet.`, 'Wait.');
  if (isTerminal(instance.DBInstanceStatus))
    throw new RestoreFailed(
      `Instance ${id} is "${instance.DBInstanceStatus ?? ''}", which it does not leave by itself.`,
      'Its events in the RDS console say why.',
    );
  const open = unfinished(instance);
  const address = addressOf(instance);
  if (open.length > 0 || !address)
    throw new InstanceNotReady(`Instance ${id} is not ready: ${open.join('; ')}.`, 'Wait.');
  return address;
}
