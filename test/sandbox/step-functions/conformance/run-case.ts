import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HistoryEvent } from '@aws-sdk/client-sfn';
import { z } from 'zod';
import { VirtualClock } from '../../../../sandbox/core/clock';
import { parseDefinition } from '../../../../sandbox/step-functions/definition';
import { RuntimeError, StatesError, TaskTimeout } from '../../../../sandbox/step-functions/errors';
import { newFrame } from '../../../../sandbox/step-functions/frame';
import { History } from '../../../../sandbox/step-functions/history';
import { Execution } from '../../../../sandbox/step-functions/interpreter';
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
  readonly unexpected: string[] = [];

  constructor(private readonly recorded: Case) {
    this.left = new Map(
      Object.entries(recorded.taskScript).map(([state, outcomes]) => [state, [...outcomes]]),
    );
  }

  check(request: TaskRequest): void {
    if (request.resource.kind === 'activity' && (this.left.get(request.state) ?? []).length === 0)
      throw new RuntimeError('The activity activity_arn does not exist.');
  }

  async run(request: TaskRequest, report: Parameters<TaskRunner['run']>[1]): Promise<Json> {
    if (this.recorded.unscriptedTasks?.includes(request.state)) return request.input;
    const outcome = this.take(request);
    if (!outcome) throw new StatesError('Test.NotScripted', `No outcome for ${request.state}.`);
    if (outcome.expectInput !== undefined) {
      const found = difference(outcome.expectInput, request.input, this.recorded.wildcards, 'task input');
      if (found !== undefined) this.unexpected.push(found);
    }
    if (request.resource.kind === 'activity') report.started('BASE_ID_ACTIVITY_CONSUMER');
    if (outcome.submitted !== undefined) report.submitted(toJson(outcome.submitted));
    if (outcome.timedOut === true) {
      const limited = request.resource.kind === 'service' && request.resource.pattern !== 'request';
      // Who only waits is ended by the clock; for other tasks the test says that the time is over.
      if (limited) return new Promise(() => undefined);
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

/** Runs the case and compares. */
export async function runCase(recorded: Case): Promise<Verdict> {
  const clock = new VirtualClock();
  if (recorded.clock !== undefined) {
    const ahead = new Date(recorded.clock).getTime() - clock.now().getTime();
    clock.now = () => new Date(VirtualClock.prototype.now.call(clock).getTime() + ahead);
    const schedule = clock.schedule.bind(clock);
    clock.schedule = (at, task, options) => schedule(new Date(at.getTime() - ahead), task, options);
  }
  const definition = parseDefinition(JSON.stringify(recorded.definition));
  const input = toJson(recorded.input);
  const { expected, wildcards } = recorded;
  const events: HistoryEvent[] = [];
  const history = new History(clock, events);
  const given = recorded.context ?? {};
  const execution = { ...toRecord(given['Execution']) };
  const first = expected.events?.[0];
  history.add('ExecutionStarted', 0, {
    executionStartedEventDetails: {
      input: JSON.stringify(input),
      ...(typeof first?.['roleArn'] === 'string' && { roleArn: first['roleArn'] }),
    },
  });
  const tasks = new ScriptedTasks(recorded);
  const outcome = await new Execution({
    definition,
    root: newFrame(definition.StartAt, input, 0),
    clock,
    tasks,
    history,
    context: {
      Execution: {
        Id: 'arn:aws:states:us-east-1:111111111111:execution:machine:execution',
        Name: 'execution',
        RoleArn: 'snf_role_arn',
        Input: input,
        StartTime: clock.now().toISOString(),
        RedriveCount: 0,
        ...execution,
      },
      StateMachine: {
        Id: 'arn:aws:states:us-east-1:111111111111:stateMachine:machine',
        Name: 'machine',
        ...toRecord(given['StateMachine']),
      },
    },
    startedAt: clock.now(),
  }).run();
  clock.stop();

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
  return Object.fromEntries(Object.entries(differences).filter(([, found]) => found !== undefined));
}

function toRecord(value: unknown): Record<string, Json> {
  const json = toJson(value ?? {});
  return isObject(json) ? json : {};
}
