import { Agent, request } from 'node:http';
import { DESCRIBE } from './describe-request';

/** How many calls are under way at once. */
const AT_ONCE = 16;

/**
 * A process that asks `endpoint` (first argument) `calls` times (second) and prints the milliseconds that it took. It speaks
 * plain HTTP: an SDK client takes longer to ask than the sandbox to answer.
 */
async function describes(endpoint: string, calls: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const { body, ...options } = DESCRIBE;
  const ask = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const asking = request(endpoint, { agent, ...options }, (response) => {
        if (response.statusCode !== 200) reject(new Error(`Answer ${String(response.statusCode)}`));
        response.resume().on('end', resolve);
      });
      asking.on('error', reject).end(body);
    });
  const one = async (count: number): Promise<void> => {
    for (let call = 0; call < count; call++) await ask();
  };
  const atOnce = (count: number): Promise<unknown> =>
    Promise.all(Array.from({ length: AT_ONCE }, () => one(Math.ceil(count / AT_ONCE))));
  // Connections are open and code is compiled before it counts.
  await atOnce(calls / 4);
  const began = performance.now();
  await atOnce(calls);
  process.stdout.write(`${performance.now() - began}\n`);
  agent.destroy();
}

void describes(process.argv[2] ?? '', Number(process.argv[3]));
