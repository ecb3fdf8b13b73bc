import type { FunctionName } from '../../../lambdas/contract';
import { ApiError, type ApiCall, type Output } from '../../../sandbox/core/api';
import type { Lab } from './lab';

/**
 * - `killed before`, `killed after`: the function dies right before, or after, the call takes effect
 * - `lost`: the call takes effect, its answer does not arrive, the SDK tries again
 * - `outage`: the same, and none of the SDK's tries gets an answer
 * - `throttled`: the call is refused once, and the SDK tries again
 */
export const FAULTS = ['killed before', 'killed after', 'lost', 'outage', 'throttled'] as const;
export type Fault = (typeof FAULTS)[number];

/** How often the SDK's clients try a call. */
const SDK_TRIES = 3;

/** One API call of a step, to be failed or not. */
export interface StepCall {
  readonly step: FunctionName;
  readonly operation: string;
  /** The same for the same call asked again. */
  readonly key: string;
  /** How many calls the steps had made before it. */
  readonly index: number;
}

/** Fails API calls that steps make; those of the test itself pass. */
export class Faults {
  /** Calls that were failed. */
  readonly failed: StepCall[] = [];
  private calls = 0;
  private step: FunctionName | undefined;
  private dead = false;
  private outage: { key: string; tries: number } | undefined;
  private readonly restoreApi: () => void;

  constructor(
    lab: Lab,
    private readonly choose: (call: StepCall) => Fault | undefined,
  ) {
    this.restoreApi = lab.sandbox.context.api.intercept((call, next) => this.intercept(call, next));
  }

  /** For `carryOut`: a killed function gives no answer, whatever its code still did. */
  readonly around = async <T>(
    step: FunctionName,
    call: () => Promise<T>,
  ): Promise<{ answer: T } | 'killed'> => {
    this.step = step;
    this.dead = false;
    try {
      const answer = await call();
      return this.isDead() ? 'killed' : { answer };
    } catch (error) {
      if (this.isDead()) return 'killed';
      throw error;
    } finally {
      this.step = undefined;
    }
  };

  end(): void {
    this.restoreApi();
  }

  private isDead(): boolean {
    return this.dead;
  }

  private async intercept({ context, input }: ApiCall, next: () => Promise<Output>): Promise<Output> {
    if (this.step === undefined) return next();
    if (this.dead) throw new ApiError('FunctionKilled', 'A dead function makes no calls.');
    const { operation } = context;
    // Times of day differ from try to try.
    const key = `${this.step} ${operation} ${JSON.stringify(input).replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '')}`;
    if (this.outage?.key === key && this.outage.tries-- > 0) throw lost();
    const call = { step: this.step, operation, key, index: this.calls++ };
    const fault = this.choose(call);
    if (!fault) return next();
    this.failed.push(call);
    switch (fault) {
      case 'killed before':
        break;
      case 'killed after':
        await next();
        break;
      case 'lost':
        await next();
        throw lost();
      case 'outage':
        this.outage = { key, tries: SDK_TRIES - 1 };
        await next();
        throw lost();
      case 'throttled':
        throw new ApiError('ThrottlingException', 'Rate exceeded');
    }
    this.dead = true;
    throw new ApiError('FunctionKilled', 'The function was killed.');
  }
}

function lost(): ApiError {
  return new ApiError('InternalFailure', 'The answer of this call was lost.', 500);
}
