import { rename, writeFile, chmod } from 'node:fs/promises';

/** Writes a file that others see whole or not at all, also when the writer is killed in the middle. */
export async function writeWhole(path: string, content: string, mode: number): Promise<void> {
  const draft = `${path}.new`;
  await writeFile(draft, content, { mode });
  await chmod(draft, mode);
  await rename(draft, path);
}
