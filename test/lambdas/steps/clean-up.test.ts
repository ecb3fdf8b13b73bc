import {
  AddTagsToResourceCommand,
  DeleteDBInstanceCommand,
  DescribeDBInstancesCommand,
  RemoveTagsFromResourceCommand,
} from '@aws-sdk/client-rds';
import {
  CreateStateMachineCommand,
  GetExecutionHistoryCommand,
  StopExecutionCommand,
} from '@aws-sdk/client-sfn';
import type { CleanUpResult, Leftover } from '../../../lambdas/contract/clean-up';
import type { PlanCleanUpResult } from '../../../lambdas/contract/plan';
import type { Recovery } from '../../../lambdas/contract/recovery';
import { DatabaseUnreachable } from '../../../lambdas/errors';
import { planCleanUp } from '../../../lambdas/plan-clean-up';
import { planUndo } from '../../../lambdas/plan-undo';
import { readMarks } from '../../../lambdas/tags';
import { checkRestoredInstance } from '../../../lambdas/steps/check-restored-instance';
import { cleanUp } from '../../../lambdas/steps/clean-up';
import { fence } from '../../../lambdas/steps/fence';
import { liftFence } from '../../../lambdas/steps/lift-fence';
import { matchCredentials } from '../../../lambdas/steps/match-credentials';
import { startRestore } from '../../../lambdas/steps/start-restore';
import { swap } from '../../../lambdas/steps/swap';
import { takeBack } from '../../../lambdas/steps/take-back';
import { carryOut } from './carry-out';
import { Lab, again, migrationTable } from './lab';
import { until } from '../../until';

/** Recoveries that are stopped at one state after the other, on one database; each is cleaned up before the next. */
/** Stands for the recovery machine: an execution runs until it is stopped, in the state that its input names. */
const DEFINITION = {
  QueryLanguage: 'JSONata',
  StartAt: 'Where?',
  States: {
    'Where?': {
      Type: 'Choice',
      Choices: [
        { Condition: "{% $states.input.at = 'swap' %}", Next: 'Swap' },
        { Condition: "{% $states.input.at = 'end' %}", Next: 'Ended' },
      ],
      Default: 'Restore',
    },
    Restore: { Type: 'Wait', Seconds: 100_000, End: true },
    Swap: { Type: 'Wait', Seconds: 100_000, End: true },
    Ended: { Type: 'Succeed' },
  },
};

const INPUT = { mode: 'undo', reason: 'a test', requestedBy: 'jest' };

let lab: Lab;
let machine: string;
beforeAll(async () => {
  lab = await Lab.start();
  await lab.sql(migrationTable);
  await lab.snapshot('run-1', '2_bad');
  const { stateMachineArn = '' } = await lab.stepFunctions.send(
    new CreateStateMachineCommand({
      name: 'stopped',
      roleArn: 'arn:aws:iam::123456789012:role/machine',
      definition: JSON.stringify(DEFINITION),
    }),
  );
  machine = stateMachineArn;
});
afterAll(() => lab.stop());

/** A recovery whose execution runs, in that state. */
async function running(at: 'restore' | 'swap', more: object = {}): Promise<Recovery> {
  const execution = await started(at);
  const input = { mode: 'recover', reason: 'a test', requestedBy: 'jest', ...more };
  return (await lab.planOf(execution, input)).recovery;
}
async function started(at: string): Promise<{ arn: string; name: string; startTime: string }> {
  const execution = await lab.execution('stopped', machine, { at });
  await until(
    () => lab.stepFunctions.send(new GetExecutionHistoryCommand({ executionArn: execution.arn })),
    ({ events = [] }) => events.length >= (at === 'end' ? 5 : 3),
  );
  return execution;
}
const stop = ({ execution }: Recovery): Promise<unknown> =>
  lab.stepFunctions.send(new StopExecutionCommand({ executionArn: execution.arn }));

async function planned(): Promise<PlanCleanUpResult> {
  return planCleanUp({ execution: await started('end'), input: { ...INPUT, mode: 'clean-up' } }, lab);
}
/** What a plan says is left. */
async function leftovers(): Promise<Leftover[]> {
  const { plan } = await lab.planOf(await started('end'), {});
  if (!plan.leftovers) throw new Error(plan.notKnown.join(' '));
  return plan.leftovers;
}
async function cleanedUp(): Promise<CleanUpResult> {
  const { recovery } = await planned();
  return again('DiscardNotFinished', () =>
    cleanUp({ recovery }, { ...clients(), liftFence: (event) => liftFence(event, lab) }),
  );
}
function clients() {
  const { rds, secrets, stepFunctions, environment, databaseUrlSecretId, now } = lab;
  return { rds, secrets, stepFunctions, environment, databaseUrlSecretId, now };
}
const ids = async (): Promise<(string | undefined)[]> =>
  ((await lab.rds.send(new DescribeDBInstancesCommand({}))).DBInstances ?? [])
    .map(({ DBInstanceIdentifier }) => DBInstanceIdentifier)
    .sort();

