import { Duration } from 'aws-cdk-lib';
import type * as sns from 'aws-cdk-lib/aws-sns';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import * as tasks from 'aws-cdk-lib/aws-stepfunctions-tasks';
import type { Construct } from 'constructs';
import type { Question as QuestionName } from '../../lambdas/contract/questions';
import type { EnvironmentName } from '../../lambdas/contract/settings';
import type { RollbackFunction } from '../rollback-function';
import {
  CONSOLE,
  ERROR_MESSAGE,
  FIRST_ERROR,
  KIND,
  REDRIVES,
  RESULT,
  inWords,
  jsonata,
  shortError,
} from './expressions';
import {
  STOPPED_WAIT,
  NO_ANSWER,
  PASSING,
  WAITS,
  attempts,
  waitsForStopped,
  isWait,
  type StepName,
  type Wait,
} from './waits';

/** The error of a step whose execution has lost the database to another one. */
export const OVERTAKEN = 'RecoveryOvertaken';

/** The error of a question to which the answer is no. */
const NOT_APPROVED = 'NotApproved';

export interface MachineStatesProps {
  readonly environment: EnvironmentName;
  readonly functions: Readonly<Record<StepName, RollbackFunction>>;
  /** Where people are told. */
  readonly topic: sns.ITopic;
}

/** An end that a redrive goes on from: what leads to it, and the state that is followed by what goes on. */
export interface RedrivableEnd {
  readonly tell: sfn.IChainable;
  readonly end: sfn.TaskStateBase;
}

/** A message to people, in JSONata. It begins with the environment, and ends with where the console shows the execution. */
export interface Message {
  /** A few words, for the list of a phone. */
  readonly subject: string;
  /** What is the case, in one line that a text message holds. */
  readonly is: string;
  /** What else there is to know, and what to do next: a few short lines. */
  readonly then: string;
}

/** How a recovery has ended that failed. The message has the error in short, the cause of the execution has all of it. */
export interface Failure extends Message {
  /** How many characters of the error's fact the message holds; where there is much else to say, few. */
  readonly room?: number;
  /** Only in the cause: what is too long for a phone. */
  readonly more?: string;
}

/** What a person is asked. */
export interface Question {
  /** State name. */
  readonly name: string;
  readonly about: QuestionName;
  /** JSONata, of the message: short, for a phone. */
  readonly subject: string;
  /** JSONata: what is the case, in one line. */
  readonly is: string;
  /** JSONata: what yes and no mean. */
  readonly yes: string;
  readonly no: string;
  /** No answer in time counts as no. */
  readonly waitsFor: Duration;
  /** JSONata: what is kept of a yes, besides the answer. */
  readonly assign?: Record<string, string>;
}

export interface Step {
  /** State name; the function is the same name in kebab case. */
  readonly name: string;
  readonly event: Record<string, unknown>;
  /** The variables that keep the result. */
  readonly assign?: Record<string, string>;
  /** Where it goes on when another execution has taken over. */
  readonly overtaken?: sfn.IChainable;
  /** An error that is no failure: where it goes on then. */
  readonly unless?: {
    readonly error: string;
    readonly then: sfn.IChainable;
    readonly assign: Record<string, unknown>;
  };
}

/** What steps are told: the recovery, and from when its instance is there on, where that is. */
export const WITH_RECOVERY = { recovery: jsonata('$recovery') };
export const WITH_INSTANCE = { ...WITH_RECOVERY, instance: jsonata('$instance') };

/** A condition, in JSONata. */
export const holds = (expression: string): sfn.Condition => sfn.Condition.jsonata(jsonata(expression));

/** Of what asks AWS itself and not a function: whatever went wrong, it is tried again in a moment. */
export function tryAgain(state: Pick<sfn.TaskStateBase, 'addRetry'>, maxAttempts: number): void {
  state.addRetry({
    errors: ['States.ALL'],
    interval: Duration.seconds(2),
    backoffRate: 2,
    maxAttempts,
    jitterStrategy: sfn.JitterType.FULL,
  });
}

/** Makes the states of the machine, each of one of a few kinds. */
export class MachineStates {
  constructor(
    private readonly scope: Construct,
    private readonly props: MachineStatesProps,
  ) {}

