import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { arn } from '../core/account';
import { ApiError } from '../core/api';
import type { Clock } from '../core/clock';
import type { SandboxContext } from '../core/context';
import type { Address, Postgres, Server } from '../postgres/contract';
import type { Durations, OperationKind } from './durations';
import { instanceNotFound, snapshotNotFound } from './errors';
import { required } from './identifiers';
import { RdsState, type InstanceRecord, type InstanceStatus, type SnapshotRecord } from './state';

/** What happens in a long operation besides waiting. */
export interface Steps {
  /** Real work; the clock stands still meanwhile. */
  readonly work?: () => Promise<void>;
  /** After the work, once the operation has taken its time on the clock. */
  readonly done: () => void;
}

/** What the operations of RDS share: the records, the servers that run, and how a long operation goes. */
export class Rds {
  readonly state = new RdsState();
  /** The servers that run, by DbiResourceId. */
  readonly servers = new Map<string, Server>();
  private readonly turns = new Map<string, Promise<void>>();
  private readonly underWay = new Set<Promise<void>>();
  private readonly retired: Address[] = [];
  private stopped = false;

  constructor(
    readonly context: SandboxContext,
    readonly postgres: Postgres,
    readonly durations: Durations,
  ) {}

  now(): Date {
    return this.context.clock.now();
  }

  arn(resource: string): string {
    return arn(this.context.account, 'rds', resource);
  }

  path(...parts: string[]): string {
    return join(this.context.directory, 'rds', ...parts);
  }

  /** @throws DBInstanceNotFoundFault */
  instance(identifier: string | undefined): InstanceRecord {
    const id = required(identifier, 'DBInstanceIdentifier').toLowerCase();
    const instance = this.state.instances.get(id);
    if (!instance) throw instanceNotFound(id);
    return instance;
  }

  /** @throws DBSnapshotNotFoundFault */
  snapshot(identifier: string | undefined, member = 'DBSnapshotIdentifier'): SnapshotRecord {
    const given = required(identifier, member).toLowerCase();
    const id = /^arn:[^:]+:rds:[^:]*:\d*:snapshot:(.+)$/.exec(given)?.[1] ?? given;
    const snapshot = this.state.snapshots.get(id);
    if (!snapshot) throw snapshotNotFound(id);
    return snapshot;
  }

  /** The server behind an instance. @throws when it does not run, which its state should have ruled out. */
  server({ dbiResourceId, identifier }: InstanceRecord): Server {
    const server = this.servers.get(dbiResourceId);
    if (!server) throw new Error(`The PostgreSQL server of ${identifier} is not running.`);
    return server;
  }

  /** Keeps the server with its instance until it ends, by itself or because it was stopped. */
  adopt(instance: InstanceRecord, server: Server): void {
    this.servers.set(instance.dbiResourceId, server);
    void server.ended.then(() => {
      if (this.servers.get(instance.dbiResourceId) !== server) return;
      this.servers.delete(instance.dbiResourceId);
      if (!this.stopped) this.context.log(`rds: PostgreSQL of ${instance.identifier} ended by itself`);
    });
  }

  /** Ends the server of an instance on purpose. */
  async dismiss({ dbiResourceId }: InstanceRecord): Promise<void> {
    const server = this.servers.get(dbiResourceId);
    this.servers.delete(dbiResourceId);
    await server?.stop();
  }

  /**
   * Starts a long operation. Real work on the same `resource` is done one after the other. A failure of the work is told to
   * `failed` instead of `done`.
   */
  begin(resource: string, kind: OperationKind, steps: Steps & { failed: (error: unknown) => void }): void {
    const { clock } = this.context;
    const until = clock.now().getTime() + this.durations.draw(kind);
    const release = clock.hold();
    const run = this.inTurn(resource, async () => {
      if (!this.stopped) await steps.work?.();
    })
      .then(
        () => {
          clock.schedule(new Date(Math.max(until, clock.now().getTime())), () => {
            if (!this.stopped) steps.done();
          });
        },
        (error: unknown) => {
          if (!this.stopped) steps.failed(error);
        },
      )
      .finally(() => {
        this.underWay.delete(run);
        release();
      });
    this.underWay.add(run);
  }

  /**
   * A long operation of an instance, which shows `status` meanwhile. A deletion in between ends it; a failure leaves the
   * instance in `failedStatus`.
   */
  step(
    instance: InstanceRecord,
    status: InstanceStatus,
    kind: OperationKind,
    steps: Steps & { readonly failed?: () => void },
    failedStatus: InstanceStatus = 'failed',
  ): void {
    instance.status = status;
    this.begin(instance.dbiResourceId, kind, {
      work: async () => {
        if (instance.status === status) await steps.work?.();
      },
      done: () => {
        if (instance.status === status) steps.done();
      },
      failed: (error) => {
        this.context.log(`rds: ${instance.identifier} is ${failedStatus}: ${messageOf(error)}`);
        if (instance.status === status) instance.status = failedStatus;
        steps.failed?.();
      },
    });
  }

