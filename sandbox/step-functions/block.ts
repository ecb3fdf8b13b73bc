import type { HistoryEventType } from '@aws-sdk/client-sfn';
import type { Block, Definition, QueryLanguage } from './definition';
import { Fatal } from './errors';
import type { Frame } from './frame';
import type { EventDetails } from './history';
import type { Execution } from './interpreter';
import type { Json, JsonObject } from './json';
import { StateRun } from './state';

/** Runs the states of one block, one after another, as its frame says. */
export class BlockRun {
  constructor(
    readonly execution: Execution,
    private readonly block: Block | Definition,
    readonly frame: Frame,
    readonly language: QueryLanguage,
    /** Aborted when the block is given up, with a reason. */
    readonly signal: AbortSignal,
    private readonly around?: BlockRun,
  ) {}

  /** Answers with the block's output; throws the StatesError that no Catch took. */
  async run(): Promise<Json> {
    const { frame } = this;
    frame.status = 'running';
    try {
      for (;;) {
        const definition = this.block.States[frame.state];
        if (!definition) throw new Fatal('States.Runtime', `State '${frame.state}' does not exist.`);
        const { next, output } = await new StateRun(this, frame.state, definition).run();
        frame.entered = null;
        frame.children = null;
        frame.retryCount = 0;
        frame.retries = [];
        frame.data = output;
        if (next === undefined) {
          frame.status = 'succeeded';
          return output;
        }
        frame.state = next;
      }
    } catch (error) {
      frame.status = this.signal.aborted ? 'aborted' : 'failed';
      throw error;
    }
  }

  /** Writes an event that the block's next one follows. */
  emit(type: HistoryEventType, details?: EventDetails): number {
    // Who has been given up says nothing any more.
    this.signal.throwIfAborted();
    this.frame.previousEventId = this.execution.emit(type, this.frame.previousEventId, details);
    return this.frame.previousEventId;
  }

  /** Type of the state that runs, for the event that says it was aborted. */
  runningType(): string | undefined {
    return this.block.States[this.frame.state]?.Type;
  }

  variables(): Record<string, Json> {
    return { ...this.around?.variables(), ...this.frame.variables };
  }

  /** `$$` or `$states.context` for the state that runs. */
  contextObject(): JsonObject {
    const item = this.mapItem();
    return {
      ...this.execution.options.context,
      ...(item && { Map: { Item: { ...item } } }),
      State: {
        EnteredTime: this.frame.entered?.at ?? '',
        Name: this.frame.state,
      },
    };
  }

  private mapItem(): Frame['item'] {
    return this.frame.item ?? this.around?.mapItem() ?? null;
  }
}
