import { randomUUID } from 'node:crypto';
import type { HistoryEventType } from '@aws-sdk/client-sfn';
import type { Clock } from '../core/clock';
import type { Definition } from './definition';
import { Fatal, StatesError } from './errors';
import type { Frame } from './frame';
import type { EventDetails, History } from './history';
import type { Json, JsonObject } from './json';
import { BlockRun } from './block';
import type { TaskRunner } from './task';

export interface ExecutionOptions {
  readonly definition: Definition;
  /** How far it has come: a new frame, or a reopened one. */
  readonly root: Frame;
  readonly clock: Clock;
  readonly tasks: TaskRunner;
  readonly history: History;
  /** The members Execution and StateMachine of the context object. */
  readonly context: JsonObject;
  /** When the machine's TimeoutSeconds began to run. */
  readonly startedAt: Date;
  /** For jitter; between 0 and 1. */
  readonly random?: () => number;
}

export type Outcome =
  | { readonly status: 'SUCCEEDED'; readonly output: Json }
  | {
      readonly status: 'FAILED' | 'TIMED_OUT' | 'ABORTED';
      readonly error: string | undefined;
      readonly cause: string | undefined;
    };

/** Why the states of an execution are given up. */
export class Stopped extends Error {
  constructor(
    readonly status: 'TIMED_OUT' | 'ABORTED',
    readonly error: string | undefined,
    readonly reason: string | undefined,
  ) {
    super(status);
  }
}

/** A run of a state machine. Knows the language and time, and nothing of services. */
export class Execution {
  private readonly controller = new AbortController();

  constructor(readonly options: ExecutionOptions) {}

  /** Runs to the end, and writes the event that ends it. Never throws. */
  async run(): Promise<Outcome> {
    const { clock, definition, root, startedAt } = this.options;
    const cancel =
      definition.TimeoutSeconds === undefined
        ? () => undefined
        : clock.schedule(new Date(startedAt.getTime() + definition.TimeoutSeconds * 1000), () => {
            this.controller.abort(new Stopped('TIMED_OUT', 'States.Timeout', undefined));
          });
    try {
      const output = await new BlockRun(
        this,
        definition,
        root,
        definition.QueryLanguage ?? 'JSONPath',
        this.controller.signal,
      ).run();
      this.end('ExecutionSucceeded', {
        executionSucceededEventDetails: {
          output: JSON.stringify(output),
          outputDetails: { truncated: false },
        },
      });
      return { status: 'SUCCEEDED', output };
    } catch (thrown) {
      return this.fail(thrown);
    } finally {
      cancel();
    }
  }

  /** Ends it from outside, as StopExecution does. */
  abort(error?: string, cause?: string): void {
    this.controller.abort(new Stopped('ABORTED', error, cause));
  }

  emit(type: HistoryEventType, previousEventId: number, details?: EventDetails): number {
    return this.options.history.add(type, previousEventId, details);
  }

  newTaskToken(): string {
    return Buffer.from(randomUUID() + randomUUID()).toString('base64');
  }

  random(): number {
    return (this.options.random ?? Math.random)();
  }

  private fail(thrown: unknown): Outcome {
    const stopped =
      this.controller.signal.reason instanceof Stopped ? this.controller.signal.reason : undefined;
    if (stopped) {
      const { status, error, reason: cause } = stopped;
      const details = { ...(error !== undefined && { error }), ...(cause !== undefined && { cause }) };
      if (status === 'ABORTED') this.end('ExecutionAborted', { executionAbortedEventDetails: details });
      else this.end('ExecutionTimedOut', { executionTimedOutEventDetails: details });
      return { status, error, cause };
    }
    const failure =
      thrown instanceof StatesError
        ? thrown
        : new Fatal('States.Runtime', thrown instanceof Error ? thrown.message : String(thrown));
    const { error, reason: cause } = failure;
    this.end('ExecutionFailed', {
      executionFailedEventDetails: {
        ...(error !== undefined && { error }),
        ...(cause !== undefined && { cause }),
      },
    });
    return { status: 'FAILED', error, cause };
  }

  private end(type: HistoryEventType, details: EventDetails): void {
    this.options.history.end(type, this.options.root.previousEventId, details);
  }
}
