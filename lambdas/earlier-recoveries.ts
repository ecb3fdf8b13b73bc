import { DescribeExecutionCommand, ListExecutionsCommand, type SFNClient } from '@aws-sdk/client-sfn';
import * as z from 'zod/mini';

const Input = z.object({ mode: z.literal('recover') });

/** Plans are executions, too, and always shorter: of the newest executions it is enough to look at so many of the longest. */
const LOOKED_AT = 10;

/** How long the recoveries among the newest 100 executions that succeeded took, from start to end, in minutes. */
export async function earlierRecoveries(stepFunctions: SFNClient, executionArn: string): Promise<number[]> {
  const { executions } = await stepFunctions.send(
    new ListExecutionsCommand({
      stateMachineArn: machineOf(executionArn),
      statusFilter: 'SUCCEEDED',
      maxResults: 100,
    }),
  );
  const longest = (executions ?? [])
    .flatMap(({ executionArn: arn, startDate, stopDate }) =>
      arn && startDate && stopDate
        ? [{ arn, minutes: (stopDate.getTime() - startDate.getTime()) / 60_000 }]
        : [],
    )
    .sort((a, b) => b.minutes - a.minutes)
    .slice(0, LOOKED_AT);
  const found: number[] = [];
  for (const { arn, minutes } of longest) {
    const { input } = await stepFunctions.send(new DescribeExecutionCommand({ executionArn: arn }));
    if (Input.safeParse(JSON.parse(input ?? 'null')).success) found.push(minutes);
  }
  return found;
}

/** `…:execution:machine:name` → `…:stateMachine:machine`. */
export function machineOf(executionArn: string): string {
  return executionArn.split(':').slice(0, 7).join(':').replace(':execution:', ':stateMachine:');
}
