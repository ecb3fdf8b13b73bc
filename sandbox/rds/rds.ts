import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { accountIn, arn } from '../core/account';
import { ApiError } from '../core/api';
import type { Clock } from '../core/clock';
import type { SandboxContext } from '../core/context';
import type { Keys } from '../deploy/keys';
import type { NetworkRegistry } from '../deploy/network-registry';
import type { Address, Postgres, Server } from '../postgres/contract';
import { defaultKey } from './defaults';
import type { Durations, OperationKind } from './durations';
import { instanceNotFound, snapshotNotFound, targetKeyNotAccessible } from './errors';
import { takeForcedFailure } from './forced-failures';
import { required } from './identifiers';
import {
  isIdle,
  newState,
  type FailedStatus,
  type InstanceRecord,
  type RdsState,
  type SnapshotRecord,
  type TaskRecord,
} from './state';
import type { Task } from './tasks';

/** What a task amounts to: made from its plain data when it begins and, after a restart, when it goes on. */
export interface Plan {
  /** How long it takes on the clock; without it as long as its work. */
  readonly kind?: OperationKind;
  /** Real work on the same resource is done one after the other. */
  readonly resource: string;
  /** What it is known by to people and to forced failures. */
  readonly identifiers: readonly string[];
  readonly begun?: () => void;
  /** Real work; the clock stands still meanwhile. Done again from the start when the sandbox was killed in the middle. */
  readonly work?: () => Promise<void>;
  /** After the work, once the task has taken its time on the clock. */
  readonly done: () => void;
  /** Instead of `done`: the work failed, or the failure was forced, in the status that is given then. */
  readonly failed: (status: FailedStatus | undefined) => void;
}

/** What the operations of RDS share: the records, the servers that run, and how a long operation goes. */
export class Rds {
  /** The servers that run, by DbiResourceId. */
  readonly servers = new Map<string, Server>();
  /**
   * Those of the other Regions and accounts, by `placeKey`; each has snapshots only. Backups are all in the same directory.
   */
  readonly elsewhere: Map<string, Rds>;
  private readonly turns = new Map<string, Promise<void>>();
  private readonly underWay = new Set<Promise<void>>();
  private readonly retired: Address[] = [];
  private stopped = false;

  constructor(
    readonly context: SandboxContext,
    readonly postgres: Postgres,
    readonly durations: Durations,
    readonly state: RdsState,
    readonly network: NetworkRegistry,
    private readonly keys: Pick<Keys, 'named'>,
    private readonly planOf: (rds: Rds, task: Task) => Plan,
    home?: Rds,
  ) {
    this.elsewhere = home?.elsewhere ?? new Map<string, Rds>();
    this.home = home ?? this;
  }

  /** That of the home account and its Region. */
  readonly home: Rds;

  /** That of another Region of the same account. */
  inRegion(region: string): Rds {
    return this.at({ accountId: this.context.account.accountId, region });
  }

  /** That of an account and a Region: another one begins without anything. */
  at(place: Place): Rds {
    return this.find(place) ?? this.addPlace(place, newState(this.now()));
  }

  private find(place: Place): Rds | undefined {
    const { accountId, region } = this.home.context.account;
    return place.accountId === accountId && place.region === region
      ? this.home
      : this.elsewhere.get(placeKey(place));
  }

  addPlace({ accountId, region }: Place, state: RdsState): Rds {
    const { context, postgres, durations, network, keys } = this.home;
    const its = {
      ...context,
      account: { ...context.account, accountId, region },
      api: context.api.inAccount(accountId),
    };
    const rds = new Rds(its, postgres, durations, state, network, keys, this.planOf, this.home);
    this.elsewhere.set(placeKey({ accountId, region }), rds);
    return rds;
  }

  /** Of every account and Region. */
  everywhere(): Rds[] {
    return [this.home, ...this.elsewhere.values()];
  }

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

  /**
   * RDS shows the key itself where it was given its id or an alias.
   * @throws KMSKeyNotAccessibleFault for a key of another account that is not there
   */
  keyArn(key: string): string {
    const { account } = this.context;
    if (key === 'alias/aws/rds') return defaultKey(account);
    const found = this.keys.named(account, key);
    if (found === undefined && (accountIn(key) ?? account.accountId) !== account.accountId)
      throw targetKeyNotAccessible(key);
    return found ?? key;
  }

