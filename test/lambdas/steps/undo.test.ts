import {
  AddTagsToResourceCommand,
  DeleteDBInstanceCommand,
  ModifyDBInstanceCommand,
  StartDBInstanceCommand,
  StopDBInstanceCommand,
} from '@aws-sdk/client-rds';
import type { InstanceAddress, Recovery } from '../../../lambdas/contract/recovery';
import { readLogin } from '../../../lambdas/database-url';
import { keptTooLong } from '../../../lambdas/kept-instances';
import { planUndo } from '../../../lambdas/plan-undo';
import { canLogIn } from '../../../lambdas/postgres';
import { readQuarantine } from '../../../lambdas/quarantine';
import { listInstances } from '../../../lambdas/rds';
import { currentSecret } from '../../../lambdas/secrets';
import { discard } from '../../../lambdas/steps/discard';
import { giveBack } from '../../../lambdas/steps/give-back';
import { retire } from '../../../lambdas/steps/retire';
import { takeBack } from '../../../lambdas/steps/take-back';
import { readMarks, writeMarks } from '../../../lambdas/tags';
import type { FaultPlanInput } from '../../../sandbox/faults/plan';
import { carryOut, type Guide } from './carry-out';
import { Functions, STEPS } from './functions';
import { Lab, migrationTable } from './lab';
import { until } from '../../until';

/** Back to the instance that a recovery retired, and back from there; one database, in the order of the tests. */
let lab: Lab;
let recovered: Recovery;
/** What an undo was told when nothing had been recovered. */
let before: unknown;
beforeAll(async () => {
  lab = await Lab.start();
  await lab.sql(migrationTable);
  await lab.sql('create table task (id int primary key)');
  await lab.snapshot('run-1', '2_bad');
  await lab.sql('insert into task values (1)');
  before = await planned().catch((error: unknown) => error);
  recovered = await lab.planned({ retire: 'keep' });
  expect(await carryOut(lab, recovered)).toMatchObject({ state: 'Recovered' });
  await lab.sql('insert into task values (2)');
});
afterAll(() => lab.stop());

const INPUT = { mode: 'undo', reason: 'it was right after all', requestedBy: 'jest' };
const planned = async (more: object = {}): Promise<Recovery> => {
  const execution = await lab.execution('undo');
  return (await planUndo({ execution, input: { ...INPUT, ...more } }, lab)).recovery;
};
const marksOf = async (instanceId: string) => readMarks((await lab.instance(instanceId))?.TagList);
const letsIn = async ({ host, port }: InstanceAddress): Promise<boolean> =>
  canLogIn({ ...readLogin((await currentSecret(lab.secrets, lab.databaseUrlSecretId)).value), host, port });

/** The recovery instance is live and open, the old one retired and fenced. */
async function expectNotUndone(): Promise<void> {
  const { host } = readLogin((await currentSecret(lab.secrets, lab.databaseUrlSecretId)).value);
  const live = await lab.instance(recovered.recoveryInstanceId);
  expect(host).toBe(live?.Endpoint?.Address);
  expect(await lab.sql('select id from task')).toEqual([{ id: 2 }]);
  expect(await letsIn(recovered.live)).toBe(false);
  expect(await marksOf('orders')).toMatchObject({ role: 'retired', 'recovery-id': recovered.id });
}

/** Carries an undo out while every call of the steps goes wrong once. */
async function undoWith(
  faults: FaultPlanInput['faults'],
  recovery: Recovery,
  tell?: Guide['tell'],
): ReturnType<typeof carryOut> {
  const functions = new Functions(lab);
  lab.sandbox.faults.follow({ faults });
  try {
    const ending = await carryOut(lab, recovery, { around: functions.around, ...(tell && { tell }) });
    expect(lab.sandbox.faults.fired().map(({ operation }) => operation)).toContain('rds:AddTagsToResource');
    return ending;
  } finally {
    lab.sandbox.faults.follow({});
    functions.end();
  }
}
const KILLED = { fault: 'kill', when: 'after', at: { operation: '*', by: STEPS, each: 1 } } as const;
const NOT_ANSWERED = (
  [
    'rds:AddTagsToResource',
    'secretsmanager:PutSecretValue',
    'secretsmanager:UpdateSecretVersionStage',
  ] as const
).map((operation) => ({
  fault: 'error' as const,
  code: 'InternalFailure',
  message: 'Try again.',
  when: 'after' as const,
  // As often as the SDK tries.
  at: { operation, by: STEPS, each: 3 },
}));

