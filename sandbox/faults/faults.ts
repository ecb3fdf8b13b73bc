import { AnswerLost, ApiError, type ApiCall, type Interceptor, type Output } from '../core/api';
import type { SandboxContext } from '../core/context';
import type { ForcedFailure } from '../rds/forced-failures';
import { errorOf, throttled } from './declared-errors';
import { failureOf } from './failed-status';
import { InvalidFaultPlan, parseFaultPlan, type Fault, type FaultPlan, type FaultPlanInput } from './plan';
import { Rate } from './rate';
import { isAbout, lastPart, sameCallText } from './which-calls';

/** What faults are done to, beside the calls themselves. */
export interface FaultTargets {
  /** Ends a function's execution environment at once, as if it were killed from outside. Resolves when it is gone. */
  killFunction(environment: string): Promise<void>;
  /** Ends a function's execution environment as Lambda does when its time is up. Resolves when it is gone. */
  timeOutFunction(environment: string): Promise<void>;
  /** Has the next such operation of RDS fail. */
  failOperation(failure: ForcedFailure): void;
  /** Ends the whole sandbox as a killed process ends, to be started again. Missing where nobody would start it again. */
  restart?(): Promise<never>;
}

/** A fault that happened. */
export interface Fired {
  readonly fault: Fault;
  /** The call at which it happened: `rds:DeleteDBInstance`, and the name of the function or role that made it. */
  readonly operation: string;
  readonly caller: string;
  /** Of the sandbox's clock. */
  readonly at: Date;
}

/** How far a fault is. */
interface Progress {
  /** The calls that it was for. */
  calls: number;
  /** Those of them at which it happened. */
  fired: number;
  /** For `each`: how often each different call was made. */
  readonly made: Map<string, number>;
}

/** Makes things go wrong at API calls, as a plan says. */
export class Faults {
  private plan: FaultPlan = parseFaultPlan({});
  private progress: Progress[] = [];
  private rates = new Map<string, Rate>();
  private happened: Fired[] = [];
  /** Execution environments that were ended: what their code may still do reaches nothing. */
  private readonly ended = new Set<string>();

  constructor(
    private readonly context: Pick<SandboxContext, 'clock' | 'log' | 'keep'>,
    private readonly targets: FaultTargets,
    plan: FaultPlanInput = {},
  ) {
    this.follow(plan);
    context.keep('faults', {
      save: () => ({ plan: JSON.stringify(this.plan), progress: this.progress, happened: this.happened }),
      load: (earlier) => {
        // The same plan goes on where it was: a fault that ended the sandbox does not happen again.
        if (earlier.plan !== JSON.stringify(this.plan)) return;
        this.progress = earlier.progress;
        this.happened = earlier.happened;
      },
    });
  }

  /** From now on this plan is followed, from its beginning, and no other. @throws InvalidFaultPlan */
  follow(wanted: FaultPlanInput): void {
    const plan = parseFaultPlan(wanted);
    if (!this.targets.restart && plan.faults.some(({ fault }) => fault === 'restart'))
      throw new InvalidFaultPlan(
        'The fault plan cannot be used: a "restart" needs a state directory and somebody who starts the sandbox again.',
      );
    this.plan = plan;
    this.progress = this.plan.faults.map(() => ({ calls: 0, fired: 0, made: new Map() }));
    this.happened = [];
    this.rates = new Map(
      Object.entries(this.plan.rates).map(([service, perSecond]) => [
        service,
        new Rate(this.context.clock, perSecond),
      ]),
    );
  }

  /** What went wrong so far, in order. */
  fired(): readonly Fired[] {
    return this.happened;
  }

  /** The faults that have not happened (yet): at no call, or at fewer than `times`. */
  unfired(): readonly Fault[] {
    return this.plan.faults.filter(({ at }, index) => (this.progress[index]?.fired ?? 0) < (at.times ?? 1));
  }

  readonly interceptor: Interceptor = async (call, next) => {
    const { service, operation, caller } = call.context;
    if (caller.environment !== undefined && this.ended.has(caller.environment)) throw functionGone();
    if (this.rates.get(service)?.take() === false) throw throttled(service);
    const fault = this.due(call);
    if (!fault) return next();
    if ('when' in fault && fault.when === 'after') await takeEffect(next);
    switch (fault.fault) {
      case 'error':
        throw (
          errorOf(service, operation, fault.code, fault.message) ?? new ApiError(fault.code, fault.message)
        );
      case 'lost answer':
        await takeEffect(next);
        throw new AnswerLost();
      case 'throttling':
        throw throttled(service);
      case 'kill':
      case 'time out': {
        const environment = caller.environment ?? '';
        this.ended.add(environment);
        if (fault.fault === 'kill') await this.targets.killFunction(environment);
        else await this.targets.timeOutFunction(environment);
        throw functionGone();
      }
      case 'failed status': {
        const failure = failureOf(`${service}:${operation}`, fault.status, fault.part, call.input);
        if (!('problem' in failure)) this.targets.failOperation(failure);
        return next();
      }
      case 'restart':
        return this.restart();
    }
  };

  /** Counts the call with every fault that is for it, and answers the first that has to happen at it. */
  private due(call: ApiCall): Fault | undefined {
    const { context } = call;
    const operation = `${context.service}:${context.operation}`;
    const callerName = context.caller.functionName ?? lastPart(context.caller.arn);
    let due: Fault | undefined;
    for (const [index, fault] of this.plan.faults.entries()) {
      const progress = this.progress[index];
      if (!progress || !isFor(fault, call)) continue;
      progress.calls++;
      const now = isNow(fault.at, progress, call);
      if (due || !now) continue;
      progress.fired++;
      due = fault;
      this.happened.push({ fault, operation, caller: callerName, at: this.context.clock.now() });
      this.context.log(`faults: ${fault.fault} at ${operation} by ${callerName}`);
    }
    return due;
  }

  private async restart(): Promise<never> {
    if (!this.targets.restart) throw new Error('Nobody would start the sandbox again.');
    return this.targets.restart();
  }
}

/** Whether it is the turn of a call that the fault is for. */
function isNow(at: Fault['at'], { calls, fired, made }: Progress, call: ApiCall): boolean {
  if (at.each !== undefined) {
    const text = sameCallText(call);
    const times = (made.get(text) ?? 0) + 1;
    made.set(text, times);
    return times <= at.each;
  }
  if (at.every === undefined) return calls === (at.call ?? 1);
  return calls % at.every === 0 && fired < (at.times ?? Infinity);
}

/** Lets a call take effect where its answer does not matter: a refusal is lost as any other answer is. */
async function takeEffect(next: () => Promise<Output>): Promise<void> {
  try {
    await next();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
}

/** Nobody is there to read this answer. */
function functionGone(): ApiError {
  return new ApiError('FunctionGone', 'The function that made this call has ended.');
}

function isFor(fault: Fault, call: ApiCall): boolean {
  const byFunction = call.context.caller.environment !== undefined;
  if (!byFunction && (fault.fault === 'kill' || fault.fault === 'time out')) return false;
  return isAbout(fault.at, call);
}
