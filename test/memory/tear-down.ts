import { rmSync } from 'node:fs';
import { PREFIX } from './set-up';

/** What set-up.ts has made is removed, with what tests have left in it. */
export default function tearDown(): void {
  const directory = process.env['TMPDIR'];
  if (directory?.startsWith(PREFIX) !== true) return;
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
}
