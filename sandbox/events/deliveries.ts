import { randomUUID } from 'node:crypto';
import { ApiError, type Caller } from '../core/api';
import type { SandboxContext } from '../core/context';
import { deliver } from './deliver';

/** How long and how often a delivery is tried again. */
export interface RetryPolicy {
  readonly maximumRetryAttempts: number;
  readonly maximumEventAgeSeconds: number;
}

/** What EventBridge and the Scheduler do where a target says nothing else. */
export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  maximumRetryAttempts: 185,
  maximumEventAgeSeconds: 86_400,
};

/** Something on its way to a target. Plain data. */
export interface Delivery {
  /** The rule or the group of the schedule: for metrics. */
  readonly source: string;
  readonly targetArn: string;
  readonly caller: Caller;
  readonly payload: string;
  readonly retry: RetryPolicy;
  readonly deadLetter:
    | {
        readonly queueArn: string;
        readonly caller: Caller;
        readonly body: string;
        /** Attributes of the message besides those that tell of the failure. */
        readonly attributes: Readonly<Record<string, string>>;
      }
    | undefined;
}

/** What happened to a delivery. `dropped`: given up for good; `lost`: and no dead-letter queue has it. */
export type DeliveryOutcome = 'delivered' | 'failed' | 'dropped' | 'dead-lettered' | 'lost';

interface Pending {
  readonly delivery: Delivery;
  /** When it was tried for the first time, and when it is tried again. Milliseconds. */
  readonly since: number;
  readonly retries: number;
  readonly at: number;
}

/** What a service does about errors of its targets. */
export interface ErrorHandling {
  /** Whether it tries again. */
  readonly retryable: (error: ApiError) => boolean;
  /** What a dead letter calls the error. */
  readonly code: (error: ApiError) => string;
}

/**
 * Delivers, tries again with growing pauses, and leaves what it gives up in a dead-letter queue. How long the pauses of AWS
 * are is not documented; these fit its 185 attempts into its 24 hours.
 */
export class Deliveries {
  private pending = new Map<string, Pending>();
  private readonly listeners = new Set<(source: string, outcome: DeliveryOutcome) => void>();

  /** `name`: under which what is pending is kept. */
  constructor(
    private readonly context: SandboxContext,
    private readonly name: string,
    private readonly errors: ErrorHandling,
  ) {
    context.keep(`${name}-deliveries`, {
      save: () => this.pending,
      load: (pending: Map<string, Pending>) => {
        this.pending = pending;
      },
      resume: async () => {
        for (const [id, { at }] of this.pending) this.arm(id, at);
      },
    });
  }

  /** Calls `listener` with what becomes of each attempt. Returns a function that ends it. */
  onOutcome(listener: (source: string, outcome: DeliveryOutcome) => void): () => void {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  }

  /** Resolves after the first attempt; whoever sends does not hear what becomes of it. */
  async send(delivery: Delivery): Promise<void> {
    await this.attempt(delivery, 0, this.now());
  }

  private async attempt(delivery: Delivery, retries: number, since: number): Promise<void> {
    const { source, targetArn, retry } = delivery;
    try {
      await deliver(this.context, targetArn, delivery.payload, delivery.caller);
      this.tell(source, 'delivered');
    } catch (thrown) {
      const error = asApiError(thrown);
      this.tell(source, 'failed');
      this.context.log(`${this.name}: ${source} did not reach ${targetArn}: ${error.code}: ${error.message}`);
      const at = this.now() + pause(retries);
      const tooOften = retries >= retry.maximumRetryAttempts;
      const tooOld = at > since + retry.maximumEventAgeSeconds * 1000;
      if (this.errors.retryable(error) && !tooOften && !tooOld) {
        const id = randomUUID();
        this.pending.set(id, { delivery, since, retries: retries + 1, at });
        this.arm(id, at);
        return;
      }
      const exhausted = tooOften ? 'MaximumRetryAttempts' : 'MaximumEventAgeInSeconds';
      await this.giveUp(delivery, error, retries, this.errors.retryable(error) ? exhausted : undefined);
    }
  }

  private arm(id: string, at: number): void {
    this.context.clock.schedule(
      new Date(at),
      async () => {
        const pending = this.pending.get(id);
        this.pending.delete(id);
        if (pending) await this.attempt(pending.delivery, pending.retries, pending.since);
      },
      { background: true },
    );
  }

  private async giveUp(
    { source, targetArn, deadLetter }: Delivery,
    error: ApiError,
    retries: number,
    exhausted: string | undefined,
  ): Promise<void> {
    this.tell(source, 'dropped');
    if (!deadLetter) {
      this.tell(source, 'lost');
      return;
    }
    const attributes = {
      ...deadLetter.attributes,
      TARGET_ARN: targetArn,
      ERROR_CODE: this.errors.code(error),
      ERROR_MESSAGE: error.message,
      RETRY_ATTEMPTS: String(retries),
      ...(exhausted !== undefined && { EXHAUSTED_RETRY_CONDITION: exhausted }),
    };
    const message = {
      QueueUrl: deadLetter.queueArn,
      MessageBody: deadLetter.body,
      MessageAttributes: Object.fromEntries(
        Object.entries(attributes).map(([name, text]) => [name, { DataType: 'String', StringValue: text }]),
      ),
    };
    try {
      await this.context.api.call('sqs', 'SendMessage', message, deadLetter.caller);
      this.tell(source, 'dead-lettered');
    } catch (failure) {
      this.tell(source, 'lost');
      this.context.log(
        `${this.name}: what ${source} could not deliver is lost: ${deadLetter.queueArn} refused it: ${asApiError(failure).message}`,
      );
    }
  }

  private tell(source: string, outcome: DeliveryOutcome): void {
    for (const listener of this.listeners) listener(source, outcome);
  }

  private now(): number {
    return this.context.clock.now().getTime();
  }
}

/** A mistake of the sandbox's own must not end a timer: to whoever delivers it is one of the target. */
function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError('InternalFailure', String(error), 500);
}

const FIRST_PAUSE = 30_000;
const LONGEST_PAUSE = 480_000;

/** Milliseconds to the attempt after this one. */
function pause(retries: number): number {
  return Math.min(FIRST_PAUSE * 2 ** retries, LONGEST_PAUSE);
}
