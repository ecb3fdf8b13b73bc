import type { Clock } from '../core/clock';

/** At most `perSecond` calls a second of the clock; as many may come at once. */
export class Rate {
  private left: number;
  private filledAt: number;

  constructor(
    private readonly clock: Clock,
    private readonly perSecond: number,
  ) {
    this.left = this.capacity;
    this.filledAt = clock.now().getTime();
  }

  /** False where the call is one too many. */
  take(): boolean {
    const now = this.clock.now().getTime();
    const refilled = ((now - this.filledAt) / 1000) * this.perSecond;
    this.left = Math.min(this.capacity, this.left + refilled);
    this.filledAt = now;
    if (this.left < 1) return false;
    this.left--;
    return true;
  }

  /** Less than one a second still lets single calls through. */
  private get capacity(): number {
    return Math.max(1, this.perSecond);
  }
}
