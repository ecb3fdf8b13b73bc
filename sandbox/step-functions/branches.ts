import type { HistoryEventType } from '@aws-sdk/client-sfn';
import { BlockRun } from './block';
import type { Block } from './definition';
import { StatesError } from './errors';
import type { Frame } from './frame';
import type { Json } from './json';
import type { StateRun } from './state';

/** A branch of a Parallel state or an iteration of a Map state. */
export interface Branch {
  readonly block: Block;
  readonly frame: Frame;
}

export interface BranchEvents {
  started?(index: number, previousEventId: number): void;
  succeeded?(index: number): void;
  failed?(index: number): void;
  aborted?(index: number, previousEventId: number): void;
}

/**
 * Runs branches side by side (also those that an earlier process or a redrive left off), at most `concurrency` at a time; the first that fails ends the others. Answers with their
 * outputs. Afterwards the state's frame follows the last event of the branch that ended last, or of the one that failed.
 */
export async function runBranches(
  state: StateRun,
  branches: readonly Branch[],
  concurrency: number,
  events: BranchEvents,
): Promise<Json[]> {
  const { block } = state;
  const { frame, execution } = block;
  const controller = new AbortController();
  const giveUp = (): void => {
    controller.abort(block.signal.reason);
  };
  block.signal.addEventListener('abort', giveUp, { once: true });
  const runs = branches.map(
    (branch) => new BlockRun(execution, branch.block, branch.frame, block.language, controller.signal, block),
  );
  const withStatus = (status: Frame['status']): number[] =>
    [...runs.keys()].filter((index) => runs[index]?.frame.status === status);
  const running = withStatus('running');
  const waiting = withStatus('waiting');
  const begun = new Set(running);
  let failure: { readonly error: unknown } | undefined;

  const begin = (index: number, previousEventId: number): void => {
    begun.add(index);
    events.started?.(index, previousEventId);
  };
  const work = async (first: number): Promise<void> => {
    for (let index: number | undefined = first; index !== undefined;) {
      const run = runs[index];
      if (!run) return;
      try {
        await run.run();
        frame.previousEventId = run.frame.previousEventId;
        events.succeeded?.(index);
      } catch (error) {
        if (controller.signal.aborted) return;
        failure = { error };
        frame.previousEventId = run.frame.previousEventId;
        controller.abort(error);
        if (error instanceof StatesError) events.failed?.(index);
        return;
      }
      if (controller.signal.aborted) return;
      index = waiting.shift();
      if (index !== undefined) begin(index, run.frame.previousEventId);
    }
  };

  const first = waiting.splice(0, Math.max(0, concurrency - running.length));
  for (const index of first) begin(index, frame.previousEventId);
  await Promise.all([...running, ...first].map((index) => work(index)));
  block.signal.removeEventListener('abort', giveUp);
  block.signal.throwIfAborted();
  if (failure) {
    const last = frame.previousEventId;
    for (const [index, run] of runs.entries()) {
      if (run.frame.status === 'succeeded' || !begun.has(index)) continue;
      if (run.frame.status === 'aborted') events.aborted?.(index, last);
      writeAborted(run, last);
    }
    throw failure.error;
  }
  return branches.map((branch) => branch.frame.data);
}

/**
 * The state that ran in a branch when the branches were given up is said to be aborted, also the one that failed. The event
 * hangs from the last event of the branch that failed.
 */
function writeAborted(run: BlockRun, previousEventId: number): void {
  const type = run.runningType();
  if (run.frame.entered === null || type === undefined) return;
  const event = ABORTED.find((each) => each === `${type}StateAborted`);
  if (event) run.execution.emit(event, previousEventId);
}

const ABORTED: readonly HistoryEventType[] = [
  'TaskStateAborted',
  'WaitStateAborted',
  'ParallelStateAborted',
  'MapStateAborted',
];
