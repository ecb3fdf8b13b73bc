import { ShownTime, type ShownTimeState } from './shown-time';
import type { Lasting } from './state-directory';

/**
 * The sandbox's time. Everything in the sandbox that asks what time it is, or waits, asks the clock.
 *
 * A virtual clock jumps over waiting: as soon as nothing real is under way (no held work) it moves to the earliest
 * foreground timer. Background timers (schedules, upkeep) fire when time passes them, by a jump or by itself, but never pull
 * the clock forward.
 */
export interface Clock extends Lasting<ShownTimeState> {
  now(): Date;
  /**
   * Runs `task` at `at`; a virtual clock holds still while the task runs, so a task must not itself wait for the clock.
   * Returns a function that cancels it.
   */
  schedule(at: Date, task: () => void | Promise<void>, options?: { background?: boolean }): () => void;
  /** Resolves after `milliseconds` of this clock; rejects with the signal's reason when aborted. */
  sleep(milliseconds: number, options?: { background?: boolean; signal?: AbortSignal }): Promise<void>;
  /** Says that real work is under way; a virtual clock does not jump until every hold is released. */
  hold(): () => void;
  /** The machine's real time at the moment that this clock showed `instant`. PostgreSQL knows only real time. */
  toReal(instant: Date): Date;
  /** Moves a virtual clock forward, firing every timer on the way in order. Other clocks refuse. */
  advance(milliseconds: number): Promise<void>;
  /** Drops every timer; from now on time passes as the machine's does, until another clock takes it up (`load`). */
  stop(): void;
}

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly background: boolean;
  readonly task: () => void | Promise<void>;
}

/** Holds the clock still while `work` runs. */
export async function held<T>(clock: Clock, work: () => Promise<T>): Promise<T> {
  const release = clock.hold();
  try {
    return await work();
  } finally {
    release();
  }
}

function sleepOn(
  clock: Clock,
  milliseconds: number,
  options: { background?: boolean; signal?: AbortSignal } = {},
): Promise<void> {
  const { signal, background = false } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(asError(signal.reason));
      return;
    }
    const onAbort = (): void => {
      cancel();
      reject(asError(signal?.reason));
    };
    const cancel = clock.schedule(
      new Date(clock.now().getTime() + milliseconds),
      () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      },
      { background },
    );
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

/** The machine's own time, or that time running `factor` times as fast. */
export class RealClock implements Clock {
  private readonly time: ShownTime;
  private readonly timeouts = new Set<NodeJS.Timeout>();
  private stopped = false;

  constructor(factor = 1) {
    this.time = new ShownTime(factor);
  }

  now(): Date {
    return new Date(this.time.now());
  }

  schedule(at: Date, task: () => void | Promise<void>): () => void {
    let timeout: NodeJS.Timeout | undefined;
    const disarm = (): void => {
      clearTimeout(timeout);
      if (timeout) this.timeouts.delete(timeout);
    };
    const arm = (): void => {
      const wait = Math.min(Math.max(0, Math.ceil(this.time.realUntil(at.getTime()))), MAX_TIMEOUT);
      timeout = setTimeout(() => {
        disarm();
        // setTimeout can't hold long waits and fires a little early at times.
        if (this.now() < at) arm();
        else void task();
      }, wait);
      this.timeouts.add(timeout);
    };
    if (!this.stopped) arm();
    return disarm;
  }

  sleep(milliseconds: number, options?: { background?: boolean; signal?: AbortSignal }): Promise<void> {
    return sleepOn(this, milliseconds, options);
  }

  hold(): () => void {
    return () => undefined;
  }

  toReal(instant: Date): Date {
    return new Date(this.time.toReal(instant.getTime()));
  }

  advance(): Promise<void> {
    return Promise.reject(new Error('Only a virtual clock can be advanced.'));
  }

  stop(): void {
    this.stopped = true;
    for (const timeout of this.timeouts) clearTimeout(timeout);
    this.timeouts.clear();
    this.time.goOnAt(1);
  }

  save(): ShownTimeState {
    return this.time.save();
  }

  load(state: ShownTimeState): void {
    this.time.load(state);
  }
}

/** The longest wait that setTimeout holds, in milliseconds. */
const MAX_TIMEOUT = 2 ** 31 - 1;

