import { ApiError } from '../core/api';
import { momentOf, wallTime } from './zone';

/** When a schedule runs next after a moment; undefined when never again. */
export type NextRun = (after: Date) => Date | undefined;

const UNIT_MS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 };

/**
 * Reads `rate(5 minutes)`, `at(2026-11-21T10:00:00)` or `cron(0 3 * * ? *)`, as EventBridge Scheduler writes them. A rate
 * counts from `start`.
 *
 * @throws {ApiError} ValidationException
 */
export function parseExpression(expression: string, zone: string, start: Date): NextRun {
  const invalid = (): ApiError =>
    new ApiError('ValidationException', `Invalid Schedule Expression ${expression}.`);
  try {
    wallTime(start, zone);
  } catch {
    throw new ApiError('ValidationException', `Invalid Schedule Expression Timezone ${zone}.`);
  }
  const [, kind, content = ''] = /^(rate|at|cron)\((.+)\)$/.exec(expression) ?? [];
  switch (kind) {
    case 'rate': {
      const [, count, unit] = /^(\d+) (minute|hour|day)s?$/.exec(content) ?? [];
      const unitMs = unit === 'minute' || unit === 'hour' || unit === 'day' ? UNIT_MS[unit] : undefined;
      const every = Number(count) * (unitMs ?? Number.NaN);
      if (!(every > 0)) throw invalid();
      return (after) => {
        const runs = Math.max(0, Math.floor((after.getTime() - start.getTime()) / every) + 1);
        return new Date(start.getTime() + runs * every);
      };
    }
    case 'at': {
      const parts = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)$/.exec(content)?.slice(1).map(Number);
      if (!parts || !isTime(content)) throw invalid();
      const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts;
      const full = momentOf({ year, month, day, hour, minute }, zone);
      if (!full) throw invalid();
      const at = new Date(full.getTime() + second * 1000);
      return (after) => (at > after ? at : undefined);
    }
    case 'cron': {
      const fields = parseCron(content);
      if (!fields) throw invalid();
      return (after) => nextOf(fields, zone, after);
    }
    default:
      throw invalid();
  }
}

/** Whether a date and time in ISO's form is one that the calendar has. */
function isTime(text: string): boolean {
  const time = new Date(`${text}Z`);
  return !Number.isNaN(time.getTime()) && time.toISOString().startsWith(text);
}

interface Day {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

interface Cron {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly matches: (day: Day) => boolean;
  readonly lastYear: number;
}

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const WEEKDAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];
const FIRST_YEAR = 1970;
const LAST_YEAR = 2199;

/** Six fields: minute, hour, day of month, month, day of week (1 is Sunday), year. */
function parseCron(text: string): Cron | undefined {
  const [minute, hour, dayOfMonth, month, dayOfWeek, year, extra] = text.trim().split(/\s+/);
  if (!minute || !hour || !dayOfMonth || !month || !dayOfWeek || !year || extra !== undefined)
    return undefined;
  // Exactly one of the two day fields says nothing.
  if ((dayOfMonth === '?') === (dayOfWeek === '?')) return undefined;
  const minutes = numbers(minute, 0, 59);
  const hours = numbers(hour, 0, 23);
  const months = numbers(month, 1, 12, MONTHS);
  const years = numbers(year, FIRST_YEAR, LAST_YEAR);
  const dayMatches = dayOfWeek === '?' ? byDayOfMonth(dayOfMonth) : byDayOfWeek(dayOfWeek);
  if (!minutes || !hours || !months || !years || !dayMatches) return undefined;
  return {
    minutes,
    hours,
    matches: (day) => years.includes(day.year) && months.includes(day.month) && dayMatches(day),
    lastYear: Math.max(...years),
  };
}

/** `*`, `5`, `1-5`, `0/15`, `1-9/2`, and lists of these; names where a field has some. */
function numbers(
  field: string,
  min: number,
  max: number,
  names: readonly string[] = [],
): number[] | undefined {
  const found = new Set<number>();
  for (const part of field.split(',')) {
    const [, from = '', to, step] = /^(\*|\w+)(?:-(\w+))?(?:\/(\d+))?$/.exec(part) ?? [];
    const read = (text: string): number => {
      const index = names.indexOf(text.toUpperCase());
      return index >= 0 ? index + min : /^\d+$/.test(text) ? Number(text) : Number.NaN;
    };
    const first = from === '*' ? min : read(from);
    const last = to !== undefined ? read(to) : from === '*' || step !== undefined ? max : first;
    const by = step === undefined ? 1 : Number(step);
    if (!(first >= min && last <= max && first <= last && by > 0)) return undefined;
    for (let value = first; value <= last; value += by) found.add(value);
  }
  return [...found].sort((a, b) => a - b);
}

function byDayOfMonth(field: string): ((day: Day) => boolean) | undefined {
  if (field === 'L') return ({ year, month, day }) => day === daysIn(year, month);
  const nearest = /^(\d+)W$/.exec(field)?.[1];
  if (nearest !== undefined)
    return ({ year, month, day }) => day === nearestWeekday(year, month, Number(nearest));
  const days = numbers(field, 1, 31);
  return days && (({ day }) => days.includes(day));
}

function byDayOfWeek(field: string): ((day: Day) => boolean) | undefined {
  const single = (text = ''): number | undefined => {
    const days = numbers(text, 1, 7, WEEKDAYS);
    return days?.length === 1 ? days[0] : undefined;
  };
  const last = /^(\w+?)L$/.exec(field);
  if (last) {
    const wanted = single(last[1]);
    return wanted === undefined
      ? undefined
      : (day) => weekday(day) === wanted && day.day > daysIn(day.year, day.month) - 7;
  }
  const nth = /^(\w+)#([1-5])$/.exec(field);
  if (nth) {
    const wanted = single(nth[1]);
    return wanted === undefined
      ? undefined
      : (day) => weekday(day) === wanted && Math.ceil(day.day / 7) === Number(nth[2]);
  }
  const days = numbers(field, 1, 7, WEEKDAYS);
  return days && ((day) => days.includes(weekday(day)));
}

function daysIn(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}

/** 1 is Sunday, 7 Saturday. */
function weekday({ year, month, day }: Day): number {
  return new Date(Date.UTC(year, month - 1, day)).getUTCDay() + 1;
}

/** The working day nearest to a day, in the same month. */
function nearestWeekday(year: number, month: number, wanted: number): number {
  const last = daysIn(year, month);
  const day = Math.min(wanted, last);
  switch (weekday({ year, month, day })) {
    case 7:
      return day === 1 ? 3 : day - 1;
    case 1:
      return day === last ? day - 2 : day + 1;
    default:
      return day;
  }
}

function nextOf(cron: Cron, zone: string, after: Date): Date | undefined {
  const today = wallTime(after, zone);
  for (let offset = 0; ; offset++) {
    const date = new Date(Date.UTC(today.year, today.month - 1, today.day + offset));
    const day = { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() };
    // No pattern of days that recurs at all needs more than 40 years (29 February on a given weekday).
    if (day.year > cron.lastYear || day.year > today.year + 40) return undefined;
    if (!cron.matches(day)) continue;
    let earliest: Date | undefined;
    for (const hour of cron.hours)
      for (const minute of cron.minutes) {
        const moment = momentOf({ ...day, hour, minute }, zone);
        if (moment && moment > after && (!earliest || moment < earliest)) earliest = moment;
      }
    if (earliest) return earliest;
  }
}