test('where nothing was left a plan says nothing, and a clean-up does nothing', async () => {
  const { plan } = await lab.planOf(await started('end'), {});
  expect(plan).toMatchObject({ leftovers: [], inputToCleanUp: null });
  expect((await planned()).plan).toEqual({ summary: ['Nothing was left behind.'], leftovers: [] });
  expect(await cleanedUp()).toEqual({ left: [] });
  expect(await ids()).toEqual(['orders']);
});

test('stopped while it restores: the instance is found, left alone while the execution runs, then deleted', async () => {
  const recovery = await running('restore');
  await startRestore({ recovery }, lab);
  expect(await leftovers()).toEqual([]);
  await expect(planned()).rejects.toMatchObject({ name: 'RecoveryAlreadyRunning' });
  await stop(recovery);

  const { plan } = await lab.planOf(await started('end'), {});
  expect(plan.leftovers).toEqual([
    {
      what: 'recovery instance',
      instanceId: recovery.recoveryInstanceId,
      recoveryId: recovery.id,
      execution: { name: recovery.execution.arn.split(':').at(-1), status: 'ABORTED' },
      since: new Date(recovery.execution.startTime).toISOString(),
      cleanUp: 'deletes',
      why: expect.stringContaining('never live') as string,
    },
  ]);
  expect(plan.inputToCleanUp).toMatchObject({ mode: 'clean-up' });
  expect(plan.summary.join('\n')).toMatch(/Left behind since .*Clean-up deletes it.*\n.*"mode":"clean-up"/);
  // Nothing was done yet.
  expect(await ids()).toEqual(['orders', recovery.recoveryInstanceId]);

  // A plan that is refused says so, too, behind what it is refused with.
  const refused = lab.planOf(await started('end'), { restore: { to: 'snapshot', snapshotId: 'none' } });
  await expect(refused).rejects.toMatchObject({
    name: 'RestorePointNotFound',
    message: expect.stringMatching(
      `Hint: .*\nLeft behind since .* instance ${recovery.recoveryInstanceId} .*Clean-up deletes it.*\n.*"mode":"clean-up"`,
    ) as string,
  });

  // Without its tags it is anybody's: named, and left alone.
  const own = await lab.instance(recovery.recoveryInstanceId);
  const ResourceName = own?.DBInstanceArn;
  const TagKeys = (own?.TagList ?? []).flatMap(({ Key }) => Key ?? []);
  await lab.rds.send(new RemoveTagsFromResourceCommand({ ResourceName, TagKeys }));
  const left: unknown[] = [
    { ...plan.leftovers?.[0], cleanUp: 'leaves', why: expect.stringContaining('none of its tags') as string },
  ];
  expect(await leftovers()).toEqual(left);
  expect(await cleanedUp()).toEqual({ left });
  await lab.rds.send(new AddTagsToResourceCommand({ ResourceName, Tags: own?.TagList }));

  expect(await cleanedUp()).toEqual({ left: [] });
  expect(await ids()).toEqual(['orders']);
  // Redriven it is given up: the claim is another's.
  await expect(fence({ recovery }, lab)).rejects.toMatchObject({ name: 'RecoveryOvertaken' });
});

test('a drill that was stopped is found by its execution alone; one that runs is left alone', async () => {
  const drill = await running('restore', { mode: 'drill', restore: { to: 'latest-snapshot' } });
  await startRestore({ recovery: drill }, lab);
  // It has no claim.
  expect(await cleanedUp()).toEqual({ left: [] });
  expect(await ids()).toEqual(['orders', drill.recoveryInstanceId]);
  await stop(drill);
  expect(await leftovers()).toMatchObject([{ recoveryId: drill.id, cleanUp: 'deletes' }]);
  await cleanedUp();
  expect(await ids()).toEqual(['orders']);
});

