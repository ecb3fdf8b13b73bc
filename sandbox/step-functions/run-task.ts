import type { Clock } from '../core/clock';
import { fillTemplate } from './environment';
import { RuntimeError, StatesError, TaskTimeout } from './errors';
import type { TaskTry } from './frame';
import type { EventDetails } from './history';
import { fill } from './jsonata';
import type { Json } from './json';
import { isObject, member } from './json';
import { parseResource } from './resource';
import type { StateRun } from './state';
import type { TaskReport, TaskRequest } from './task';

/** One try of a Task state: its events, its limits in time, its result. */
export async function runTask(state: StateRun): Promise<Json> {
  const { block, definition } = state;
  const { clock, tasks } = block.execution.options;
  const resource = parseResource(definition.Resource ?? '');
  if (!resource)
    throw new RuntimeError(`The resource ${definition.Resource ?? ''} is not one a Task can have.`);
  const { frame } = block;
  // Without waiting where that can be: as on AWS, side by side, all iterations of a Map schedule their tasks before the
  // first one starts.
  const underWay = frame.task;
  const attempt = underWay ?? (state.jsonata ? await prepareWithExpressions(state) : prepareWithPaths(state));
  state.taskToken = attempt.token;
  const request: TaskRequest = {
    state: state.name,
    resource,
    input: attempt.input,
    taskToken: attempt.token,
    roleArn: attempt.roleArn,
    submitted: attempt.submitted,
    context: state.environment().context,
  };
  tasks.check?.(request);
  const events = new TaskEvents(state, request, attempt);
  if (!underWay) events.scheduled();
  frame.task = attempt;

  const controller = new AbortController();
  const result = new Promise<Json>((resolve, reject) => {
    const giveUp = (): void => {
      reject(asError(block.signal.reason));
    };
    block.signal.addEventListener('abort', giveUp, { once: true });
    const timers = new TaskTimers(clock, attempt, reject);
    const report: TaskReport = {
      started: (worker) => {
        events.started(worker);
      },
      submitted: (output) => {
        if (controller.signal.aborted) return;
        events.submitted(output);
        attempt.submitted = output;
        attempt.beat = clock.now().getTime();
        timers.start(true);
      },
      heartbeat: () => {
        attempt.beat = clock.now().getTime();
        timers.beat();
      },
      signal: controller.signal,
    };
    timers.start(resource.kind === 'activity' || attempt.submitted !== undefined);
    const run = async (): Promise<Json> => {
      // Other branches schedule their tasks before this one starts.
      await Promise.resolve();
      if (!underWay && resource.kind !== 'activity') events.started();
      return tasks.run(request, report);
    };
    // A limit or an end from outside comes before the task's own answer, which nobody waits for then.
    controller.signal.addEventListener('abort', () => {
      block.signal.removeEventListener('abort', giveUp);
      timers.stop();
    });
    run().then(resolve, reject);
  });
  try {
    const output = await result;
    block.signal.throwIfAborted();
    state.checkSize(output, resource.kind === 'service' ? resource.service : resource.arn);
    events.succeeded(output);
    return output;
  } catch (error) {
    if (!block.signal.aborted && error instanceof StatesError && !(error instanceof RuntimeError))
      events.failed(error);
    throw error;
  } finally {
    frame.task = null;
    controller.abort();
  }
}

async function prepareWithExpressions(state: StateRun): Promise<TaskTry> {
  const { Credentials } = state.definition;
  const token = (state.taskToken = state.block.execution.newTaskToken());
  const input = state.effectiveInput();
  return {
    timeoutSeconds: await state.numberField('TimeoutSeconds', input),
    heartbeatSeconds: await state.numberField('HeartbeatSeconds', input),
    input: await state.parameters(),
    roleArn: roleIn(
      Credentials === undefined ? null : await fill(Credentials, 'Credentials', state.environment()),
    ),
    ...beginning(state, token),
  };
}

function prepareWithPaths(state: StateRun): TaskTry {
  const { Credentials } = state.definition;
  const token = (state.taskToken = state.block.execution.newTaskToken());
  const input = state.effectiveInput();
  return {
    timeoutSeconds: state.numberThroughPath('TimeoutSeconds', input),
    heartbeatSeconds: state.numberThroughPath('HeartbeatSeconds', input),
    input: state.parametersThroughPaths(),
    roleArn: roleIn(
      Credentials === undefined ? null : fillTemplate(Credentials, state.environment({ input })),
    ),
    ...beginning(state, token),
  };
}

function beginning(state: StateRun, token: string): Pick<TaskTry, 'token' | 'began' | 'beat' | 'submitted'> {
  const now = state.block.execution.options.clock.now().getTime();
  return { token, began: now, beat: now, submitted: undefined };
}

