/** A range of IPv4 addresses. */
export interface Cidr {
  readonly text: string;
  readonly first: number;
  readonly last: number;
}

/** @throws Error when the text is no IPv4 range */
export function cidr(text: string): Cidr {
  const [address = '', length = ''] = text.split('/');
  const bytes = address.split('.').map(Number);
  const bits = Number(length);
  const fits = (value: number, most: number): boolean =>
    Number.isInteger(value) && value >= 0 && value <= most;
  if (length === '' || bytes.length !== 4 || !bytes.every((byte) => fits(byte, 255)) || !fits(bits, 32))
    throw new Error(`"${text}" is no IPv4 range. Write it like 10.0.0.0/16.`);
  const size = 2 ** (32 - bits);
  const number = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  const first = Math.floor(number / size) * size;
  return { text, first, last: first + size - 1 };
}

export function isCidr(text: string): boolean {
  try {
    cidr(text);
    return true;
  } catch {
    return false;
  }
}

export function holds(outer: Cidr, inner: Cidr): boolean {
  return outer.first <= inner.first && inner.last <= outer.last;
}
