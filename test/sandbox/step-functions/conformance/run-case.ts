import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromBytes, toBytes } from '../../../../sandbox/core/plain-data';
import type { HistoryEvent } from '@aws-sdk/client-sfn';
import { z } from 'zod';
import { VirtualClock } from '../../../../sandbox/core/clock';
import { parseDefinition } from '../../../../sandbox/step-functions/definition';
import { RuntimeError, StatesError, TaskTimeout } from '../../../../sandbox/step-functions/errors';
import { newFrame, type Frame } from '../../../../sandbox/step-functions/frame';
import { History } from '../../../../sandbox/step-functions/history';
import { Execution, type Outcome as ExecutionOutcome } from '../../../../sandbox/step-functions/interpreter';
import { isObject, toJson } from '../../../../sandbox/step-functions/json';
import type { Json } from '../../../../sandbox/step-functions/json';
import type { TaskRequest, TaskRunner } from '../../../../sandbox/step-functions/task';
import { difference, differenceOfCause, differenceOfEvents, plainEvent, type PlainEvent } from './compare';

const Outcome = z.looseObject({
  output: z.unknown().optional(),
  submitted: z.unknown().optional(),
  error: z.string().nullish(),
  cause: z.string().nullish(),
  timedOut: z.boolean().optional(),
  expectInput: z.unknown().optional(),
  iteration: z.array(z.tuple([z.string(), z.number()])).optional(),
});
type Outcome = z.infer<typeof Outcome>;

const Event = z.looseObject({
  id: z.number().nullable(),
  prev: z.number().nullable(),
  type: z.string(),
  name: z.string().nullable(),
});

const Case = z.looseObject({
  id: z.string(),
  definition: z.unknown(),
  input: z.unknown(),
  context: z.record(z.string(), z.unknown()).nullable(),
  taskScript: z.record(z.string(), z.array(Outcome)),
  clock: z.string().optional(),
  unscriptedTasks: z.array(z.string()).optional(),
  outputComparable: z.boolean().optional(),
  wildcards: z.array(z.string()),
  awsMarker: z.string().nullable(),
  awsValidated: z.string().nullable(),
  expected: z.looseObject({
    status: z.string(),
    eventsRecorded: z.boolean(),
    events: z.array(Event).optional(),
  }),
});
export type Case = z.infer<typeof Case>;

export const DATA = join(__dirname, 'data');

