import {
  AddTagsToResourceCommand,
  DeleteDBInstanceCommand,
  ModifyDBInstanceCommand,
  type DBInstance,
} from '@aws-sdk/client-rds';
import { PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { StopExecutionCommand } from '@aws-sdk/client-sfn';
import type { PlanRenameResult } from '../../../lambdas/contract/plan';
import type { InstanceAddress, Recovery } from '../../../lambdas/contract/recovery';
import type { FinishRenameResult, RenameResult } from '../../../lambdas/contract/rename';
import { z } from 'zod';
import { renameMarks } from '../../../lambdas/begun-rename';
import { ApiError } from '../../../sandbox/core/api';
import { planRename } from '../../../lambdas/plan-rename';
import { findLiveOrGone } from '../../../lambdas/live-instance';
import { findUndoable } from '../../../lambdas/undoable';
import { planUndo } from '../../../lambdas/plan-undo';
import { readLogin } from '../../../lambdas/database-url';
import { currentSecret } from '../../../lambdas/secrets';
import { finishRename } from '../../../lambdas/steps/finish-rename';
import { prove } from '../../../lambdas/steps/prove';
import { rename } from '../../../lambdas/steps/rename';
import { restorePoints } from '../../../lambdas/steps/restore-points';
import { swap } from '../../../lambdas/steps/swap';
import { readMarks } from '../../../lambdas/tags';
import { carryOut } from './carry-out';
import { Lab, again, migrationTable } from './lab';
import { until } from '../../until';

/** One database, recovered, renamed, and recovered again. */
const INPUT = { mode: 'rename', reason: 'a test', requestedBy: 'jest' };

let lab: Lab;
/** Executions of it run until they are stopped, as one that renames does. */
let machine: string;
beforeAll(async () => {
  lab = await Lab.start();
  await lab.sql(migrationTable);
  await lab.sql('create table kept as select 1 as id');
  await lab.snapshot('run-1', '2_bad');
  machine = await lab.machineThatRuns('renames');
});
afterAll(() => lab.stop());

const planned = async (): Promise<PlanRenameResult> =>
  planRename({ execution: await lab.execution('rename', machine), input: INPUT }, planDeps());
const refused = (): Promise<unknown> =>
  planned().then(
    ({ plan }) => plan,
    (error: unknown) => error,
  );
function planDeps() {
  const { rds, secrets, stepFunctions, cloudWatch, environment, now, databaseUrlSecretId } = lab;
  const { instancePrice, recoveryRules, checkMigrations } = lab;
  const clients = { rds, secrets, stepFunctions, cloudWatch };
  const more = { environment, now, databaseUrlSecretId, instancePrice, recoveryRules, checkMigrations };
  return { ...clients, ...more };
}
const stop = ({ execution }: Recovery): Promise<unknown> =>
  lab.stepFunctions.send(new StopExecutionCommand({ executionArn: execution.arn }));
const live = async (): Promise<{ host: string; port: number; versionId: string }> => {
  const { value, versionId } = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
  const { host, port } = readLogin(value);
  return { host, port, versionId };
};
const orders = async (): Promise<DBInstance> => {
  const instance = await lab.instance('orders');
  if (!instance) throw new Error('There is no instance orders.');
  return instance;
};
const ask = (recovery: Recovery): Promise<RenameResult> =>
  again('NotRenamedYet', () => rename({ recovery }, planDeps()));
const swapped = (recovery: Recovery, instance: InstanceAddress) =>
  again('NewAddressNotReached', () => swap({ recovery, instance }, lab));
const finish = (recovery: Recovery, { instance, askedAt }: RenameResult): Promise<FinishRenameResult> =>
  finishRename({ recovery, instance, askedAt, backAt: lab.now().toISOString() }, lab);
const tag = (instance: DBInstance, Key: string, Value: string): Promise<unknown> =>
  lab.rds.send(
    new AddTagsToResourceCommand({ ResourceName: instance.DBInstanceArn, Tags: [{ Key, Value }] }),
  );
async function deleted(id: string): Promise<void> {
  await lab.rds.send(new ModifyDBInstanceCommand({ DBInstanceIdentifier: id, DeletionProtection: false }));
  await until(
    () => lab.instance(id),
    (instance) => instance?.DBInstanceStatus === 'available' && instance.DeletionProtection === false,
  );
  await lab.rds.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: id, SkipFinalSnapshot: true }));
  await until(
    () => lab.instance(id),
    (instance) => instance === undefined,
  );
}

