import { runBranches } from './branches';
import { newFrame } from './frame';
import type { Json } from './json';
import type { StateRun } from './state';

/** Runs the branches of a Parallel state side by side. Answers with the list of their outputs. */
export async function runParallel(state: StateRun): Promise<Json> {
  const { frame, execution } = state.block;
  const blocks = state.definition.Branches ?? [];
  const redriven = frame.children;
  const input = redriven ? null : await state.parameters();
  if (!redriven) {
    state.emit('ParallelStateStarted');
    frame.children = blocks.map((block) => newFrame(block.StartAt, input, frame.previousEventId));
  }
  const children = frame.children ?? [];
  const branches = blocks.flatMap((block, index) => {
    const child = children[index];
    return child ? [{ block, frame: child }] : [];
  });
  const outputs = await runBranches(state, branches, Infinity, {});
  execution.emit('ParallelStateSucceeded', frame.previousEventId);
  return outputs;
}
