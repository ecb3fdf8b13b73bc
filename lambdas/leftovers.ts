import type { DBInstance } from '@aws-sdk/client-rds';
import {
  GetExecutionHistoryCommand,
  ListExecutionsCommand,
  type ExecutionListItem,
  type SFNClient,
} from '@aws-sdk/client-sfn';
import type { Leftover } from './contract/clean-up';
import type { Recovery } from './contract/recovery';
import type { EnvironmentName } from './contract/settings';
import { machineOf } from './earlier-recoveries';
import { recoveryId, recoveryIdIn } from './names';
import { isForgotten, replacedBefore } from './replaced-instances';
import { readMarks, type Marks } from './tags';

export interface LeftoverDeps {
  readonly stepFunctions: SFNClient;
  readonly environment: EnvironmentName;
}

interface Found {
  readonly instance: DBInstance;
  readonly marks: Marks;
  readonly recoveryId: string;
}

/**
 * What recoveries and drills left that do not run any more: instances by their tags, and a fence around the live instance. Of what
 * is not certain it says so, and that it is left alone.
 * @param instances all of the Region
 * @param executionArn of the execution that asks
 * @param fencedBy the recovery whose fence stands around the live instance; undefined: there is none
 */
export async function findLeftovers(
  {
    live,
    instances,
    executionArn,
    fencedBy,
  }: {
    live: Recovery['live'];
    instances: readonly DBInstance[];
    executionArn: string;
    fencedBy: string | undefined;
  },
  deps: LeftoverDeps,
): Promise<Leftover[]> {
  const found = instances.flatMap((instance): Found[] => {
    const marks = readMarks(instance.TagList);
    const { role, environment, 'recovery-id': id } = marks;
    const isOurs = role === 'recovery-instance' || role === 'taken-back';
    return isOurs && environment === deps.environment && id !== undefined
      ? [{ instance, marks, recoveryId: id }]
      : [];
  });
  const unmarked = instances.flatMap((instance): Found[] => {
    const id = recoveryIdIn(instance.DBInstanceIdentifier ?? '', live.instanceId);
    const marks = readMarks(instance.TagList);
    return id !== undefined && marks.role === undefined && instance.DbiResourceId !== live.resourceId
      ? [{ instance, marks, recoveryId: id }]
      : [];
  });
  const liveInstance = instances.find(({ DbiResourceId }) => DbiResourceId === live.resourceId);
  const before = liveInstance ? replacedBefore(liveInstance, instances) : [];
  const forgotten = before.filter(
    ({ instance }) => isForgotten(instance) && !found.some((each) => each.instance === instance),
  );
  const ids = new Set([
    ...[...found, ...unmarked].map((each) => each.recoveryId),
    ...forgotten.map(({ replacedBy }) => replacedBy.recoveryId),
    ...(fencedBy === undefined ? [] : [fencedBy]),
  ]);
  if (ids.size === 0) return [];
  const executions = await executionsOf(ids, executionArn, deps);
  const isOver = (id: string): boolean => !RUNS.has(executions.get(id)?.status ?? '');

  const leftovers: Leftover[] = [];
  if (fencedBy !== undefined && isOver(fencedBy))
    leftovers.push({
      what: 'fence',
      instanceId: live.instanceId,
      ...ownerOf(fencedBy, executions.get(fencedBy)),
      cleanUp: 'opens',
      why: 'It is live, and nobody but this system can connect to it: THE APPLICATION HAS NO DATABASE. Clean up now, or redrive the recovery.',
    });
  for (const each of found) {
    const execution = executions.get(each.recoveryId);
    if (!isOver(each.recoveryId)) continue;
    leftovers.push({
      what: each.marks.role === 'taken-back' ? 'instance taken back' : 'recovery instance',
      instanceId: each.instance.DBInstanceIdentifier ?? '',
      ...ownerOf(each.recoveryId, execution, each.instance),
      ...(before.some(({ instance }) => instance === each.instance) && each.marks.role === 'recovery-instance'
        ? WAS_LIVE
        : await fateOf(each, execution, live, deps)),
    });
  }
  for (const { instance, recoveryId: id } of unmarked)
    if (isOver(id))
      leftovers.push({
        what: 'recovery instance',
        instanceId: instance.DBInstanceIdentifier ?? '',
        ...ownerOf(id, executions.get(id), instance),
        ...UNMARKED,
      });
  for (const { instance, replacedBy } of forgotten) {
    const { recoveryId: id, instance: replacement } = replacedBy;
    const execution = executions.get(id);
    if (!isOver(id)) continue;
    const swapped = execution && (await enteredAt('Swap', execution, deps));
    leftovers.push({
      what: 'instance that was live',
      instanceId: instance.DBInstanceIdentifier ?? '',
      ...ownerOf(id, execution, replacement),
      cleanUp: 'leaves',
      why: `It was live before that recovery, which did not retire it. It is fenced, and alone has what was written until ${swapped?.toISOString() ?? 'the swap'}. An undo goes back to it; a redrive retires it, and so does the next recovery that is done.`,
    });
  }
  return leftovers;
}

