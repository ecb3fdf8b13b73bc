import { Logger } from '@aws-lambda-powertools/logger';
import type * as z from 'zod/mini';
import { FunctionSettings } from './contract/settings';
import { RollbackError, toRollbackError } from './errors';
import { parse } from './parse';

interface Definition<Schema extends z.ZodMiniType, Deps, Result> {
  /** Kebab-case name of the function. */
  readonly name: string;
  readonly event: Schema;
  readonly step: (event: z.output<Schema>, deps: Deps) => Promise<Result>;
  /** Makes what the step needs; called once per execution environment. */
  readonly deps: (settings: FunctionSettings) => Deps;
}

/**
 * Makes a Lambda handler: parses the event, calls the step, and lets errors out under fixed names (lambdas/errors.ts).
 * One JSON line per call and per error; events are not logged, since CI and operators choose what is in them.
 */
export function defineHandler<Schema extends z.ZodMiniType, Deps, Result>(
  definition: Definition<Schema, Deps, Result>,
): (event: unknown, context?: { awsRequestId?: string }) => Promise<Result> {
  const logger = new Logger({ serviceName: definition.name });
  let deps: Deps | undefined;
  return async (event, context) => {
    const requestId = context?.awsRequestId;
    const started = Date.now();
    try {
      const input = parse(definition.event, event, 'event');
      deps ??= definition.deps(parse(FunctionSettings, process.env, 'environment variables'));
      const result = await definition.step(input, deps);
      logger.info('done', { requestId, milliseconds: Date.now() - started });
      return result;
    } catch (thrown) {
      const error = toRollbackError(thrown);
      const details = { requestId, errorName: error.name, errorMessage: error.message };
      if (thrown instanceof RollbackError) logger.warn('not done', details);
      else logger.error('failed', { ...details, at: stackOf(thrown) });
      throw error;
    }
  };
}

function stackOf(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  return (error.stack ?? '').split('\n').filter((line) => line.trimStart().startsWith('at '));
}
