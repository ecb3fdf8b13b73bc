import { open } from 'node:fs/promises';

const TAIL_BYTES = 8192;
const TAIL_LINES = 15;

/** A line that begins an entry of the log: `2026-11-21 10:00:00 UTC:…:LOG:  …`, or what a program says without a prefix. */
const STATEMENT = /(?:^|:)\s*(?:STATEMENT|QUERY|CONTEXT):/;

/** The last lines of a log, without the statements in it: they may hold passwords. */
export async function readLogTail(path: string): Promise<string> {
  const file = await open(path, 'r').catch(() => undefined);
  if (!file) return '';
  try {
    const { size } = await file.stat();
    const length = Math.min(size, TAIL_BYTES);
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
    // A tab begins the further lines of a statement.
    const lines = buffer.toString('utf8').split('\n');
    const shown = lines.filter(
      (line) => line.trim() !== '' && !STATEMENT.test(line) && !line.startsWith('\t'),
    );
    return shown.slice(-TAIL_LINES).join('\n');
  } finally {
    await file.close();
  }
}