  /** A call of the function of the same name. A failure, if a way for it is given, is kept as the first error. */
  step({ name, event, assign, overtaken, unless }: Step, onError?: sfn.IChainable): sfn.TaskStateBase {
    const stepName = this.stepName(name);
    const lambdaFunction = this.props.functions[stepName];
    const state = tasks.LambdaInvoke.jsonata(this.scope, name, {
      lambdaFunction,
      payload: sfn.TaskInput.fromObject(event),
      outputs: jsonata(RESULT),
      taskTimeout: sfn.Timeout.duration(lambdaFunction.callTimeout.plus(Duration.seconds(30))),
      // Said here in full, with jitter, next to the errors that mean "not yet".
      retryOnServiceExceptions: false,
      ...(assign && {
        assign: Object.fromEntries(Object.entries(assign).map(([key, value]) => [key, jsonata(value)])),
      }),
    });
    this.askAgain(state, stepName);
    const failure = {
      firstError: {
        state: name,
        error: jsonata('$states.errorOutput.Error'),
        message: jsonata(ERROR_MESSAGE),
      },
      redrives: jsonata(REDRIVES),
    };
    if (unless)
      state.addCatch(unless.then, { errors: [unless.error], assign: { ...failure, ...unless.assign } });
    if (overtaken) state.addCatch(overtaken, { errors: [OVERTAKEN], assign: failure });
    if (onError) state.addCatch(onError, { assign: failure });
    return state;
  }

  private stepName(stateName: string): StepName {
    const kebab = stateName.replace(/(?!^)([A-Z])/g, '-$1').toLowerCase();
    const isStep = (name: string): name is StepName => Object.hasOwn(this.props.functions, name);
    if (!isStep(kebab)) throw new Error(`The state ${stateName} has no function "${kebab}".`);
    return kebab;
  }

  private askAgain(state: sfn.TaskStateBase, stepName: StepName): void {
    const waits: Wait[] = [
      ...(isWait(stepName) ? [WAITS[stepName]] : []),
      ...(waitsForStopped(stepName) ? [STOPPED_WAIT] : []),
    ];
    for (const wait of waits)
      state.addRetry({
        errors: [wait.error],
        interval: wait.first,
        backoffRate: 1 + wait.share,
        maxAttempts: attempts(wait),
      });
    state.addRetry({
      errors: [...PASSING],
      interval: Duration.seconds(2),
      backoffRate: 2,
      maxDelay: Duration.minutes(1),
      maxAttempts: 8,
      jitterStrategy: sfn.JitterType.FULL,
    });
    this.askAgainWithoutAnswer(state);
  }

  private askAgainWithoutAnswer(state: sfn.TaskStateBase): void {
    state.addRetry({
      errors: NO_ANSWER,
      interval: Duration.seconds(2),
      backoffRate: 2,
      maxDelay: Duration.minutes(1),
      maxAttempts: 5,
      jitterStrategy: sfn.JitterType.FULL,
    });
  }

  /** Tells people, then ends for good: a redrive only ends the same way again. */
  tellAndFail(notifyName: string, failName: string, failure: Failure): tasks.SnsPublish {
    const fail = sfn.Fail.jsonata(this.scope, failName, {
      error: jsonata('$firstError.error'),
      cause: jsonata(causeOf(failure)),
    });
    const notify = this.notify(notifyName, inShort(failure), fail);
    notify.next(fail);
    return notify;
  }

  /** Tells people, then ends in a state that a redrive goes on from. */
  tellAndStop(
    notifyName: string,
    endName: string,
    failure: Failure,
    goesOnWith: string,
    assign?: Record<string, unknown>,
  ): RedrivableEnd {
    const end = this.end(endName, causeOf(failure), goesOnWith, assign);
    const tell = this.notify(notifyName, inShort(failure), end);
    tell.next(end);
    return { tell, end };
  }

  /**
   * Ends the execution FAILED with the first error, which the function `fail` throws: uncaught on purpose. Redriven, that
   * function answers, and the machine goes on with what comes next (docs/decisions/0013-redrive.md).
   */
  end(name: string, cause: string, goesOnWith: string, assign?: Record<string, unknown>): sfn.TaskStateBase {
    const lambdaFunction = this.props.functions.fail;
    const state = tasks.LambdaInvoke.jsonata(this.scope, name, {
      lambdaFunction,
      payload: sfn.TaskInput.fromObject({
        error: jsonata('$firstError.error'),
        cause: jsonata(cause),
        goesOnWith,
        redrives: { then: jsonata('$redrives'), now: jsonata(REDRIVES) },
      }),
      outputs: jsonata(RESULT),
      taskTimeout: sfn.Timeout.duration(lambdaFunction.callTimeout.plus(Duration.seconds(30))),
      retryOnServiceExceptions: false,
      ...(assign && { assign }),
    });
    this.askAgainWithoutAnswer(state);
    return state;
  }

