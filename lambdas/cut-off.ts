import type { HistoryEvent, SFNClient } from '@aws-sdk/client-sfn';
import * as z from 'zod/mini';
import type { FunctionName } from './contract/functions';
import type { Recovery } from './contract/recovery';
import { AwsUnavailable, StoppedRecoveryAtWork } from './errors';
import { historyOf } from './execution-history';

/** Longer than any task of the machine may take. */
export const LONGEST_TASK_MS = 20 * 60_000;

/** A function that had not answered when its execution was stopped, and until when it may run: Lambda does not end it. */
export interface CutOff {
  readonly name: string;
  readonly until: Date;
}

export interface CutOffDeps {
  readonly stepFunctions: SFNClient;
  readonly now: () => Date;
}

type Ending = HistoryEvent['type'];
const STOPPED: readonly Ending[] = ['ExecutionAborted', 'ExecutionTimedOut'];
/** One that ended by itself had its answer: every task waits for longer than its function can take. */
const ENDED: readonly Ending[] = [...STOPPED, 'ExecutionFailed', 'ExecutionSucceeded'];
const ANSWERED: readonly Ending[] = [
  'TaskSucceeded',
  'TaskFailed',
  'TaskTimedOut',
  'TaskStartFailed',
  'TaskSubmitFailed',
];
const Called = z.object({ FunctionName: z.string() });

/**
 * The function of an execution that may still be at work although it was cut off, now or before a redrive.
 * @param counts of a function, by its physical name: whether it matters
 * @param redrives how often the execution has been redriven, where it is the one that asks; left out: it has ended
 */
export async function findCutOff(
  executionArn: string,
  { stepFunctions, now: clock }: CutOffDeps,
  counts: (name: string) => boolean,
  redrives?: number,
): Promise<CutOff | undefined> {
  const now = clock().getTime();
  // Histories are told late: what the newest event must be is known.
  let isAllTold = false;
  let isCutOff = false;
  for await (const event of historyOf(stepFunctions, executionArn, 100)) {
    const { type, timestamp = new Date(0), taskScheduledEventDetails: task } = event;
    isAllTold ||=
      redrives === undefined
        ? ENDED.includes(type)
        : event.executionRedrivenEventDetails?.redriveCount === redrives;
    if (!isAllTold && redrives === undefined) break;
    if (isAllTold && now - timestamp.getTime() > LONGEST_TASK_MS) return undefined;
    if (STOPPED.includes(type)) isCutOff = true;
    if (ANSWERED.includes(type)) isCutOff = false;
    if (!task || !isAllTold || !isCutOff) continue;
    isCutOff = false;
    const name = functionOf(task);
    const until = new Date(timestamp.getTime() + (task.timeoutInSeconds ?? 0) * 1000);
    if (name !== undefined && counts(name) && until.getTime() > now) return { name, until };
  }
  if (isAllTold) return undefined;
  throw new AwsUnavailable(
    `Step Functions does not say yet what happened last in ${executionArn.split(':').at(-1) ?? executionArn}.`,
    'Usually this passes: try again in a few minutes.',
  );
}

/** Undefined of a task that calls none. */
function functionOf({
  resourceType,
  parameters,
}: NonNullable<HistoryEvent['taskScheduledEventDetails']>): string | undefined {
  if (resourceType !== 'lambda') return undefined;
  const { FunctionName: arn } = Called.parse(JSON.parse(parameters ?? '{}'));
  return arn.split(':')[6] ?? arn;
}

/**
 * For a step of an execution that was stopped and redriven: what it does now would meet what these functions, cut off then, may still
 * do. Throws StoppedRecoveryAtWork until they cannot. Never redriven, nothing is asked.
 */
export async function refuseBesideCutOff(
  { execution, environment }: Recovery,
  redrives: number,
  functions: readonly FunctionName[],
  deps: CutOffDeps,
): Promise<void> {
  if (redrives === 0) return;
  const names = functions.map((name) => `${environment}-${name}`);
  const cutOff = await findCutOff(execution.arn, deps, (name) => names.includes(name), redrives);
  if (cutOff)
    throw new StoppedRecoveryAtWork(
      `This execution was stopped and redriven; its function ${cutOff.name} of then may be at work until ${cutOff.until.toISOString()}.`,
      'Wait: AWS does not end it, and what it does must not meet what is done now.',
    );
}
