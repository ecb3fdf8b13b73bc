/** How a clock's time belongs to the machine's, as plain data. Times are milliseconds since 1970. */
export interface ShownTimeState {
  /** Real time and what the clock showed then, in turn, oldest first; between two points it went evenly. */
  readonly points: readonly number[];
  /** How fast it goes since the last point. */
  readonly rate: number;
}

/**
 * What a clock shows: the machine's time, run faster by a rate and moved forward by jumps. It remembers how it came there, so
 * that a moment it has shown can be found again in the machine's time. It never goes back.
 */
export class ShownTime {
  private points: number[];
  private rate: number;

  /** @param beginsAt what it shows at first; the machine's time, unless it is later than that */
  constructor(rate = 1, beginsAt = 0) {
    const now = Date.now();
    this.points = [now, Math.max(now, beginsAt)];
    this.rate = rate;
  }

  now(): number {
    return this.shownAt(Date.now());
  }

  /** Moves it forward; a moment that is past already changes nothing. */
  jumpTo(instant: number): void {
    const real = Date.now();
    const shown = this.shownAt(real);
    if (instant <= shown) return;
    this.points.push(real, shown, real, instant);
  }

  /** From now on it goes `rate` times as fast as the machine's. */
  goOnAt(rate: number): void {
    if (rate === this.rate) return;
    const real = Date.now();
    this.points.push(real, this.shownAt(real));
    this.rate = rate;
  }

  /** The real moment at which this was shown; of one that was jumped over, the moment of the jump. */
  toReal(instant: number): number {
    for (let index = this.points.length - 2; index >= 0; index -= 2) {
      const { real, shown } = this.point(index);
      if (instant < shown) continue;
      if (index === this.points.length - 2) return real + (instant - shown) / this.rate;
      const after = this.point(index + 2);
      return real + ((instant - shown) * (after.real - real)) / (after.shown - shown);
    }
    // Before this clock there was none: it showed what the machine shows.
    const { real, shown } = this.point(0);
    return real - (shown - instant);
  }

  /** Real milliseconds until it shows this moment. */
  realUntil(instant: number): number {
    return (instant - this.now()) / this.rate;
  }

  save(): ShownTimeState {
    return { points: this.points, rate: this.rate };
  }

  /** Goes on from an earlier clock, whose time passed on meanwhile, and from now on at the rate of this one. */
  load(state: ShownTimeState): void {
    const { rate } = this;
    this.points = [...state.points];
    this.rate = state.rate;
    this.goOnAt(rate);
  }

  private shownAt(real: number): number {
    const last = this.point(this.points.length - 2);
    // The machine's own clock may be set back; this one then stands still.
    return last.shown + Math.max(0, real - last.real) * this.rate;
  }

  private point(index: number): { real: number; shown: number } {
    return { real: this.points[index] ?? 0, shown: this.points[index + 1] ?? 0 };
  }
}
