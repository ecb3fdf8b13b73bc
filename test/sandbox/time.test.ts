import { RealClock, VirtualClock } from '../../sandbox/core/clock';
import { clockAt, parsePace } from '../../sandbox/time';

test.each([
  ['real', 'real'],
  ['virtual', 'virtual'],
  ['60', 60],
  ['0.5', 0.5],
])('the pace %s is %p', (text, pace) => {
  expect(parsePace(text)).toBe(pace);
});

test.each(['', ' ', 'slow', '0', '-1', 'NaN', 'Infinity', '1e9'])('%j is no pace', (text) => {
  expect(() => parsePace(text)).toThrow('It is real, virtual, or how many times as fast');
});

test('a factor is that of the clock', async () => {
  jest.useFakeTimers();
  const clock = clockAt(36_000);
  const start = clock.now().getTime();
  const sleeping = clock.sleep(3_600_000);
  await jest.advanceTimersByTimeAsync(100);
  await sleeping;
  expect(clock.now().getTime()).toBe(start + 3_600_000);
  jest.useRealTimers();
  expect(clock).toBeInstanceOf(RealClock);
  expect(clockAt('virtual')).toBeInstanceOf(VirtualClock);
});
