import type { Filter } from '@aws-sdk/client-rds';
import { invalidValue } from './errors';

interface Paged {
  readonly Marker?: string | undefined;
  readonly MaxRecords?: number | undefined;
}

/** One page of `all`, and the Marker of the next one. A Marker is opaque to callers: the position of the next record. */
export function page<T>(
  all: readonly T[],
  { Marker, MaxRecords = 100 }: Paged,
): { items: T[]; Marker?: string } {
  if (MaxRecords < 20 || MaxRecords > 100) {
    throw invalidValue(`Invalid value ${MaxRecords} for MaxRecords. Must be between 20 and 100`);
  }
  const start = Marker === undefined ? 0 : position(Marker);
  const end = start + MaxRecords;
  const items = all.slice(start, end);
  return end < all.length ? { items, Marker: Buffer.from(`from:${end}`).toString('base64') } : { items };
}

function position(marker: string): number {
  const match = /^from:(\d+)$/.exec(Buffer.from(marker, 'base64').toString());
  if (!match) throw invalidValue('The specified marker is invalid.');
  return Number(match[1]);
}

/** The records that match every filter. `values` says, by filter name, what a record is compared with. */
export function filtered<T>(
  all: readonly T[],
  filters: readonly Filter[] | undefined,
  values: Readonly<Record<string, (record: T) => readonly string[]>>,
): T[] {
  let left = [...all];
  for (const { Name = '', Values = [] } of filters ?? []) {
    const valuesOf = values[Name];
    if (!valuesOf) throw invalidValue(`Unrecognized filter name: ${Name}`);
    const wanted = new Set(Values.map((value) => value.toLowerCase()));
    left = left.filter((record) => valuesOf(record).some((value) => wanted.has(value.toLowerCase())));
  }
  return left;
}