  /** One of the account and Region's own. @throws DBSnapshotNotFoundFault */
  snapshot(identifier: string | undefined, member = 'DBSnapshotIdentifier'): SnapshotRecord {
    const given = required(identifier, member).toLowerCase();
    const { accountId, region } = this.context.account;
    const named = snapshotArn(given) ?? { accountId, region, id: given };
    const snapshot =
      named.accountId === accountId && named.region === region
        ? this.state.snapshots.get(named.id)
        : undefined;
    if (!snapshot) throw snapshotNotFound(named.id);
    return snapshot;
  }

  /**
   * One of its own or, by its ARN, of another account that shares it. It is not told whether one that is not shared is there.
   * @throws DBSnapshotNotFoundFault
   */
  snapshotOrShared(identifier: string | undefined, member = 'DBSnapshotIdentifier'): SharedSnapshot {
    const { accountId } = this.context.account;
    const named = snapshotArn(required(identifier, member).toLowerCase());
    if (!named || named.accountId === accountId)
      return { snapshot: this.snapshot(identifier, member), owner: this };
    const owner = this.find(named);
    const snapshot = owner?.state.snapshots.get(named.id);
    if (!owner || !snapshot?.sharedWith.includes(accountId)) throw snapshotNotFound(named.id);
    return { snapshot, owner };
  }

  /** What other accounts share with this one, in its Region. */
  sharedSnapshots(): SharedSnapshot[] {
    const { accountId, region } = this.context.account;
    return this.everywhere()
      .filter(({ context: { account } }) => account.accountId !== accountId && account.region === region)
      .flatMap((owner) =>
        [...owner.state.snapshots.values()]
          .filter(({ sharedWith }) => sharedWith.includes(accountId))
          .map((snapshot) => ({ snapshot, owner })),
      );
  }

  /** The server behind an instance. @throws when it does not run, which its state should have ruled out. */
  server({ dbiResourceId, identifier }: InstanceRecord): Server {
    const server = this.servers.get(dbiResourceId);
    if (!server) throw new Error(`The PostgreSQL server of ${identifier} is not running.`);
    return server;
  }

  /** The instance that has this DbiResourceId, whatever its name is by now. */
  byResourceId(dbiResourceId: string): InstanceRecord | undefined {
    return [...this.state.instances.values()].find((instance) => instance.dbiResourceId === dbiResourceId);
  }

  /** Keeps the server with its instance until it is stopped. One that dies is started again, as RDS does. */
  adopt(instance: InstanceRecord, server: Server): void {
    const { dbiResourceId } = instance;
    this.servers.set(dbiResourceId, server);
    instance.runs = true;
    instance.address = server.address;
    void server.ended.then((how) => {
      if (this.servers.get(dbiResourceId) !== server) return;
      this.servers.delete(dbiResourceId);
      if (this.stopped) return;
      this.context.log(`rds: PostgreSQL of ${instance.identifier} ${how}`);
      if (how === 'died') this.begin({ do: 'revive', dbiResourceId });
    });
  }

  /** Ends the server of an instance on purpose. */
  async dismiss(instance: InstanceRecord): Promise<void> {
    const server = this.servers.get(instance.dbiResourceId);
    this.servers.delete(instance.dbiResourceId);
    await server?.stop();
    instance.runs = false;
  }

  /** Begins a task. A virtual clock stands still while its work is done. */
  begin(task: Task): TaskRecord {
    const plan = this.planOf(this, task);
    const { kind, identifiers } = plan;
    const record: TaskRecord = {
      id: ++this.state.lastTask,
      task,
      until: new Date(this.now().getTime() + (kind === undefined ? 0 : this.durations.draw(kind))),
      worked: false,
      failsAs: kind && takeForcedFailure(this.home.state.forcedFailures, kind, identifiers),
    };
    this.state.tasks.set(record.id, record);
    plan.begun?.();
    this.run(record, plan);
    return record;
  }

