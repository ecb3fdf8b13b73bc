import {
  DescribeExecutionCommand,
  DescribeStateMachineCommand,
  ListExecutionsCommand,
  type SFNClient,
} from '@aws-sdk/client-sfn';
import * as z from 'zod/mini';
import type { DrillRules } from './contract/rules';

const Rehearsed = z.object({ mode: z.enum(['drill', 'recover']) });

/** A warning where no drill and no recovery has succeeded for too long; a machine that is newer than that has time. */
export async function drillWarning(
  stepFunctions: SFNClient,
  { machine, newestAtMostDays }: DrillRules,
  now: Date,
): Promise<string[]> {
  const since = new Date(now.getTime() - newestAtMostDays * 86_400_000);
  const { creationDate } = await stepFunctions.send(
    new DescribeStateMachineCommand({ stateMachineArn: machine }),
  );
  if (creationDate && creationDate > since) return [];
  if (await hasSucceededSince(stepFunctions, machine, since)) return [];
  return [
    `No drill and no recovery has succeeded for ${newestAtMostDays} days: whether one would is not known. ` +
      'See how the last one ended, or start one: {"mode":"drill","restore":{"to":"latest-snapshot"}}.',
  ];
}

async function hasSucceededSince(stepFunctions: SFNClient, machine: string, since: Date): Promise<boolean> {
  let nextToken: string | undefined;
  do {
    const page = await stepFunctions.send(
      new ListExecutionsCommand({ stateMachineArn: machine, statusFilter: 'SUCCEEDED', nextToken }),
    );
    // Newest first, by their start.
    for (const { executionArn, startDate } of page.executions ?? []) {
      if (startDate && startDate < since) return false;
      // Plans are executions, too.
      const { input } = await stepFunctions.send(new DescribeExecutionCommand({ executionArn }));
      if (Rehearsed.safeParse(JSON.parse(input ?? 'null')).success) return true;
    }
    nextToken = page.nextToken;
  } while (nextToken);
  return false;
}