  /**
   * Gives an address back that an instance had. As a DNS name on AWS, it leads nowhere afterwards: it is kept from other
   * instances for a long time, so that a client that still knows it does not reach the wrong database.
   */
  retire(address: Address): void {
    this.retired.push(address);
    const oldest = this.retired.length > MOST_RETIRED ? this.retired.shift() : undefined;
    if (oldest) this.postgres.releaseAddress(oldest);
  }

  /** Back to the status of an instance that nothing is being done to. */
  settle(instance: InstanceRecord): void {
    const optimizing = instance.optimizingUntil !== undefined && instance.optimizingUntil > this.now();
    instance.status = optimizing ? 'storage-optimization' : 'available';
  }

  /** Runs real work on a resource after all that was asked of it before. */
  async inTurn<T>(resource: string, work: () => Promise<T>): Promise<T> {
    const before = this.turns.get(resource) ?? Promise.resolve();
    const run = before.then(work);
    const settled = run.then(
      () => undefined,
      () => undefined,
    );
    this.turns.set(resource, settled);
    try {
      return await run;
    } finally {
      if (this.turns.get(resource) === settled) this.turns.delete(resource);
    }
  }

  /** Removes the directory of a backup that no record names any more, after the restores that still read it. */
  discardBackup(directory: string): void {
    const { snapshots, automatedBackups } = this.state;
    const used =
      [...snapshots.values()].some((snapshot) => snapshot.backupDirectory === directory) ||
      [...automatedBackups.values()].some(({ baseBackups }) =>
        baseBackups.some((backup) => backup.directory === directory),
      );
    if (!used) this.discard(directory, directory);
  }

  /** Removes a directory when the work on `resource` that was asked for before is over. */
  discard(resource: string, directory: string): void {
    const run = this.inTurn(resource, () => rm(directory, { recursive: true, force: true }))
      .catch((error: unknown) => {
        this.context.log(`rds: could not remove ${directory}: ${messageOf(error)}`);
      })
      .finally(() => this.underWay.delete(run));
    this.underWay.add(run);
  }

  /** Tells of an event: for DescribeEvents, and to EventBridge when that is in this sandbox. */
  event(
    resource: InstanceRecord | SnapshotRecord,
    id: string,
    categories: readonly string[],
    message: string,
  ): void {
    const isInstance = 'parameterApplyStatus' in resource;
    const sourceArn = this.arn(`${isInstance ? 'db' : 'snapshot'}:${resource.identifier}`);
    const date = this.now();
    this.state.events.push({
      SourceIdentifier: resource.identifier,
      SourceType: isInstance ? 'db-instance' : 'db-snapshot',
      Message: message,
      EventCategories: [...categories],
      Date: date,
      SourceArn: sourceArn,
    });
    const entry = {
      Source: 'aws.rds',
      DetailType: isInstance ? 'RDS DB Instance Event' : 'RDS DB Snapshot Event',
      Time: date,
      Resources: [sourceArn],
      Detail: JSON.stringify({
        EventCategories: categories,
        SourceType: isInstance ? 'DB_INSTANCE' : 'SNAPSHOT',
        SourceArn: sourceArn,
        Date: date.toISOString(),
        Message: message,
        SourceIdentifier: resource.identifier,
        EventID: id,
      }),
    };
    this.context.api
      .call('events', 'PutEvents', { Entries: [entry] }, { arn: 'rds.amazonaws.com' })
      .catch((error: unknown) => {
        if (error instanceof ApiError && error.code === 'NotImplementedInSandbox') return;
        this.context.log(`rds: event ${id} was not delivered: ${messageOf(error)}`);
      });
  }

  /** No further work is begun; resolves when what is under way is over. */
  async stop(): Promise<void> {
    this.stopped = true;
    while (this.underWay.size > 0) await Promise.allSettled(this.underWay);
  }
}

/** `<prefix>-` and as many upper-case letters and digits as RDS uses, e.g. a DbiResourceId. */
export function resourceId(prefix: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const letters = [...randomBytes(26)].map((byte) => alphabet.charAt(byte % alphabet.length));
  return `${prefix}-${letters.join('')}`;
}

/** The moment on the clock at which the machine's own time was `real`: the latest one that `toReal` maps there. */
export function onClock(clock: Clock, real: Date): Date {
  let after = clock.now().getTime();
  if (clock.toReal(new Date(after)) <= real) return new Date(after);
  let before = real.getTime() - TEN_YEARS;
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (clock.toReal(new Date(middle)) <= real) before = middle;
    else after = middle;
  }
  return new Date(before);
}

/** A sandbox has some 250 addresses. */
const MOST_RETIRED = 100;

const TEN_YEARS = 10 * 365 * 24 * 3600 * 1000;

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
