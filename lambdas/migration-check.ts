import { InvokeCommand, type LambdaClient } from '@aws-sdk/client-lambda';
import * as z from 'zod/mini';
import { type CheckMigrationsEvent, CheckMigrationsResult, FencedOut } from './contract/gate';
import { MigrationsNotChecked, isAwsError } from './errors';

const Failure = z.object({ errorType: z.string(), errorMessage: z.string() });

/**
 * Asks the function `<env>-check-migrations`, which sits in the VPC, where the database can be reached and the APIs of AWS
 * cannot. Throws MigrationsNotChecked.
 */
export async function askMigrationCheck(
  lambda: LambdaClient,
  functionName: string,
  event: z.infer<typeof CheckMigrationsEvent>,
): Promise<CheckMigrationsResult> {
  const { FunctionError, Payload } = await invoke(lambda, functionName, event);
  const answer: unknown = JSON.parse(Buffer.from(Payload ?? []).toString() || 'null');
  if (FunctionError === undefined) return checked(answer);
  const failure = Failure.safeParse(answer);
  throw notChecked(
    failure.success ? `${failure.data.errorType}: ${failure.data.errorMessage}` : FunctionError,
  );
}

/** What the function found. Throws MigrationsNotChecked where a fence kept it out. */
export function checked(answer: unknown): CheckMigrationsResult {
  const fence = FencedOut.safeParse(answer).data;
  if (!fence) return CheckMigrationsResult.parse(answer);
  throw new MigrationsNotChecked(
    `Recovery ${fence.fencedBy} has fenced the database: nobody but this system can connect to it.`,
    'If that recovery does not run any more, start the recovery machine with {"mode":"clean-up","reason":"…","requestedBy":"…"}.',
    {},
    fence.fencedBy,
  );
}

async function invoke(lambda: LambdaClient, functionName: string, event: object) {
  try {
    return await lambda.send(
      new InvokeCommand({ FunctionName: functionName, Payload: Buffer.from(JSON.stringify(event)) }),
    );
  } catch (error) {
    // The client gives up before the function does: a database that hangs must not hold CI up.
    if (isAwsError(error, 'TimeoutError')) throw notChecked('It gave no answer in time.', error);
    throw error;
  }
}

function notChecked(reason: string, cause?: unknown): MigrationsNotChecked {
  return new MigrationsNotChecked(
    `The database could not be asked about its migrations. ${reason}`,
    'Mend that and ask again: without it nobody knows whether this deployment can be undone.',
    { cause },
  );
}
