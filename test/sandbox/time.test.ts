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
  const clock = clockAt(36_000);
  const start = { shown: clock.now().getTime(), real: Date.now() };
  await clock.sleep(3_600_000);
  expect(clock.now().getTime() - start.shown).toBeGreaterThanOrEqual(3_600_000);
  expect(Date.now() - start.real).toBeGreaterThanOrEqual(99);
  expect(clock).toBeInstanceOf(RealClock);
  expect(clockAt('virtual')).toBeInstanceOf(VirtualClock);
});
