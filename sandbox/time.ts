import { RealClock, VirtualClock, type Clock } from './core/clock';

/** How time passes: as outside, jumping over waiting, or so many times as fast. */
export type Pace = 'real' | 'virtual' | number;

/** The slowest and the fastest that a clock may go; timers are good to about a millisecond outside. */
const FACTORS = { from: 0.01, to: 10_000 };

/** `real`, `virtual` or a factor. @throws RangeError for anything else */
export function parsePace(text: string): Pace {
  if (text === 'real' || text === 'virtual') return text;
  const factor = Number(text);
  if (text.trim() === '' || !(factor >= FACTORS.from && factor <= FACTORS.to))
    throw new RangeError(
      `It is real, virtual, or how many times as fast as outside: ${FACTORS.from} to ${FACTORS.to}.`,
    );
  return factor;
}

export function clockAt(pace: Pace): Clock {
  if (pace === 'virtual') return new VirtualClock();
  return new RealClock(pace === 'real' ? 1 : pace);
}
