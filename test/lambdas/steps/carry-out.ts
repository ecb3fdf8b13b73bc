import {
  NOT_YET_ERRORS,
  PASSING_ERRORS,
  type FunctionName,
  type InstanceAddress,
  type Recovery,
} from '../../../lambdas/contract';
import { toRollbackError } from '../../../lambdas/errors';
import { checkRestoredInstance } from '../../../lambdas/steps/check-restored-instance';
import { discard } from '../../../lambdas/steps/discard';
import { drain } from '../../../lambdas/steps/drain';
import { matchCredentials } from '../../../lambdas/steps/match-credentials';
import { matchSettings } from '../../../lambdas/steps/match-settings';
import { prove } from '../../../lambdas/steps/prove';
import { recordPosition } from '../../../lambdas/steps/record-position';
import { retire } from '../../../lambdas/steps/retire';
import { startRestore } from '../../../lambdas/steps/start-restore';
import { swap } from '../../../lambdas/steps/swap';
import { swapBack } from '../../../lambdas/steps/swap-back';
import { verify } from '../../../lambdas/steps/verify';
import type { Lab } from './lab';

/** The Fail state, or Recovered, in which the machine would have ended, with the error that it would have had. */
export interface Ending {
  readonly state:
    'Recovered' | 'RecoveryFailed' | 'DiscardFailed' | 'SwappedBack' | 'SwapBackFailed' | 'OldInstanceKept';
  readonly error?: string;
  readonly instance?: InstanceAddress;
}

export interface Guide {
  /** Around every call of a step; true: the call is not answered, as if its function had been killed. */
  readonly around?: <T>(step: FunctionName, call: () => Promise<T>) => Promise<{ answer: T } | 'killed'>;
  /** Before a step is asked for the first time: where a person or a rotation interferes. */
  readonly before?: (step: FunctionName) => Promise<void>;
  /** What the step is told, instead of the recovery as planned. */
  readonly tell?: (step: FunctionName, recovery: Recovery) => Recovery;
}

/** Asks the steps as the machine of docs/state-machine.md does, from StartRestore to the end. */
export async function carryOut(lab: Lab, planned: Recovery, guide: Guide = {}): Promise<Ending> {
  const ask = async <T>(step: FunctionName, call: (recovery: Recovery) => Promise<T>): Promise<T> => {
    await guide.before?.(step);
    const recovery = guide.tell?.(step, planned) ?? planned;
    const around = guide.around ?? (async (_step, run) => ({ answer: await run() }));
    const deadline = Date.now() + 60_000;
    for (;;) {
      try {
        const result = await around(step, () => call(recovery));
        if (result !== 'killed') return result.answer;
        if (Date.now() > deadline) throw new Error(`${step} was killed for a minute`);
      } catch (thrown) {
        const error = toRollbackError(thrown);
        if (!isAskedAgain(step, error.name) || Date.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  };
  const end = (state: Ending['state'], error?: unknown): Ending => ({
    state,
    ...(error instanceof Error ? { error: error.name } : {}),
    ...(instance ? { instance } : {}),
  });
  const giveUp = async (first: unknown): Promise<Ending> => {
    try {
      await ask('discard', (recovery) => discard({ recovery }, lab));
      return end('RecoveryFailed', first);
    } catch (error) {
      return end('DiscardFailed', error);
    }
  };

  let instance: InstanceAddress | undefined;
  let restored: InstanceAddress;
  try {
    await ask('start-restore', (recovery) => startRestore({ recovery }, lab));
    restored = await ask('check-restored-instance', (recovery) => checkRestoredInstance({ recovery }, lab));
    instance = restored;
    const event = { instance: restored };
    await ask('record-position', (recovery) => recordPosition({ recovery, ...event }, lab));
    await ask('match-settings', (recovery) => matchSettings({ recovery, ...event }, lab));
    await ask('match-credentials', (recovery) => matchCredentials({ recovery, ...event }, lab));
    await ask('verify', (recovery) => verify({ recovery, ...event }, lab));
  } catch (error) {
    return giveUp(error);
  }
  try {
    const { versionId } = await ask('swap', (recovery) => swap({ recovery, instance: restored }, lab));
    await ask('prove', (recovery) => prove({ recovery, instance: restored, versionId }, lab));
  } catch (first) {
    let wasSwapped: boolean;
    try {
      ({ wasSwapped } = await ask('swap-back', (recovery) => swapBack({ recovery }, lab)));
    } catch (error) {
      return end('SwapBackFailed', error);
    }
    return wasSwapped ? end('SwappedBack', first) : giveUp(first);
  }
  try {
    await ask('drain', (recovery) => drain({ recovery }, lab));
    await ask('retire', (recovery) => retire({ recovery }, lab));
  } catch (error) {
    return end('OldInstanceKept', error);
  }
  return end('Recovered');
}

function isAskedAgain(step: FunctionName, error: string): boolean {
  const notYet: Partial<Record<FunctionName, string>> = NOT_YET_ERRORS;
  return notYet[step] === error || PASSING_ERRORS.some((name) => name === error);
}
