import { NOT_YET_ERRORS, PASSING_ERRORS } from '../../../lambdas/contract/asking-again';
import type { FunctionName } from '../../../lambdas/contract/functions';
import type { InstanceAddress, Recovery } from '../../../lambdas/contract/recovery';
import type { FinishRenameResult } from '../../../lambdas/contract/rename';
import { RecoveryOvertaken, toRollbackError } from '../../../lambdas/errors';
import { checkRestoredInstance } from '../../../lambdas/steps/check-restored-instance';
import { discard } from '../../../lambdas/steps/discard';
import { drain } from '../../../lambdas/steps/drain';
import { fence } from '../../../lambdas/steps/fence';
import { finishRename } from '../../../lambdas/steps/finish-rename';
import { finishSettings } from '../../../lambdas/steps/finish-settings';
import { giveBack } from '../../../lambdas/steps/give-back';
import { liftFence } from '../../../lambdas/steps/lift-fence';
import { matchCredentials } from '../../../lambdas/steps/match-credentials';
import { matchSettings } from '../../../lambdas/steps/match-settings';
import { prove } from '../../../lambdas/steps/prove';
import { recordPosition } from '../../../lambdas/steps/record-position';
import { rename } from '../../../lambdas/steps/rename';
import { retire } from '../../../lambdas/steps/retire';
import { startRestore } from '../../../lambdas/steps/start-restore';
import { swap } from '../../../lambdas/steps/swap';
import { swapBack } from '../../../lambdas/steps/swap-back';
import { takeBack } from '../../../lambdas/steps/take-back';
import { takeSafetySnapshot } from '../../../lambdas/steps/take-safety-snapshot';
import { verify } from '../../../lambdas/steps/verify';
import type { Lab } from './lab';
import { PATIENCE_MS } from '../../until';

/** The Fail state, or Recovered, in which the machine would have ended, with the error that it would have had. */
export interface Ending {
  readonly state:
    | 'Recovered'
    | 'RecoveryFailed'
    | 'DiscardFailed'
    | 'SwappedBack'
    | 'NotUndone'
    | 'GiveBackFailed'
    | 'SwapBackFailed'
    | 'LiftFenceFailed'
    | 'OldInstanceKept'
    | 'Overtaken';
  readonly error?: string;
  readonly instance?: InstanceAddress;
}

/** What a function hands to its step. */
export type StepDeps = Pick<
  Lab,
  | 'now'
  | 'rds'
  | 'secrets'
  | 'stepFunctions'
  | 'masterSecretId'
  | 'databaseUrlSecretId'
  | 'snapshotRetentionDays'
>;

export interface Guide {
  /** Around every call of a step, with what the step gets. Killed: the call is not answered. */
  readonly around?: <T>(
    step: FunctionName,
    call: (deps: StepDeps) => Promise<T>,
  ) => Promise<{ answer: T } | 'killed'>;
  /** Before a step is asked for the first time: where a person or a rotation interferes. */
  readonly before?: (step: FunctionName) => Promise<void>;
  /** What the step is told, instead of the recovery as planned. */
  readonly tell?: (step: FunctionName, recovery: Recovery) => Recovery;
}

