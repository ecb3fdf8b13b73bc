import { DeleteDBInstanceCommand } from '@aws-sdk/client-rds';
import {
  CreateStateMachineCommand,
  GetExecutionHistoryCommand,
  StopExecutionCommand,
} from '@aws-sdk/client-sfn';
import type { Leftover, Recovery } from '../../../lambdas/contract';
import { checkRestoredInstance } from '../../../lambdas/steps/check-restored-instance';
import { fence } from '../../../lambdas/steps/fence';
import { liftFence } from '../../../lambdas/steps/lift-fence';
import { matchCredentials } from '../../../lambdas/steps/match-credentials';
import { startRestore } from '../../../lambdas/steps/start-restore';
import { swap } from '../../../lambdas/steps/swap';
import { Lab, again, migrationTable, until } from './lab';

/** What a plan says of recoveries that were stopped, at one state after the other, on one database. */
jest.setTimeout(240_000);

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

/** What a plan says is left. */
async function leftovers(): Promise<Leftover[]> {
  const { plan } = await lab.planOf(await started('end'), {});
  if (!plan.leftovers) throw new Error(plan.notKnown.join(' '));
  return plan.leftovers;
}

async function deleted(id: string): Promise<void> {
  await lab.rds.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: id, SkipFinalSnapshot: true }));
  await until(
    () => lab.instance(id),
    (instance) => instance === undefined,
  );
}

test('where nothing was left a plan says nothing', async () => {
  expect(await leftovers()).toEqual([]);
});

test('stopped while it restores: the instance is named, once the execution has ended, and nothing is done', async () => {
  const recovery = await running('restore');
  await startRestore({ recovery }, lab);
  expect(await leftovers()).toEqual([]);
  await stop(recovery);
  const { plan } = await lab.planOf(await started('end'), {});
  expect(plan.leftovers).toEqual([
    {
      what: 'recovery instance',
      instanceId: recovery.recoveryInstanceId,
      recoveryId: recovery.id,
      execution: { name: recovery.execution.arn.split(':').at(-1), status: 'ABORTED' },
      since: new Date(recovery.execution.startTime).toISOString(),
      why: expect.stringContaining('never live') as string,
    },
  ]);
  expect(plan.summary.join('\n')).toMatch(/Left behind since .*delete the instance by hand/);
  await until(
    () => lab.instance(recovery.recoveryInstanceId),
    (instance) => instance?.DBInstanceStatus === 'available',
  );
  await deleted(recovery.recoveryInstanceId);
  expect(await leftovers()).toEqual([]);
});

test('stopped behind the fence: that comes first, and is known from the database itself', async () => {
  const recovery = await running('restore');
  await startRestore({ recovery }, lab);
  await again('SessionsNotEnded', () => fence({ recovery }, lab));
  await stop(recovery);
  // Another one was stopped before it came as far.
  const other = await running('restore');
  await startRestore({ recovery: other }, lab);
  await stop(other);
  const left = await leftovers();
  expect(left[0]).toMatchObject({ what: 'fence', instanceId: 'orders', recoveryId: recovery.id });
  expect(
    left
      .slice(1)
      .map(({ recoveryId }) => recoveryId)
      .sort(),
  ).toEqual([recovery.id, other.id].sort());
  expect(await liftFence({ recovery }, lab)).toMatchObject({ lifted: true });
  expect((await leftovers()).map(({ what }) => what)).toEqual(['recovery instance', 'recovery instance']);
  for (const { recoveryInstanceId: id } of [recovery, other]) {
    await until(
      () => lab.instance(id),
      (instance) => instance?.DBInstanceStatus === 'available',
    );
    await deleted(id);
  }
});

test('stopped after its swap, or unknown: what is live is said to be, what may have been is not called unused', async () => {
  const unknown = await lab.planned();
  await startRestore({ recovery: unknown }, lab);
  const recovery = await running('swap');
  await startRestore({ recovery }, lab);
  await stop(recovery);
  const whyOf = async (id: string): Promise<string | undefined> =>
    (await leftovers()).find(({ recoveryId }) => recoveryId === id)?.why;
  expect(await whyOf(unknown.id)).toContain('does not know its execution');
  expect(await whyOf(recovery.id)).toContain('came to the swap');

  const instance = await again('InstanceNotReady', () => checkRestoredInstance({ recovery }, lab));
  await again('CredentialsNotReady', () => matchCredentials({ recovery, instance }, lab));
  await again('SessionsNotEnded', () => fence({ recovery }, lab));
  await swap({ recovery, instance }, lab);
  expect(await whyOf(recovery.id)).toMatch(/^It is live: .*undo it/);
});
