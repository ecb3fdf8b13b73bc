import type * as z from 'zod/mini';
import type { FailEvent, FailResult } from '../contract/way-back';
import { RollbackError } from '../errors';

/** The error that ended a recovery, under the name that it had where it happened. */
class FirstError extends RollbackError {
  constructor(
    override readonly name: string,
    cause: string,
    goesOnWith: string,
  ) {
    super(
      cause,
      goesOnWith === 'Plan'
        ? 'If the input is at fault, start a new execution. If there is something else to mend, mend it and redrive this one: it plans again, with the same input.'
        : goesOnWith.startsWith('AskFor')
          ? `Redrive this execution to be asked again: it goes on with ${goesOnWith}.`
          : `Once that is mended, redrive this execution: it goes on with ${goesOnWith}.`,
    );
  }
}

/**
 * Ends the execution with the first error, as the last state of a way that a redrive can go on from. A Fail state cannot do
 * that: a redrive enters it again. Redriven, this is the state that runs again, and it lets the execution go on.
 */
export async function fail(event: z.output<typeof FailEvent>): Promise<FailResult> {
  const { error, cause, goesOnWith, redrives } = event;
  if (redrives.now <= redrives.then) throw new FirstError(error, cause, goesOnWith);
  return Promise.resolve({ goesOnWith });
}
