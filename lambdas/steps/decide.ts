import {
  ListExecutionsCommand,
  SendTaskFailureCommand,
  SendTaskSuccessCommand,
  type SFNClient,
} from '@aws-sdk/client-sfn';
import type * as z from 'zod/mini';
import type { DecideEvent, DecideResult, Decision, Question } from '../contract/questions';
import {
  AwsUnavailable,
  DecidedOtherwise,
  InvalidInput,
  NotApproved,
  NothingToDecide,
  isAwsError,
} from '../errors';
import { standingOf, type Standing } from '../questions';

export interface DecideDeps {
  readonly stepFunctions: SFNClient;
  readonly machineArn: string;
  readonly now: () => Date;
}

/**
 * Answers for a person what a recovery asks and waits for. The first answer counts; the same one again changes nothing.
 * Throws InvalidInput, NothingToDecide, DecidedOtherwise.
 */
export async function decide(event: z.output<typeof DecideEvent>, deps: DecideDeps): Promise<DecideResult> {
  const { question, by, reason } = event;
  const decision = event.decision === 'approve' ? 'approved' : 'rejected';
  const executionArn =
    event.execution === undefined ? await theOneThatAsks(question, deps) : arnOf(event.execution, deps);
  const execution = nameOf(executionArn);

  let isNew = false;
  let now = await standingOf(deps.stepFunctions, executionArn, question);
  if (now.is === 'waiting') {
    const answer: Decision = { question, decision, by, reason, at: deps.now().toISOString() };
    isNew = await send(now.token, answer, deps.stepFunctions);
    // Somebody was faster, or it was this very answer, and that it arrived was not heard: the history knows.
    now = isNew
      ? { is: 'decided', decision: answer }
      : await standingOf(deps.stepFunctions, executionArn, question);
  }
  if (now.is === 'waiting')
    throw new AwsUnavailable(
      `Recovery ${execution} does not take an answer any more, and its history does not say yet why.`,
      'Ask again in a minute: an answer that has arrived is not given twice.',
    );
  if (now.is !== 'decided') throw nothingToDecide(execution, question, now);
  const recorded = now.decision;
  if (recorded.decision !== decision)
    throw new DecidedOtherwise(
      wordsOf(execution, recorded),
      'The first answer counts. See how the execution goes on: docs/runbook.md.',
    );
  return { execution, recorded, isNew };
}

/** True when the answer was taken; false when the task takes none any more. */
async function send(taskToken: string, answer: Decision, stepFunctions: SFNClient): Promise<boolean> {
  try {
    if (answer.decision === 'approved')
      await stepFunctions.send(new SendTaskSuccessCommand({ taskToken, output: JSON.stringify(answer) }));
    else {
      const no = new NotApproved(
        `${answer.by ?? ''} rejected the ${answer.question} at ${answer.at}: ${answer.reason ?? ''}`,
        'Ask them.',
      );
      // As Lambda writes an error, with the answer beside it.
      const cause = JSON.stringify({ errorType: no.name, errorMessage: no.fact, decision: answer });
      await stepFunctions.send(new SendTaskFailureCommand({ taskToken, error: no.name, cause }));
    }
    return true;
  } catch (error) {
    if (isAwsError(error, 'TaskTimedOut', 'TaskDoesNotExist', 'InvalidToken')) return false;
    throw error;
  }
}

/** What the machine does on a no. */
const AFTER_A_NO: Readonly<Record<Question, string>> = {
  cutover: 'nobody was locked out, and both databases are kept',
  retirement: 'the old instance is kept',
  rename: 'nothing was renamed',
};

