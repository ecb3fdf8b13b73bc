import {
  AddTagsToResourceCommand,
  ModifyDBInstanceCommand,
  RemoveTagsFromResourceCommand,
} from '@aws-sdk/client-rds';
import { PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import type { InstanceAddress, Recovery } from '../../../lambdas/contract/recovery';
import type { MatchSettingsResult } from '../../../lambdas/contract/restore';
import { readLogin } from '../../../lambdas/database-url';
import { addToQuarantine, readQuarantine, writeQuarantine } from '../../../lambdas/quarantine';
import { currentSecret } from '../../../lambdas/secrets';
import { applicationDatabase } from '../../../lambdas/steps/application-database';
import { checkRestoredInstance } from '../../../lambdas/steps/check-restored-instance';
import { discard } from '../../../lambdas/steps/discard';
import { drain } from '../../../lambdas/steps/drain';
import { finishSettings } from '../../../lambdas/steps/finish-settings';
import { matchCredentials } from '../../../lambdas/steps/match-credentials';
import { matchSettings } from '../../../lambdas/steps/match-settings';
import { preMigrationSnapshot } from '../../../lambdas/steps/pre-migration-snapshot';
import { prove } from '../../../lambdas/steps/prove';
import { recordPosition } from '../../../lambdas/steps/record-position';
import { retire } from '../../../lambdas/steps/retire';
import { startRestore } from '../../../lambdas/steps/start-restore';
import { swap } from '../../../lambdas/steps/swap';
import { swapBack } from '../../../lambdas/steps/swap-back';
import { verify } from '../../../lambdas/steps/verify';
import { heldName, readMarks } from '../../../lambdas/tags';
import { Lab, again, migrationTable } from './lab';

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.start();
  await lab.sql(migrationTable);
  await migrate('1_start');
  await lab.sql(`create table task (id int primary key)`);
  await lab.sql(`insert into task values (1), (2)`);
  await lab.snapshot('run-1', '2_bad');
  await lab.sql('drop table task');
  await migrate('2_bad');
});
afterEach(() => lab.stop());

/** jest's matcher is typed `any`. */
const containing = (text: string): unknown => expect.stringContaining(text);

const migrate = (name: string): Promise<unknown> =>
  lab.sql(
    `insert into _prisma_migrations (id, checksum, finished_at, migration_name) values ('${name}', 'x', now(), '${name}')`,
  );

async function quarantined({ instanceId }: InstanceAddress): Promise<string[]> {
  const { TagList } = (await lab.instance(instanceId)) ?? {};
  return readQuarantine(TagList).map(({ name, checksum, recoveryId }) => `${name}:${checksum}:${recoveryId}`);
}

async function restored(recovery: Recovery): Promise<InstanceAddress> {
  await startRestore({ recovery }, lab);
  return again('InstanceNotReady', () => checkRestoredInstance({ recovery }, lab));
}

async function settle(recovery: Recovery, instance: InstanceAddress): Promise<MatchSettingsResult> {
  const { masterUserKnown } = await recordPosition({ recovery, instance }, lab);
  return again('SettingsNotMatched', () => matchSettings({ recovery, instance, masterUserKnown }, lab));
}

async function matched(recovery: Recovery): Promise<InstanceAddress> {
  const instance = await restored(recovery);
  await settle(recovery, instance);
  await again('CredentialsNotReady', () => matchCredentials({ recovery, instance }, lab));
  return instance;
}

const currentHost = async (): Promise<string> =>
  readLogin((await currentSecret(lab.secrets, lab.databaseUrlSecretId)).value).host;

