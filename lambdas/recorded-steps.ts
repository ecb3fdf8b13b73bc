import type { HistoryEvent } from '@aws-sdk/client-sfn';
import * as z from 'zod/mini';
import { jsonOf } from './parse';

// How the tasks of an execution went, read from its history.

/** An answer in place of a result; the same one several times in a row is one. */
const Problem = z.object({
  error: z.string(),
  message: z.string(),
  times: z.int(),
  from: z.string(),
  until: z.string(),
});
type Problem = z.infer<typeof Problem>;

/** A task of an execution, as it went. */
export const RecordedStep = z.object({
  state: z.string(),
  startedAt: z.string(),
  endedAt: z.nullable(z.string()),
  seconds: z.nullable(z.number()),
  outcome: z.enum(['done', 'failed', 'not ended']),
  /** How often it was asked. */
  calls: z.int(),
  problems: z.array(Problem),
  /** Identifiers only, as everything that the machine passes on. */
  result: z.optional(z.unknown()),
});
export type RecordedStep = z.infer<typeof RecordedStep>;

/** A state while the history is read. */
interface OpenStep {
  readonly state: string;
  readonly startedAt: string;
  endedAt: string | null;
  outcome: RecordedStep['outcome'];
  calls: number;
  problems: Problem[];
  result: unknown;
}

/**
 * The tasks of an execution in the order in which they began. Events belong to the state that the events before them belong to,
 * since branches run side by side; after a redrive they go on with the state that had not ended.
 */
export function stepsOf(events: readonly HistoryEvent[]): { steps: RecordedStep[]; end: string | null } {
  const steps: OpenStep[] = [];
  const owners = new Map<number, OpenStep>();
  let end: string | null = null;
  for (const event of events) {
    const at = iso(event.timestamp);
    const { id = 0, previousEventId = 0, type = '' } = event;
    if (event.stateEnteredEventDetails) {
      end = event.stateEnteredEventDetails.name ?? null;
      if (/^(Choice|Pass|Succeed|Fail)/.test(type)) continue;
      const step: OpenStep = {
        state: end ?? '',
        startedAt: at,
        endedAt: null,
        outcome: 'not ended',
        calls: 0,
        problems: [],
        result: undefined,
      };
      steps.push(step);
      owners.set(id, step);
      continue;
    }
    const owner =
      type === 'ExecutionRedriven'
        ? steps.findLast((step) => step.endedAt === null)
        : owners.get(previousEventId);
    if (!owner) continue;
    owners.set(id, owner);
    takeIn(owner, event, at);
  }
  return {
    steps: steps.map((step) => ({
      ...step,
      seconds: step.endedAt === null ? null : secondsBetween(step.startedAt, step.endedAt),
    })),
    end,
  };
}

function takeIn(step: OpenStep, event: HistoryEvent, at: string): void {
  if (event.taskScheduledEventDetails) {
    step.calls++;
    return;
  }
  const failure =
    event.taskFailedEventDetails ??
    event.taskTimedOutEventDetails ??
    event.taskStartFailedEventDetails ??
    event.taskSubmitFailedEventDetails;
  if (failure) {
    step.outcome = 'failed';
    addProblem(step.problems, failure.error ?? 'unknown', messageOf(failure.cause ?? ''), at);
    return;
  }
  if (event.type === 'TaskSucceeded') step.outcome = 'done';
  if (!event.stateExitedEventDetails) return;
  step.endedAt = at;
  // What a state of another kind than a task comes to.
  if (step.calls === 0) step.outcome = 'done';
  if (step.outcome === 'done') step.result = jsonOf(event.stateExitedEventDetails.output ?? 'null');
}

function addProblem(problems: Problem[], error: string, message: string, at: string): void {
  const last = problems.at(-1);
  if (last?.error === error && last.message === message)
    problems.splice(-1, 1, { ...last, times: last.times + 1, until: at });
  else problems.push({ error, message, times: 1, from: at, until: at });
}

/** What a function threw, without the place in its code. */
export function messageOf(cause: string): string {
  const thrown = z.looseObject({ errorMessage: z.string() }).safeParse(jsonOf(cause));
  return thrown.success ? thrown.data.errorMessage : cause;
}

export function iso(date: Date | undefined): string {
  return (date ?? new Date(0)).toISOString();
}

export function secondsBetween(from: string, until: string): number {
  return Math.round((Date.parse(until) - Date.parse(from)) / 100) / 10;
}
