import { resolveReference } from './environment';
import { EvaluationError, RuntimeError } from './errors';
import { evaluateTyped } from './jsonata';
import type { Json } from './json';
import type { StateRun } from './state';
import { parseTimestamp } from './timestamp';

/** A Wait state can wait this many seconds. */
const LONGEST = 99_999_999;
const UNREADABLE = 'an ISO-8601 extended offset date-time format string';

/** Waits as a Wait state says. */
export async function waitUntil(state: StateRun): Promise<void> {
  const { frame, execution } = state.block;
  if (frame.until === null) {
    const now = execution.options.clock.now();
    const milliseconds = await duration(state, now);
    if (milliseconds > LONGEST * 1000) throw new RuntimeError('Wait state delay is too long.');
    frame.until = now.getTime() + milliseconds;
  }
  await state.pause();
}

async function duration(state: StateRun, now: Date): Promise<number> {
  const { Seconds, SecondsPath, Timestamp, TimestampPath } = state.definition;
  const environment = state.environment({ input: state.effectiveInput() });
  if (SecondsPath !== undefined) {
    let seconds;
    try {
      seconds = resolveReference(SecondsPath, environment);
    } catch {
      throw new RuntimeError(`The SecondsPath parameter does not reference an input value: ${SecondsPath}`);
    }
    if (typeof seconds !== 'number' || !Number.isInteger(seconds)) {
      throw new RuntimeError(
        `The SecondsPath parameter cannot be parsed as a long value: ${SecondsPath} == ${typeof seconds === 'string' ? seconds : JSON.stringify(seconds)}`,
      );
    }
    return checked(seconds) * 1000;
  }
  if (TimestampPath !== undefined) {
    let text;
    try {
      text = resolveReference(TimestampPath, environment);
    } catch {
      throw new RuntimeError(
        `The TimestampPath parameter does not reference an input value: ${TimestampPath}`,
      );
    }
    const shown = typeof text === 'string' ? text : JSON.stringify(text);
    const instant = parseTimestamp(shown);
    if (!instant) {
      throw new RuntimeError(
        `The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: ${TimestampPath} == ${shown}`,
      );
    }
    return instant.getTime() - now.getTime();
  }
  if (Timestamp !== undefined) {
    const text = state.jsonata
      ? asText(await evaluateTyped(Timestamp, 'Timestamp', environment, 'string'))
      : Timestamp;
    const instant = parseTimestamp(text);
    if (!instant) {
      const reason = `The Timestamp field cannot be parsed as ${UNREADABLE}: ${text}`;
      throw state.jsonata ? new EvaluationError(reason, 'Timestamp', true) : new RuntimeError(reason);
    }
    return instant.getTime() - now.getTime();
  }
  const seconds =
    typeof Seconds === 'string' ? await evaluateTyped(Seconds, 'Seconds', environment, 'integer') : Seconds;
  return checked(typeof seconds === 'number' ? seconds : 0) * 1000;
}

function asText(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function checked(seconds: number): number {
  if (seconds < 0) throw new RuntimeError('The Seconds field must not be negative.');
  return seconds;
}