/** Asks a step until it has an answer, as the machine does. */
function asking(lab: Lab, planned: Recovery, guide: Guide) {
  return async <T>(
    step: FunctionName,
    call: (recovery: Recovery, deps: StepDeps) => Promise<T>,
  ): Promise<T> => {
    await guide.before?.(step);
    const recovery = guide.tell?.(step, planned) ?? planned;
    const around = guide.around ?? (async (_step, run) => ({ answer: await run(lab) }));
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      try {
        const result = await around(step, (deps) => call(recovery, deps));
        if (result !== 'killed') return result.answer;
        if (Date.now() > deadline) throw new Error(`${step} was killed again and again`);
      } catch (thrown) {
        const error = toRollbackError(thrown);
        if (!isAskedAgain(step, error.name) || Date.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  };
}

/** A rename from Rename to its end, but for the application, which there is none of. */
export async function carryOutRename(lab: Lab, planned: Recovery, guide: Guide): Promise<FinishRenameResult> {
  const ask = asking(lab, planned, guide);
  const { environment, checkMigrations } = lab;
  const { instance, askedAt } = await ask('rename', (recovery, deps) =>
    rename({ recovery }, { ...deps, environment, checkMigrations }),
  );
  const { versionId } = await ask('swap', (recovery, deps) => swap({ recovery, instance }, deps));
  await ask('prove', (recovery, deps) => prove({ recovery, instance, versionId }, deps));
  const backAt = lab.now().toISOString();
  return ask('finish-rename', (recovery, deps) =>
    finishRename({ recovery, instance, askedAt, backAt }, { ...deps, environment }),
  );
}

/** Asks the steps as the machine of docs/state-machine.md does, from StartRestore, or TakeBack of an undo, to the end. */
export async function carryOut(lab: Lab, planned: Recovery, guide: Guide = {}): Promise<Ending> {
  const ask = asking(lab, planned, guide);
  const end = (state: Ending['state'], error?: unknown): Ending => ({
    state,
    ...(error instanceof Error ? { error: error.name } : {}),
    ...(instance ? { instance } : {}),
  });
  const giveUp = async (first: unknown): Promise<Ending> => {
    if (planned.undoes)
      try {
        await ask('give-back', (recovery, deps) => giveBack({ recovery }, deps));
        return end('NotUndone', first);
      } catch (error) {
        return end('GiveBackFailed', error);
      }
    try {
      await ask('discard', (recovery, deps) => discard({ recovery }, deps));
      return end('RecoveryFailed', first);
    } catch (error) {
      return end('DiscardFailed', error);
    }
  };

  let instance: InstanceAddress | undefined;
  let restored: InstanceAddress;
  try {
    if (planned.undoes) await ask('take-back', (recovery, deps) => takeBack({ recovery }, deps));
    else await ask('start-restore', (recovery, deps) => startRestore({ recovery }, deps));
    // Whatever becomes of it, the machine goes on.
    await ask('take-safety-snapshot', (recovery, deps) =>
      takeSafetySnapshot({ recovery }, { ...deps, environment: lab.environment }),
    ).catch(() => undefined);
    restored = await ask('check-restored-instance', (recovery, deps) =>
      checkRestoredInstance({ recovery }, deps),
    );
    instance = restored;
    const event = { instance: restored };
    const { masterUserKnown } = await ask('record-position', (recovery, deps) =>
      recordPosition({ recovery, ...event }, deps),
    );
    await ask('match-settings', (recovery, deps) =>
      matchSettings({ recovery, ...event, masterUserKnown }, deps),
    );
    await ask('match-credentials', (recovery, deps) => matchCredentials({ recovery, ...event }, deps));
    if (!planned.undoes)
      await ask('verify', (recovery, deps) =>
        verify({ recovery, ...event }, { ...deps, teamChecks: lab.teamChecks }),
      );
  } catch (error) {
    return giveUp(error);
  }
  try {
    await ask('fence', (recovery) => fence({ recovery }, lab));
    const { versionId } = await ask('swap', (recovery, deps) => swap({ recovery, instance: restored }, deps));
    await ask('prove', (recovery, deps) => prove({ recovery, instance: restored, versionId }, deps));
  } catch (first) {
    let wasSwapped: boolean;
    try {
      ({ wasSwapped } = await ask('swap-back', (recovery, deps) => swapBack({ recovery }, deps)));
    } catch (error) {
      return end(isOvertaken(error) ? 'Overtaken' : 'SwapBackFailed', error);
    }
    try {
      await ask('lift-fence', (recovery) => liftFence({ recovery }, lab));
    } catch (error) {
      return end('LiftFenceFailed', error);
    }
    return wasSwapped && !planned.undoes ? end('SwappedBack', first) : giveUp(first);
  }
  try {
    await ask('finish-settings', (recovery, deps) => finishSettings({ recovery, instance: restored }, deps));
    const { at: drainedAt } = await ask('drain', (recovery, deps) =>
      drain({ recovery, instance: restored }, deps),
    );
    await ask('retire', (recovery, deps) => retire({ recovery, drainedAt }, deps));
  } catch (error) {
    return end(isOvertaken(error) ? 'Overtaken' : 'OldInstanceKept', error);
  }
  return end('Recovered');
}

const isOvertaken = (error: unknown): boolean => error instanceof RecoveryOvertaken;

function isAskedAgain(step: FunctionName, error: string): boolean {
  const notYet: Partial<Record<FunctionName, string>> = NOT_YET_ERRORS;
  return notYet[step] === error || PASSING_ERRORS.some((name) => name === error);
}
