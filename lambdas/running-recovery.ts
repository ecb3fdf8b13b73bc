import { DescribeExecutionCommand, ListExecutionsCommand, type SFNClient } from '@aws-sdk/client-sfn';
import * as z from 'zod/mini';

/** Executions in these modes change nothing that a migration could disturb. */
const HARMLESS = ['plan', 'drill'];
const Input = z.object({ mode: z._default(z.string(), 'plan') });

/** An execution of the recovery machine that is bringing the database back now. */
export interface RunningRecovery {
  readonly name: string;
  readonly since: string;
}

/** The recovery that runs, if one does. Plans and drills are none. */
export async function findRunningRecovery(
  stepFunctions: SFNClient,
  machineArn: string,
): Promise<RunningRecovery | undefined> {
  let nextToken: string | undefined;
  do {
    const page = await stepFunctions.send(
      new ListExecutionsCommand({ stateMachineArn: machineArn, statusFilter: 'RUNNING', nextToken }),
    );
    for (const { executionArn, name = '', startDate } of page.executions ?? []) {
      const { input } = await stepFunctions.send(new DescribeExecutionCommand({ executionArn }));
      if (!HARMLESS.includes(modeOf(input)))
        return { name, since: startDate?.toISOString() ?? 'an unknown time' };
    }
    nextToken = page.nextToken;
  } while (nextToken);
  return undefined;
}

/** The mode that Plan will read; an input that it will refuse changes nothing either. */
function modeOf(input: string | undefined): string {
  try {
    return Input.parse(JSON.parse(input ?? '{}')).mode;
  } catch {
    return 'plan';
  }
}
