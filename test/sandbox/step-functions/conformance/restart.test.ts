import { readCases, runCase } from './run-case';

/**
 * Every recorded execution, with the process ending each time that the execution comes to wait for something: another
 * process goes on with what is left, and must come to the same output by the same events.
 */
it('recorded executions go on in another process as if nothing had happened', async () => {
  let interruptions = 0;
  const differing: Record<string, unknown> = {};
  for (const recorded of readCases()) {
    const undisturbed = await runCase(recorded);
    // What does not agree with the recording anyway is known (deviations.json).
    if (Object.keys(undisturbed.verdict).length > 0) continue;
    for (let wait = 1; wait <= undisturbed.waits; wait++) {
      const { verdict } = await runCase(recorded, wait);
      interruptions++;
      if (Object.keys(verdict).length > 0) differing[`${recorded.id} at wait ${wait}`] = verdict;
    }
  }
  process.stdout.write(`Recorded executions interrupted: ${interruptions} times\n`);
  expect(interruptions).toBeGreaterThan(150);
  expect(differing).toEqual({});
});
