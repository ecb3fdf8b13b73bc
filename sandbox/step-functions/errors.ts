/** An error inside an execution, as Retry, Catch and the history see it. */
export class StatesError extends Error {
  constructor(
    /** What ErrorEquals is compared with; undefined where a callback failed without naming one. */
    readonly error: string | undefined,
    /** The text, undefined where there is none. */
    readonly reason?: string,
  ) {
    super(reason ?? error ?? 'failed');
    this.name = error ?? 'StatesError';
  }
}

/** A task that did not answer in time: its history event is TaskTimedOut and not TaskFailed. */
export class TaskTimeout extends StatesError {
  constructor(
    error = 'States.Timeout',
    /** HeartbeatSeconds ran out. AWS reports that as States.Timeout too; a handler may name it more exactly. */
    readonly heartbeat = false,
  ) {
    super(error);
  }
}

/** An execution cannot go on; neither Retry nor Catch sees it. */
export class Fatal extends StatesError {}

/** The history has only room for the event that ends the execution. */
export class HistoryFull extends Fatal {}

/** A query could not be evaluated; has an event of its own in the history. */
export class EvaluationError extends StatesError {
  constructor(
    reason: string,
    /** The field, for example `Arguments/FunctionName`. */
    readonly location?: string,
    /** The expression itself yielded something, which then turned out to be of no use. */
    readonly evaluated = false,
  ) {
    super('States.QueryEvaluationError', reason);
  }
}

/** A definition that breaks the language in a way that only shows when it runs. */
export class RuntimeError extends Fatal {
  constructor(reason: string) {
    super('States.Runtime', reason);
  }
}

/** An intrinsic function cannot do what it is asked. */
export class IntrinsicFailure extends StatesError {
  constructor(reason: string) {
    super('States.IntrinsicFailure', reason);
  }
}
