import { z } from 'zod';
import { Callers, SANDBOX_ACCOUNT } from '../../../sandbox/core/account';
import { Api } from '../../../sandbox/core/api';
import { held, VirtualClock } from '../../../sandbox/core/clock';
import { fromBytes, toBytes } from '../../../sandbox/core/plain-data';
import type { Lasting } from '../../../sandbox/core/state-directory';
import { StepFunctionsService } from '../../../sandbox/step-functions/service';

export const ROLE = 'arn:aws:iam::123456789012:role/machine';
export const FUNCTION = 'arn:aws:lambda:eu-central-1:123456789012:function:work';

/** A Task state that calls the function. */
export const task = (more: object = {}): object => ({ Type: 'Task', Resource: FUNCTION, End: true, ...more });
/** A machine of one state. */
export const single = (state: object): object => ({ StartAt: 'Work', States: { Work: state } });

export type Answer = { readonly payload: unknown } | { readonly errorType: string };

const Described = z.object({
  status: z.string(),
  output: z.string().optional(),
  error: z.string().optional(),
  cause: z.string().optional(),
  startDate: z.date(),
  stopDate: z.date().optional(),
  redriveCount: z.number(),
  redriveStatus: z.string(),
  redriveStatusReason: z.string().optional(),
});
const History = z.object({
  events: z.array(
    z.looseObject({
      id: z.number(),
      previousEventId: z.number(),
      type: z.string(),
      timestamp: z.date(),
    }),
  ),
  nextToken: z.string().optional(),
});
export type Event = z.infer<typeof History>['events'][number];

/** What a process left: the state of Step Functions as bytes, and the time. */
export interface Left {
  readonly bytes: Buffer;
  readonly at: Date;
}

/** Step Functions on a virtual clock, with a Lambda whose answers are given. */
export function startStates(
  answers: (input: unknown, call: number) => Answer | Promise<Answer> = () => ({ payload: null }),
  left?: Left,
) {
  const clock = new VirtualClock();
  const api = new Api();
  api.intercept((_call, next) => held(clock, next));
  const callers = new Callers(SANDBOX_ACCOUNT);
  let save: () => unknown = () => undefined;
  let resume: (() => Promise<void>) | undefined;
  const keep = <State>(_name: string, part: Lasting<State>): void => {
    if (left) part.load(fromBytes(left.bytes) as State);
    save = () => part.save();
    resume = part.resume?.bind(part);
  };
  const service = new StepFunctionsService({
    account: SANDBOX_ACCOUNT,
    clock,
    callers,
    api,
    directory: '/nowhere',
    endpoint: 'http://127.0.0.1:1',
    keep,
    log: () => undefined,
  });
  api.register(service);
  const calls: { input: unknown; role: string; at: number }[] = [];
  api.register({
    name: 'lambda',
    operations: {
      Invoke: async (request: { Payload?: Uint8Array }, context) => {
        const input: unknown = JSON.parse(Buffer.from(request.Payload ?? []).toString());
        calls.push({ input, role: context.caller.arn, at: clock.now().getTime() });
        const answer = await answers(input, calls.length);
        return 'payload' in answer
          ? {
              StatusCode: 200,
              ExecutedVersion: '$LATEST',
              Payload: Buffer.from(JSON.stringify(answer.payload)),
            }
          : {
              StatusCode: 200,
              FunctionError: 'Unhandled',
              Payload: Buffer.from(
                JSON.stringify({ errorMessage: 'no', errorType: answer.errorType, trace: [] }),
              ),
            };
      },
    },
  });
  const call = (operation: string, input: object) =>
    api.call('states', operation, input, callers.administrator());
  const create = async (definition: object, name = 'machine'): Promise<string> => {
    const made = await call('CreateStateMachine', {
      name,
      roleArn: ROLE,
      definition: JSON.stringify(definition),
    });
    return String(made['stateMachineArn']);
  };
  const begin = async (stateMachineArn: string, input: unknown = {}, name = 'run'): Promise<string> => {
    const begun = await call('StartExecution', { stateMachineArn, name, input: JSON.stringify(input) });
    return String(begun['executionArn']);
  };
  const describe = async (executionArn: string) =>
    Described.parse(await call('DescribeExecution', { executionArn }));
  const history = async (executionArn: string, options: object = {}) =>
    History.parse(await call('GetExecutionHistory', { executionArn, maxResults: 1000, ...options }));
  const types = async (executionArn: string) => (await history(executionArn)).events.map(({ type }) => type);
  /** Waits until the execution has written an event of one of these types. */
  const until = async (executionArn: string, wanted: readonly string[]): Promise<void> => {
    await new Promise<void>((resolve) => {
      const stop = service.onHistoryEvent((arn, { type }) => {
        if (arn === executionArn && wanted.includes(type ?? '')) done();
      });
      const done = (): void => {
        stop();
        resolve();
      };
      void types(executionArn).then((written) => {
        if (written.some((type) => wanted.includes(type))) done();
      });
    });
    await new Promise(setImmediate);
  };
  const ended = async (executionArn: string) => {
    await new Promise<void>((resolve) => {
      const stop = service.onExecution(({ arn, status }) => {
        if (arn === executionArn && status !== 'RUNNING') done();
      });
      const done = (): void => {
        stop();
        resolve();
      };
      void describe(executionArn).then(({ status }) => {
        if (status !== 'RUNNING') done();
      });
    });
    return describe(executionArn);
  };
  /** Ends this process, as it were: nothing in it goes on. */
  const leave = (): Left => {
    const now = { bytes: toBytes(save()), at: clock.now() };
    clock.hold();
    clock.stop();
    return now;
  };
  /** Goes on with what the earlier process left, `later` milliseconds after its end. */
  const resumed = async (later = 0): Promise<void> => {
    if (!left) return;
    await clock.advance(left.at.getTime() + later - clock.now().getTime());
    await resume?.();
  };
  return {
    clock,
    service,
    call,
    create,
    begin,
    describe,
    history,
    until,
    ended,
    types,
    calls,
    leave,
    resumed,
  };
}
