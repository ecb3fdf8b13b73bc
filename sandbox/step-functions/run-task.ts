import { fillTemplate } from './environment';
import { RuntimeError, StatesError, TaskTimeout } from './errors';
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
  const taskToken = state.newTaskToken();
  const input = state.effectiveInput();
  const { timeout, heartbeat, parameters, roleArn } = state.jsonata
    ? await prepareWithExpressions(state, input)
    : prepareWithPaths(state, input);
  const request: TaskRequest = {
    state: state.name,
    resource,
    input: parameters,
    taskToken,
    roleArn,
    context: state.environment().context,
  };
  tasks.check?.(request);
  const events = new TaskEvents(state, request, timeout, heartbeat);
  events.scheduled();

  const controller = new AbortController();
  const result = new Promise<Json>((resolve, reject) => {
    const giveUp = (): void => {
      reject(asError(block.signal.reason));
    };
    block.signal.addEventListener('abort', giveUp, { once: true });
    const timers = new TaskTimers(clock, timeout, heartbeat, reject);
    const report: TaskReport = {
      started: (worker) => {
        events.started(worker);
      },
      submitted: (output) => {
        if (controller.signal.aborted) return;
        events.submitted(output);
        timers.waitFromNow();
      },
      heartbeat: () => {
        timers.beat();
      },
      signal: controller.signal,
    };
    timers.start(resource.kind === 'activity');
    const run = async (): Promise<Json> => {
      // Other branches schedule their tasks before this one starts.
      await Promise.resolve();
      if (resource.kind !== 'activity') events.started();
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
    controller.abort();
  }
}

interface Prepared {
  readonly timeout: number | undefined;
  readonly heartbeat: number | undefined;
  readonly parameters: Json;
  readonly roleArn: string | undefined;
}

async function prepareWithExpressions(state: StateRun, input: Json): Promise<Prepared> {
  const { Credentials } = state.definition;
  return {
    timeout: await state.numberField('TimeoutSeconds', input),
    heartbeat: await state.numberField('HeartbeatSeconds', input),
    parameters: await state.parameters(),
    roleArn: roleIn(
      Credentials === undefined ? null : await fill(Credentials, 'Credentials', state.environment()),
    ),
  };
}

/** Without waiting: as on AWS, side by side, all iterations of a Map schedule their tasks before the first one starts. */
function prepareWithPaths(state: StateRun, input: Json): Prepared {
  const { Credentials } = state.definition;
  return {
    timeout: state.numberThroughPath('TimeoutSeconds', input),
    heartbeat: state.numberThroughPath('HeartbeatSeconds', input),
    parameters: state.parametersThroughPaths(),
    roleArn: roleIn(
      Credentials === undefined ? null : fillTemplate(Credentials, state.environment({ input })),
    ),
  };
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
  private readonly began: number;

  constructor(
    private readonly clock: TaskClock,
    private readonly timeout: number | undefined,
    private readonly heartbeat: number | undefined,
    private readonly expire: (error: TaskTimeout) => void,
  ) {
    this.began = clock.now().getTime();
  }

  /**
   * While a call is under way the limits must not pull a virtual clock forward; while somebody outside is waited for
   * (`waiting`) they must.
   */
  start(waiting: boolean): void {
    this.stop();
    this.waiting = waiting;
    if (this.timeout !== undefined) {
      this.cancelTimeout = this.clock.schedule(
        new Date(this.began + this.timeout * 1000),
        () => {
          this.expire(new TaskTimeout());
        },
        { background: !waiting },
      );
    }
    this.beat();
  }

  waitFromNow(): void {
    this.start(true);
  }

  beat(): void {
    this.cancelHeartbeat?.();
    if (this.heartbeat === undefined) return;
    this.cancelHeartbeat = this.clock.schedule(
      new Date(this.clock.now().getTime() + this.heartbeat * 1000),
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

type TaskClock = StateRun['block']['execution']['options']['clock'];

/** The events of one try, which are of three kinds. */
class TaskEvents {
  private readonly region: string;

  constructor(
    private readonly state: StateRun,
    private readonly request: TaskRequest,
    private readonly timeout: number | undefined,
    private readonly heartbeat: number | undefined,
  ) {
    const execution = request.context['Execution'];
    const id = isObject(execution) ? member(execution, 'Id') : undefined;
    this.region = typeof id === 'string' ? (id.split(':')[3] ?? '') : '';
  }

  scheduled(): void {
    const { input, resource, roleArn } = this.request;
    const text = JSON.stringify(input);
    const shared = {
      ...(this.timeout !== undefined && { timeoutInSeconds: this.timeout }),
      ...(roleArn !== undefined && { taskCredentials: { roleArn } }),
    };
    const heartbeat = this.heartbeat === undefined ? {} : { heartbeatInSeconds: this.heartbeat };
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
            ...(this.timeout !== undefined && { timeoutInSeconds: this.timeout }),
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
