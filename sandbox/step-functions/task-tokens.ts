import { ApiError } from '../core/api';
import type { StatesError } from './errors';
import type { Json } from './json';

interface WaitingTask {
  readonly resolve: (output: Json) => void;
  readonly reject: (error: StatesError) => void;
  readonly heartbeat: () => void;
}

/** The tasks that wait for somebody to report on them, by their tokens. */
export class TaskTokens {
  private readonly waiting = new Map<string, WaitingTask>();
  private readonly past = new Set<string>();

  /** Resolves when somebody reports success for `token`, rejects when somebody reports failure; `release` ends the wait. */
  wait(token: string, heartbeat: () => void): { readonly answer: Promise<Json>; release(): void } {
    const answer = new Promise<Json>((resolve, reject) => {
      this.waiting.set(token, { resolve, reject, heartbeat });
    });
    return {
      answer,
      release: () => {
        this.waiting.delete(token);
        this.past.add(token);
      },
    };
  }

  succeed(token: string, output: Json): void {
    this.take(token).resolve(output);
  }

  fail(token: string, error: StatesError): void {
    this.take(token).reject(error);
  }

  heartbeat(token: string): void {
    this.find(token).heartbeat();
  }

  private take(token: string): WaitingTask {
    const task = this.find(token);
    this.waiting.delete(token);
    this.past.add(token);
    return task;
  }

  private find(token: string): WaitingTask {
    const task = this.waiting.get(token);
    if (task) return task;
    if (this.past.has(token)) {
      throw new ApiError('TaskTimedOut', "Task Timed Out: 'Provided task does not exist anymore'");
    }
    throw new ApiError('InvalidToken', "Invalid Token: 'Invalid token'");
  }
}