  /**
   * Asks a person and waits for the answer, which costs nothing. The message goes to people, the token to nobody: `decide` finds
   * it in the history of the execution (docs/decisions/0020-approval.md). A no, and no answer, take the way of a failure.
   */
  ask(
    { name, about, subject, is, yes, no, waitsFor, assign = {} }: Question,
    onError: sfn.IChainable,
  ): tasks.SnsPublish {
    const { environment, topic } = this.props;
    const until = inWords(`$fromMillis($millis() + ${waitsFor.toMilliseconds()})`);
    const command =
      `"aws lambda invoke --function-name ${environment}-decide --cli-binary-format raw-in-base64-out --payload '{" & ` +
      `"\\"execution\\":\\"" & $states.context.Execution.Name & "\\",\\"question\\":\\"${about}\\",\\"decision\\":\\"approve\\"," & ` +
      `"\\"by\\":\\"YOUR NAME\\",\\"reason\\":\\"WHY\\"}' answer.json; cat answer.json"`;
    const message =
      `"${environment}: " & ${is} & "\\nYes: " & ${yes} & "\\nNo, or no answer until " & ${until} & ": " & ${no} & ` +
      `"\\nTo say yes (no: reject):\\n" & ${command} & "\\n" & ${CONSOLE}`;
    const state = tasks.SnsPublish.jsonata(this.scope, name, {
      topic,
      integrationPattern: sfn.IntegrationPattern.WAIT_FOR_TASK_TOKEN,
      subject: jsonata(`"${environment}: " & ${subject}`),
      // SNS sends the default text only: the other keys are names of no protocol.
      messagePerSubscriptionType: true,
      message: sfn.TaskInput.fromObject({
        default: jsonata(message),
        question: about,
        token: jsonata('$states.context.Task.Token'),
      }),
      taskTimeout: sfn.Timeout.duration(waitsFor),
      assign: {
        approvals: jsonata('[$approvals, $states.result]'),
        waited: jsonata('true'),
        ...Object.fromEntries(Object.entries(assign).map(([key, value]) => [key, jsonata(value)])),
      },
    });
    // An answer is an answer; only telling people is tried again.
    state.addRetry({ errors: [NOT_APPROVED, 'States.Timeout'], maxAttempts: 0 });
    tryAgain(state, 4);
    const late = '$states.errorOutput.Error = "States.Timeout"';
    const noAnswer = `{"question": "${about}", "decision": "no answer", "by": null, "reason": null, "at": $now()}`;
    state.addCatch(onError, {
      assign: {
        firstError: {
          state: name,
          error: jsonata(`${late} ? "${NOT_APPROVED}" : $states.errorOutput.Error`),
          message: jsonata(
            `${late} ? "nobody answered within ${waitsFor.toHours()} hours, which counts as no." : ${ERROR_MESSAGE}`,
          ),
        },
        approvals: jsonata(
          `[$approvals, ${late} ? ${noAnswer} : $states.errorOutput.Error = "${NOT_APPROVED}" ? $parse($states.errorOutput.Cause).decision]`,
        ),
        redrives: jsonata(REDRIVES),
      },
    });
    return state;
  }

  /** A message to people. Telling must not stand in the way: `onError` is where it goes on when that fails. */
  notify(
    name: string,
    message: Message,
    onError: sfn.IChainable,
    assignOnError?: Record<string, unknown>,
  ): tasks.SnsPublish {
    const publish = this.publish(name, message, { timeout: Duration.minutes(1), retries: 4 });
    publish.addCatch(onError, { ...(assignOnError && { assign: assignOnError }) });
    return publish;
  }

  /** A message on the way: what comes next does not wait for more than a few seconds, and comes whether it was told or not. */
  mention(name: string, message: Message, next: sfn.IChainable): tasks.SnsPublish {
    const publish = this.publish(name, message, { timeout: Duration.seconds(5), retries: 1 });
    publish.addCatch(next);
    publish.next(next);
    return publish;
  }

  /** What is true at an end that went well, for its output: the lines of a message. */
  summary({ is, then }: Omit<Message, 'subject'>): string {
    return jsonata(`$split(${this.begin} & (${is}) & "\\n" & (${then}), "\\n")`);
  }

  private get begin(): string {
    return `"${this.props.environment}: " & ${KIND}`;
  }

  private publish(
    name: string,
    { subject, is, then }: Message,
    { timeout, retries }: { readonly timeout: Duration; readonly retries: number },
  ): tasks.SnsPublish {
    const { begin, props } = this;
    const publish = tasks.SnsPublish.jsonata(this.scope, name, {
      topic: props.topic,
      subject: jsonata(`${begin} & (${subject})`),
      message: sfn.TaskInput.fromText(jsonata(`${begin} & (${is}) & "\\n" & (${then}) & "\\n" & ${CONSOLE}`)),
      taskTimeout: sfn.Timeout.duration(timeout),
    });
    tryAgain(publish, retries);
    return publish;
  }
}

function inShort({ then, room, ...message }: Failure): Message {
  const error = `$firstError.state & ": " & $firstError.error & ": " & ${shortError('$firstError.message', room)}`;
  return { ...message, then: `${error} & "\\n" & ${then}` };
}

function causeOf({ is, then, more }: Failure): string {
  return [
    `${FIRST_ERROR} & "\\n"`,
    `(${is}) & "\\n"`,
    then,
    ...(more === undefined ? [] : [`"\\n"`, more]),
  ].join(' & ');
}
