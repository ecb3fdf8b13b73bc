import { ApiError } from '../core/api';
import type { Json } from './json';

/** What somebody reported for a token. */
export type TaskAnswer =
  { readonly output: Json } | { readonly error: string | undefined; readonly cause: string | undefined };

interface WaitingTask {
  readonly answer: (answer: TaskAnswer) => void;
  readonly heartbeat: () => void;
}

/** Tokens as plain data: those that are good no more, and answers that no task has taken yet. */
export interface SavedTokens {
  readonly past: ReadonlySet<string>;
  readonly answers: ReadonlyMap<string, TaskAnswer>;
}

/** The tasks that wait for somebody to report on them, by their tokens. */
export class TaskTokens {
  private readonly waiting = new Map<string, WaitingTask>();
  private readonly past = new Set<string>();
  /** A report may come before the service has answered the task's request. */
  private readonly answers = new Map<string, TaskAnswer>();

  save(): SavedTokens {
    return { past: this.past, answers: this.answers };
  }

  load({ past, answers }: SavedTokens): void {
    for (const token of past) this.past.add(token);
    for (const [token, answer] of answers) this.answers.set(token, answer);
  }

  /** Resolves with what somebody reports for `token`; `release` ends the wait. */
  wait(token: string, heartbeat: () => void): { readonly answer: Promise<TaskAnswer>; release(): void } {
    const early = this.answers.get(token);
    const answer = new Promise<TaskAnswer>((resolve) => {
      if (early) resolve(early);
      else this.waiting.set(token, { answer: resolve, heartbeat });
    });
    return {
      answer,
      release: () => {
        this.waiting.delete(token);
        this.answers.delete(token);
        this.past.add(token);
      },
    };
  }

  /** Throws TaskTimedOut for a token that is good no more, InvalidToken for what never was one. */
  report(token: string, answer: TaskAnswer): void {
    const task = this.find(token);
    this.waiting.delete(token);
    this.past.add(token);
    this.answers.set(token, answer);
    task.answer(answer);
  }

  /** Throws as `report`. */
  heartbeat(token: string): void {
    this.find(token).heartbeat();
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
