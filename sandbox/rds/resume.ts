import { sweepDirectories } from './directories';
import { reopen } from './launch';
import { messageOf, type Rds } from './rds';

/**
 * Goes on where an earlier process ended, however it ended: every server that ran runs again at its address, and what was
 * under way is taken up, real work in the middle of which the process died from its start.
 * @throws PortTaken when somebody else listens at the address of an instance
 */
export async function resume(rds: Rds): Promise<void> {
  const { instances } = rds.state;
  await sweepDirectories(rds);
  for (const { address } of instances.values()) if (address) await rds.postgres.claimAddress(address);
  await Promise.all(
    [...instances.values()]
      .filter(({ runs }) => runs)
      .map(async (instance) => {
        try {
          await reopen(rds, instance);
        } catch (error) {
          rds.context.log(`rds: ${instance.identifier} did not start again: ${messageOf(error)}`);
          instance.runs = false;
          // Its data may be half gone already, and the rest is about to go.
          if (instance.status !== 'deleting') instance.status = 'failed';
        }
      }),
  );
  for (const other of rds.everywhere()) other.goOn();
}
