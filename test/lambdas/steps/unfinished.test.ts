import {
  AddTagsToResourceCommand,
  CreateDBSnapshotCommand,
  DeleteDBInstanceCommand,
  DeleteDBSnapshotCommand,
  ModifyDBInstanceCommand,
} from '@aws-sdk/client-rds';
import { UpdateSecretVersionStageCommand } from '@aws-sdk/client-secrets-manager';
import type { Recovery } from '../../../lambdas/contract/recovery';
import { keptTooLong } from '../../../lambdas/kept-instances';
import { planUndo } from '../../../lambdas/plan-undo';
import { findSnapshot, listInstances, listSnapshots } from '../../../lambdas/rds';
import { currentSecret } from '../../../lambdas/secrets';
import { readMarks, writeMarks } from '../../../lambdas/tags';
import { carryOut } from './carry-out';
import { Lab, migrationTable } from './lab';
import { until } from '../../until';

/** Recoveries that are stopped behind their swap, and others that are started instead of a redrive; one database, in order. */
const SETTINGS = { DeletionProtection: true, MaxAllocatedStorage: 100, BackupRetentionPeriod: 7 };

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
  await lab.sql(migrationTable);
  await lab.sql('create table task (id int primary key)');
  await modify('orders', { MaxAllocatedStorage: 100 });
  await lab.snapshot('run-1', '2_bad');
  await lab.sql('insert into task values (1)');
});
afterAll(() => lab.stop());

async function modify(id: string, changes: object): Promise<void> {
  await lab.rds.send(
    new ModifyDBInstanceCommand({ DBInstanceIdentifier: id, ApplyImmediately: true, ...changes }),
  );
  await until(
    () => lab.instance(id),
    (instance) =>
      instance?.DBInstanceStatus === 'available' &&
      Object.entries(changes).every(([name, value]) =>
        Object.entries(instance).some(([its, is]) => its === name && is === value),
      ),
  );
}
/** By hand, whatever its settings. */
async function remove(id: string): Promise<void> {
  if ((await lab.instance(id))?.DeletionProtection) await modify(id, { DeletionProtection: false });
  await lab.rds.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: id, SkipFinalSnapshot: true }));
  await until(
    () => lab.instance(id),
    (instance) => instance === undefined,
  );
}
/** A recovery that is stopped where its swap is done and its settings are not finished. */
async function stopped(): Promise<Recovery> {
  const recovery = await lab.planned({ retire: 'keep' });
  await carryOut(lab, recovery, {
    before: (step) => (step === 'finish-settings' ? Promise.reject(new Error('stopped')) : Promise.resolve()),
  });
  expect((await lab.instance(recovery.recoveryInstanceId))?.DeletionProtection).toBe(false);
  return recovery;
}
async function recovered(more: object = {}): Promise<Recovery> {
  const recovery = await lab.planned({ retire: 'keep', ...more });
  expect(await carryOut(lab, recovery)).toMatchObject({ state: 'Recovered' });
  return recovery;
}
const marksOf = async (id: string) => readMarks((await lab.instance(id))?.TagList);
const undoOf = async () =>
  planUndo(
    {
      execution: await lab.execution('undo'),
      input: { mode: 'undo', reason: 'a test', requestedBy: 'jest' },
    },
    lab,
  );

let first: Recovery;
let second: Recovery;
let third: Recovery;

test('a plan says whose settings count, names what was live before, and offers it', async () => {
  first = await stopped();
  const { plan } = await lab.plan({});
  expect(plan.unfinished).toEqual({ recoveryId: first.id, settingsFrom: 'orders' });
  expect(plan.summary).toContain(
    `Recovery ${first.id} has not finished ${first.recoveryInstanceId}: settings are taken from orders. A redrive of it finishes it.`,
  );
  expect(plan.modifiedAfterwards).toEqual(
    expect.arrayContaining(['DeletionProtection', 'MaxAllocatedStorage']),
  );
  expect(plan.leftovers).toMatchObject([
    { what: 'recovery instance', instanceId: first.recoveryInstanceId, cleanUp: 'leaves' },
    {
      what: 'instance that was live',
      instanceId: 'orders',
      recoveryId: first.id,
      cleanUp: 'leaves',
      why: expect.stringContaining('alone has what was written until') as string,
    },
  ]);
  expect(plan.inputToCleanUp).toBeNull();
  expect((await undoOf()).recovery).toMatchObject({ recoveryInstanceId: 'orders' });
});

test('stopped once more, both are named, and the settings are still those of the last that was finished', async () => {
  second = await stopped();
  const { plan } = await lab.plan({});
  expect(plan.unfinished).toEqual({ recoveryId: second.id, settingsFrom: 'orders' });
  expect(plan.leftovers?.map(({ instanceId, cleanUp }) => [instanceId, cleanUp]).sort()).toEqual(
    ['orders', first.recoveryInstanceId, second.recoveryInstanceId].map((id) => [id, 'leaves']).sort(),
  );
  await expect(undoOf()).rejects.toMatchObject({
    name: 'NothingToUndo',
    message: expect.stringMatching(/was stopped.*create-db-snapshot/s) as string,
  });
});

