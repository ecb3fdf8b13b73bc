import { resolve } from 'node:path';

/** A path as a person typed it: npm runs scripts in the package's directory, and says where it was called. */
export function givenPath(text: string): string {
  return resolve(process.env['INIT_CWD'] ?? '', text);
}

/** A profile of durations by its name, or the path of one. */
export function givenDurations(text: string): string {
  return text === 'quick' || text === 'aws' ? text : givenPath(text);
}
