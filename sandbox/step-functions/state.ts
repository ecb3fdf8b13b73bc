import type { HistoryEventType } from '@aws-sdk/client-sfn';
import type { BlockRun } from './block';
import { ruleMatches } from './choice';
import type { Catcher, QueryLanguage, State } from './definition';
import type { Environment } from './environment';
import { fillTemplate, resolveExpression, resolveReference } from './environment';
import {
  EvaluationError,
  Fatal,
  HistoryFull,
  IntrinsicFailure,
  RuntimeError,
  StatesError,
  TaskTimeout,
} from './errors';
import type { EventDetails } from './history';
import { evaluateTyped, fill } from './jsonata';
import type { Json, JsonObject } from './json';
import { isObject } from './json';
import { runMap } from './map';
import { runParallel } from './parallel';
import { writeResult } from './result-path';
import { handles, retryDelay } from './retry';
import { runTask } from './run-task';
import { waitUntil } from './wait';

/** What a state hands to the next one; `next` is undefined after the last one of the block. */
export interface Transition {
  readonly next: string | undefined;
  readonly output: Json;
}

type NumberField =
  | 'TimeoutSeconds'
  | 'HeartbeatSeconds'
  | 'MaxConcurrency'
  | 'ToleratedFailureCount'
  | 'ToleratedFailurePercentage';

/** The most bytes of JSON text that may travel between states. */
export const PAYLOAD_LIMIT = 262_144;

/** One state from entering to leaving it, retries included. */
export class StateRun {
  readonly language: QueryLanguage;
  /** `$$.Task.Token`: every try of a task has one of its own. */
  taskToken = '';

  constructor(
    readonly block: BlockRun,
    readonly name: string,
    readonly definition: State,
  ) {
    this.language = definition.QueryLanguage ?? block.language;
  }

  get jsonata(): boolean {
    return this.language === 'JSONata';
  }

  /** The input that the state was entered with. */
  get input(): Json {
    return this.block.frame.data;
  }

  async run(): Promise<Transition> {
    this.enter();
    // The pause before another try, in which an earlier process ended.
    if (this.definition.Type !== 'Wait' && this.block.frame.until !== null) await this.pause();
    for (;;) {
      try {
        const transition = await this.once();
        this.exit(transition.output);
        return transition;
      } catch (thrown) {
        if (this.block.signal.aborted) throw thrown;
        const failure = this.locate(thrown);
        if (!(failure instanceof Fatal) && (await this.retried(failure))) continue;
        if (!(thrown instanceof RuntimeError || thrown instanceof HistoryFull)) this.branchesFailed();
        if (failure instanceof Fatal) throw failure;
        const caught = await this.caught(failure);
        if (!caught) throw failure;
        return caught;
      }
    }
  }

  /** Writes an event that the next one of this block follows. */
  emit(type: HistoryEventType, details?: EventDetails): number {
    return this.block.emit(type, details);
  }

  environment(extra: Partial<Environment> = {}): Environment {
    return {
      input: this.input,
      context: this.contextObject(),
      variables: this.block.variables(),
      now: this.block.execution.options.clock.now(),
      ...extra,
    };
  }

  private contextObject(): JsonObject {
    const context = this.block.contextObject();
    const state = context['State'];
    if (this.definition.Type !== 'Task' || !isObject(state)) return context;
    const counted = {
      ...context,
      State: { ...state, RetryCount: this.block.frame.retryCount },
    };
    const waits = this.definition.Resource?.endsWith('.waitForTaskToken') === true;
    return waits && this.taskToken !== '' ? { ...counted, Task: { Token: this.taskToken } } : counted;
  }

  /** The input after InputPath; the whole input in JSONata states. */
  effectiveInput(): Json {
    return this.jsonata ? this.input : this.throughPath(this.definition.InputPath, this.input);
  }

