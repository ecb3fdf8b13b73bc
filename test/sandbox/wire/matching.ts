/** Any text with `part` in it; typed, where jest's own matchers are `any`. */
export function containing(part: string): unknown {
  return expect.stringContaining(part);
}

/** Any value of a class. */
export function anyOf(type: new () => object): unknown {
  return expect.any(type);
}