test('where nothing was recovered there is nothing to undo', () => {
  expect(before).toMatchObject({
    name: 'NothingToUndo',
    message: expect.stringMatching(/no recovery made it so/) as string,
  });
});

test('an undo wants a reason and a name, and waives no approval', async () => {
  await expect(planned({ reason: undefined })).rejects.toMatchObject({
    name: 'InvalidInput',
    message: expect.stringMatching(/reason.*is needed to undo/s) as string,
  });
  await expect(planned({ approveRetirement: false })).rejects.toMatchObject({ name: 'InvalidInput' });
});

test('a plan shows what an undo would do, what would be lost, and its input', async () => {
  const { plan } = await lab.plan({});
  expect(plan.undo).toMatchObject({
    recoveryId: recovered.id,
    instanceId: 'orders',
    lossWindowMinutes: expect.any(Number) as number,
    inputToUndo: { mode: 'undo' },
  });
  expect(Date.parse(plan.undo?.asOf ?? '')).toBeLessThanOrEqual(lab.now().getTime());
  expect(plan.summary.find((line) => line.startsWith(`Or undo recovery ${recovered.id}: orders`))).toContain(
    `stays in ${recovered.recoveryInstanceId} only`,
  );
  expect(await marksOf('orders')).toMatchObject({ role: 'retired' });
});

test('what is somebody else’s, or not up, is not taken back', async () => {
  const orders = (await lab.instance('orders'))?.DBInstanceArn;
  const retag = (recoveryId: string) =>
    lab.rds.send(
      new AddTagsToResourceCommand({
        ResourceName: orders,
        Tags: writeMarks({ role: 'retired', environment: 'production', 'recovery-id': recoveryId }),
      }),
    );
  const recovery = await planned();
  await retag('0000000000');
  await expect(planned()).rejects.toMatchObject({ name: 'NothingToUndo' });
  await expect(takeBack({ recovery }, lab)).rejects.toMatchObject({ name: 'NothingToUndo' });
  // Nothing was taken, so nothing is given back.
  expect(await giveBack({ recovery }, lab)).toEqual({ instanceId: 'orders', retired: true });
  expect(await marksOf('orders')).toMatchObject({ 'recovery-id': '0000000000' });
  await retag(recovered.id);

  await lab.rds.send(new StopDBInstanceCommand({ DBInstanceIdentifier: 'orders' }));
  await until(
    () => lab.instance('orders'),
    (instance) => instance?.DBInstanceStatus === 'stopped',
  );
  await expect(planned()).rejects.toMatchObject({
    name: 'NothingToUndo',
    message: expect.stringContaining('start-db-instance --db-instance-identifier orders') as string,
  });
  expect((await lab.plan({})).plan.undo).toBeNull();
  await lab.rds.send(new StartDBInstanceCommand({ DBInstanceIdentifier: 'orders' }));
  await until(
    () => lab.instance('orders'),
    (instance) => instance?.DBInstanceStatus === 'available',
  );
});

test('an undo whose proof fails, no answer heard: the old instance is retired and fenced again, the live one open', async () => {
  const recovery = await planned();
  expect(recovery).toMatchObject({
    mode: 'undo',
    retire: 'keep',
    live: { instanceId: recovered.recoveryInstanceId },
    recoveryInstanceId: 'orders',
    undoes: { recoveryId: recovered.id },
  });
  const ending = await undoWith(NOT_ANSWERED, recovery, (step, told) => {
    // Told that the old server is the new one, it finds its proof failed.
    return step === 'prove' ? { ...told, live: { ...told.live, ...recovered.live } } : told;
  });
  expect(ending).toMatchObject({ state: 'NotUndone', error: 'ProofFailed' });
  await expectNotUndone();
});

