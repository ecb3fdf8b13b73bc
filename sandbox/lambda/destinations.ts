import { ApiError, NotInSandbox, type Caller } from '../core/api';
import type { SandboxContext } from '../core/context';
import type { Outcome } from './environment';
import type { LambdaFunction } from './function';

/** An event that was invoked asynchronously, when all is over with it. */
export interface FinishedEvent {
  readonly requestId: string;
  readonly event: string;
  readonly invokeCount: number;
  readonly condition: 'Success' | 'RetriesExhausted' | 'EventAgeExceeded';
  /** Of the last attempt; undefined where there was none. */
  readonly outcome: Outcome | undefined;
}

/** @throws NotInSandbox, or ApiError InvalidParameterValueException for what can't be a destination of records */
export function checkDestination(destination: string | undefined): void {
  const service = destination?.split(':')[2];
  if (destination === undefined || destination === '') return;
  if (service === 's3' || destination.startsWith('kafka:'))
    throw new NotInSandbox(`the destination ${destination}`);
  if (!['sqs', 'sns', 'lambda', 'events'].includes(service ?? ''))
    throw new ApiError('InvalidParameterValueException', `The destination ARN ${destination} is invalid.`);
}

/** @throws ApiError InvalidParameterValueException for what can't be a dead-letter queue */
export function checkDeadLetterTarget(target: string | undefined): void {
  if (target === undefined || target === '' || /^arn:[^:]+:(sqs|sns):/.test(target)) return;
  throw new ApiError('InvalidParameterValueException', `The dead-letter target ${target} is invalid.`);
}

/** Sends the record of an event, and the event itself if it failed, where the function's settings say. */
export class Destinations {
  constructor(private readonly context: SandboxContext) {}

  async send(lambda: LambdaFunction, finished: FinishedEvent): Promise<void> {
    const { OnSuccess, OnFailure } = lambda.eventInvoke?.DestinationConfig ?? {};
    const succeeded = finished.condition === 'Success';
    const destination = (succeeded ? OnSuccess : OnFailure)?.Destination;
    const { deadLetterTarget, role } = lambda.settings;
    const caller: Caller = { arn: role };
    const attempts: [string, Promise<unknown>][] = [];
    if (destination) attempts.push([destination, this.record(lambda, destination, finished, caller)]);
    if (!succeeded && deadLetterTarget)
      attempts.push([deadLetterTarget, this.deadLetter(deadLetterTarget, finished, caller)]);
    for (const [target, attempt] of attempts)
      await attempt.catch((error: unknown) => {
        // As on AWS nobody is told but by a metric.
        this.context.log(
          `lambda ${lambda.name}: an event's record did not reach ${target}: ${String(error)}`,
        );
      });
  }

  private async record(
    lambda: LambdaFunction,
    destination: string,
    finished: FinishedEvent,
    caller: Caller,
  ): Promise<unknown> {
    const { api, clock } = this.context;
    const { condition, outcome } = finished;
    const functionArn = `${lambda.arn}:$LATEST`;
    const record = {
      version: '1.0',
      timestamp: clock.now().toISOString(),
      requestContext: {
        requestId: finished.requestId,
        functionArn,
        condition,
        approximateInvokeCount: finished.invokeCount,
      },
      requestPayload: parsed(finished.event),
      ...(outcome && {
        responseContext: {
          statusCode: 200,
          executedVersion: '$LATEST',
          ...('error' in outcome && { functionError: 'Unhandled' }),
        },
        responsePayload: 'error' in outcome ? outcome.error : parsed(outcome.payload),
      }),
    };
    const text = JSON.stringify(record);
    switch (destination.split(':')[2]) {
      case 'lambda':
        return api.call(
          'lambda',
          'Invoke',
          { FunctionName: destination, InvocationType: 'Event', Payload: Buffer.from(text) },
          caller,
        );
      case 'events':
        return api.call(
          'events',
          'PutEvents',
          {
            Entries: [
              {
                Source: 'lambda',
                DetailType: `Lambda Function Invocation Result - ${condition === 'Success' ? 'Success' : 'Failure'}`,
                Resources: [destination, functionArn],
                Detail: text,
                EventBusName: destination,
              },
            ],
          },
          caller,
        );
      case 'sns':
        return api.call('sns', 'Publish', { TopicArn: destination, Message: text }, caller);
      default:
        return api.call('sqs', 'SendMessage', { QueueUrl: destination, MessageBody: text }, caller);
    }
  }

  private async deadLetter(target: string, finished: FinishedEvent, caller: Caller): Promise<unknown> {
    const { outcome } = finished;
    const failed = outcome && 'error' in outcome ? outcome.error : undefined;
    const text = (StringValue: string): object => ({ DataType: 'String', StringValue });
    const MessageAttributes = {
      RequestID: text(finished.requestId),
      ErrorCode: { DataType: 'Number', StringValue: failed ? '200' : '429' },
      // The first kilobyte.
      ...(failed && failed.errorMessage !== '' && { ErrorMessage: text(failed.errorMessage.slice(0, 1024)) }),
    };
    return target.split(':')[2] === 'sns'
      ? this.context.api.call(
          'sns',
          'Publish',
          { TopicArn: target, Message: finished.event, MessageAttributes },
          caller,
        )
      : this.context.api.call(
          'sqs',
          'SendMessage',
          { QueueUrl: target, MessageBody: finished.event, MessageAttributes },
          caller,
        );
  }
}

function parsed(text: string): unknown {
  return JSON.parse(text);
}