/** Whatever its history says: the secret may have been moved by hand. */
const WAS_LIVE = {
  cleanUp: 'leaves',
  why: 'It was live until another recovery replaced it, and alone has what was written then. The next recovery that is done retires it.',
} as const;

/** Tags are all that this system goes by; what it does not own it does not touch. */
const UNMARKED = {
  cleanUp: 'leaves',
  why: 'It has the name of a recovery instance and none of its tags: somebody took them off. Look what it holds, then delete it by hand.',
} as const;

/** A redrive that has begun and not got further runs as well. */
const RUNS = new Set(['RUNNING', 'PENDING_REDRIVE']);

function ownerOf(
  id: string,
  execution: ExecutionListItem | undefined,
  instance?: DBInstance,
): Pick<Leftover, 'recoveryId' | 'execution' | 'since'> {
  return {
    recoveryId: id,
    execution: execution ? { name: execution.name ?? '', status: execution.status ?? '' } : null,
    since: (execution?.startDate ?? instance?.InstanceCreateTime)?.toISOString() ?? null,
  };
}

async function fateOf(
  { instance, marks }: Found,
  execution: ExecutionListItem | undefined,
  live: Recovery['live'],
  deps: LeftoverDeps,
): Promise<Pick<Leftover, 'cleanUp' | 'why'>> {
  if (instance.DbiResourceId === live.resourceId)
    return {
      cleanUp: 'leaves',
      why: 'It is live: the execution came past its swap and not to its end. Redrive it, or undo it by {"mode":"undo"}.',
    };
  if (marks.role === 'taken-back')
    return {
      cleanUp: 'retires',
      why: 'An undo took it back and did not come to its end. It is fenced and marked retired again, never deleted.',
    };
  if (!execution)
    return {
      cleanUp: 'leaves',
      why: 'Step Functions does not know its execution (any more), so nobody knows whether it was ever live. Look at it, then delete it by hand.',
    };
  if (await enteredAt('Swap', execution, deps))
    return {
      cleanUp: 'leaves',
      why: 'Its recovery came to the swap, so it may have been live and written to. Redrive it; or look at the instance, then delete it by hand.',
    };
  // Discard refuses it as well.
  if (live.state !== 'there')
    return {
      cleanUp: 'leaves',
      why: 'The live instance is gone, or broken for good: until there is one again, this copy may be the nearest thing to it.',
    };
  return { cleanUp: 'deletes', why: 'It was never live: it holds nothing that its restore point does not.' };
}

/** The executions of these recoveries, as far as Step Functions knows them. */
async function executionsOf(
  ids: ReadonlySet<string>,
  executionArn: string,
  { stepFunctions }: LeftoverDeps,
): Promise<Map<string, ExecutionListItem>> {
  const found = new Map<string, ExecutionListItem>();
  let nextToken: string | undefined;
  do {
    const page = await stepFunctions.send(
      new ListExecutionsCommand({ stateMachineArn: machineOf(executionArn), nextToken }),
    );
    for (const execution of page.executions ?? []) {
      const { name, startDate } = execution;
      const id = name && startDate && recoveryId({ name, startTime: startDate.toISOString() });
      if (id && ids.has(id)) found.set(id, execution);
    }
    nextToken = page.nextToken;
  } while (nextToken && found.size < ids.size);
  return found;
}

/** When the execution first entered the state; undefined: it never did. */
async function enteredAt(
  state: string,
  { executionArn }: ExecutionListItem,
  { stepFunctions }: LeftoverDeps,
): Promise<Date | undefined> {
  let nextToken: string | undefined;
  do {
    const page = await stepFunctions.send(
      new GetExecutionHistoryCommand({
        executionArn,
        maxResults: 1000,
        nextToken,
      }),
    );
    const entry = (page.events ?? []).find(
      ({ stateEnteredEventDetails: entered }) => entered?.name === state,
    );
    if (entry) return entry.timestamp ?? new Date(0);
    nextToken = page.nextToken;
  } while (nextToken);
  return undefined;
}
