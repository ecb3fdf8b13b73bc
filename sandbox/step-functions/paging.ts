import { ApiError } from '../core/api';

/** One page of a list, and the token for the next one. Throws InvalidToken. */
export function page<T>(
  items: readonly T[],
  options: { maxResults?: number | undefined; nextToken?: string | undefined },
): { items: T[]; nextToken?: string } {
  const size = options.maxResults === undefined || options.maxResults === 0 ? 100 : options.maxResults;
  if (size < 0 || size > 1000) {
    throw new ApiError(
      'ValidationException',
      `1 validation error detected: Value '${size}' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 1000`,
    );
  }
  const start = options.nextToken === undefined ? 0 : Number(decode(options.nextToken));
  if (!Number.isInteger(start)) throw new ApiError('InvalidToken', "Invalid Token: 'Invalid token'");
  const end = start + size;
  return {
    items: items.slice(start, end),
    ...(end < items.length && { nextToken: Buffer.from(`page ${end}`).toString('base64') }),
  };
}

function decode(token: string): string {
  return /^page (\d+)$/.exec(Buffer.from(token, 'base64').toString('utf8'))?.[1] ?? 'none';
}
