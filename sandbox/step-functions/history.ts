import type { HistoryEvent, HistoryEventType } from '@aws-sdk/client-sfn';
import type { Clock } from '../core/clock';
import { HistoryFull } from './errors';

/** Details of an event: the one member of HistoryEvent that belongs to its type. */
export type EventDetails = Omit<HistoryEvent, 'timestamp' | 'type' | 'id' | 'previousEventId'>;

/** The most events that an execution can have. */
export const HISTORY_LIMIT = 25_000;

/** The events of one execution. */
export class History {
  constructor(
    private readonly clock: Clock,
    readonly events: HistoryEvent[] = [],
    private readonly onEvent: (event: HistoryEvent) => void = () => undefined,
  ) {}

  /** Writes an event and returns its id. Throws HistoryFull when only the event that ends the execution has room left. */
  add(type: HistoryEventType, previousEventId: number, details: EventDetails = {}): number {
    if (this.events.length >= HISTORY_LIMIT - 1) {
      throw new HistoryFull(
        'States.Runtime',
        `The execution reached the maximum number of history events (${HISTORY_LIMIT}).`,
      );
    }
    return this.write(type, previousEventId, details);
  }

  /** Writes the event that ends the execution, for which there is always room. */
  end(type: HistoryEventType, previousEventId: number, details: EventDetails = {}): number {
    return this.write(type, previousEventId, details);
  }

  private write(type: HistoryEventType, previousEventId: number, details: EventDetails): number {
    const id = this.events.length + 1;
    const event: HistoryEvent = { timestamp: this.clock.now(), type, id, previousEventId, ...details };
    this.events.push(event);
    this.onEvent(event);
    return id;
  }
}