/**
 * A moment, as people write it: 2026-11-29T21:50Z.
 * @throws RangeError for anything else, and for a time without its zone
 */
export function parseMoment(text: string): Date {
  const moment = new Date(text);
  if (!/^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)$/.test(text) || Number.isNaN(moment.getTime()))
    throw new RangeError('It is a moment with its time zone: 2026-11-29T21:50Z.');
  return moment;
}

/** When virtual clocks begin for whoever starts this process: the tests all begin at the same moment. */
function momentOfEnvironment(): Date | undefined {
  const text = process.env['SANDBOX_BEGINS_AT'];
  return text === undefined || text === '' ? undefined : parseMoment(text);
}

/** Real time plus every wait that was jumped over. */
export class VirtualClock implements Clock {
  private timers: Timer[] = [];
  private order = 0;
  private holds = 0;
  private settling = false;
  private stopped = false;
  private readonly time: ShownTime;
  private passing: NodeJS.Timeout | undefined;

  /** @param beginsAt what it shows at first, where that is not past: now, or what SANDBOX_BEGINS_AT says */
  constructor(beginsAt = momentOfEnvironment()) {
    this.time = new ShownTime(1, beginsAt?.getTime());
  }

  now(): Date {
    return new Date(this.time.now());
  }

  schedule(at: Date, task: () => void | Promise<void>, options: { background?: boolean } = {}): () => void {
    if (this.stopped) return () => undefined;
    const timer: Timer = {
      at: at.getTime(),
      order: this.order++,
      background: options.background ?? false,
      task,
    };
    this.timers.push(timer);
    this.settle();
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }

  sleep(milliseconds: number, options?: { background?: boolean; signal?: AbortSignal }): Promise<void> {
    return sleepOn(this, milliseconds, options);
  }

  hold(): () => void {
    this.holds++;
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.holds--;
      this.settle();
    };
  }

  toReal(instant: Date): Date {
    return new Date(this.time.toReal(instant.getTime()));
  }

  async advance(milliseconds: number): Promise<void> {
    const target = this.now().getTime() + milliseconds;
    for (;;) {
      const next = this.earliest((timer) => timer.at <= target);
      if (!next) break;
      await this.fire(next);
    }
    this.time.jumpTo(target);
  }

  stop(): void {
    this.stopped = true;
    this.timers = [];
    clearTimeout(this.passing);
  }

  save(): ShownTimeState {
    return this.time.save();
  }

  load(state: ShownTimeState): void {
    this.time.load(state);
  }

  /** Once the pending work of this turn is done, jumps to the earliest foreground timer, again and again. */
  private settle(): void {
    if (this.settling || this.stopped) return;
    this.settling = true;
    // Two turns of the event loop: answers on their way to a waiting caller arrive before the clock moves.
    setImmediate(() =>
      setImmediate(() => {
        this.settling = false;
        void this.jump();
      }),
    );
  }

  private async jump(): Promise<void> {
    clearTimeout(this.passing);
    if (this.holds > 0 || this.stopped) return;
    const now = this.time.now();
    const pulls = this.earliest((timer) => !timer.background || timer.at <= now);
    if (!pulls) {
      this.letPass();
      return;
    }
    const next = this.earliest((timer) => timer.at <= pulls.at) ?? pulls;
    await this.fire(next);
    this.settle();
  }

  /** Looks again when the earliest background timer has come by itself. It keeps no process alive. */
  private letPass(): void {
    const next = this.earliest(() => true);
    if (!next) return;
    const wait = Math.min(Math.ceil(this.time.realUntil(next.at)), MAX_TIMEOUT);
    this.passing = setTimeout(() => {
      this.settle();
    }, wait).unref();
  }

  private async fire(timer: Timer): Promise<void> {
    this.timers = this.timers.filter((other) => other !== timer);
    this.time.jumpTo(timer.at);
    const release = this.hold();
    try {
      await timer.task();
    } finally {
      release();
    }
  }

  private earliest(matches: (timer: Timer) => boolean): Timer | undefined {
    let best: Timer | undefined;
    for (const timer of this.timers) {
      if (!matches(timer)) continue;
      if (!best || timer.at < best.at || (timer.at === best.at && timer.order < best.order)) best = timer;
    }
    return best;
  }
}
