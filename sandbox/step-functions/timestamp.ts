const TIMESTAMP = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.\d{1,9})?(Z|[+-](\d{2}):(\d{2}))$/;

/** The instant of an RFC 3339 timestamp as Step Functions takes it (upper-case T and Z, an offset), or undefined. */
export function parseTimestamp(text: string): Date | undefined {
  const parts = TIMESTAMP.exec(text);
  if (!parts) return undefined;
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number);
  const valid =
    between(month, 1, 12) &&
    between(day, 1, new Date(Date.UTC(year ?? 0, month ?? 0, 0)).getUTCDate()) &&
    between(hour, 0, 23) &&
    between(minute, 0, 59) &&
    between(second, 0, 59);
  const instant = new Date(text);
  return valid && !Number.isNaN(instant.getTime()) ? instant : undefined;
}

function between(value: number | undefined, least: number, most: number): boolean {
  return value !== undefined && value >= least && value <= most;
}
