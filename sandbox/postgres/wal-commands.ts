/**
 * The commands that PostgreSQL gives to the system's shell to put WAL into an archive and to get it from there. It replaces
 * `%p` by the file's path, `%f` by its name and `%%` by `%`.
 */

const WINDOWS = process.platform === 'win32';

/** Copies a finished segment into the archive; it gets its name there only when it is complete. */
export function archiveCommand(archive: string): string {
  const draft = fileIn(archive, '.%f.new');
  const file = fileIn(archive, '%f');
  return WINDOWS
    ? `copy /y "%p" ${draft} && move /y ${draft} ${file}`
    : `cp "%p" ${draft} && mv ${draft} ${file}`;
}

/** Says yes to every segment, so that PostgreSQL reuses it: what an archive that is switched off does. */
export const DISCARD_COMMAND = 'exit 0';

/** Fetches a file from the first of the directories that has it. */
export function restoreCommand(directories: readonly string[]): string {
  return directories
    .map((directory) => fileIn(directory, '%f'))
    .map((file) => (WINDOWS ? `copy ${file} "%p"` : `{ test -f ${file} && cp ${file} "%p"; }`))
    .join(' || ');
}

function fileIn(directory: string, name: string): string {
  const escaped = directory.replaceAll('%', '%%');
  return WINDOWS ? `"${escaped}\\${name}"` : `'${escaped.replaceAll("'", `'\\''`)}'/${name}`;
}