test('stopped behind the fence: the database is opened first, whatever keeps the instance', async () => {
  const recovery = await running('restore');
  await startRestore({ recovery }, lab);
  await again('SessionsNotEnded', () => fence({ recovery }, lab));
  await expect(lab.sql('select 1')).rejects.toMatchObject({ name: 'LoginRefused' });
  await stop(recovery);
  expect(await leftovers()).toMatchObject([
    { what: 'fence', instanceId: 'orders', recoveryId: recovery.id, cleanUp: 'opens' },
    { what: 'recovery instance', instanceId: recovery.recoveryInstanceId, cleanUp: 'deletes' },
  ]);
  // The instance is deleted by hand: only the fence is left.
  const { recovery: first } = await planned();
  const unreachable = () => Promise.reject(new DatabaseUnreachable('It does not answer.', 'Wait.'));
  const deps = { ...clients(), liftFence: unreachable };
  await expect(cleanUp({ recovery: first }, deps)).rejects.toMatchObject({ name: 'DatabaseUnreachable' });
  await until(ids, (found) => found.length === 1);
  // Another one was started in between, and did not come as far as the fence.
  const other = await running('restore');
  await startRestore({ recovery: other }, lab);
  await stop(other);
  expect(await leftovers()).toMatchObject([
    { what: 'fence', recoveryId: recovery.id },
    { what: 'recovery instance', recoveryId: other.id },
  ]);
  await cleanedUp();
  expect(await lab.sql('select 1 as one')).toEqual([{ one: 1 }]);
  expect(await ids()).toEqual(['orders']);
});

/** Up to the swap, its first half of a second included. */
async function untilSwapped(recovery: Recovery): Promise<void> {
  await startRestore({ recovery }, lab);
  const instance = await again('InstanceNotReady', () => checkRestoredInstance({ recovery }, lab));
  await again('CredentialsNotReady', () => matchCredentials({ recovery, instance }, lab));
  await again('SessionsNotEnded', () => fence({ recovery }, lab));
  await swap({ recovery, instance }, lab);
}

test('an instance whose recovery came to its swap, or of which nobody knows, is named and never deleted', async () => {
  const recovery = await running('swap');
  await startRestore({ recovery }, lab);
  await stop(recovery);
  const unknown = await lab.planned();
  await startRestore({ recovery: unknown }, lab);
  const left = await leftovers();
  expect(left).toHaveLength(2);
  expect(left.find(({ recoveryId }) => recoveryId === recovery.id)).toMatchObject({
    cleanUp: 'leaves',
    why: expect.stringContaining('came to the swap') as string,
  });
  expect(left.find(({ recoveryId }) => recoveryId === unknown.id)).toMatchObject({
    cleanUp: 'leaves',
    execution: null,
    why: expect.stringContaining('does not know its execution') as string,
  });
  expect((await lab.planOf(await started('end'), {})).plan.inputToCleanUp).toBeNull();
  const idsOf = (found: readonly Leftover[]): string[] => found.map(({ recoveryId }) => recoveryId);
  expect(idsOf((await cleanedUp()).left)).toEqual(idsOf(left));
  const both = [recovery.recoveryInstanceId, unknown.recoveryInstanceId];
  expect(await ids()).toEqual(['orders', ...both].sort());
  for (const id of both) {
    await lab.rds.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: id, SkipFinalSnapshot: true }));
    await until(
      () => lab.instance(id),
      (instance) => instance === undefined,
    );
  }
});

test('stopped after its swap: what is live is never touched, and the undo is offered', async () => {
  const recovery = await running('swap');
  await untilSwapped(recovery);
  await stop(recovery);
  expect(await leftovers()).toMatchObject([
    {
      instanceId: recovery.recoveryInstanceId,
      cleanUp: 'leaves',
      why: expect.stringMatching(/live.*Redrive it, or undo it/) as string,
    },
    {
      what: 'instance that was live',
      instanceId: 'orders',
      recoveryId: recovery.id,
      cleanUp: 'leaves',
      why: expect.stringMatching(/alone has what was written until \d{4}-.*Z\./) as string,
    },
  ]);
  expect((await cleanedUp()).left).toHaveLength(2);
  expect(await lab.sql('select 1 as one')).toEqual([{ one: 1 }]);
  expect(await ids()).toEqual(['orders', recovery.recoveryInstanceId]);

  // An undo of it that is stopped, too, leaves what it took back.
  const execution = await started('restore');
  const undo = await planUndo({ execution, input: INPUT }, lab);
  expect(undo.recovery).toMatchObject({ recoveryInstanceId: 'orders', undoes: { recoveryId: recovery.id } });
  await takeBack(undo, lab);
  await stop(undo.recovery);
  expect(await leftovers()).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ what: 'instance taken back', instanceId: 'orders', cleanUp: 'retires' }),
    ]),
  );
  await cleanedUp();
  expect(readMarks((await lab.instance('orders'))?.TagList)).toMatchObject({
    role: 'retired',
    'recovery-id': recovery.id,
  });
  expect(await ids()).toEqual(['orders', recovery.recoveryInstanceId]);
  expect((await leftovers()).map(({ cleanUp: fate }) => fate)).toEqual(['leaves']);
  expect(
    await carryOut(lab, (await planUndo({ execution: await started('end'), input: INPUT }, lab)).recovery),
  ).toMatchObject({ state: 'Recovered' });
  // It has its own settings still, not those of the one that was never finished.
  expect(await lab.instance('orders')).toMatchObject({ DeletionProtection: true });
  expect(await leftovers()).toEqual([]);
});
