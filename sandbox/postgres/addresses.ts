import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import type { Address } from './contract';
import { PortTaken } from './errors';

/** Ports from here up may be taken at any moment by an outgoing connection (Linux's default range). */
const END_OF_PORTS = 32_768;
const FIRST_PORT = 1_024;
const TRIES = 500;

/** Whether a server could listen there now: undefined, or the code of the error that says why not. */
function bindError({ host, port }: Address): Promise<string | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code ?? error.message);
    });
    probe.listen({ host, port, exclusive: true }, () => {
      probe.close(() => {
        resolve(undefined);
      });
    });
  });
}

/** The port after this one, round and round below the ports of outgoing connections. */
function portAfter(port: number): number {
  return port + 1 >= END_OF_PORTS || port < FIRST_PORT ? FIRST_PORT : port + 1;
}

/**
 * Hands out addresses. On Linux all of 127.0.0.0/8 is loopback, so that every server gets a host of its own, in a subnet
 * picked at random so that sandboxes side by side do not meet; elsewhere every server gets a port of 127.0.0.1.
 */
export class Addresses {
  private readonly taken = new Set<string>();
  private subnet = process.platform === 'linux' ? `127.${randomInt(1, 255)}.${randomInt(0, 256)}` : undefined;

  /** @throws PortTaken when there is none. */
  async reserve(wished: number): Promise<Address> {
    for (let last = 1; this.subnet !== undefined && last < 255; last++) {
      const host = `${this.subnet}.${last}`;
      if ([...this.taken].some((key) => key.startsWith(`${host}:`))) continue;
      const address = await this.free(host, wished);
      if (address) return address;
    }
    const address = await this.free('127.0.0.1', wished);
    if (address) return address;
    throw new PortTaken(`No port is free for a server on port ${wished} or the ${TRIES} after it.`, {
      hint: 'End what listens there, or wish for another port.',
    });
  }

  /** The next address to try on the same host after a server found this one taken; it is reserved instead. */
  async instead(address: Address): Promise<Address> {
    this.release(address);
    const next = await this.free(address.host, portAfter(address.port));
    if (next) return next;
    throw new PortTaken(`No port is free on ${address.host} from ${address.port} on.`);
  }

  /** Reserves this very address. @throws PortTaken when somebody else listens there. */
  async claim(address: Address): Promise<void> {
    const error = await bindError(address);
    if (error !== undefined)
      throw new PortTaken(
        `Somebody else listens on ${address.host}:${address.port}, where a server of this sandbox was.`,
        { evidence: error, hint: 'End what listens there: clients know the server by this address.' },
      );
    this.taken.add(key(address));
  }

  release(address: Address): void {
    this.taken.delete(key(address));
  }

  private async free(host: string, wished: number): Promise<Address | undefined> {
    let port = wished;
    for (let attempt = 0; attempt < TRIES; attempt++, port = portAfter(port)) {
      const address = { host, port };
      if (this.taken.has(key(address))) continue;
      // Before the wait, so that two that ask at once do not get the same.
      this.taken.add(key(address));
      const error = await bindError(address);
      if (error === undefined) return address;
      this.release(address);
      if (error === 'EADDRNOTAVAIL') {
        this.subnet = undefined;
        return undefined;
      }
    }
    return undefined;
  }
}

function key({ host, port }: Address): string {
  return `${host}:${port}`;
}