function nothingToDecide(execution: string, question: Question, standing: Standing): NothingToDecide {
  if (standing.is === 'over')
    return new NothingToDecide(
      `Recovery ${execution} has asked about the ${question}, and waits for no answer any more: ${standing.why}${standing.countsAs === 'no' ? `, which counts as no: ${AFTER_A_NO[question]}` : ''}.`,
      `Redrive the execution: it asks again (docs/runbook.md). ${standing.countsAs === 'no' ? '' : 'What it has left a plan says, started with {}.'}`.trim(),
    );
  if (standing.is === 'decided')
    return new NothingToDecide(
      `No recovery waits for an answer about the ${question} any more. ${wordsOf(execution, standing.decision)}`,
      standing.decision.decision === 'approved'
        ? 'The first answer counts. See how the execution went on; docs/runbook.md says what can be undone.'
        : `It ended by that: ${AFTER_A_NO[question]}. Redrive the execution to be asked again: docs/runbook.md.`,
    );
  return new NothingToDecide(
    `Recovery ${execution} has not asked about the ${question}.`,
    'It is asked when the state is reached, and only where an approval is wanted: see the execution in the console.',
  );
}

async function theOneThatAsks(
  question: Question,
  { stepFunctions, machineArn }: DecideDeps,
): Promise<string> {
  const asking: string[] = [];
  let nextToken: string | undefined;
  do {
    const page = await stepFunctions.send(
      new ListExecutionsCommand({ stateMachineArn: machineArn, statusFilter: 'RUNNING', nextToken }),
    );
    for (const { executionArn = '' } of page.executions ?? [])
      if ((await standingOf(stepFunctions, executionArn, question)).is === 'waiting')
        asking.push(executionArn);
    nextToken = page.nextToken;
  } while (nextToken);
  const [only, ...others] = asking;
  if (only !== undefined && others.length === 0) return only;
  if (only !== undefined)
    throw new NothingToDecide(
      `Several recoveries wait for an answer about the ${question}: ${asking.map(nameOf).join(', ')}.`,
      'Name one of them as "execution".',
    );
  throw await whatBecameOfIt(question, { stepFunctions, machineArn });
}

/** So many executions, the newest first, are looked at for a question that is over: plans and drills are among them. */
const LOOKED_AT = 25;

/** Whoever answers too late reads what was decided, by whom, and what the machine did. */
async function whatBecameOfIt(
  question: Question,
  { stepFunctions, machineArn }: Pick<DecideDeps, 'stepFunctions' | 'machineArn'>,
): Promise<NothingToDecide> {
  const { executions = [] } = await stepFunctions.send(
    new ListExecutionsCommand({ stateMachineArn: machineArn, maxResults: LOOKED_AT }),
  );
  for (const { executionArn = '' } of executions) {
    const standing = await standingOf(stepFunctions, executionArn, question);
    if (standing.is === 'decided' || standing.is === 'over')
      return nothingToDecide(nameOf(executionArn), question, standing);
  }
  return new NothingToDecide(
    `No recovery waits for an answer about the ${question}, and none of the newest ${LOOKED_AT} executions has asked.`,
    'See the executions in the console. To learn what has been decided, name one as "execution".',
  );
}

/** What somebody decided. */
function wordsOf(execution: string, { question, decision, by, at, reason }: Decision): string {
  return `${by ?? 'Somebody'} ${decision} the ${question} of recovery ${execution} at ${at}: ${sentence(reason ?? 'no reason was given')}`;
}

function arnOf(execution: string, { machineArn }: DecideDeps): string {
  const prefix = `${machineArn.replace(':stateMachine:', ':execution:')}:`;
  if (!execution.includes(':')) return prefix + execution;
  if (execution.startsWith(prefix)) return execution;
  throw new InvalidInput(
    `"execution" is ${JSON.stringify(execution)}, which is no execution of ${nameOf(machineArn)}.`,
    'Write its name, or its ARN.',
  );
}

function nameOf(arn: string): string {
  return arn.split(':').at(-1) ?? arn;
}

/** A person's words, with an end: a hint follows. */
function sentence(words: string): string {
  return /[.!?…]$/.test(words) ? words : `${words}.`;
}