let renamedFrom: string;
/** Planned before anything was renamed. */
let beforeAllThis: Recovery;

test('an instance that no recovery made is not renamed, and a plan does not offer it', async () => {
  expect(await refused()).toMatchObject({
    name: 'RenameRefused',
    fact: expect.stringContaining('the name that it had before any recovery') as string,
  });
  expect((await lab.plan({})).plan.rename).toBeNull();
});

test('while the old instance is there the name is in use, and a plan says what to do', async () => {
  const recovery = await lab.planned({ retire: 'keep' });
  expect(await carryOut(lab, recovery)).toMatchObject({ state: 'Recovered' });
  renamedFrom = recovery.recoveryInstanceId;
  expect(await refused()).toMatchObject({
    name: 'RenameRefused',
    fact: expect.stringMatching(/name orders is in use.*retired/) as string,
    hint: expect.stringContaining('Delete it') as string,
  });
  const { plan } = await lab.plan({});
  expect(plan.rename).toMatchObject({ to: 'orders', notNow: expect.stringContaining('is in use') as string });
  expect(plan.summary.join('\n')).toContain(`${renamedFrom} cannot get its old name orders back now.`);
});

test('once it is deleted a plan states the outage and the input', async () => {
  await deleted('orders');
  await until(
    () => lab.instance(renamedFrom),
    (instance) => instance?.DBInstanceStatus === 'available',
  );
  const { plan } = await lab.plan({});
  expect(plan.rename).toEqual({
    to: 'orders',
    begun: false,
    notNow: null,
    outageMinutes: 10,
    inputToRename: { mode: 'rename', reason: 'why it is renamed now', requestedBy: 'your name' },
  });
  expect(plan.summary.join('\n')).toMatch(/about 10 minutes without a database.*"mode":"rename"/);
  const rename_ = await planned();
  expect(rename_.plan).toMatchObject({
    from: { instanceId: renamedFrom, host: (await live()).host },
    to: { instanceId: 'orders', host: null },
    outageMinutes: 10,
  });
  expect(rename_.recovery).toMatchObject({ recoveryInstanceId: 'orders', rename: { begun: false } });
  // Nothing was claimed by a plan.
  await stop(rename_.recovery);
  beforeAllThis = rename_.recovery;
});

test('is refused while a migration runs, or RDS is busy, or its recovery has not ended', async () => {
  const instance = await lab.instance(renamedFrom);
  if (!instance) throw new Error('gone');
  const { recovery } = await planned();
  const { value } = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
  const client = new (await import('pg')).Client({ ...readLogin(value), ssl: { rejectUnauthorized: false } });
  await client.connect();
  try {
    await client.query('select pg_advisory_lock(72707369)');
    expect(await refused()).toMatchObject({
      name: 'RenameRefused',
      fact: expect.stringContaining('A migration runs') as string,
    });
    // Also where it began after the plan.
    await expect(rename({ recovery }, planDeps())).rejects.toMatchObject({ name: 'RenameRefused' });
  } finally {
    await client.end();
  }
  await tag(instance, 'migration-rollback:role', 'recovery-instance');
  await expect(rename({ recovery }, planDeps())).rejects.toMatchObject({
    name: 'RenameRefused',
    fact: expect.stringContaining('not come to its end') as string,
  });
  await tag(instance, 'migration-rollback:role', 'live');
  // A change that waits for the maintenance window would come with the restart.
  const small = { DBInstanceIdentifier: renamedFrom, DBInstanceClass: 'db.t4g.small' };
  await lab.rds.send(new ModifyDBInstanceCommand(small));
  await expect(rename({ recovery }, planDeps())).rejects.toMatchObject({
    name: 'RenameRefused',
    fact: expect.stringContaining('cannot be renamed now: pending: DBInstanceClass') as string,
  });
  await lab.rds.send(new ModifyDBInstanceCommand({ ...small, ApplyImmediately: true }));
  await until(
    () => lab.instance(renamedFrom),
    (now) => now?.DBInstanceStatus === 'available' && now.DBInstanceClass === 'db.t4g.small',
  );
  // Nothing was changed but the claim.
  expect(await lab.instance('orders')).toBeUndefined();
  await stop(recovery);
});