  /** Goes on with the tasks that an earlier process had begun. The servers of the instances run already. */
  goOn(): void {
    for (const record of [...this.state.tasks.values()].sort((a, b) => a.id - b.id)) {
      this.run(record, this.planOf(this, record.task));
    }
  }

  private run(record: TaskRecord, plan: Plan): void {
    const { clock } = this.context;
    const end = (): void => {
      if (this.stopped) return;
      this.state.tasks.delete(record.id);
      if (record.failsAs === undefined) plan.done();
      else {
        this.tellFailure(plan, 'as it was told to');
        plan.failed(record.failsAs);
      }
    };
    const endInTime = (): void => {
      if (!this.stopped)
        clock.schedule(new Date(Math.max(record.until.getTime(), this.now().getTime())), end);
    };
    const { work } = plan;
    if (!work || record.worked || record.failsAs !== undefined) {
      endInTime();
      return;
    }
    const release = clock.hold();
    const run = this.inTurn(plan.resource, async () => {
      if (this.stopped) return;
      await work();
      record.worked = true;
    })
      .then(endInTime, (error: unknown) => {
        if (this.stopped) return;
        this.tellFailure(plan, messageOf(error));
        this.state.tasks.delete(record.id);
        plan.failed(undefined);
      })
      .finally(() => {
        this.underWay.delete(run);
        release();
      });
    this.underWay.add(run);
  }

  private tellFailure({ kind, identifiers }: Plan, why: string): void {
    this.context.log(`rds: ${kind ?? 'start'} of ${identifiers.join(' of ')} failed: ${why}`);
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

  /** Back to the status of an instance that nothing is being done to; the next change that was ordered begins. */
  settle(instance: InstanceRecord): void {
    const optimizing = instance.optimizingUntil !== undefined && instance.optimizingUntil > this.now();
    instance.status = optimizing ? 'storage-optimization' : 'available';
    this.beginChange(instance);
  }

  /** Begins the next change that was ordered, if nothing else is being done to the instance and it is not to wait. */
  beginChange(instance: InstanceRecord): void {
    const { dbiResourceId } = instance;
    if (!isIdle(instance) || this.isUnderWay('await-changes', dbiResourceId)) return;
    const change = instance.changes.shift();
    if (change) this.begin({ do: 'change', dbiResourceId, ...change });
  }

  /** Whether a task of this sort is under way on an instance. */
  isUnderWay(sort: Task['do'], dbiResourceId: string): boolean {
    return [...this.state.tasks.values()].some(
      ({ task }) => task.do === sort && 'dbiResourceId' in task && task.dbiResourceId === dbiResourceId,
    );
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

  /** Removes a directory below RDS's own. */
  remove(directory: string): void {
    const path = this.path(directory);
    const run = rm(path, { recursive: true, force: true, maxRetries: 3 })
      .catch((error: unknown) => {
        this.context.log(`rds: could not remove ${path}: ${messageOf(error)}`);
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
    const oldest = new Date(date.getTime() - EVENTS_KEPT);
    const { events } = this.state;
    events.splice(
      0,
      Math.max(
        0,
        events.findIndex((event) => (event.Date ?? date) >= oldest),
      ),
    );
    events.push({
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
    // EventBridge of another Region is not in the sandbox.
    if (this.context.account.region !== this.home.context.account.region) return;
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

/** Where RDS has its records: an account has those of each Region apart. */
export interface Place {
  readonly accountId: string;
  readonly region: string;
}

/** A snapshot, and where it is. */
export interface SharedSnapshot {
  readonly snapshot: SnapshotRecord;
  readonly owner: Rds;
}

function placeKey({ accountId, region }: Place): string {
  return `${accountId}/${region}`;
}

function snapshotArn(text: string): (Place & { readonly id: string }) | undefined {
  const [, region, id] = /^arn:[^:]+:rds:([^:]*):\d*:snapshot:(.+)$/.exec(text) ?? [];
  const accountId = accountIn(text);
  return region === undefined || id === undefined || accountId === undefined
    ? undefined
    : { accountId, region, id };
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

/** RDS keeps events for 14 days. */
const EVENTS_KEPT = 14 * 24 * 3600 * 1000;

const TEN_YEARS = 10 * 365 * 24 * 3600 * 1000;

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
