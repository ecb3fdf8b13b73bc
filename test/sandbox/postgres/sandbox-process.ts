import { makePlayground } from './playground';

/** A process that has a server running, says so, and then waits to be killed. */
async function main(): Promise<void> {
  const playground = await makePlayground();
  const server = await playground.create('main');
  const [row] = await server.admin('SELECT pg_postmaster_start_time()::text, pg_backend_pid()');
  if (!row) throw new Error('The server does not answer.');
  process.stdout.write(`${JSON.stringify({ directory: playground.directory })}\n`);
}

void main();
