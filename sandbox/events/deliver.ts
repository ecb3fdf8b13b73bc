import { NotInSandbox, type Caller } from '../core/api';
import type { SandboxContext } from '../core/context';

/** Kinds of targets, by the service in their ARN. */
const TARGETS = {
  lambda: /^arn:aws[\w-]*:lambda:[^:]*:\d+:function:[^:]+$/,
  states: /^arn:aws[\w-]*:states:[^:]*:\d+:stateMachine:[^:]+$/,
  sns: /^arn:aws[\w-]*:sns:[^:]*:\d+:[^:]+$/,
  sqs: /^arn:aws[\w-]*:sqs:[^:]*:\d+:[^:]+$/,
} as const;

export type TargetKind = keyof typeof TARGETS;

/** @throws {NotInSandbox} for targets of kinds that the sandbox can't reach */
export function targetKind(targetArn: string): TargetKind {
  for (const [kind, form] of Object.entries(TARGETS))
    if (form.test(targetArn) && isKind(kind) && !targetArn.endsWith('.fifo')) return kind;
  throw new NotInSandbox(
    `the target ${targetArn} (targets are Lambda functions, state machines, SNS topics and SQS queues)`,
  );
}

function isKind(kind: string): kind is TargetKind {
  return kind in TARGETS;
}

/** Sends a text to a target, without waiting for what becomes of it there. @throws {ApiError} as the target refuses it */
export async function deliver(
  { api }: SandboxContext,
  targetArn: string,
  payload: string,
  caller: Caller,
): Promise<void> {
  switch (targetKind(targetArn)) {
    case 'lambda':
      await api.call(
        'lambda',
        'Invoke',
        { FunctionName: targetArn, InvocationType: 'Event', Payload: Buffer.from(payload) },
        caller,
      );
      break;
    case 'states':
      await api.call('states', 'StartExecution', { stateMachineArn: targetArn, input: payload }, caller);
      break;
    case 'sns':
      await api.call('sns', 'Publish', { TopicArn: targetArn, Message: payload }, caller);
      break;
    case 'sqs':
      await api.call('sqs', 'SendMessage', { QueueUrl: targetArn, MessageBody: payload }, caller);
  }
}
