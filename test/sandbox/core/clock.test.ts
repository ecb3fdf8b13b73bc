import { RealClock, VirtualClock, held, parseMoment, type Clock } from '../../../sandbox/core/clock';
import fc from '../../fast-check';

const MINUTE = 60_000;

/** The machine's time stands still here, but where a test lets it pass; a virtual clock jumps in between, by itself. */
beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'clearImmediate', 'nextTick', 'queueMicrotask'] });
});
afterEach(() => {
  jest.useRealTimers();
});

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}

describe('virtual clock', () => {
  test('jumps over a wait instead of waiting', async () => {
    const clock = new VirtualClock();
    const before = { virtual: clock.now().getTime(), real: Date.now() };
    await clock.sleep(14 * MINUTE);
    expect(clock.now().getTime()).toBe(before.virtual + 14 * MINUTE);
    expect(Date.now()).toBe(before.real);
  });

  test('begins at a moment that is told, and goes on from there; never before now', async () => {
    const moment = new Date('2040-06-13T21:50Z');
    const clock = new VirtualClock(moment);
    expect(clock.now()).toEqual(moment);
    const began = Date.now();
    await clock.sleep(14 * MINUTE);
    expect(clock.now().toISOString()).toBe('2040-06-13T22:04:00.000Z');
    // Before it began it was this long ago, outside as on the clock.
    expect(clock.toReal(new Date(moment.getTime() - MINUTE)).getTime()).toBe(began - MINUTE);
    expect(new VirtualClock(new Date(0)).now().getTime()).toBe(began);
  });

  test.each(['22:00', '2040-06-13', '2040-06-13T22:00', '2040-06-13T25:00Z'])('%s is no moment', (text) => {
    expect(() => parseMoment(text)).toThrow('It is a moment with its time zone: 2026-11-29T21:50Z.');
  });

  test('fires timers in the order of their times, equal times in the order they were set', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 30 }),
        async (delays) => {
          const clock = new VirtualClock();
          const release = clock.hold();
          const start = clock.now().getTime() + MINUTE;
          const fired: number[] = [];
          const all = Promise.all(
            delays.map(
              (delay, index) =>
                new Promise<void>((resolve) => {
                  clock.schedule(new Date(start + delay), () => {
                    fired.push(index);
                    resolve();
                  });
                }),
            ),
          );
          release();
          await all;
          const expected = delays
            .map((delay, index) => ({ delay, index }))
            .sort((a, b) => a.delay - b.delay || a.index - b.index);
          expect(fired).toEqual(expected.map(({ index }) => index));
        },
      ),
      { numRuns: 30 },
    );
  });

  test('does not jump while real work is under way', async () => {
    const clock = new VirtualClock();
    let woke = false;
    let finish = (): void => undefined;
    const work = held(clock, () => new Promise<void>((resolve) => (finish = resolve)));
    const sleeping = clock.sleep(MINUTE).then(() => (woke = true));
    await turns();
    expect(woke).toBe(false);
    finish();
    await work;
    await sleeping;
    expect(woke).toBe(true);
  });

  test('is not pulled forward by a background timer, but fires it on the way', async () => {
    const clock = new VirtualClock();
    const start = clock.now().getTime();
    const fired: string[] = [];
    clock.schedule(new Date(start + 5 * MINUTE), () => void fired.push('background'), { background: true });
    await turns();
    expect(fired).toEqual([]);
    await clock.sleep(10 * MINUTE);
    expect(fired).toEqual(['background']);
  });

  test('fires a background timer when its time has come by itself', async () => {
    const clock = new VirtualClock();
    const shown = clock.now().getTime();
    let fired = false;
    clock.schedule(new Date(shown + 30), () => void (fired = true), { background: true });
    await turns();
    await jest.advanceTimersByTimeAsync(29);
    await turns();
    expect(fired).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    await turns();
    expect(fired).toBe(true);
    expect(clock.now().getTime()).toBe(shown + 30);
  });

  test('a cancelled timer never fires and an aborted sleep rejects with the reason', async () => {
    const clock = new VirtualClock();
    let fired = false;
    clock.schedule(new Date(clock.now().getTime() + MINUTE), () => void (fired = true))();
    const abort = new AbortController();
    const release = clock.hold();
    const sleeping = clock.sleep(MINUTE, { signal: abort.signal });
    abort.abort(new Error('stopped by a person'));
    await expect(sleeping).rejects.toThrow('stopped by a person');
    release();
    await clock.sleep(10 * MINUTE);
    expect(fired).toBe(false);
  });

  test('advance moves it by hand through every timer on the way', async () => {
    const clock = new VirtualClock();
    const start = clock.now().getTime();
    const fired: number[] = [];
    const daily = (day: number): void => {
      clock.schedule(
        new Date(start + day * 24 * 60 * MINUTE),
        () => {
          fired.push(day);
          daily(day + 1);
        },
        { background: true },
      );
    };
    daily(1);
    await clock.advance(3.5 * 24 * 60 * MINUTE);
    expect(fired).toEqual([1, 2, 3]);
    clock.stop();
  });

  test('knows which real moment a virtual one was', async () => {
    const clock = new VirtualClock();
    const [realBefore, virtualBefore] = [Date.now(), clock.now()];
    await jest.advanceTimersByTimeAsync(MINUTE);
    await clock.sleep(22 * MINUTE);
    await jest.advanceTimersByTimeAsync(MINUTE);
    const [realAfter, virtualAfter] = [Date.now(), clock.now()];
    expect(clock.toReal(virtualBefore).getTime()).toBe(realBefore);
    expect(clock.toReal(virtualAfter).getTime()).toBe(realAfter);
    expect(virtualAfter.getTime() - virtualBefore.getTime()).toBe(24 * MINUTE);
    // A moment that was jumped over is the real moment of the jump.
    const inside = clock.toReal(new Date(virtualBefore.getTime() + 10 * MINUTE)).getTime();
    expect(inside).toBe(realBefore + MINUTE);
  });

  test('toReal never runs backwards', async () => {
    const clock = new VirtualClock();
    const start = clock.now().getTime();
    for (const minutes of [3, 1, 7]) await clock.sleep(minutes * MINUTE);
    const span = clock.now().getTime() - start;
    fc.assert(
      fc.property(fc.nat(span), fc.nat(span), (a, b) => {
        const [early, late] = a < b ? [a, b] : [b, a];
        expect(clock.toReal(new Date(start + early)).getTime()).toBeLessThanOrEqual(
          clock.toReal(new Date(start + late)).getTime(),
        );
      }),
    );
  });
});

