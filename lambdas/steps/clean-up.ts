import type { RDSClient } from '@aws-sdk/client-rds';
import type { CleanUpResult, Leftover } from '../contract/clean-up';
import type { Recovery } from '../contract/recovery';
import type { LiftFenceResult } from '../contract/way-back';
import {
  DatabaseUnreachable,
  DiscardNotFinished,
  InvalidInput,
  toRollbackError,
  type RollbackError,
} from '../errors';
import { findLeftovers, type LeftoverDeps } from '../leftovers';
import { addressOf, findInstance, listInstances } from '../rds';
import type { ClaimDeps } from '../recovery-claim';
import { readMarks } from '../tags';
import { takeClaim } from '../take-claim';
import { discard } from './discard';
import { giveBack } from './give-back';

export interface CleanUpDeps extends ClaimDeps, LeftoverDeps {
  readonly rds: RDSClient;
  /** Only inside the VPC the database can be reached. */
  readonly liftFence: (event: { recovery: Recovery }) => Promise<LiftFenceResult>;
}

/**
 * Gives up what recoveries left that do not run any more, each by the step that would have done it: the fence around the live
 * instance is lifted, what an undo took back is given back, recovery instances that were never live are discarded. What was to be
 * cleaned up is looked for anew, under the claim; everything else is left alone. Throws DiscardNotFinished until all of it is gone,
 * RecoveryAlreadyRunning, StoppedRecoveryAtWork, DiscardRefused.
 */
export async function cleanUp(
  { recovery }: { recovery: Recovery },
  deps: CleanUpDeps,
): Promise<CleanUpResult> {
  if (recovery.mode !== 'clean-up')
    throw new InvalidInput(`Mode "${recovery.mode}" cleans nothing up.`, 'Start with mode "clean-up".');
  await takeClaim(recovery, deps);
  const problems: RollbackError[] = [];
  // What cannot be done keeps nothing else from being done.
  const attempt = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      problems.push(toRollbackError(error));
    }
  };
  // First: behind a fence the application has no database.
  await attempt(() => deps.liftFence({ recovery }));
  const leftovers = await findLeftovers(
    {
      live: recovery.live,
      instances: await listInstances(deps.rds),
      executionArn: recovery.execution.arn,
      fencedBy: undefined,
    },
    deps,
  );
  for (const leftover of leftovers) await attempt(() => giveUp(leftover, recovery, deps));
  const problem = problems.find((each) => !(each instanceof DiscardNotFinished)) ?? problems[0];
  if (problem) throw problem;
  return { left: leftovers.filter(({ cleanUp }) => cleanUp === 'leaves') };
}

async function giveUp(leftover: Leftover, recovery: Recovery, deps: CleanUpDeps): Promise<void> {
  const { instanceId, recoveryId: id } = leftover;
  // As the recovery itself would have given it up: what is not tagged as its own, or live, is refused.
  const own = { ...recovery, id, recoveryInstanceId: instanceId };
  if (leftover.cleanUp === 'deletes') await discard({ recovery: own }, deps);
  if (leftover.cleanUp !== 'retires') return;
  const instance = await findInstance(deps.rds, instanceId);
  const address = instance && addressOf(instance);
  if (!address) return;
  const undoes = { recoveryId: readMarks(instance.TagList).undoes ?? id, instance: address };
  const { stillOpen } = await deps.liftFence({ recovery: { ...recovery, undoes } });
  if (stillOpen !== null)
    throw new DatabaseUnreachable(
      `Instance ${instanceId} could not be fenced again: ${stillOpen}`,
      'If it is stopped, start it; then redrive.',
    );
  await giveBack({ recovery: { ...own, undoes } }, deps);
}
