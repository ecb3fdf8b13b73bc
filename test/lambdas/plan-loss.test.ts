import { minutesInWords } from '../../lambdas/plan-loss';

test.each([
  [0, '0 minutes'],
  [7.34, '7.3 minutes'],
  [119, '119 minutes'],
  [120, '2 hours'],
  [181.9, '3 hours 1 minute'],
  [47 * 60 + 59, '47 hours 59 minutes'],
  [2 * 1440 + 59, '2 days'],
  [2 * 1440 + 61, '2 days 1 hour'],
  [4443.3, '3 days 2 hours'],
])('a loss of %d minutes is said as %s', (minutes, words) => {
  expect(minutesInWords(minutes)).toBe(words);
});
