/**
 * How long a test waits for what has to come. It ends nothing but a hang, on a machine that is many times slower as on this one;
 * shorter than the time of a test (jest.config.mjs), so that the test says what it waited for.
 */
export const PATIENCE_MS = 5 * 60_000;

/** Asks again until the answer is as wanted: true, where nothing else is said. */
export async function until<T>(
  ask: () => T | Promise<T>,
  isDone: (answer: T) => boolean = (answer) => answer === true,
): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask();
    if (isDone(answer)) return answer;
    if (Date.now() > deadline)
      throw new Error(
        `After ${PATIENCE_MS / 60_000} minutes still ${JSON.stringify(answer)}: ${ask.toString()}`,
      );
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
