import type { Json, JsonObject } from './json';
import type { Resource } from './resource';

/** One try of a Task state. */
export interface TaskRequest {
  readonly state: string;
  readonly resource: Resource;
  /** Parameters or Arguments as evaluated. */
  readonly input: Json;
  /** What `$$.Task.Token` was while the input was evaluated. */
  readonly taskToken: string;
  /** RoleArn of the state's Credentials. */
  readonly roleArn: string | undefined;
  /** What the service answered to an earlier process that submitted this request: only the end is waited for then. */
  readonly submitted: Json | undefined;
  /** `$$` at this moment. */
  readonly context: JsonObject;
}

/** What a task says while it runs. */
export interface TaskReport {
  /** An activity's worker has taken the task. Other tasks are said to be started by the interpreter. */
  started(workerName?: string): void;
  /** The service has taken the request; the task goes on until its callback or its job is done. */
  submitted(output: Json): void;
  /** Starts the time of HeartbeatSeconds anew. */
  heartbeat(): void;
  /** Aborted when nobody waits for the task any longer. */
  readonly signal: AbortSignal;
}

/** Runs tasks. A task that fails throws a StatesError (TaskTimeout if its own service timed out). */
export interface TaskRunner {
  /** Throws a RuntimeError for a task that cannot even be scheduled. */
  check?(request: TaskRequest): void;
  /** Answers with the result, before ResultSelector. */
  run(request: TaskRequest, report: TaskReport): Promise<Json>;
}
