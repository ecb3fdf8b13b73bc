import { createHash } from 'node:crypto';
import type { HistoryEvent } from '@aws-sdk/client-sfn';
import { ApiError } from '../core/api';
import type { SandboxContext } from '../core/context';
import { fromBytes, toBytes } from '../core/plain-data';
import { parseDefinition } from './definition';
import type { Frame } from './frame';
import { newFrame, reopen } from './frame';
import { History, HISTORY_LIMIT } from './history';
import { Execution } from './interpreter';
import type { Json } from './json';
import { parseJson } from './json';
import type { MachineRevision } from './machine';
import type { TaskTokens } from './task-tokens';
import { ApiTasks } from './tasks';

/** An execution as data: with `events` and `root` all that is needed to describe it and to go on with it. */
export interface ExecutionRecord {
  readonly arn: string;
  readonly name: string;
  /** The machine as it was when the execution started. */
  readonly machine: MachineRevision;
  readonly input: string;
  readonly startDate: Date;
  status: 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'ABORTED';
  stopDate: Date | undefined;
  output: string | undefined;
  error: string | undefined;
  cause: string | undefined;
  redriveCount: number;
  redriveDate: Date | undefined;
  readonly events: HistoryEvent[];
  readonly root: Frame;
}

/** An execution that has just started (`RUNNING`), been redriven (`RUNNING` with a `redriveDate`) or ended, as it is then. */
export type ExecutionChange = Readonly<
  Pick<
    ExecutionRecord,
    | 'arn'
    | 'name'
    | 'status'
    | 'input'
    | 'output'
    | 'error'
    | 'cause'
    | 'startDate'
    | 'stopDate'
    | 'redriveCount'
    | 'redriveDate'
  >
> & { readonly stateMachineArn: string };

/**
 * All executions, oldest first. Those that have ended change no more (but for a redrive) and are kept as bytes, so that
 * saving them again costs next to nothing. Machines are kept once for all their executions.
 */
export interface SavedExecutions {
  readonly machines: readonly MachineRevision[];
  readonly records: readonly (SavedExecution | Buffer)[];
}

type SavedExecution = Omit<ExecutionRecord, 'machine'> & { readonly machineId: string };

const DAY = 24 * 60 * 60 * 1000;
/** A failed execution can be redriven for this long. Milliseconds. */
const REDRIVE_PERIOD = 14 * DAY;
/** An execution that has ended is forgotten after this long, and its name is free again. Milliseconds. */
const KEPT = 90 * DAY;
/** The longest that an execution may take, redrives included. Milliseconds. */
const LONGEST = 365 * DAY;

/** The executions of all machines: starts, ends and redrives them. */
export class Executions {
  private readonly records = new Map<string, ExecutionRecord>();
  private readonly running = new Map<string, { execution: Execution; ended: Promise<void> }>();
  private readonly endedBytes = new Map<string, Buffer>();
  private readonly listeners = new Set<(executionArn: string, event: HistoryEvent) => void>();
  private readonly changeListeners = new Set<(execution: ExecutionChange) => void>();
  private stopped = false;

  constructor(
    private readonly context: SandboxContext,
    private readonly tokens: TaskTokens,
  ) {}

  onHistoryEvent(listener: (executionArn: string, event: HistoryEvent) => void): () => void {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  }

  onChange(listener: (execution: ExecutionChange) => void): () => void {
    this.changeListeners.add(listener);
    return () => {
      this.changeListeners.delete(listener);
    };
  }

  save(): SavedExecutions {
    const records = [...this.records.values()];
    return {
      machines: [...new Set(records.map(({ machine }) => machine))],
      records: records.map((record) => {
        const bytes = this.endedBytes.get(record.arn);
        if (bytes) return bytes;
        const { machine, ...rest } = record;
        const saved: SavedExecution = { ...rest, machineId: machine.id };
        if (record.status === 'RUNNING') return saved;
        const made = toBytes(saved);
        this.endedBytes.set(record.arn, made);
        return made;
      }),
    };
  }

  load({ machines, records }: SavedExecutions): void {
    const byId = new Map(machines.map((machine) => [machine.id, machine]));
    for (const saved of records) {
      // Written by `save` above.
      const { machineId, ...rest } = ArrayBuffer.isView(saved) ? (fromBytes(saved) as SavedExecution) : saved;
      const machine = byId.get(machineId);
      if (!machine) throw new Error(`The machine of ${rest.arn} is missing.`);
      this.records.set(rest.arn, { ...rest, machine });
      if (ArrayBuffer.isView(saved)) this.endedBytes.set(rest.arn, saved);
    }
  }

  /** Goes on with the executions that ran when they were saved. */
  resume(): void {
    for (const record of this.records.values()) {
      if (record.status === 'RUNNING') this.run(record);
    }
  }

  get(executionArn: string): ExecutionRecord | undefined {
    this.forgetOld();
    return this.records.get(executionArn);
  }

  /** Throws ExecutionDoesNotExist or InvalidArn. */
  find(executionArn: string | undefined): ExecutionRecord {
    const given = executionArn ?? '';
    if (!given.startsWith('arn:')) {
      throw new ApiError('InvalidArn', `Invalid Arn: 'Invalid ARN prefix: ${given}'`);
    }
    const record = this.get(given);
    if (!record) throw new ApiError('ExecutionDoesNotExist', `Execution Does Not Exist: '${given}'`);
    return record;
  }

  /** Oldest first. */
  of(machineArn: string): ExecutionRecord[] {
    this.forgetOld();
    return [...this.records.values()].filter((record) => record.machine.arn === machineArn);
  }

