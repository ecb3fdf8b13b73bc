import { InvokeCommand, type LambdaClient } from '@aws-sdk/client-lambda';
import * as z from 'zod/mini';
import { PASSING_ERRORS } from './contract/asking-again';
import type { Recovery } from './contract/recovery';
import { LiftFenceResult } from './contract/way-back';
import { AwsUnavailable, FenceNotLifted } from './errors';

const Failure = z.object({ errorType: z.string(), errorMessage: z.string() });

/**
 * Asks the function `<env>-lift-fence`, which sits in the VPC, where the database can be reached and RDS cannot. Throws
 * FenceNotLifted, and AwsUnavailable for what passes by itself.
 */
export async function askLiftFence(
  lambda: LambdaClient,
  functionName: string,
  event: { recovery: Recovery },
): Promise<LiftFenceResult> {
  const { FunctionError, Payload } = await lambda.send(
    new InvokeCommand({ FunctionName: functionName, Payload: Buffer.from(JSON.stringify(event)) }),
  );
  const answer: unknown = JSON.parse(Buffer.from(Payload ?? []).toString() || 'null');
  if (FunctionError === undefined) return LiftFenceResult.parse(answer);
  const { errorType, errorMessage } = Failure.safeParse(answer).data ?? {
    errorType: FunctionError,
    errorMessage: 'It gave no answer.',
  };
  if (PASSING_ERRORS.some((name) => name === errorType))
    throw new AwsUnavailable(`The fence could not be lifted yet: ${errorType}: ${errorMessage}`, 'Wait.');
  throw new FenceNotLifted(
    `The fence around the live database could not be lifted: ${errorType}: ${errorMessage}`,
    'Mend that, then redrive; or lift it by hand, as docs/runbook.md says.',
  );
}