  /**
   * A field that is given as a value, as an expression (JSONata) or through its twin that ends in Path (JSONPath).
   * `input` is what paths are taken from.
   */
  async numberField(name: NumberField, input: Json): Promise<number | undefined> {
    const integer = name !== 'ToleratedFailurePercentage';
    if (!this.jsonata) return this.numberThroughPath(name, input);
    const given = this.definition[name];
    if (given === undefined || typeof given === 'number') return given;
    const value = await evaluateTyped(given, name, this.environment(), integer ? 'integer' : 'number');
    return typeof value === 'number' ? value : undefined;
  }

  /** As numberField, for JSONPath states. */
  numberThroughPath(name: NumberField, input: Json): number | undefined {
    const path = this.definition[`${name}Path`];
    const integer = name !== 'ToleratedFailurePercentage';
    if (path !== undefined) {
      const found = resolveReference(path, this.environment({ input }));
      const value = typeof found === 'string' && /^-?\d+$/.test(found) ? Number(found) : found;
      if (typeof value !== 'number' || (integer && !Number.isInteger(value))) {
        throw new RuntimeError(
          `The ${name}Path field refers to value "${typeof value === 'string' ? value : JSON.stringify(value)}" which is not a valid ${integer ? 'integer' : 'float'}: ${path}`,
        );
      }
      return value;
    }
    const given = this.definition[name];
    return typeof given === 'number' ? given : undefined;
  }

  /** Follows InputPath or OutputPath: null makes it empty, absent leaves it. */
  throughPath(path: string | null | undefined, value: Json, variables?: Record<string, Json>): Json {
    if (path === null) return {};
    if (path === undefined) return value;
    return resolveReference(path, this.environment({ input: value, ...(variables && { variables }) }));
  }

  /** What Parameters (or Arguments) make of the input. */
  async parameters(): Promise<Json> {
    const { Arguments } = this.definition;
    if (!this.jsonata) return this.parametersThroughPaths();
    return Arguments === undefined ? this.input : fill(Arguments, 'Arguments', this.environment());
  }

  /** As parameters, for JSONPath states. */
  parametersThroughPaths(): Json {
    const { Parameters } = this.definition;
    const input = this.effectiveInput();
    return Parameters === undefined ? input : fillTemplate(Parameters, this.environment({ input }));
  }

  /** Throws States.DataLimitExceeded for more than may travel. */
  checkSize(value: Json, what: string): void {
    const bytes = Buffer.byteLength(JSON.stringify(value));
    if (bytes > PAYLOAD_LIMIT) {
      throw new StatesError(
        'States.DataLimitExceeded',
        `The state/task '${what}' returned a result with a size exceeding the maximum number of bytes service limit.`,
      );
    }
  }

  private enter(): void {
    const { frame } = this.block;
    // A redriven state goes on where it was; only a Fail state is entered again.
    if (frame.entered && this.definition.Type !== 'Fail') return;
    const at = this.block.execution.options.clock.now().toISOString();
    const { previousEventId } = frame;
    const eventId = this.emit(`${this.definition.Type}StateEntered`, {
      stateEnteredEventDetails: {
        name: this.name,
        input: JSON.stringify(this.input),
        inputDetails: { truncated: false },
      },
    });
    frame.entered = { eventId, at, previousEventId };
  }

  private assigned: JsonObject | undefined;

  private exit(output: Json): void {
    const { definition } = this;
    this.checkSize(output, this.name);
    const assigned = this.assigned;
    const exited = EXITED.find((type) => type === `${definition.Type}StateExited`);
    // A Fail state is never left.
    if (!exited) return;
    this.emit(exited, {
      stateExitedEventDetails: {
        name: this.name,
        output: JSON.stringify(output),
        outputDetails: { truncated: false },
        ...(assigned && {
          assignedVariables: Object.fromEntries(
            Object.entries(assigned).map(([name, value]) => [name, JSON.stringify(value)]),
          ),
          assignedVariablesDetails: { truncated: false },
        }),
      },
    });
    Object.assign(this.block.frame.variables, assigned);
  }

  private async once(): Promise<Transition> {
    this.assigned = undefined;
    const { definition } = this;
    switch (definition.Type) {
      case 'Pass':
        return this.leave(await this.passResult());
      case 'Task':
        return this.leave(await runTask(this));
      case 'Parallel':
        return this.leave(await runParallel(this));
      case 'Map':
        return this.leave(await runMap(this));
      case 'Wait':
        await waitUntil(this);
        return this.leave(undefined);
      case 'Succeed':
        return this.leave(undefined);
      case 'Choice':
        return this.choose();
      case 'Fail':
        throw await this.failure();
    }
  }

