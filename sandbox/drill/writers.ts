import { setTimeout as sleep } from 'node:timers/promises';
import { Client, DatabaseError, type ClientConfig } from 'pg';

/** The table that writers write to; in a schema of its own, which is no part of the app's data. */
export const HAMMERED = 'drill.hammered';

/** What a writer remembers. */
export interface Written {
  readonly name: string;
  /** Numbers of the rows that PostgreSQL said are committed. */
  readonly acknowledged: readonly number[];
  /** SQLSTATE of the last refusal. */
  readonly refusedWith: string | undefined;
}

/** Commits row after row to one server, reconnecting for ever, until it is stopped. */
export class Writer {
  private readonly acknowledged: number[] = [];
  private refusedWith: string | undefined;
  private number = 0;
  private stopped = false;
  private readonly running: Promise<void>;

  constructor(
    private readonly name: string,
    private readonly login: ClientConfig,
  ) {
    this.running = this.run();
  }

  async stop(): Promise<Written> {
    this.stopped = true;
    await this.running;
    return { name: this.name, acknowledged: this.acknowledged, refusedWith: this.refusedWith };
  }

  private isStopped(): boolean {
    return this.stopped;
  }

  private async run(): Promise<void> {
    while (!this.isStopped()) {
      const client = new Client(this.login);
      // A session that is ended while it waits for nothing: the next query says so.
      client.on('error', () => undefined);
      try {
        await client.connect();
        while (!this.isStopped()) {
          const number = ++this.number;
          await client.query(`insert into ${HAMMERED} values ($1, $2)`, [this.name, number]);
          this.acknowledged.push(number);
          await sleep(20);
        }
      } catch (error) {
        this.refusedWith = error instanceof DatabaseError ? error.code : undefined;
        await sleep(50);
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  }
}