test('redriven while its own function of then may still ask RDS, it waits before it asks', async () => {
  const { recovery } = await planned();
  const timestamp = new Date(Date.now() - 60_000);
  const parameters = JSON.stringify({ FunctionName: 'arn:aws:lambda:x:1:function:production-rename' });
  const events = [
    { id: 3, type: 'ExecutionRedriven', timestamp, executionRedrivenEventDetails: { redriveCount: 1 } },
    { id: 2, type: 'ExecutionAborted', timestamp },
    {
      id: 1,
      type: 'TaskScheduled',
      timestamp,
      taskScheduledEventDetails: {
        ...{ resourceType: 'lambda', resource: 'invoke', region: 'eu-central-1', parameters },
        timeoutInSeconds: 150,
      },
    },
  ];
  const { arn } = recovery.execution;
  const told = lab.sandbox.context.api.intercept(({ context, input }, next) =>
    context.operation === 'GetExecutionHistory' && input['executionArn'] === arn
      ? Promise.resolve({ events })
      : next(),
  );
  await expect(rename({ recovery, redrives: 1 }, planDeps())).rejects.toMatchObject({
    name: 'StoppedRecoveryAtWork',
    message: expect.stringContaining('production-rename') as string,
  });
  told();
  await stop(recovery);
  expect((await lab.instance(recovery.live.instanceId))?.DBInstanceStatus).toBe('available');
  expect(await lab.instance(recovery.recoveryInstanceId)).toBeUndefined();
});

test('stopped while RDS renames it, whoever looks is told, and another rename goes on, asking nobody', async () => {
  const { recovery } = await planned();
  // RDS refuses first: nothing was changed, and a plan is as before.
  lab.sandbox.faults.follow({
    faults: [
      {
        fault: 'error',
        at: { operation: 'rds:ModifyDBInstance' },
        code: 'InvalidDBInstanceStateFault',
        message: 'A backup begins.',
      },
    ],
  });
  await expect(rename({ recovery }, planDeps())).rejects.toMatchObject({
    name: 'RenameRefused',
    fact: expect.stringContaining('A backup begins.') as string,
  });
  expect((await lab.plan({})).plan.rename).toMatchObject({ notNow: null });
  // Somebody makes an instance of that name in the very moment.
  const unhook = lab.sandbox.context.api.intercept(async ({ context }, next) => {
    if (context.operation === 'ModifyDBInstance') {
      taken = true;
      throw new ApiError('DBInstanceAlreadyExists', 'DB instance already exists');
    }
    const output = await next();
    if (context.operation !== 'DescribeDBInstances' || !taken) return output;
    const newcomer = { DBInstanceIdentifier: 'orders', DBInstanceStatus: 'creating', DbiResourceId: 'db-X' };
    return { ...output, DBInstances: [...z.array(z.unknown()).parse(output.DBInstances), newcomer] };
  });
  let taken = false;
  await expect(rename({ recovery }, planDeps())).rejects.toMatchObject({
    name: 'RenameRefused',
    fact: 'The name orders is in use, by an instance that is "creating" (db-X).',
  });
  unhook();
  expect((await lab.plan({})).plan.rename).toMatchObject({ begun: false, notNow: null });
  // Then its answer is lost, and two are at it at once.
  lab.sandbox.faults.follow({
    faults: [{ fault: 'lost answer', at: { operation: 'rds:ModifyDBInstance' } }],
  });
  const asked = await Promise.allSettled([1, 2].map(() => rename({ recovery }, planDeps())));
  for (const each of asked)
    expect(each).toMatchObject({ status: 'rejected', reason: { name: 'NotRenamedYet' } });
  await expect(planned()).rejects.toMatchObject({ name: 'RecoveryAlreadyRunning' });
  await stop(recovery);
  await until(
    () => lab.instance('orders'),
    (instance) => instance?.DBInstanceStatus === 'available',
  );
  // The secret names an address that is gone.
  await expect(lab.plan({})).rejects.toMatchObject({
    name: 'LiveInstanceUnclear',
    fact: expect.stringContaining(`instance ${renamedFrom} until RDS was asked to rename it`) as string,
    hint: expect.stringContaining('"mode":"rename"') as string,
  });
  await expect(lab.snapshot('run-2', '3_more')).resolves.toMatchObject({ status: 'refused' });

  const again_ = await planned();
  expect(again_.recovery).toMatchObject({
    live: { instanceId: renamedFrom },
    recoveryInstanceId: 'orders',
    rename: { begun: true },
  });
  expect(again_.plan.summary[0]).toContain('goes on from what is there');
  const done = await ask(again_.recovery);
  expect(done.instance).toMatchObject({ instanceId: 'orders', resourceId: recovery.live.resourceId });
  // The first one was given up.
  await expect(swap({ recovery, instance: done.instance }, lab)).rejects.toMatchObject({
    name: 'RecoveryOvertaken',
  });
  // Nor may a rotation in between be overwritten.
  const { value } = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
  await lab.secrets.send(
    new PutSecretValueCommand({ SecretId: lab.databaseUrlSecretId, SecretString: value }),
  );
  await expect(swapped(again_.recovery, done.instance)).rejects.toMatchObject({
    name: 'SecretMovedMeanwhile',
    hint: expect.stringContaining('Start the rename again') as string,
  });
  await stop(again_.recovery);
  const { recovery: third } = await planned();
  expect(await ask(third)).toEqual(done);
  const { versionId } = await swapped(third, done.instance);
  expect(await live()).toMatchObject({ host: done.instance.host, versionId });
  // Run twice, each says the same.
  expect(await ask(third)).toEqual(done);
  expect(await swapped(third, done.instance)).toMatchObject({ versionId });
  const proof = await prove({ recovery: third, instance: done.instance, versionId }, lab);
  expect(proof.checks.map(({ ok }) => ok)).toEqual([true, true, true]);
  expect(await lab.sql('select id from kept')).toEqual([{ id: 1 }]);
  await stop(third);
});

