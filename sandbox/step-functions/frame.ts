import type { Json } from './json';

/**
 * How far the states of one block (the machine, a branch, an iteration) have come. Plain data: what is needed to go on
 * after a redrive.
 */
export interface Frame {
  status: 'running' | 'succeeded' | 'failed' | 'aborted';
  /** The state to enter, or the one that runs. */
  state: string;
  /** Its input; once the block has succeeded, the block's output. */
  data: Json;
  /** Variables of this block; those of the blocks around it are seen as well. */
  variables: Record<string, Json>;
  /** The event that the next one follows. */
  previousEventId: number;
  /** Set while a state runs. */
  entered: { eventId: number; at: string; previousEventId: number } | null;
  /** How often the state was tried again, in all and by retrier. */
  retryCount: number;
  retries: number[];
  /** `$$.Map.Item` of an iteration. */
  item: { Index: number; Value: Json } | null;
  /** Branches or iterations of the state, while it runs. */
  children: Frame[] | null;
}

export function newFrame(
  startAt: string,
  data: Json,
  previousEventId: number,
  item: Frame['item'] = null,
): Frame {
  return {
    status: 'running',
    state: startAt,
    data,
    variables: {},
    previousEventId,
    entered: null,
    retryCount: 0,
    retries: [],
    item,
    children: null,
  };
}

/** Makes everything that failed or was aborted run again, with fresh retries. */
export function reopen(frame: Frame, previousEventId: number): void {
  if (frame.status === 'succeeded') return;
  frame.status = 'running';
  frame.retryCount = 0;
  frame.retries = [];
  frame.previousEventId = previousEventId;
  for (const child of frame.children ?? []) reopen(child, previousEventId);
}
