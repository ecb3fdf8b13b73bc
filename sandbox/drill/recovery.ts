import {
  DescribeExecutionCommand,
  RedriveExecutionCommand,
  StartExecutionCommand,
  type SFNClient,
} from '@aws-sdk/client-sfn';
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

interface Followed {
  readonly client: SFNClient;
  readonly service: StepFunctionsService;
  readonly timeline: Timeline;
}

/** Starts the machine as the console does and shows every state while it runs. */
export async function runRecovery(
  options: Followed & { stateMachineArn: string; name: string; input: unknown },
): Promise<RecoveryRun> {
  const { client, stateMachineArn, name, input } = options;
  const executionArn = `${stateMachineArn.replace(':stateMachine:', ':execution:')}:${name}`;
  return follow(options, executionArn, [], () =>
    client.send(new StartExecutionCommand({ stateMachineArn, name, input: JSON.stringify(input) })),
  );
}

/** Redrives an execution that has failed, as the console does. Answers with all of its states, from its start. */
export async function redriveRecovery(options: Followed & { run: RecoveryRun }): Promise<RecoveryRun> {
  const { client, run } = options;
  const { executionArn } = run;
  return follow(options, executionArn, run.states, () =>
    client.send(new RedriveExecutionCommand({ executionArn })),
  );
}

async function follow(
  { client, service, timeline }: Followed,
  executionArn: string,
  before: RecoveryRun['states'],
  begin: () => Promise<unknown>,
): Promise<RecoveryRun> {
  const open: OpenState[] = [];
  const states: RecoveryRun['states'][number][] = [...before];
  let attempts = 0;
  const close = (name: string, at: Date, problem?: string): void => {
    // Branches of a Parallel state are open side by side. A redriven state is not entered again.
    const index = open.findLastIndex((state) => state.name === name);
    const [state] = index < 0 ? [] : open.splice(index, 1);
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
  let unhook = (): void => undefined;
  const ended = new Promise<Date>((resolve) => {
    unhook = service.onHistoryEvent((arn, event) => {
      // The schedule starts executions, too.
      if (arn !== executionArn) return;
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
        close(event.stateExitedEventDetails.name ?? '', at, failure);
      } else if (ENDS.has(event.type ?? '')) {
        for (const { name } of [...open].reverse()) close(name, at, event.executionFailedEventDetails?.error);
        resolve(at);
      }
    });
  });
  await begin();
  const endedAt = await ended;
  unhook();
  const {
    name = '',
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