  start(given: {
    arn: string;
    name: string;
    machine: MachineRevision;
    input: string;
    data: Json;
  }): ExecutionRecord {
    const { arn, name, machine, input, data } = given;
    const definition = parseDefinition(machine.definition);
    const record: ExecutionRecord = {
      arn,
      name,
      machine,
      input,
      startDate: this.context.clock.now(),
      status: 'RUNNING',
      stopDate: undefined,
      output: undefined,
      error: undefined,
      cause: undefined,
      redriveCount: 0,
      redriveDate: undefined,
      events: [],
      root: newFrame(definition.StartAt, data, 0),
    };
    this.records.set(arn, record);
    this.historyOf(record).add('ExecutionStarted', 0, {
      executionStartedEventDetails: {
        input,
        inputDetails: { truncated: false },
        roleArn: machine.roleArn,
      },
    });
    this.changed(record);
    this.run(record);
    return record;
  }

  /** Ends a running execution; one that has ended stays as it is. */
  async abort(record: ExecutionRecord, error: string | undefined, cause: string | undefined): Promise<void> {
    const running = this.running.get(record.arn);
    if (!running) return;
    running.execution.abort(error, cause);
    await running.ended;
  }

  /** True, or why not, in the words of DescribeExecution's redriveStatusReason. */
  redrivable(record: ExecutionRecord): true | string {
    if (record.status === 'RUNNING') return 'Execution is RUNNING and cannot be redriven';
    if (record.status === 'SUCCEEDED') return 'Execution is SUCCEEDED and cannot be redriven';
    if (record.events.length >= HISTORY_LIMIT - 1) return 'Execution history event limit exceeded';
    const now = this.context.clock.now().getTime();
    if (now - record.startDate.getTime() > LONGEST) return 'Execution has exceeded the max execution time';
    const stopped = record.stopDate ?? record.startDate;
    if (now - stopped.getTime() > REDRIVE_PERIOD) return 'Execution redrivable period exceeded';
    return true;
  }

  /** Goes on from the states that failed, were aborted or timed out. Answers with the time of the redrive. */
  redrive(record: ExecutionRecord): Date {
    const redriveDate = this.context.clock.now();
    this.endedBytes.delete(record.arn);
    record.redriveCount++;
    record.redriveDate = redriveDate;
    record.status = 'RUNNING';
    record.stopDate = undefined;
    record.error = undefined;
    record.cause = undefined;
    const id = this.historyOf(record).add('ExecutionRedriven', record.root.previousEventId, {
      executionRedrivenEventDetails: { redriveCount: record.redriveCount },
    });
    reopen(record.root, id);
    this.changed(record);
    this.run(record);
    return redriveDate;
  }

  /** Resolves when the execution has ended. */
  async ended(executionArn: string): Promise<void> {
    await this.running.get(executionArn)?.ended;
  }

  /** Resolves when every running execution of the machine has ended. */
  async allEnded(machineArn: string): Promise<void> {
    await Promise.all(this.of(machineArn).map(({ arn }) => this.ended(arn)));
  }

  /** Gives up what runs; nobody hears of it. */
  async stop(): Promise<void> {
    this.stopped = true;
    const running = [...this.running.values()];
    for (const { execution } of running) execution.abort('Sandbox.Stopped', 'The sandbox was stopped.');
    await Promise.all(running.map(({ ended }) => ended));
  }

  private run(record: ExecutionRecord): void {
    const { machine } = record;
    const execution = new Execution({
      definition: parseDefinition(machine.definition),
      root: record.root,
      clock: this.context.clock,
      tasks: new ApiTasks({
        api: this.context.api,
        tokens: this.tokens,
        roleArn: machine.roleArn,
        executionEnded: (executionArn) => this.ended(executionArn),
      }),
      history: this.historyOf(record),
      context: {
        Execution: {
          Id: record.arn,
          Input: parseJson(record.input),
          Name: record.name,
          RoleArn: machine.roleArn,
          StartTime: record.startDate.toISOString(),
          RedriveCount: record.redriveCount,
          ...(record.redriveDate && { RedriveTime: record.redriveDate.toISOString() }),
        },
        StateMachine: { Id: machine.arn, Name: machine.name },
      },
      startedAt: record.redriveDate ?? record.startDate,
      random: () => chance(`${record.arn} ${record.events.length}`),
    });
    const ended = this.finish(record, execution);
    this.running.set(record.arn, { execution, ended });
  }

  private async finish(record: ExecutionRecord, execution: Execution): Promise<void> {
    const outcome = await execution.run();
    this.running.delete(record.arn);
    record.status = outcome.status;
    record.stopDate = record.events.at(-1)?.timestamp ?? this.context.clock.now();
    if (outcome.status === 'SUCCEEDED') record.output = JSON.stringify(outcome.output);
    else {
      record.error = outcome.error;
      record.cause = outcome.cause;
    }
    this.changed(record);
  }

  private changed(record: ExecutionRecord): void {
    if (this.stopped) return;
    const { machine, events: _events, root: _root, ...change } = record;
    for (const listener of this.changeListeners) listener({ ...change, stateMachineArn: machine.arn });
  }

  private forgetOld(): void {
    const now = this.context.clock.now().getTime();
    for (const { arn, stopDate } of this.records.values()) {
      if (stopDate === undefined || now - stopDate.getTime() <= KEPT) continue;
      this.records.delete(arn);
      this.endedBytes.delete(arn);
    }
  }

  private historyOf(record: ExecutionRecord): History {
    return new History(this.context.clock, record.events, (event) => {
      for (const listener of this.listeners) listener(record.arn, event);
    });
  }
}

/** A number between 0 and 1, always the same for the same text: jitter that can be reproduced. */
function chance(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32LE(0) / 2 ** 32;
}
