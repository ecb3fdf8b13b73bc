import { DescribeExecutionCommand, type HistoryEvent, type SFNClient } from '@aws-sdk/client-sfn';
import * as z from 'zod/mini';
import { Decision, QUESTIONS, type Question } from './contract/questions';
import { isAwsError } from './errors';
import { historyOf } from './execution-history';
import { jsonOf } from './parse';

/**
 * What a recovery asks people, as the history of its execution has it: a task that tells them and waits for its token
 * (docs/decisions/0020-approval.md). The token is in what the task was started with, so it is stored nowhere else.
 */
const ASKS = 'publish.waitForTaskToken';

/** Of the message that SNS gets: it sends people the default text, and nobody the rest. */
const Asked = z.object({ question: z.enum(QUESTIONS), token: z.string() });
type Asked = z.infer<typeof Asked>;

/** How it stands with a question: of several times that it was asked, the last one counts. */
export type Standing =
  | { readonly is: 'not asked' }
  | { readonly is: 'waiting'; readonly token: string }
  | { readonly is: 'decided'; readonly decision: Decision }
  /** Nobody can answer it any more: the time is up, or people could not be told, which both count as no; or the execution has ended. */
  | { readonly is: 'over'; readonly why: string; readonly countsAs: 'no' | 'nothing' };

export async function standingOf(
  stepFunctions: SFNClient,
  executionArn: string,
  question: Question,
): Promise<Standing> {
  // Newest first: where a task is found to have been started, its end has been seen.
  let ending: HistoryEvent | undefined;
  try {
    for await (const event of historyOf(stepFunctions, executionArn)) {
      if (isEnding(event)) ending = event;
      const asked = askedBy(event);
      if (asked?.question === question) return await standing(stepFunctions, executionArn, asked, ending);
      if (asked) ending = undefined;
    }
  } catch (error) {
    if (!isAwsError(error, 'ExecutionDoesNotExist')) throw error;
  }
  return { is: 'not asked' };
}

function isEnding(event: HistoryEvent): boolean {
  const details =
    event.taskSucceededEventDetails ?? event.taskFailedEventDetails ?? event.taskTimedOutEventDetails;
  return details?.resource === ASKS;
}

function askedBy({ taskScheduledEventDetails: details }: HistoryEvent): Asked | undefined {
  if (details?.resource !== ASKS) return undefined;
  const { Message: message } = z.object({ Message: z.unknown() }).parse(jsonOf(details.parameters ?? 'null'));
  return Asked.parse(typeof message === 'string' ? jsonOf(message) : message);
}

async function standing(
  stepFunctions: SFNClient,
  executionArn: string,
  { token }: Asked,
  ending: HistoryEvent | undefined,
): Promise<Standing> {
  if (ending?.taskTimedOutEventDetails) return { is: 'over', why: 'nobody answered in time', countsAs: 'no' };
  if (ending) {
    const decision = Decision.safeParse(answerIn(ending));
    return decision.success
      ? { is: 'decided', decision: decision.data }
      : { is: 'over', why: 'people could not be told of it', countsAs: 'no' };
  }
  const { status } = await stepFunctions.send(new DescribeExecutionCommand({ executionArn }));
  return status === 'RUNNING'
    ? { is: 'waiting', token }
    : { is: 'over', why: `the execution is ${status ?? 'unknown'}`, countsAs: 'nothing' };
}

/** A yes is the output of the task, a no stands in the cause of its failure. */
function answerIn({ taskSucceededEventDetails: yes, taskFailedEventDetails: no }: HistoryEvent): unknown {
  if (yes) return jsonOf(yes.output ?? 'null');
  const cause = z.safeParse(z.object({ decision: z.unknown() }), jsonOf(no?.cause ?? 'null'));
  return cause.success ? cause.data.decision : undefined;
}