test('the recovery that comes to its end has all the settings, and what was live before is kept until a day', async () => {
  third = await recovered({ retire: 'delete' });
  expect(await lab.instance(third.recoveryInstanceId)).toMatchObject(SETTINGS);
  expect(await marksOf('orders')).toMatchObject({ role: 'retired', 'recovery-id': first.id });
  expect(await marksOf(first.recoveryInstanceId)).toMatchObject({
    role: 'retired',
    'recovery-id': second.id,
  });
  expect(await lab.instance(second.recoveryInstanceId)).toBeUndefined();
  const { plan } = await lab.plan({});
  expect(plan).toMatchObject({ unfinished: null, leftovers: [], keptTooLong: [] });
  const instances = await listInstances(lab.rds);
  const now = new Date(lab.now().getTime() + 15 * 86_400_000);
  expect(
    keptTooLong(instances, lab.environment, { live: {}, now })
      .map((line) => line.split(',')[0])
      .sort(),
  ).toEqual(['orders', first.recoveryInstanceId].map((id) => `Instance ${id}`).sort());
});

test('by a snapshot of what was live before both it is gone back to, with what was written until its fence', async () => {
  expect(await lab.sql('select id from task')).toEqual([]);
  const snapshotId = 'orders-by-hand';
  await lab.rds.send(
    new CreateDBSnapshotCommand({
      DBInstanceIdentifier: 'orders',
      DBSnapshotIdentifier: snapshotId,
      Tags: writeMarks({ environment: 'production' }),
    }),
  );
  await until(
    () => findSnapshot(lab.rds, snapshotId),
    (snapshot) => snapshot?.Status === 'available',
  );
  third = await recovered({ restore: { to: 'snapshot', snapshotId } });
  expect(await lab.sql('select id from task')).toEqual([{ id: 1 }]);
});

test('where what it replaced is gone its settings are those of its newest snapshot; with none a redrive comes first', async () => {
  await lab.snapshot('run-2', '3_more');
  const fourth = await stopped();
  await remove(third.recoveryInstanceId);
  const { plan } = await lab.plan({});
  expect(plan.unfinished).toMatchObject({
    recoveryId: fourth.id,
    settingsFrom: expect.stringMatching(/pre-migration|safety/) as string,
  });
  const fifth = await recovered();
  expect(await lab.instance(fifth.recoveryInstanceId)).toMatchObject(SETTINGS);

  const sixth = await stopped();
  await remove(fifth.recoveryInstanceId);
  await remove(fourth.recoveryInstanceId);
  for (const { DBSnapshotIdentifier, DBInstanceIdentifier } of await listSnapshots(lab.rds, {
    SnapshotType: 'manual',
  }))
    if (DBInstanceIdentifier === fifth.recoveryInstanceId)
      await lab.rds.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier }));
  await expect(lab.planned()).rejects.toMatchObject({
    name: 'LiveInstanceUnclear',
    message: expect.stringContaining(`Redrive recovery ${sixth.id} first`) as string,
  });
  const lost = (await lab.plan({})).plan;
  expect(lost.unfinished).toEqual({ recoveryId: sixth.id, settingsFrom: null });
  expect(lost.notKnown.join(' ')).toContain('It cannot be carried out yet.');
});

test('one that cannot be redriven any more is finished by hand, as the refusal says: then it is a model, and can be undone', async () => {
  const { recovery } = await lab.plan({});
  await tagLive(recovery.live.instanceId);
  expect((await lab.plan({})).plan).toMatchObject({ unfinished: null, undo: null });
  const seventh = await stopped();
  await tagLive(seventh.recoveryInstanceId);
  const { plan } = await lab.plan({});
  expect(plan).toMatchObject({ unfinished: null, undo: { instanceId: recovery.live.instanceId } });
});

test('a half-finished live instance that somebody deleted: plan, recovery and undo say how to go back, and that works', async () => {
  const { live, secretVersionId } = (await lab.plan({})).recovery;
  const eighth = await stopped();
  await remove(eighth.recoveryInstanceId);
  const { versionId } = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
  const said = {
    name: 'LiveInstanceUnclear',
    message: expect.stringMatching(
      new RegExp(
        `the secret named ${live.instanceId}, which is "available".*--move-to-version-id ${secretVersionId} --remove-from-version-id ${versionId} .*clean-up`,
      ),
    ) as string,
  };
  await expect(lab.plan({})).rejects.toMatchObject(said);
  await expect(lab.planned()).rejects.toMatchObject(said);
  await expect(undoOf()).rejects.toMatchObject(said);
  await lab.secrets.send(
    new UpdateSecretVersionStageCommand({
      SecretId: lab.databaseUrlSecretId,
      VersionStage: 'AWSCURRENT',
      MoveToVersionId: secretVersionId,
      RemoveFromVersionId: versionId,
    }),
  );
  const back = await lab.plan({});
  expect(back.recovery.live).toEqual(live);
  expect(back.plan.leftovers?.[0]).toMatchObject({ what: 'fence', recoveryId: eighth.id, cleanUp: 'opens' });
});

/** By hand. */
async function tagLive(id: string): Promise<void> {
  const instance = await lab.instance(id);
  await lab.rds.send(
    new AddTagsToResourceCommand({
      ResourceName: instance?.DBInstanceArn,
      Tags: writeMarks({ role: 'live' }),
    }),
  );
}