  private async passResult(): Promise<Json | undefined> {
    if (this.jsonata) return undefined;
    return this.definition.Result ?? (await this.parameters());
  }

  /** Output and variables of a state that has done its work. Without a result its input is its output. */
  private async leave(result: Json | undefined): Promise<Transition> {
    const { definition } = this;
    const next = definition.Next;
    if (this.jsonata) {
      const environment = this.environment(result === undefined ? {} : { result });
      const output =
        definition.Output === undefined
          ? (result ?? this.input)
          : await fill(definition.Output, 'Output', environment);
      await this.assign(definition.Assign, environment);
      return { next, output };
    }
    if (result === undefined) {
      const input = this.effectiveInput();
      await this.assign(definition.Assign, this.environment({ input }));
      return { next, output: this.throughPath(definition.OutputPath, input) };
    }
    const selected =
      definition.ResultSelector === undefined
        ? result
        : fillTemplate(definition.ResultSelector, this.environment({ input: result }));
    const written = writeResult(definition.ResultPath, this.input, selected);
    await this.assign(definition.Assign, this.environment({ input: selected }));
    return { next, output: this.throughPath(definition.OutputPath, written) };
  }

  private async assign(template: Json | undefined, environment: Environment): Promise<void> {
    if (template === undefined) return;
    const values = this.jsonata
      ? await fill(template, 'Assign', environment)
      : fillTemplate(template, environment);
    if (isObject(values)) this.assigned = values;
  }

  private async choose(): Promise<Transition> {
    const { definition } = this;
    const input = this.effectiveInput();
    const environment = this.environment({ input });
    for (const [index, rule] of (definition.Choices ?? []).entries()) {
      const matches = this.jsonata
        ? (await evaluateTyped(
            rule['Condition'] ?? false,
            `Choices[${index}]/Condition`,
            environment,
            'boolean',
          )) === true
        : ruleMatches(rule, environment);
      if (!matches) continue;
      await this.assign(rule['Assign'], environment);
      const output = this.jsonata
        ? rule['Output'] === undefined
          ? input
          : await fill(rule['Output'], `Choices[${index}]/Output`, environment)
        : this.throughPath(definition.OutputPath, input);
      return { next: typeof rule['Next'] === 'string' ? rule['Next'] : '', output };
    }
    if (definition.Default === undefined) {
      throw new NoChoice(
        `An error occurred while executing the state '${this.name}' (entered at the event id #${this.block.frame.entered?.eventId ?? 0}). Failed to transition out of the state. The state does not specify a choice that matches and has no Default.`,
      );
    }
    await this.assign(definition.Assign, environment);
    const output = this.jsonata
      ? definition.Output === undefined
        ? input
        : await fill(definition.Output, 'Output', environment)
      : this.throughPath(definition.OutputPath, input);
    return { next: definition.Default, output };
  }

  private async failure(): Promise<StatesError> {
    const text = async (field: 'Error' | 'Cause'): Promise<string | undefined> => {
      const path = this.definition[`${field}Path`];
      if (path !== undefined) {
        const value = resolveExpression(path, `${field}Path`, this.environment());
        return typeof value === 'string' ? value : JSON.stringify(value);
      }
      const given = this.definition[field];
      if (given === undefined || !this.jsonata) return given;
      const value = await evaluateTyped(given, field, this.environment(), 'string');
      return typeof value === 'string' ? value : JSON.stringify(value);
    };
    const error = await text('Error');
    return new StatesError(error, await text('Cause'));
  }

