import { ApiError } from '../core/api';
import { held } from '../core/clock';
import type { SandboxContext } from '../core/context';
import { Destinations, type FinishedEvent } from './destinations';
import type { Outcome } from './environment';
import type { LambdaFunction } from './function';
import type { Invocations } from './invocations';

/** An event that waits for its next attempt, or is under way. Plain data. */
export interface QueuedEvent {
  /** The same in every attempt. */
  readonly requestId: string;
  readonly functionName: string;
  readonly event: string;
  readonly queuedAt: Date;
  /** When it is tried next. */
  dueAt: Date;
  /** Attempts that the function failed, and that did not come to run. */
  failures: number;
  throttles: number;
}

const RETRIES = 2;
/** Minutes to wait after the first failed attempt and after the second. */
const RETRY_MINUTES = [1, 2];
const OLDEST_SECONDS = 6 * 60 * 60;
/** A throttled event is tried again after a second, then twice as long each time, up to five minutes. */
const MOST_THROTTLE_SECONDS = 300;

/** The queue of events in front of the functions: everything that is invoked with InvocationType Event. */
export class AsynchronousInvocations {
  private readonly queue = new Map<string, QueuedEvent>();
  private readonly destinations: Destinations;
  private stopped = false;

  constructor(
    private readonly context: SandboxContext,
    private readonly functions: ReadonlyMap<string, LambdaFunction>,
    private readonly invocations: Invocations,
  ) {
    this.destinations = new Destinations(context);
  }

  save(): QueuedEvent[] {
    return [...this.queue.values()];
  }

  load(events: readonly QueuedEvent[]): void {
    for (const queued of events) this.queue.set(queued.requestId, queued);
  }

  /** Tries again when it is time; what was under way is tried at once. */
  resume(): void {
    for (const queued of this.queue.values()) this.wait(queued);
  }

  stop(): void {
    this.stopped = true;
  }

  /** Takes an event. The first attempt begins at once, and a virtual clock stands still for it. */
  add(functionName: string, requestId: string, event: string): void {
    const now = this.context.clock.now();
    const queued = { requestId, functionName, event, queuedAt: now, dueAt: now, failures: 0, throttles: 0 };
    this.queue.set(requestId, queued);
    void held(this.context.clock, () => this.attempt(queued));
  }

  private wait(queued: QueuedEvent): void {
    this.context.clock.schedule(queued.dueAt, () => this.attempt(queued));
  }

  private async attempt(queued: QueuedEvent): Promise<void> {
    const lambda = this.functions.get(queued.functionName);
    if (!lambda) {
      this.queue.delete(queued.requestId);
      return;
    }
    if (this.stopped) return;
    const { clock, log } = this.context;
    const { MaximumRetryAttempts = RETRIES, MaximumEventAgeInSeconds = OLDEST_SECONDS } =
      lambda.eventInvoke ?? {};
    const tooOldAt = queued.queuedAt.getTime() + MaximumEventAgeInSeconds * 1000;
    if (clock.now().getTime() > tooOldAt) {
      await this.finish(lambda, queued, 'EventAgeExceeded', undefined);
      return;
    }
    let outcome: Outcome | undefined;
    try {
      ({ outcome } = await this.invocations.run(lambda, queued));
    } catch (error) {
      // The sandbox stops, or the function has no room.
      if (!(error instanceof ApiError)) return;
    }
    if (this.isStopped()) return;
    if (outcome && 'payload' in outcome) {
      await this.finish(lambda, queued, 'Success', outcome);
      return;
    }
    const wait = this.failed(queued, outcome);
    if (outcome ? queued.failures > MaximumRetryAttempts : lambda.reservedConcurrency === 0) {
      const why = outcome ? `${outcome.error.errorType}: ${outcome.error.errorMessage}` : 'no concurrency';
      log(`lambda ${lambda.name}: event dropped after ${queued.failures} attempts: ${why}`);
      await this.finish(lambda, queued, 'RetriesExhausted', outcome);
      return;
    }
    queued.dueAt = new Date(clock.now().getTime() + wait * 1000);
    this.wait(queued);
  }

  /** Counts what went wrong and answers with the seconds to wait. */
  private failed(queued: QueuedEvent, outcome: Outcome | undefined): number {
    if (!outcome) return Math.min(MOST_THROTTLE_SECONDS, 2 ** queued.throttles++);
    return 60 * (RETRY_MINUTES[queued.failures++] ?? 0);
  }

  private isStopped(): boolean {
    return this.stopped;
  }

  private async finish(
    lambda: LambdaFunction,
    queued: QueuedEvent,
    condition: FinishedEvent['condition'],
    outcome: Outcome | undefined,
  ): Promise<void> {
    const { requestId, event, failures } = queued;
    const invokeCount = failures + (condition === 'Success' ? 1 : 0);
    await this.destinations.send(lambda, { requestId, event, invokeCount, condition, outcome });
    this.queue.delete(requestId);
  }
}