test('stopped after the swap its end is still missing, and is made up for', async () => {
  const before = await live();
  const { plan } = await lab.plan({});
  expect(plan.rename).toMatchObject({ to: 'orders', begun: true });
  const unfinished = 'The rename to orders did not come to its end';
  expect(plan.summary[0]).toContain(unfinished);
  // Also where there is nothing to go back to.
  await expect(lab.plan({ restore: { to: 'before-migration', migration: 'unknown' } })).rejects.toMatchObject(
    { name: 'RestorePointNotFound', message: expect.stringContaining(unfinished) as string },
  );
  // Nor does a deployment come before the application is back.
  const gate = await lab.snapshot('run-2', '3_more');
  expect(gate).toMatchObject({
    status: 'refused',
    error: 'LiveInstanceUnclear',
    reason: expect.stringMatching(/orders was orders-rec-.*has not come to its end/) as string,
    hint: expect.stringContaining('"mode":"rename"') as string,
  });
  const { recovery, plan: goesOn } = await planned();
  expect(recovery).toMatchObject({ rename: { begun: true }, recoveryInstanceId: 'orders' });
  expect(goesOn.from).toMatchObject({ instanceId: renamedFrom });
  expect(goesOn.from.host).not.toBe(before.host);
  expect(goesOn.summary.join('\n')).toContain(`names the new one already, ${before.host}`);
  const done = await ask(recovery);
  expect(await swapped(recovery, done.instance)).toEqual({
    versionId: before.versionId,
    previousVersionId: before.versionId,
  });
  // While RDS takes no snapshot it is waited for, and the end is still missing.
  const noSnapshot = (code: string) => {
    lab.sandbox.faults.follow({
      faults: [{ fault: 'error', at: { operation: 'rds:CreateDBSnapshot' }, code, message: 'No.' }],
    });
  };
  noSnapshot('InvalidDBInstanceState');
  await expect(finish(recovery, done)).rejects.toMatchObject({ name: 'InstanceBusy' });
  expect((await lab.plan({})).plan.rename).toMatchObject({ begun: true });
  // For room somebody has to see to, so it ends, and says so.
  noSnapshot('SnapshotQuotaExceeded');
  expect(await finish(recovery, done)).toMatchObject({
    snapshot: { taken: false, reason: expect.stringContaining('quota') as string },
  });
  const { outage, snapshot } = await finish(recovery, done);
  expect(outage.from).toBe(done.askedAt);
  expect(outage.seconds).toBeGreaterThanOrEqual(0);
  expect(snapshot).toMatchObject({
    taken: true,
    snapshotId: expect.stringMatching(/^orders-safety-/) as string,
  });
  const marks = readMarks((await orders()).TagList);
  expect(marks).toMatchObject({ role: 'live', environment: 'production' });
  expect(marks['renamed-from'] ?? marks['renamed-from-host'] ?? marks['rename-asked-at']).toBeUndefined();
  // Asked again it says the same.
  expect(await finish(recovery, done)).toMatchObject({
    outage: { from: done.askedAt },
    snapshot: { taken: true },
  });
  await stop(recovery);
  expect(await refused()).toMatchObject({ name: 'RenameRefused' });
  expect((await lab.plan({})).plan.rename).toBeNull();
  // Whoever was asked before all this, and answers now.
  await expect(rename({ recovery: beforeAllThis }, planDeps())).rejects.toMatchObject({
    name: 'RenameRefused',
    fact: expect.stringContaining('renamed to orders already, by another execution') as string,
  });
  expect((await lab.plan({})).plan.rename).toBeNull();
});

