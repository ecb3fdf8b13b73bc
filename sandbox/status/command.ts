import ora from 'ora';
import { readStatus } from './status';
import { statusTables } from './tables';

/** From when on it is shown that something is under way, in milliseconds. */
const SILENCE = 2000;

/** `npm run sandbox -- status`: tables, or one JSON document, on standard output. */
export async function showStatus({ port, json }: { port: number; json?: true }): Promise<void> {
  const spinner = ora({ text: `Asking the sandbox on port ${port} …`, stream: process.stderr });
  const late = setTimeout(() => spinner.start(), SILENCE);
  try {
    const status = await readStatus(port);
    spinner.stop();
    process.stdout.write(json ? `${JSON.stringify(status, null, 2)}\n` : statusTables(status));
  } catch (error) {
    spinner.stop();
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  } finally {
    clearTimeout(late);
  }
}
