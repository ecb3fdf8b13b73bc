import { randomInt } from 'node:crypto';
import { Callers, SANDBOX_ACCOUNT } from '../../../sandbox/core/account';
import { Api, type Operation, type Service, type ServiceName } from '../../../sandbox/core/api';
import { RealClock, type Clock } from '../../../sandbox/core/clock';
import type { SandboxContext } from '../../../sandbox/core/context';
import { PortTaken, startServer, type RunningServer } from '../../../sandbox/wire/server';

/** A wire server with some services behind it, for a test. */
export interface Served<S> {
  readonly context: SandboxContext;
  readonly services: S;
  readonly log: readonly string[];
  /** For the constructor of any SDK client. */
  readonly client: {
    readonly endpoint: string;
    readonly region: string;
    readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
    readonly maxAttempts: number;
  };
  close(): Promise<void>;
}

/** Starts a server on a free port with the services that `make` returns. */
export async function serve<S extends Readonly<Record<string, Service>>>(
  make: (context: SandboxContext) => S,
  clock: Clock = new RealClock(),
): Promise<Served<S>> {
  const api = new Api();
  const callers = new Callers(SANDBOX_ACCOUNT);
  const log: string[] = [];
  const server = await startOnFreePort(api, callers, (line) => log.push(line));
  const endpoint = `http://127.0.0.1:${server.port}`;
  const context: SandboxContext = {
    account: SANDBOX_ACCOUNT,
    clock,
    callers,
    api,
    directory: '',
    endpoint,
    keep: () => undefined,
    log: (line) => log.push(line),
  };
  const services = make(context);
  for (const service of Object.values(services)) api.register(service);
  return {
    context,
    services,
    log,
    client: {
      endpoint,
      region: SANDBOX_ACCOUNT.region,
      credentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'made-up' },
      maxAttempts: 1,
    },
    close: async () => {
      await api.stop();
      clock.stop();
      await server.close();
    },
  };
}

/** Below 32768, where the system takes no ports for outgoing connections. */
async function startOnFreePort(
  api: Api,
  callers: Callers,
  log: (line: string) => void,
): Promise<RunningServer> {
  for (;;) {
    try {
      return await startServer({ api, callers, port: randomInt(20_000, 32_000), log });
    } catch (error) {
      if (!(error instanceof PortTaken)) throw error;
    }
  }
}

/** A service with operations of the test's own, which also keeps what reached it. */
export function scripted(
  name: ServiceName,
  operations: Readonly<Record<string, (input: object) => object>>,
): Service & { readonly inputs: object[] } {
  const inputs: object[] = [];
  return {
    name,
    inputs,
    operations: Object.fromEntries(
      Object.entries(operations).map(([operation, run]): [string, Operation] => [
        operation,
        async (input: object) => {
          inputs.push(input);
          return run(input);
        },
      ]),
    ),
  };
}