test('after it the restore points are there, and a recovery works, and can be undone', async () => {
  const { points, liveInstanceId } = await restorePoints(
    { limit: 1000 },
    { ...planDeps(), rules: { dailyDays: 7, weeklyDays: 90, keepNewest: 1, newestAtMostHours: 36 } },
  );
  expect(liveInstanceId).toBe('orders');
  expect(points.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['pre-migration', 'safety']));
  // As if the rename had not come to its end: what the recovery restarts is restarted.
  for (const marked of renameMarks(
    await orders(),
    { instanceId: renamedFrom, resourceId: '', host: 'gone', port: 5432 },
    lab.now(),
  ))
    await tag(await orders(), marked.Key ?? '', marked.Value ?? '');
  expect((await lab.plan({})).plan.rename).toMatchObject({ begun: true });
  const recovery = await lab.planned({
    restore: { to: 'before-migration', migration: '2_bad' },
    retire: 'keep',
  });
  expect(recovery).toMatchObject({
    live: { instanceId: 'orders' },
    recoveryInstanceId: expect.stringMatching(/^orders-rec-[0-9a-f]{10}$/) as string,
  });
  expect(await carryOut(lab, recovery)).toMatchObject({ state: 'Recovered' });
  // The retired one has the name.
  expect(await refused()).toMatchObject({
    name: 'RenameRefused',
    fact: expect.stringContaining('is in use') as string,
  });
  const undo = await planUndo(
    { execution: await lab.execution('undo'), input: { ...INPUT, mode: 'undo' } },
    planDeps(),
  );
  expect(undo.recovery.recoveryInstanceId).toBe('orders');
  expect(await carryOut(lab, undo.recovery)).toMatchObject({ state: 'Recovered' });
  expect((await live()).host).toBe((await orders()).Endpoint?.Address);
  // Were it deleted now, nobody would know what it had replaced: the retired one is named, with the way.
  const { rds, secrets, databaseUrlSecretId, environment } = lab;
  const database = await findLiveOrGone(rds, secrets, databaseUrlSecretId, environment);
  const gone = { ...database.live, resourceId: 'db-GONE', host: 'gone', state: 'gone' } as const;
  const instances = database.instances.filter(
    ({ DBInstanceIdentifier }) => DBInstanceIdentifier !== 'orders',
  );
  await expect(findUndoable({ ...database, live: gone, instances }, lab)).rejects.toMatchObject({
    name: 'NothingToUndo',
    fact: expect.stringContaining('which the secret names, is gone') as string,
    hint: expect.stringContaining(
      `Retired, and there: ${recovery.recoveryInstanceId}. To go back to it`,
    ) as string,
  });
  // It has its name, and the one that was given up does not matter.
  expect((await lab.plan({})).plan.rename).toBeNull();
});