test('a whole recovery, every step twice', async () => {
  const recovery = await lab.planned();
  expect(recovery.restorePoint).toMatchObject({ kind: 'snapshot', pendingMigrations: ['2_bad'] });

  expect(await startRestore({ recovery }, lab)).toEqual(await startRestore({ recovery }, lab));
  const instance = await again('InstanceNotReady', () => checkRestoredInstance({ recovery }, lab));
  expect(await recordPosition({ recovery, instance }, lab)).toMatchObject({ recorded: true });

  const before = await settle(recovery, instance);
  expect(before.settings.filter(({ note }) => note?.startsWith('RDS did not take'))).toEqual([]);
  expect(before.settings.find(({ name }) => name === 'DeletionProtection')).toMatchObject({
    recovery: 'false',
    note: 'set after the cutover',
  });
  await settle(recovery, instance);
  expect((await lab.instance(instance.instanceId))?.TagList).toEqual(
    expect.arrayContaining([{ Key: 'team', Value: 'orders' }]),
  );

  await again('CredentialsNotReady', () => matchCredentials({ recovery, instance }, lab));
  expect(await matchCredentials({ recovery, instance }, lab)).toEqual({
    applicationRole: 'orders_app',
    applicationPassword: 'already current',
  });
  const verified = await verify({ recovery, instance }, lab);
  expect(verified).toMatchObject({
    migrations: ['1_start'],
    migrationsTakenAway: ['2_bad'],
    quarantine: [{ name: '2_bad', checksum: 'x' }],
  });
  expect(await quarantined(instance)).toEqual([`2_bad:undefined:${recovery.id}`]);
  // Restore points may have been made for migrations that never ran, so many that they need a second tag.
  const never = Array.from({ length: 6 }, (_, index) => ({ name: `3_never_${index}_${'n'.repeat(50)}` }));
  // One of them is in quarantine already: an earlier recovery took it away, and nobody has applied it again.
  const earlier = ['0_before', never[0]?.name ?? ''].map((name) => ({
    name: heldName(name),
    checksum: 'a',
    recoveryId: '0123456789',
  }));
  const expected = addToQuarantine(earlier, [...never, { name: '2_bad' }], recovery.id);
  await lab.rds.send(
    new AddTagsToResourceCommand({
      ResourceName: (await lab.instance(instance.instanceId))?.DBInstanceArn,
      Tags: writeQuarantine(expected),
    }),
  );

  const swapped = await swap({ recovery, instance }, lab);
  expect(await swap({ recovery, instance }, lab)).toEqual(swapped);
  expect(await currentHost()).toBe(instance.host);
  expect(await lab.sql('select id from task order by id')).toEqual([{ id: 1 }, { id: 2 }]);
  await prove({ recovery, instance, versionId: swapped.versionId }, lab);

  const { quarantine } = verified;
  const { settings } = await again('SettingsNotMatched', () =>
    finishSettings({ recovery, instance, quarantine }, lab),
  );
  expect(settings.filter(({ note }) => note !== undefined)).toEqual([]);
  expect(settings.find(({ name }) => name === 'DeletionProtection')?.recovery).toBe('true');
  expect(await finishSettings({ recovery, instance }, lab)).toEqual({ settings });

  // What was really taken away, with the checksum that was applied, and what was there before.
  expect(await quarantined(instance)).toEqual([
    `2_bad:x:${recovery.id}`,
    ...earlier.map(({ name }) => `${name}:a:0123456789`),
  ]);

  const { sessions, at: drainedAt } = await drain({ recovery, instance }, lab);
  expect(sessions).toBe(0);
  const before15 = new Date(lab.now().getTime() - 16 * 60_000).toISOString();
  for (const outdated of [before15, null])
    await expect(retire({ recovery, drainedAt: outdated }, lab)).rejects.toMatchObject({
      name: 'DrainOutdated',
    });
  expect(readMarks((await lab.instance('orders'))?.TagList).role).toBeUndefined();
  const retired = await again('RetirementNotFinished', () => retire({ recovery, drainedAt }, lab));
  expect(retired).toEqual({
    retired: 'deleted',
    instanceId: 'orders',
    finalSnapshotId: recovery.finalSnapshotId,
  });
  expect(await retire({ recovery, drainedAt }, lab)).toEqual(retired);
  expect(await lab.instance('orders')).toBeUndefined();

  // The next recovery starts from the recovered instance; the snapshot of the one before it still counts.
  const next = await lab.planned({}, 'next');
  expect(next.live.instanceId).toBe(instance.instanceId);
  expect(next.recoveryInstanceId).toMatch(/^orders-rec-[0-9a-f]{10}$/);
  await expect(discard({ recovery }, lab)).rejects.toMatchObject({ name: 'DiscardRefused' });
});

test('a password rotated after the snapshot works on the recovery instance', async () => {
  const { value } = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
  const odd = `it's "odd" \u00A0 ü%`;
  await lab.sql(`alter role orders_app password '${odd.replaceAll("'", "''")}'`);
  await lab.secrets.send(
    new PutSecretValueCommand({
      SecretId: lab.databaseUrlSecretId,
      SecretString: value.replace(/:[^:@]*@/, `:${encodeURIComponent(odd)}@`),
    }),
  );
  const recovery = await lab.planned();
  const instance = await restored(recovery);
  await settle(recovery, instance);
  const first = await again('CredentialsNotReady', () => matchCredentials({ recovery, instance }, lab));
  expect(first.applicationPassword).toBe('set to the current one');
  expect((await matchCredentials({ recovery, instance }, lab)).applicationPassword).toBe('already current');
});

