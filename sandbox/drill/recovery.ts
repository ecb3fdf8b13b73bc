import { DescribeExecutionCommand, StartExecutionCommand, type SFNClient } from '@aws-sdk/client-sfn';
import type { StepFunctionsService } from '../step-functions/service';
import type { Timeline } from './timeline';

/** One run of the recovery machine, as its execution and its history tell it. */
export interface RecoveryRun {
  readonly executionArn: string;
  readonly name: string;
  readonly status: string;
  readonly output: unknown;
  readonly error: string | undefined;
  readonly cause: string | undefined;
  readonly states: readonly {
    readonly name: string;
    readonly enteredAt: Date;
    readonly milliseconds: number;
  }[];
  readonly startedAt: Date;
  readonly endedAt: Date;
}

interface OpenState {
  readonly name: string;
  readonly enteredAt: Date;
  readonly line: ReturnType<Timeline['start']> | undefined;
}

const ENDS = new Set(['ExecutionSucceeded', 'ExecutionFailed', 'ExecutionAborted', 'ExecutionTimedOut']);

/** Starts the machine as the console does and shows every state while it runs. */
export async function runRecovery(options: {
  client: SFNClient;
  service: StepFunctionsService;
  timeline: Timeline;
  stateMachineArn: string;
  name: string;
  input: unknown;
}): Promise<RecoveryRun> {
  const { client, service, timeline, stateMachineArn, name, input } = options;
  const open: OpenState[] = [];
  const states: RecoveryRun['states'][number][] = [];
  let attempts = 0;
  const close = (at: Date, problem?: string): void => {
    const state = open.pop();
    if (!state) return;
    states.push({
      name: state.name,
      enteredAt: state.enteredAt,
      milliseconds: at.getTime() - state.enteredAt.getTime(),
    });
    if (problem === undefined) state.line?.succeed();
    else state.line?.fail(problem);
  };
  let failure: string | undefined;
  const ended = new Promise<Date>((resolve) => {
    service.onHistoryEvent((_executionArn, event) => {
      const at = event.timestamp ?? new Date();
      if (event.stateEnteredEventDetails?.name !== undefined) {
        failure = undefined;
        attempts = 0;
        const { name: entered } = event.stateEnteredEventDetails;
        // A choice takes no time and tells a person nothing.
        const line = event.type === 'ChoiceStateEntered' ? undefined : timeline.start(entered);
        open.push({ name: entered, enteredAt: at, line });
      } else if (event.taskFailedEventDetails) {
        failure = event.taskFailedEventDetails.error ?? 'failed';
        attempts++;
        open.at(-1)?.line?.update(`${failure}, asked ${attempts} times`);
      } else if (event.type === 'TaskSucceeded') {
        failure = undefined;
      } else if (event.stateExitedEventDetails) {
        close(at, failure);
      } else if (ENDS.has(event.type ?? '')) {
        close(at, event.executionFailedEventDetails?.error);
        resolve(at);
      }
    });
  });
  const { executionArn = '' } = await client.send(
    new StartExecutionCommand({ stateMachineArn, name, input: JSON.stringify(input) }),
  );
  const endedAt = await ended;
  const {
    status = 'unknown',
    output,
    error,
    cause,
    startDate,
  } = await client.send(new DescribeExecutionCommand({ executionArn }));
  return {
    executionArn,
    name,
    status,
    output: output === undefined ? undefined : (JSON.parse(output) as unknown),
    error,
    cause,
    states,
    startedAt: startDate ?? endedAt,
    endedAt,
  };
}