describe('real clock', () => {
  test('scaled by a factor, an hour passes in a moment and maps back to real time', async () => {
    const clock = new RealClock(100_000);
    const start = clock.now().getTime();
    const sleeping = clock.sleep(60 * MINUTE);
    await jest.advanceTimersByTimeAsync(36);
    await sleeping;
    expect(clock.now().getTime()).toBe(start + 60 * MINUTE);
    expect(clock.toReal(clock.now()).getTime()).toBe(Date.now());
    clock.stop();
  });

  test('a timer beyond what setTimeout can hold fires at its time', async () => {
    const clock = new RealClock();
    const DAY = 24 * 60 * MINUTE;
    let fired = false;
    clock.schedule(new Date(Date.now() + 60 * DAY), () => void (fired = true));
    await jest.advanceTimersByTimeAsync(60 * DAY - 1);
    expect(fired).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    expect(fired).toBe(true);
    clock.stop();
  });

  test('scaled, a timer fires at its time and not before', async () => {
    const clock = new RealClock(3600);
    for (let round = 0; round < 20; round++) {
      const at = new Date(clock.now().getTime() + 60_000 + round);
      let firedAt: number | undefined;
      clock.schedule(at, () => void (firedAt = clock.now().getTime()));
      await jest.advanceTimersByTimeAsync(20);
      expect(firedAt).toBeGreaterThanOrEqual(at.getTime());
    }
    clock.stop();
  });

  test('stopped, it takes no more timers', async () => {
    const clock = new RealClock();
    clock.stop();
    let fired = false;
    clock.schedule(new Date(), () => void (fired = true));
    await jest.advanceTimersByTimeAsync(20);
    expect(fired).toBe(false);
  });

  test('cannot be advanced by hand', async () => {
    await expect(new RealClock().advance()).rejects.toThrow('Only a virtual clock');
  });
});

describe('a clock that goes on where an earlier one was', () => {
  const clocks: [string, () => Clock][] = [
    ['real', () => new RealClock()],
    ['scaled', () => new RealClock(7200)],
    ['virtual', () => new VirtualClock()],
  ];
  const pairs = clocks.flatMap((earlier) => clocks.map((later) => [earlier, later] as const));

  test.each(pairs.map(([earlier, later]) => [earlier[0], later[0], earlier[1], later[1]] as const))(
    '%s, then %s: it never goes back and finds every moment again',
    async (_earlier, _later, makeEarlier, makeLater) => {
      const earlier = makeEarlier();
      const moments: { shown: Date; real: number }[] = [];
      const remember = (clock: Clock): void => void moments.push({ shown: clock.now(), real: Date.now() });
      remember(earlier);
      await slept(earlier);
      remember(earlier);
      earlier.stop();
      // As on disk: a copy.
      const left = structuredClone(earlier.save());
      await jest.advanceTimersByTimeAsync(40);
      const later = makeLater();
      later.load(left);
      remember(later);
      await slept(later);
      remember(later);
      const shown = moments.map((moment) => moment.shown.getTime());
      expect(shown).toEqual([...shown].sort((a, b) => a - b));
      // To the millisecond: a clock shows no parts of one.
      for (const moment of moments)
        expect(Math.abs(later.toReal(moment.shown).getTime() - moment.real)).toBeLessThanOrEqual(1);
      later.stop();
    },
  );

  async function slept(clock: Clock): Promise<void> {
    const sleeping = clock.sleep(clock instanceof RealClock ? 40 : 20 * MINUTE);
    await jest.advanceTimersByTimeAsync(40);
    await sleeping;
  }

  test('while none is there after a clean end, time passes as outside', async () => {
    const earlier = new RealClock(100_000);
    await jest.advanceTimersByTimeAsync(36);
    const shown = earlier.now().getTime();
    earlier.stop();
    const left = structuredClone(earlier.save());
    await jest.advanceTimersByTimeAsync(50);
    const later = new RealClock();
    later.load(left);
    expect(later.now().getTime()).toBe(shown + 50);
    later.stop();
  });
});