test('a swap is refused when somebody else moved the secret, and nothing is swapped back', async () => {
  const recovery = await lab.planned();
  const instance = await matched(recovery);
  const { value } = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
  await lab.secrets.send(
    new PutSecretValueCommand({ SecretId: lab.databaseUrlSecretId, SecretString: `${value}&by=somebody` }),
  );
  await expect(swap({ recovery, instance }, lab)).rejects.toMatchObject({ name: 'SecretMovedMeanwhile' });
  expect(await currentHost()).toBe(recovery.live.host);
  expect(await swapBack({ recovery }, lab)).toEqual({ wasSwapped: false });
  expect(await again('DiscardNotFinished', () => discard({ recovery }, lab))).toEqual({
    discarded: 'gone',
    instanceId: recovery.recoveryInstanceId,
  });
});

test('a swap is taken back to the very version, twice', async () => {
  const recovery = await lab.planned();
  const instance = await matched(recovery);
  await swap({ recovery, instance }, lab);
  await expect(discard({ recovery }, lab)).rejects.toMatchObject({ name: 'DiscardRefused' });
  expect(await swapBack({ recovery }, lab)).toEqual({ wasSwapped: true });
  expect(await swapBack({ recovery }, lab)).toEqual({ wasSwapped: true });
  const current = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
  expect(current.versionId).toBe(recovery.secretVersionId);
  await expect(retire({ recovery, drainedAt: lab.now().toISOString() }, lab)).rejects.toMatchObject({
    name: 'RetirementRefused',
  });
  expect((await lab.instance('orders'))?.DBInstanceStatus).toBe('available');
});

test('verification says which checks failed, and discarding takes tags to prove whose the instance is', async () => {
  const recovery = await lab.planned();
  const instance = await matched(recovery);
  const claim: Recovery = {
    ...recovery,
    restorePoint: {
      ...recovery.restorePoint,
      kind: 'snapshot',
      snapshotId: 'x',
      databaseTime: '',
      pendingMigrations: ['1_start'],
    },
  };
  await expect(verify({ recovery: claim, instance }, lab)).rejects.toMatchObject({
    name: 'VerificationFailed',
    message: containing('1_start'),
  });
  const made = await lab.instance(instance.instanceId);
  await lab.rds.send(
    new RemoveTagsFromResourceCommand({
      ResourceName: made?.DBInstanceArn,
      TagKeys: ['migration-rollback:recovery-id'],
    }),
  );
  await expect(discard({ recovery }, lab)).rejects.toMatchObject({ name: 'DiscardRefused' });
  await expect(startRestore({ recovery }, lab)).rejects.toMatchObject({ name: 'NameTaken' });
  expect(await lab.instance(instance.instanceId)).toBeDefined();
});

test('the plan changes nothing, and says what it cannot use', async () => {
  const { plan, recovery } = await lab.plan({});
  expect(recovery).toMatchObject({ mode: 'plan', live: { instanceId: 'orders' } });
  expect(plan.inputToRecover).toMatchObject({ mode: 'recover', restore: { to: 'snapshot' } });
  await expect(lab.plan({ restore: { to: 'snapshot', snapshotId: 'none' } })).rejects.toMatchObject({
    name: 'RestorePointNotFound',
  });
  await expect(lab.plan({ restore: { to: 'before-migration', migration: '9_other' } })).rejects.toMatchObject(
    { name: 'RestorePointNotFound' },
  );
  await expect(lab.plan({ restore: { to: 'time', time: '2001-01-01T00:00:00Z' } })).rejects.toMatchObject({
    name: 'RestorePointNotFound',
    message: containing('allowed is'),
  });
  const before = await lab.plan({ restore: { to: 'before-migration', migration: '2_bad' } });
  expect(before.recovery.restorePoint.pendingMigrations).toEqual(['2_bad']);
  await expect(startRestore({ recovery }, lab)).rejects.toMatchObject({ name: 'InvalidInput' });
});

test('one deployment, one snapshot; a request that cannot be used is refused with what is missing', async () => {
  const first = await lab.snapshot('run-1', '2_bad');
  expect(first).toMatchObject({ status: 'available', instanceId: 'orders' });
  expect(await preMigrationSnapshot({}, lab)).toMatchObject({
    status: 'refused',
    reason: containing('deploymentId: got nothing'),
  });
  const development = lab.gate({ environment: 'development' });
  expect(await preMigrationSnapshot({}, development)).toMatchObject({ status: 'skipped' });
});

test('the custom resource never writes a secret that has a value', async () => {
  const before = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
  const { host, port } = readLogin(before.value);
  await applicationDatabase({ host, port, databaseName: 'orders', applicationRole: 'orders_app' }, lab);
  expect(await currentSecret(lab.secrets, lab.databaseUrlSecretId)).toEqual(before);
  expect(await lab.sql('select current_user::text as role')).toEqual([{ role: 'orders_app' }]);
  await lab.rds.send(
    new ModifyDBInstanceCommand({
      DBInstanceIdentifier: 'orders',
      DeletionProtection: false,
      ApplyImmediately: true,
    }),
  );
});
