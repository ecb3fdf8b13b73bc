import type { Catcher, Retrier } from './definition';
import { TaskTimeout, type StatesError } from './errors';

/** Milliseconds to wait before the try number `tries` (0 for the first retry). */
export function retryDelay(retrier: Retrier, tries: number, random: () => number): number {
  const { IntervalSeconds = 1, BackoffRate = 2, MaxDelaySeconds = Infinity, JitterStrategy } = retrier;
  const seconds = Math.min(IntervalSeconds * BackoffRate ** tries, MaxDelaySeconds);
  return Math.round(1000 * (JitterStrategy === 'FULL' ? random() * seconds : seconds));
}

/** Whether a Retry or Catch names the error. */
export function handles(handler: Retrier | Catcher, failure: StatesError): boolean {
  const heartbeat = failure instanceof TaskTimeout && failure.heartbeat;
  return handler.ErrorEquals.some(
    (name) => covers(name, failure.error) || (heartbeat && name === 'States.HeartbeatTimeout'),
  );
}

function covers(name: string, error: string | undefined): boolean {
  if (name === error) return true;
  // These two have to be named.
  if (error === 'States.DataLimitExceeded' || error === 'States.Runtime') return false;
  const timeout = error === 'States.Timeout' || error === 'States.HeartbeatTimeout';
  if (name === 'States.Timeout') return timeout;
  if (name === 'States.TaskFailed') return !timeout;
  return name === 'States.ALL';
}
