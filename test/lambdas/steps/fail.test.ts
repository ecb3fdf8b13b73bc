import { fail } from '../../../lambdas/steps/fail';

const event = {
  error: 'StillConnected',
  cause: 'Drain failed with StillConnected: somebody is still there.',
  goesOnWith: 'Drain',
};

test('throws the first error by its name, with what a redrive does', async () => {
  await expect(fail({ ...event, redrives: { then: 0, now: 0 } })).rejects.toMatchObject({
    name: 'StillConnected',
    message: `${event.cause} Hint: Once that is mended, redrive this execution: it goes on with Drain.`,
  });
});

test('lets an execution go on that has been redriven since the error, and fails at the next one', async () => {
  expect(await fail({ ...event, redrives: { then: 0, now: 1 } })).toEqual({ goesOnWith: 'Drain' });
  await expect(fail({ ...event, redrives: { then: 1, now: 1 } })).rejects.toMatchObject({
    name: 'StillConnected',
  });
});

test('a plan that failed of its input is not redriven: the input would be the same', async () => {
  await expect(fail({ ...event, goesOnWith: 'Plan', redrives: { then: 0, now: 0 } })).rejects.toMatchObject({
    message: `${event.cause} Hint: If the input is at fault, start a new execution. If there is something else to mend, mend it and redrive this one: it plans again, with the same input.`,
  });
});

test('what nobody approved has nothing to mend', async () => {
  await expect(
    fail({ ...event, goesOnWith: 'AskForCutover', redrives: { then: 0, now: 0 } }),
  ).rejects.toMatchObject({
    message: `${event.cause} Hint: Redrive this execution to be asked again: it goes on with AskForCutover.`,
  });
});