  /** Errors of evaluating get the state's name, and those of queries an event of their own. */
  private locate(thrown: unknown): StatesError {
    const place = `An error occurred while executing the state '${this.name}' (entered at the event id #${this.block.frame.entered?.eventId ?? 0}). `;
    if (thrown instanceof EvaluationError) {
      const cause = place + (thrown.reason ?? '');
      this.block.frame.previousEventId = this.block.execution.emit(
        'EvaluationFailed',
        this.beforeEvaluation(thrown),
        {
          evaluationFailedEventDetails: {
            ...(thrown.error !== undefined && { error: thrown.error }),
            cause,
            ...(thrown.location !== undefined && { location: thrown.location }),
            state: this.name,
          },
        },
      );
      return new StatesError(thrown.error, cause);
    }
    if (thrown instanceof RuntimeError) return new Fatal(thrown.error, place + (thrown.reason ?? ''));
    if (thrown instanceof IntrinsicFailure)
      return new StatesError(thrown.error, place + (thrown.reason ?? ''));
    if (thrown instanceof StatesError) return thrown;
    return new Fatal('States.Runtime', place + (thrown instanceof Error ? thrown.message : String(thrown)));
  }

  /** A failed evaluation hangs from the event before the state was entered, unless the state has gone on since. */
  private beforeEvaluation(failure: EvaluationError): number {
    const { frame } = this.block;
    if (failure.evaluated || frame.previousEventId !== frame.entered?.eventId) return frame.previousEventId;
    return frame.entered.previousEventId;
  }

  private branchesFailed(): void {
    const { Type } = this.definition;
    if (Type === 'Parallel') this.emit('ParallelStateFailed');
    if (Type === 'Map') this.emit('MapStateFailed');
  }

  /** Waits as the retrier for this error says; false where there is none or it has had its attempts. */
  private async retried(failure: StatesError): Promise<boolean> {
    const { frame, execution } = this.block;
    const retriers = this.definition.Retry ?? [];
    const index = retriers.findIndex((retrier) => handles(retrier, failure));
    const retrier = retriers[index];
    if (!retrier) return false;
    const tries = frame.retries[index] ?? 0;
    if (tries >= (retrier.MaxAttempts ?? 3)) return false;
    frame.retries = retriers.map((_retrier, each) => (frame.retries[each] ?? 0) + (each === index ? 1 : 0));
    frame.retryCount++;
    frame.children = null;
    const delay = retryDelay(retrier, tries, () => execution.random());
    frame.until = execution.options.clock.now().getTime() + delay;
    await this.pause();
    return true;
  }

  /** Waits until the time in the frame. */
  async pause(): Promise<void> {
    const { frame, execution, signal } = this.block;
    const { clock } = execution.options;
    const left = (frame.until ?? 0) - clock.now().getTime();
    await clock.sleep(Math.max(0, left), { signal });
    frame.until = null;
  }

  private async caught(failure: StatesError): Promise<Transition | undefined> {
    const catcher = this.definition.Catch?.find((each) => handles(each, failure));
    if (!catcher) return undefined;
    const timeout = failure instanceof TaskTimeout;
    const errorOutput: JsonObject = {
      Error: failure.error ?? null,
      Cause: failure.reason ?? (timeout ? '' : null),
    };
    this.assigned = undefined;
    try {
      const output = await this.catchOutput(catcher, errorOutput);
      this.exit(output);
      return { next: catcher.Next, output };
    } catch (thrown) {
      throw this.locate(thrown);
    }
  }

  private async catchOutput(catcher: Catcher, errorOutput: JsonObject): Promise<Json> {
    if (this.jsonata) {
      const environment = this.environment({ errorOutput });
      const output =
        catcher.Output === undefined ? errorOutput : await fill(catcher.Output, 'Catch/Output', environment);
      await this.assign(catcher.Assign, environment);
      return output;
    }
    await this.assign(catcher.Assign, this.environment({ input: errorOutput }));
    const written = writeResult(catcher.ResultPath, this.input, errorOutput);
    // OutputPath is for the state's own output only.
    return written;
  }
}

const EXITED: readonly HistoryEventType[] = [
  'ChoiceStateExited',
  'MapStateExited',
  'ParallelStateExited',
  'PassStateExited',
  'SucceedStateExited',
  'TaskStateExited',
  'WaitStateExited',
];

class NoChoice extends StatesError {
  constructor(reason: string) {
    super('States.NoChoiceMatched', reason);
  }
}
