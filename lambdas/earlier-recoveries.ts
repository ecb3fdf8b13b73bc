import { DescribeExecutionCommand, ListExecutionsCommand, type SFNClient } from '@aws-sdk/client-sfn';
import * as z from 'zod/mini';

const Input = z.object({ mode: z.enum(['recover', 'rename']) });
const Renamed = z.object({ outage: z.object({ seconds: z.number() }) });

/** Plans are executions, too, and always shorter: of the newest executions it is enough to look at so many of the longest. */
const LOOKED_AT = 10;

/** What earlier executions measured, in minutes. */
export interface EarlierExecutions {
  /** From start to end. */
  readonly recoveries: readonly number[];
  /** Without a database. */
  readonly renames: readonly number[];
}

/** Of the recoveries and renames among the newest 100 executions that succeeded. */
export async function earlierExecutions(
  stepFunctions: SFNClient,
  executionArn: string,
): Promise<EarlierExecutions> {
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
  const recoveries: number[] = [];
  const renames: number[] = [];
  for (const { arn, minutes } of longest) {
    const { input, output } = await stepFunctions.send(new DescribeExecutionCommand({ executionArn: arn }));
    const mode = Input.safeParse(JSON.parse(input ?? 'null')).data?.mode;
    if (mode === 'recover') recoveries.push(minutes);
    const renamed = Renamed.safeParse(JSON.parse(output ?? 'null')).data;
    if (mode === 'rename' && renamed) renames.push(renamed.outage.seconds / 60);
  }
  return { recoveries, renames };
}

/** `…:execution:machine:name` → `…:stateMachine:machine`. */
export function machineOf(executionArn: string): string {
  return executionArn.split(':').slice(0, 7).join(':').replace(':execution:', ':stateMachine:');
}