/** The recorded executions. */
export function readCases(): Case[] {
  return readFileSync(join(DATA, 'cases.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Case.parse(JSON.parse(resolvePlaceholders(line))));
}

/** The recorder's names for the partition and the Region. */
export function resolvePlaceholders(text: string): string {
  return text.replaceAll('<partition>', 'aws').replaceAll('<region>', 'us-east-1');
}

/** What of a case does not agree with the recording; empty where all does. */
export interface Verdict {
  readonly status?: string;
  readonly output?: string;
  readonly error?: string;
  readonly cause?: string;
  readonly events?: string;
}

/** Tasks that answer what the recording says, in the order of their calls. */
class ScriptedTasks implements TaskRunner {
  private readonly left: Map<string, Outcome[]>;
  /** Outcomes of tasks that wait for their time to run out, with their states. */
  private readonly underWay: (readonly [string, Outcome])[] = [];
  readonly unexpected: string[] = [];

  constructor(
    private readonly recorded: Case,
    private readonly process: Pick<Process, 'waits'>,
  ) {
    this.left = new Map(
      Object.entries(recorded.taskScript).map(([state, outcomes]) => [state, [...outcomes]]),
    );
  }

  check(request: TaskRequest): void {
    if (request.resource.kind === 'activity' && (this.left.get(request.state) ?? []).length === 0)
      throw new RuntimeError('The activity activity_arn does not exist.');
  }

  /** The process has ended: what was under way is done again in the next one. */
  interrupt(): void {
    for (const [state, outcome] of this.underWay.splice(0)) this.left.get(state)?.unshift(outcome);
  }

  async run(request: TaskRequest, report: Parameters<TaskRunner['run']>[1]): Promise<Json> {
    if (this.process.waits()) return new Promise(() => undefined);
    if (this.recorded.unscriptedTasks?.includes(request.state)) return request.input;
    const outcome = this.take(request);
    if (!outcome) throw new StatesError('Test.NotScripted', `No outcome for ${request.state}.`);
    if (outcome.expectInput !== undefined) {
      const found = difference(outcome.expectInput, request.input, this.recorded.wildcards, 'task input');
      if (found !== undefined) this.unexpected.push(found);
    }
    if (request.resource.kind === 'activity') report.started('BASE_ID_ACTIVITY_CONSUMER');
    if (outcome.submitted !== undefined && request.submitted === undefined)
      report.submitted(toJson(outcome.submitted));
    if (outcome.timedOut === true) {
      const limited = request.resource.kind === 'service' && request.resource.pattern !== 'request';
      // Who only waits is ended by the clock; for other tasks the test says that the time is over.
      if (limited) {
        this.underWay.push([request.state, outcome]);
        return new Promise(() => undefined);
      }
      throw new TaskTimeout(outcome.error ?? 'States.Timeout');
    }
    if (outcome.error !== undefined)
      throw new StatesError(outcome.error ?? undefined, outcome.cause ?? undefined);
    return toJson(outcome.output ?? null);
  }

  private take(request: TaskRequest): Outcome | undefined {
    const outcomes = this.left.get(request.state) ?? [];
    const map = request.context['Map'];
    const item = isObject(map) ? map['Item'] : undefined;
    const index = isObject(item) ? item['Index'] : undefined;
    const found = outcomes.findIndex(
      ({ iteration }) => iteration === undefined || iteration.at(-1)?.[1] === index,
    );
    return found < 0 ? undefined : outcomes.splice(found, 1)[0];
  }
}

/** A process that runs an execution, and ends when the execution comes to wait for the n-th time. */
class Process {
  readonly ended: Promise<void>;
  /** How often the execution came to wait: for a task, or for the clock. */
  count = 0;
  private end: () => void = () => undefined;

  constructor(
    private readonly endsAt: number,
    private readonly clock: VirtualClock,
  ) {
    this.ended = new Promise((resolve) => {
      this.end = resolve;
    });
    const schedule = clock.schedule.bind(clock);
    clock.schedule = (at, task, options) => {
      if (options?.background !== true) this.waits();
      return schedule(at, task, options);
    };
  }

  /** True when the process has ended: nothing comes any more. */
  waits(): boolean {
    this.count++;
    if (this.count === this.endsAt) {
      this.clock.hold();
      // What others do in this turn comes to rest.
      setImmediate(this.end);
    }
    return this.count >= this.endsAt;
  }
}

/** A virtual clock that shows `start` now. */
function clockFrom(start: Date): VirtualClock {
  const clock = new VirtualClock();
  const ahead = start.getTime() - clock.now().getTime();
  clock.now = () => new Date(VirtualClock.prototype.now.call(clock).getTime() + ahead);
  const schedule = clock.schedule.bind(clock);
  clock.schedule = (at, task, options) => schedule(new Date(at.getTime() - ahead), task, options);
  return clock;
}

export interface Run {
  readonly verdict: Verdict;
  /** How often the execution came to wait. */
  readonly waits: number;
}

/**
 * Runs the case and compares. With `interruptedAt` the process ends when the execution comes to wait for that time, and
 * another one goes on with the state that the first one left.
 */
export async function runCase(recorded: Case, interruptedAt = Infinity): Promise<Run> {
  let clock = clockFrom(recorded.clock === undefined ? new Date() : new Date(recorded.clock));
  const definition = parseDefinition(JSON.stringify(recorded.definition));
  const input = toJson(recorded.input);
  const { expected, wildcards } = recorded;
  let state: { root: Frame; events: HistoryEvent[] } = {
    root: newFrame(definition.StartAt, input, 0),
    events: [],
  };
  const given = recorded.context ?? {};
  const execution = { ...toRecord(given['Execution']) };
  const first = expected.events?.[0];
  new History(clock, state.events).add('ExecutionStarted', 0, {
    executionStartedEventDetails: {
      input: JSON.stringify(input),
      ...(typeof first?.['roleArn'] === 'string' && { roleArn: first['roleArn'] }),
    },
  });
  const startedAt = clock.now();
  const run = (tasks: TaskRunner): Promise<ExecutionOutcome> =>
    new Execution({
      definition,
      root: state.root,
      clock,
      tasks,
      history: new History(clock, state.events),
      context: {
        Execution: {
          Id: 'arn:aws:states:us-east-1:111111111111:execution:machine:execution',
          Name: 'execution',
          RoleArn: 'snf_role_arn',
          Input: input,
          StartTime: startedAt.toISOString(),
          RedriveCount: 0,
          ...execution,
        },
        StateMachine: {
          Id: 'arn:aws:states:us-east-1:111111111111:stateMachine:machine',
          Name: 'machine',
          ...toRecord(given['StateMachine']),
        },
      },
      startedAt,
    }).run();
  let process = new Process(interruptedAt, clock);
  const tasks = new ScriptedTasks(recorded, { waits: () => process.waits() });
  let outcome = await Promise.race([run(tasks), process.ended]);
  const waits = process.count;
  clock.stop();
  if (!outcome) {
    const now = clock.now();
    // What is left of a process that has ended is bytes.
    state = fromBytes(toBytes(state)) as typeof state;
    tasks.interrupt();
    clock = clockFrom(now);
    process = new Process(Infinity, clock);
    outcome = await run(tasks);
    clock.stop();
  }
  const { events } = state;

  const failed = outcome.status === 'SUCCEEDED' ? undefined : outcome;
  const differences = {
    status: difference(expected.status, outcome.status, [], 'status'),
    output:
      'output' in expected
        ? outcome.status === 'SUCCEEDED'
          ? difference(expected['output'], outcome.output, wildcards, 'output')
          : 'output: none'
        : undefined,
    error: difference(expected['error'] ?? null, failed?.error ?? null, wildcards, 'error'),
    cause: differenceOfCause(expected, failed?.cause, wildcards),
    events:
      tasks.unexpected[0] ??
      (expected.eventsRecorded
        ? differenceOfEvents(
            (expected.events ?? []).map((event): PlainEvent => event),
            events.map(plainEvent),
            wildcards,
          )
        : undefined),
  };
  return {
    verdict: Object.fromEntries(Object.entries(differences).filter(([, found]) => found !== undefined)),
    waits,
  };
}

function toRecord(value: unknown): Record<string, Json> {
  const json = toJson(value ?? {});
  return isObject(json) ? json : {};
}
