import { InvokeCommand } from '@aws-sdk/client-lambda';
import { z } from 'zod';
import { QUESTIONS, type Question } from '../../lambdas/contract/questions';
import type { Sandbox } from '../sandbox';

/** What somebody says to a question. */
export interface Answer {
  readonly decision: 'approve' | 'reject';
  readonly by: string;
  readonly reason: string;
}

/** Who is on call: says something to a question, or nothing. */
export type OnCall = (question: Question) => Answer | undefined;

/** A person who says yes to everything. */
export const yes = (): Answer => ({ decision: 'approve', by: 'drill', reason: 'it is a drill' });

const ASKS = 'publish.waitForTaskToken';
const Asked = z.object({ Message: z.object({ question: z.enum(QUESTIONS) }) });

/**
 * Answers what recoveries ask as a person does: by the function `<env>-decide`. Time stands still meanwhile; a question that
 * nobody answers (`undefined`) runs into its limit. Returns a function that ends it.
 */
export function answerQuestions(sandbox: Sandbox, environment: string, answer: OnCall): () => void {
  const { clock } = sandbox.context;
  const client = sandbox.clients().lambda;
  const asked = new Map<string, Question>();
  // Without naming the execution: just one asks.
  const give = async (question: Question, given: Answer): Promise<void> => {
    for (let tries = 1; tries <= 20; tries++) {
      const { FunctionError } = await client.send(
        new InvokeCommand({
          FunctionName: `${environment}-decide`,
          Payload: JSON.stringify({ question, ...given }),
        }),
      );
      if (FunctionError === undefined) return;
    }
  };
  return sandbox.stepFunctions.onHistoryEvent((executionArn, event) => {
    const { taskScheduledEventDetails: scheduled, taskSubmittedEventDetails: submitted } = event;
    if (scheduled?.resource === ASKS)
      asked.set(executionArn, Asked.parse(JSON.parse(scheduled.parameters ?? '')).Message.question);
    const question = asked.get(executionArn);
    if (submitted?.resource !== ASKS || question === undefined) return;
    const given = answer(question);
    if (!given) return;
    const release = clock.hold();
    // A question that could not be answered shows itself by how the recovery ends.
    void give(question, given)
      .catch(() => undefined)
      .finally(release);
  });
}
