import type { Json } from './json';

/**
 * How far the states of one block (the machine, a branch, an iteration) have come. Plain data, and all that is needed to go
 * on: after a redrive, or in another process.
 */
export interface Frame {
  /** `waiting`: a branch or an iteration that has not begun, or that is about to be redriven. */
  status: 'waiting' | 'running' | 'succeeded' | 'failed' | 'aborted';
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
  /** While a Wait state waits or a state waits for its next try: until when, in milliseconds since 1970. */
  until: number | null;
  /** The try of a Task state that is under way. */
  task: TaskTry | null;
  /** `$$.Map.Item` of an iteration. */
  item: { Index: number; Value: Json } | null;
  /** Branches or iterations of the state, while it runs. */
  children: Frame[] | null;
}

/** One try of a Task state. */
export interface TaskTry {
  /** Parameters or Arguments as evaluated. */
  readonly input: Json;
  /** What `$$.Task.Token` was while the input was evaluated. */
  readonly token: string;
  /** RoleArn of the state's Credentials. */
  readonly roleArn: string | undefined;
  readonly timeoutSeconds: number | undefined;
  readonly heartbeatSeconds: number | undefined;
  /** When the time of TimeoutSeconds and of HeartbeatSeconds began, in milliseconds since 1970. */
  readonly began: number;
  beat: number;
  /** What the service answered, once the task waits for a callback or for the end of a job. */
  submitted: Json | undefined;
}

export function newFrame(
  startAt: string,
  data: Json,
  previousEventId: number,
  item: Frame['item'] = null,
): Frame {
  return {
    status: 'waiting',
    state: startAt,
    data,
    variables: {},
    previousEventId,
    entered: null,
    retryCount: 0,
    retries: [],
    until: null,
    task: null,
    item,
    children: null,
  };
}

/** Makes everything that failed or was aborted run again, with fresh retries. */
export function reopen(frame: Frame, previousEventId: number): void {
  if (frame.status === 'succeeded') return;
  frame.status = 'waiting';
  frame.retryCount = 0;
  frame.retries = [];
  frame.until = null;
  frame.task = null;
  frame.previousEventId = previousEventId;
  for (const child of frame.children ?? []) reopen(child, previousEventId);
}
