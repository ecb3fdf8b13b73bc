/** One value, or several put together, of a metric. */
export interface Measurement {
  readonly namespace: string;
  readonly name: string;
  readonly dimensions: Readonly<Record<string, string>>;
  readonly unit: string;
  readonly at: Date;
  readonly values: Aggregate;
}

/** What CloudWatch keeps of the values of a minute. */
export interface Aggregate {
  readonly count: number;
  readonly sum: number;
  readonly minimum: number;
  readonly maximum: number;
}

/** A metric with its values by the minute in which they were measured (milliseconds of its start). Plain data. */
export interface Series {
  readonly namespace: string;
  readonly name: string;
  readonly dimensions: Readonly<Record<string, string>>;
  readonly unit: string;
  readonly minutes: Map<number, Aggregate>;
}

export type Statistic = 'SampleCount' | 'Average' | 'Sum' | 'Minimum' | 'Maximum';

export const MINUTE = 60_000;

/** A single value. */
export function one(value: number): Aggregate {
  return { count: 1, sum: value, minimum: value, maximum: value };
}

function together(left: Aggregate | undefined, right: Aggregate): Aggregate {
  if (!left) return right;
  return {
    count: left.count + right.count,
    sum: left.sum + right.sum,
    minimum: Math.min(left.minimum, right.minimum),
    maximum: Math.max(left.maximum, right.maximum),
  };
}

/** A value of a statistic. */
export function statistic({ count, sum, minimum, maximum }: Aggregate, wanted: Statistic): number {
  switch (wanted) {
    case 'SampleCount':
      return count;
    case 'Average':
      return sum / count;
    case 'Sum':
      return sum;
    case 'Minimum':
      return minimum;
    case 'Maximum':
      return maximum;
  }
}

export function isStatistic(text: string): text is Statistic {
  return ['SampleCount', 'Average', 'Sum', 'Minimum', 'Maximum'].includes(text);
}

/** Which metric: names, dimensions and, where it matters, the unit. */
export interface MetricId {
  readonly namespace: string;
  readonly name: string;
  readonly dimensions: Readonly<Record<string, string>>;
  /** @default any unit */
  readonly unit?: string | undefined;
}

/** All metrics. */
export class MetricStore {
  series = new Map<string, Series>();

  record({ namespace, name, dimensions, unit, at, values }: Measurement): void {
    const key = `${seriesKey({ namespace, name, dimensions })}|${unit}`;
    let series = this.series.get(key);
    if (!series) this.series.set(key, (series = { namespace, name, dimensions, unit, minutes: new Map() }));
    const minute = Math.floor(at.getTime() / MINUTE) * MINUTE;
    series.minutes.set(minute, together(series.minutes.get(minute), values));
  }

  /** The values from a moment on and before another; undefined where there are none. */
  within(metric: MetricId, from: number, before: number): Aggregate | undefined {
    let found: Aggregate | undefined;
    for (const { minutes } of this.matching(metric))
      for (let minute = Math.ceil(from / MINUTE) * MINUTE; minute < before; minute += MINUTE) {
        const values = minutes.get(minute);
        if (values) found = together(found, values);
      }
    return found;
  }

  /** The unit of the values of a metric. */
  unitOf(metric: MetricId): string {
    return this.matching(metric)[0]?.unit ?? 'None';
  }

  private matching(metric: MetricId): Series[] {
    const units = metric.unit === undefined ? UNITS : [metric.unit];
    const key = seriesKey(metric);
    return units.flatMap((unit) => this.series.get(`${key}|${unit}`) ?? []);
  }
}

/** A metric's identity as text; the order of dimensions does not matter. */
export function seriesKey({ namespace, name, dimensions }: MetricId): string {
  const pairs = Object.entries(dimensions).sort(([left], [right]) => (left < right ? -1 : 1));
  return JSON.stringify([namespace, name, pairs]);
}

/** Units of CloudWatch. */
export const UNITS: readonly string[] = [
  'None',
  'Count',
  'Count/Second',
  'Percent',
  ...['', 'Kilo', 'Mega', 'Giga', 'Tera'].flatMap((size) =>
    ['bytes', 'bits'].flatMap((unit) => {
      const name = size === '' ? unit.charAt(0).toUpperCase() + unit.slice(1) : size + unit;
      return [name, `${name}/Second`];
    }),
  ),
  'Seconds',
  'Milliseconds',
  'Microseconds',
];
