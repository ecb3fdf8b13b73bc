import type { HistoryEvent, LoggingConfiguration, TracingConfiguration } from '@aws-sdk/client-sfn';
import { ApiError } from '../core/api';
import type { SandboxContext } from '../core/context';
import { parseDefinition } from './definition';
import type { Frame } from './frame';
import { newFrame, reopen } from './frame';
import { History, HISTORY_LIMIT } from './history';
import { Execution } from './interpreter';
import type { Json } from './json';
import { parseJson } from './json';
import type { TaskTokens } from './task-tokens';
import { ApiTasks } from './tasks';

export interface StateMachineRecord {
  arn: string;
  name: string;
  definition: string;
  roleArn: string;
  creationDate: Date;
  updateDate: Date;
  revisionId: string | undefined;
  loggingConfiguration: LoggingConfiguration | undefined;
  tracingConfiguration: TracingConfiguration | undefined;
  tags: Record<string, string>;
  deleting: boolean;
}

/** An execution as data: with `events` and `root` all that is needed to describe it and to go on with it. */
export interface ExecutionRecord {
  readonly arn: string;
  readonly name: string;
  /** The machine as it was when the execution started. */
  readonly machine: Readonly<StateMachineRecord>;
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

/** A failed execution can be redriven for this long. Milliseconds. */
const REDRIVE_PERIOD = 14 * 24 * 60 * 60 * 1000;

/** The executions of all machines: starts, ends and redrives them. */
export class Executions {
  private readonly records = new Map<string, ExecutionRecord>();
  private readonly running = new Map<string, { execution: Execution; ended: Promise<void> }>();
  private readonly listeners = new Set<(executionArn: string, event: HistoryEvent) => void>();
  private readonly changeListeners = new Set<(execution: ExecutionChange) => void>();

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

  get(executionArn: string): ExecutionRecord | undefined {
    return this.records.get(executionArn);
  }

  /** Throws ExecutionDoesNotExist or InvalidArn. */
  find(executionArn: string | undefined): ExecutionRecord {
    const given = executionArn ?? '';
    if (!given.startsWith('arn:')) {
      throw new ApiError('InvalidArn', `Invalid Arn: 'Invalid ARN prefix: ${given}'`);
    }
    const record = this.records.get(given);
    if (!record) throw new ApiError('ExecutionDoesNotExist', `Execution Does Not Exist: '${given}'`);
    return record;
  }

  /** Oldest first. */
  of(machineArn: string): ExecutionRecord[] {
    return [...this.records.values()].filter((record) => record.machine.arn === machineArn);
  }

  start(given: {
    arn: string;
    name: string;
    machine: StateMachineRecord;
    input: string;
    data: Json;
  }): ExecutionRecord {
    const { arn, name, input, data } = given;
    const definition = parseDefinition(given.machine.definition);
    const record: ExecutionRecord = {
      arn,
      name,
      machine: { ...given.machine },
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
        roleArn: record.machine.roleArn,
      },
    });
    this.changed(record);
    this.run(record, record.startDate);
    return record;
  }

  /** Ends a running execution; one that has ended stays as it is. */
  async abort(record: ExecutionRecord, error: string | undefined, cause: string | undefined): Promise<void> {
    const running = this.running.get(record.arn);
    if (!running) return;
    running.execution.abort(error, cause);
    await running.ended;
  }

  /** True, or why not. */
  redrivable(record: ExecutionRecord): true | string {
    if (record.status === 'RUNNING') return 'Execution is RUNNING and cannot be redriven';
    if (record.status === 'SUCCEEDED') return 'Execution is SUCCEEDED and cannot be redriven';
    if (record.events.length >= HISTORY_LIMIT - 1) {
      return 'Execution history event limit exceeded';
    }
    const stopped = record.stopDate ?? record.startDate;
    if (this.context.clock.now().getTime() - stopped.getTime() > REDRIVE_PERIOD) {
      return 'Execution has exceeded the redrivable period';
    }
    return true;
  }

  /** Goes on from the states that failed, were aborted or timed out. Answers with the time of the redrive. */
  redrive(record: ExecutionRecord): Date {
    const redriveDate = this.context.clock.now();
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
    this.run(record, redriveDate);
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

  async stop(): Promise<void> {
    const running = [...this.running.values()];
    for (const { execution } of running) execution.abort('Sandbox.Stopped', 'The sandbox was stopped.');
    await Promise.all(running.map(({ ended }) => ended));
  }

  private run(record: ExecutionRecord, startedAt: Date): void {
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
      startedAt,
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
    const { machine, events: _events, root: _root, ...change } = record;
    for (const listener of this.changeListeners) listener({ ...change, stateMachineArn: machine.arn });
  }

  private historyOf(record: ExecutionRecord): History {
    return new History(this.context.clock, record.events, (event) => {
      for (const listener of this.listeners) listener(record.arn, event);
    });
  }
}