test('no two databases take writes at any time, and nobody deletes what is taken back', async () => {
  const recovery = await planned();
  const open: string[] = [];
  const ending = await carryOut(lab, recovery, {
    before: async (step) => {
      const [old, live] = await Promise.all([letsIn(recovered.live), letsIn(recovery.live)]);
      if (old && live) open.push(step);
      if (step !== 'swap') return;
      expect(await marksOf('orders')).toMatchObject({ role: 'taken-back', 'recovery-id': recovery.id });
      await expect(discard({ recovery }, lab)).rejects.toMatchObject({ name: 'DiscardRefused' });
      // The recovery is redriven, and would delete what it retired.
      await expect(
        retire({ recovery: { ...recovered, retire: 'delete' }, drainedAt: lab.now().toISOString() }, lab),
      ).rejects.toMatchObject({
        name: 'RetirementRefused',
        message: expect.stringContaining('takes') as string,
      });
      // Somebody takes the claim: what is fenced stays so.
      const other = await planned();
      await takeBack({ recovery: other }, lab);
      await giveBack({ recovery: other }, lab);
    },
  });
  expect(ending).toMatchObject({ state: 'NotUndone', error: 'RecoveryOvertaken' });
  expect(open).toEqual([]);
  await expectNotUndone();
});

test('an undo in which every function is killed once makes the retired instance live, with what was in it', async () => {
  const recovery = await planned();
  expect((await marksOf('orders'))['keep-until']).toBeDefined();
  expect(await undoWith([KILLED], recovery)).toMatchObject({ state: 'Recovered' });

  expect(await lab.sql('select id from task')).toEqual([{ id: 1 }]);
  const orders = await lab.instance('orders');
  expect(readMarks(orders?.TagList)).toMatchObject({ role: 'live', 'recovery-id': recovery.id });
  // It was to be kept until a day; what is live is not, and people are reminded of the other one only.
  expect(readMarks(orders?.TagList)['keep-until']).toBeUndefined();
  const now = new Date(lab.now().getTime() + 15 * 86_400_000);
  const instances = await listInstances(lab.rds);
  const live = { DbiResourceId: orders?.DbiResourceId };
  const named = [expect.stringContaining(`Instance ${recovered.recoveryInstanceId}, retired`) as string];
  expect(keptTooLong(instances, lab.environment, { live, now })).toEqual(named);
  expect(orders?.DeletionProtection).toBe(true);
  // The migration is in it again.
  expect(readQuarantine(orders?.TagList)).toEqual([]);
  expect(await marksOf(recovered.recoveryInstanceId)).toMatchObject({ role: 'retired' });
  expect(await letsIn(recovery.live)).toBe(false);
});

test('an undo can be undone; asked to, it deletes what it replaces, and its final snapshot is the way back', async () => {
  const recovery = await planned({ retire: 'delete' });
  expect(recovery).toMatchObject({
    live: { instanceId: 'orders' },
    recoveryInstanceId: recovered.recoveryInstanceId,
  });
  expect(await carryOut(lab, recovery)).toMatchObject({ state: 'Recovered' });
  expect(await lab.sql('select id from task')).toEqual([{ id: 2 }]);
  const live = await lab.instance(recovered.recoveryInstanceId);
  expect(readQuarantine(live?.TagList)).toMatchObject([{ name: '2_bad' }]);
  // What was asked for once, for another recovery, is asked for again.
  expect(live).toMatchObject({ DeletionProtection: true, BackupRetentionPeriod: 7 });
  await expect(planned()).rejects.toMatchObject({
    name: 'NothingToUndo',
    message: expect.stringContaining(`"snapshotId":"${recovery.finalSnapshotId}"`) as string,
  });
});

test('where the live instance is gone, what it had replaced becomes live again', async () => {
  const next = await lab.planned({ retire: 'keep' }, 'again');
  expect(await carryOut(lab, next)).toMatchObject({ state: 'Recovered' });
  await lab.snapshot('run-2', '3_more');
  await lab.rds.send(
    new ModifyDBInstanceCommand({
      DBInstanceIdentifier: next.recoveryInstanceId,
      DeletionProtection: false,
      ApplyImmediately: true,
    }),
  );
  await until(
    () => lab.instance(next.recoveryInstanceId),
    (instance) => instance?.DBInstanceStatus === 'available' && !instance.DeletionProtection,
  );
  await lab.rds.send(
    new DeleteDBInstanceCommand({ DBInstanceIdentifier: next.recoveryInstanceId, SkipFinalSnapshot: true }),
  );
  await until(
    () => lab.instance(next.recoveryInstanceId),
    (instance) => instance === undefined,
  );
  const recovery = await planned();
  expect(recovery).toMatchObject({
    live: { state: 'gone' },
    recoveryInstanceId: recovered.recoveryInstanceId,
  });
  expect(await carryOut(lab, recovery)).toMatchObject({ state: 'Recovered' });
  expect(await lab.sql('select id from task')).toEqual([{ id: 2 }]);
});
