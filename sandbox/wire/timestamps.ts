import type { TimestampFormat } from './shapes';

/** A moment as the wire writes it. */
export function writeTimestamp(value: Date, format: TimestampFormat): string | number {
  switch (format) {
    case 'date-time':
      return value.toISOString();
    case 'http-date':
      return value.toUTCString();
    case 'epoch-seconds':
      return value.getTime() / 1000;
  }
}

/** The moment that a wire value means, in whichever of the formats it is; undefined if in none. */
export function readTimestamp(value: string | number): Date | undefined {
  const text = String(value).trim();
  const date = /^-?\d+(\.\d+)?([eE][-+]?\d+)?$/.test(text)
    ? new Date(Math.round(Number(text) * 1000))
    : new Date(withZone(text));
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** AWS takes a time without a zone as UTC, where JavaScript takes it as local. */
function withZone(text: string): string {
  return /^\d{4}-\d{2}-\d{2}T[\d:.]+$/.test(text) ? `${text}Z` : text;
}
