import { NotInSandbox } from '../core/api';
import type { SandboxContext } from '../core/context';

/** Where EventBridge or the Scheduler sends something. */
export interface Target {
  readonly arn: string;
  /** The role in whose name it is sent; the account's administrator where the target needs none. */
  readonly roleArn: string | undefined;
}

/** Refuses targets of kinds that the sandbox cannot reach. */
export function checkTarget(targetArn: string): void {
  if (
    !/^arn:aws[\w-]*:(lambda:[^:]*:\d+:function|states:[^:]*:\d+:stateMachine|sns:[^:]*:\d+):/.test(targetArn)
  )
    throw new NotInSandbox(
      `the target ${targetArn} (targets are Lambda functions, state machines and SNS topics)`,
    );
}

/** Sends a JSON text to a target without waiting for what becomes of it there. */
export async function deliver(
  context: SandboxContext,
  { arn, roleArn }: Target,
  payload: string,
): Promise<void> {
  const caller = roleArn === undefined ? context.callers.administrator() : { arn: roleArn };
  switch (arn.split(':')[2]) {
    case 'lambda':
      await context.api.call(
        'lambda',
        'Invoke',
        { FunctionName: arn, InvocationType: 'Event', Payload: new Uint8Array(Buffer.from(payload)) },
        caller,
      );
      break;
    case 'states':
      await context.api.call('states', 'StartExecution', { stateMachineArn: arn, input: payload }, caller);
      break;
    default:
      await context.api.call('sns', 'Publish', { TopicArn: arn, Message: payload }, caller);
  }
}