function roleIn(filled: Json): string | undefined {
  const roleArn = isObject(filled) ? member(filled, 'RoleArn') : undefined;
  return typeof roleArn === 'string' ? roleArn : undefined;
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

/** TimeoutSeconds and HeartbeatSeconds of one try. */
class TaskTimers {
  private cancelTimeout: (() => void) | undefined;
  private cancelHeartbeat: (() => void) | undefined;
  private waiting = false;

  constructor(
    private readonly clock: Clock,
    private readonly attempt: TaskTry,
    private readonly expire: (error: TaskTimeout) => void,
  ) {}

  /**
   * While a call is under way the limits must not pull a virtual clock forward; while somebody outside is waited for
   * (`waiting`) they must.
   */
  start(waiting: boolean): void {
    this.stop();
    this.waiting = waiting;
    const { began, timeoutSeconds } = this.attempt;
    if (timeoutSeconds !== undefined) {
      this.cancelTimeout = this.clock.schedule(
        new Date(began + timeoutSeconds * 1000),
        () => {
          this.expire(new TaskTimeout());
        },
        { background: !waiting },
      );
    }
    this.beat();
  }

  /** The time of HeartbeatSeconds begins where the try says. */
  beat(): void {
    this.cancelHeartbeat?.();
    const { beat, heartbeatSeconds } = this.attempt;
    if (heartbeatSeconds === undefined) return;
    this.cancelHeartbeat = this.clock.schedule(
      new Date(beat + heartbeatSeconds * 1000),
      () => {
        this.expire(new TaskTimeout('States.Timeout', true));
      },
      { background: !this.waiting },
    );
  }

  stop(): void {
    this.cancelTimeout?.();
    this.cancelHeartbeat?.();
  }
}

/** The events of one try, which are of three kinds. */
class TaskEvents {
  private readonly region: string;

  constructor(
    private readonly state: StateRun,
    private readonly request: TaskRequest,
    private readonly attempt: TaskTry,
  ) {
    const execution = request.context['Execution'];
    const id = isObject(execution) ? member(execution, 'Id') : undefined;
    this.region = typeof id === 'string' ? (id.split(':')[3] ?? '') : '';
  }

  scheduled(): void {
    const { input, resource, roleArn } = this.request;
    const text = JSON.stringify(input);
    const { timeoutSeconds, heartbeatSeconds } = this.attempt;
    const timeout = timeoutSeconds === undefined ? {} : { timeoutInSeconds: timeoutSeconds };
    const shared = {
      ...timeout,
      ...(roleArn !== undefined && { taskCredentials: { roleArn } }),
    };
    const heartbeat = heartbeatSeconds === undefined ? {} : { heartbeatInSeconds: heartbeatSeconds };
    switch (resource.kind) {
      case 'lambda':
        this.state.emit('LambdaFunctionScheduled', {
          lambdaFunctionScheduledEventDetails: {
            resource: resource.arn,
            input: text,
            inputDetails: { truncated: false },
            ...shared,
          },
        });
        return;
      case 'activity':
        this.state.emit('ActivityScheduled', {
          activityScheduledEventDetails: {
            resource: resource.arn,
            input: text,
            inputDetails: { truncated: false },
            ...timeout,
            ...heartbeat,
          },
        });
        return;
      case 'service':
        this.state.emit('TaskScheduled', {
          taskScheduledEventDetails: {
            resourceType: resource.service,
            resource: resource.name,
            region: this.region,
            parameters: text,
            ...shared,
            ...heartbeat,
          },
        });
    }
  }

  started(workerName?: string): void {
    if (this.state.block.signal.aborted) return;
    const { resource } = this.request;
    switch (resource.kind) {
      case 'lambda':
        this.state.emit('LambdaFunctionStarted');
        return;
      case 'activity':
        this.state.emit('ActivityStarted', {
          activityStartedEventDetails: { ...(workerName !== undefined && { workerName }) },
        });
        return;
      case 'service':
        this.state.emit('TaskStarted', {
          taskStartedEventDetails: { resourceType: resource.service, resource: resource.name },
        });
    }
  }

  submitted(output: Json): void {
    const { resource } = this.request;
    if (resource.kind !== 'service') return;
    this.state.emit('TaskSubmitted', {
      taskSubmittedEventDetails: {
        resourceType: resource.service,
        resource: resource.name,
        output: JSON.stringify(output),
        outputDetails: { truncated: false },
      },
    });
  }

  succeeded(output: Json): void {
    const { resource } = this.request;
    const details = { output: JSON.stringify(output), outputDetails: { truncated: false } };
    switch (resource.kind) {
      case 'lambda':
        this.state.emit('LambdaFunctionSucceeded', { lambdaFunctionSucceededEventDetails: details });
        return;
      case 'activity':
        this.state.emit('ActivitySucceeded', { activitySucceededEventDetails: details });
        return;
      case 'service':
        this.state.emit('TaskSucceeded', {
          taskSucceededEventDetails: {
            resourceType: resource.service,
            resource: resource.name,
            ...details,
          },
        });
    }
  }

  failed(failure: StatesError): void {
    const { resource } = this.request;
    const timedOut = failure instanceof TaskTimeout;
    const details = {
      ...(failure.error !== undefined && { error: failure.error }),
      ...(failure.reason !== undefined && { cause: failure.reason }),
    };
    const emit = (done: EventDetails): void => {
      const prefix = { lambda: 'LambdaFunction', activity: 'Activity', service: 'Task' } as const;
      this.state.emit(`${prefix[resource.kind]}${timedOut ? 'TimedOut' : 'Failed'}`, done);
    };
    switch (resource.kind) {
      case 'lambda':
        emit(
          timedOut
            ? { lambdaFunctionTimedOutEventDetails: details }
            : { lambdaFunctionFailedEventDetails: details },
        );
        return;
      case 'activity':
        emit(timedOut ? { activityTimedOutEventDetails: details } : { activityFailedEventDetails: details });
        return;
      case 'service': {
        const full = { resourceType: resource.service, resource: resource.name, ...details };
        emit(timedOut ? { taskTimedOutEventDetails: full } : { taskFailedEventDetails: full });
      }
    }
  }
}
